"""Tools that make and check data: input that cannot be used is named in one line."""

from tests.tools.refusals import BadInputs, Refuse, each_of

DATA = ["--root", "{streets}", "--version", "v1.0-mini", "--out", "{out}", "--workers", "1"]

BAD: BadInputs = {
    "create_data": [
        (["--root", "{nowhere}", *DATA[2:]], r"--root: folder .*nowhere does not exist"),
        ([*DATA[:3], "v1.0-nano", *DATA[4:]], r"unknown version 'v1\.0-nano'"),
        ([*DATA[:3], "v1.0-trainval", *DATA[4:]], r"v1\.0-trainval lacks"),
        ([*DATA[:-1], "0"], r"--workers: expected a whole number of at least 1"),
        ([*DATA, "--lidar-sweeps", "-1"], r"--lidar-sweeps: expected a whole number of at least 0"),
        ([*DATA[:5], "{file}", *DATA[6:]], r"--out .*file\.txt: expected a folder, found a file"),
        ([*DATA[:5], "/proc/out", *DATA[6:]], r"--out /proc/out: nothing can be written there"),
        (["--root", "{streets}/v1.0-mini", *DATA[2:]], r"v1\.0-mini holds tables itself: --root is the folder above"),
        (["--root", "{torn_tables}", *DATA[2:]], r"the devkit cannot open .*v1\.0-mini"),
        ([*DATA[:5], "{old_infos}", *DATA[6:]], r"_train\.pkl was made .*give --overwrite"),
    ],
    "check_data": [
        (["{nowhere}.pkl"], r"info file .*nowhere\.pkl does not exist"),
        (["{streets}/nuscenes_infos_train.pkl", "--frames", "-1"], r"--frames: expected a whole number of at least 1"),
        (["{streets}/nuscenes_infos_train.pkl", "--root", "{nowhere}"], r"--root: folder .*nowhere does not exist"),
        (["{torn_infos}/nuscenes_infos_train.pkl"], r"nuscenes_infos_train\.pkl cannot be read"),
        (["{hostile_infos}/nuscenes_infos_train.pkl"], r"only containers and numpy values are read"),
        (["{file}"], r"file\.txt is no pickle, or a damaged one .*; expected an info file that tools/create_data"),
        (["{wrong_velocity}/nuscenes_infos_train.pkl"], r"_train\.pkl .*key frame .*: velocity of instances: expected"),
        (
            ["{singular_matrix}/nuscenes_infos_train.pkl"],
            r"_train\.pkl .*key frame .*lidar2cam: expected a matrix that",
        ),
    ],
    "make_synthetic_nuscenes": [
        ([], r"the following arguments are required: --out"),
        (["--out", "{out}/s", "--scenes", "0"], r"--scenes: expected a whole number of at least 1, got '0'"),
        (["--out", "{out}/s", "--keyframes", "1"], r"--keyframes: expected a whole number of at least 2"),
        (["--out", "{out}/s", "--workers", "0"], r"--workers: expected a whole number of at least 1"),
        (["--out", "{out}/s", "--seed", "-1"], r"--seed: expected a whole number of at least 0"),
        (["--out", "{out}/s", "--preview", "pic.txt"], r"--preview: expected a file \*\.png, got 'pic\.txt'"),
        (["--out", "{out}/s", "--image-size", "big"], r"'big' is no image size; it looks like 800x450"),
        (["--out", "{out}/s", "--image-size", "8x8"], r"image size 8x8: each side must be 16 to 4096 pixels"),
        (["--out", "{out}/s", "--scenes", "9999"], r"scenes: got 9999"),
        (["--out", "{file}"], r"file\.txt is a file; the data set needs a folder"),
        (["--out", "{here}"], r"not empty and holds no synthetic data set"),
        (["--out", "{streets}", "--scenes", "1"], r"holds another synthetic data set \(.*scenes 2 instead of 1"),
        (["--out", "/proc/set"], r"--out /proc: nothing can be written there"),
        (["--out", "{out}/s", "--benchmark", "streets-v9"], r"--benchmark: invalid choice: 'streets-v9'"),
        (
            ["--out", "{out}/s", "--benchmark", "streets-mini", "--scenes", "2", "--image-size", "96x54"],
            r"--benchmark streets-mini fixes --scenes and --image-size: leave that out, or the benchmark",
        ),
        (
            ["--out", "{streets}", "--benchmark", "streets-mini"],
            r"another synthetic data set \(.*scenes 2 instead",
        ),
        (
            ["--out", "{streets}", "--check", "--benchmark", "streets-mini"],
            r"--check: .*streets is no benchmark, not streets-mini; leave out --benchmark",
        ),
        (["--out", "{streets}", "--check"], r"--check: no hashes are stored for .*streets, so nothing was compared"),
        (
            ["--out", "{out}/s", "--report", "{out}/r.json"],
            r"--report: .*s holds no finished .*; name a --benchmark or",
        ),
        (["--out", "{out}/s", "--check"], r"--check: .*s holds no finished synthetic data set"),
        (
            ["--out", "{streets}", "--check", "--seed", "0"],
            r"--check is of a benchmark, which fixes --seed: leave",
        ),
        (
            ["--out", "{streets}", "--hashes", "{out}/h.json"],
            r"--hashes: .*streets is no benchmark, its",
        ),
        (["--out", "{streets}", "--report", "r.png"], r"--report: expected a file \*\.json, got 'r\.png'"),
        (["--out", "{streets}", "--report", "{file}/r.json"], r"--report .*file\.txt/r\.json: cannot be written"),
    ],
}


@each_of(BAD)
def test_a_bad_input_is_one_line_with_exit_code_2(refuse: Refuse, tool, arguments, line):
    refuse(tool, arguments, line)
