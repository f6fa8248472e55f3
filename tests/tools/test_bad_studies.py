"""Studies and benchmarks: input that cannot be used is named in one line."""

from tests.tools.conftest import COARSE
from tests.tools.refusals import BadInputs, Refuse, each_of

PROBE = ["{detector_recipe}", "--data-root", "{streets}", "--encoders", "scratch"]
STUDY = ["--data-root", "{streets}", "--out", "{out}/study"]
BLIND = ["--data-root", "{streets}", "--out", "{out}/blind", "--json", "{out}/blind.json"]

BAD: BadInputs = {
    "transfer_study": [
        ([*STUDY, "--fractions", "2"], r"--fractions: expected a share above 0 and at most 1, got 2"),
        ([*STUDY, "--fractions", "0.1", "0.1"], r"--fractions: expected different values"),
        ([*STUDY, "--jobs", "0"], r"--jobs: expected a whole number of at least 1"),
        ([*STUDY, "--models", "radar"], r"no recipe for radar: give --config radar=PATH"),
        ([*STUDY, "--json", "{file}/x.json"], r"--json .*file\.txt/x\.json: cannot be written"),
        ([*STUDY, "--seeds", "-1"], r"--seeds: expected a whole number of at least 0, got '-1'"),
        ([*STUDY, "--seeds", "4294967296"], r"--seeds: expected a seed of at most 4294967295"),
        *(
            (
                [*STUDY, "--models", "camera", option, "lidar={encoder}"],
                rf"{option} lidar=.*: the study does not compare lidar; add it to --models \(camera\)",
            )
            for option in ("--config", "--pretrained", "--pretrain-config")
        ),
        ([*STUDY, "--config", "lidar=a.py", "lidar=b.py"], r"--config: expected one path for lidar, got 2"),
        ([*STUDY, "--config", "radar=x.py"], r"nothing to start radar from: give --pretrained radar=ENCODER"),
        (
            [*STUDY, "--fractions", "1", "--pretrained", "camera={nowhere}.pth"],
            r"nothing was started: .*nowhere\.pth does not exist",
        ),
        ([*STUDY, "--cfg-options", "max_iters"], r"expected KEY=VALUE, got 'max_iters'"),
        ([*STUDY[:2], "--out", "{file}"], r"--out .*file\.txt: expected a folder, found a file"),
        (["--data-root", "{nowhere}", *STUDY[2:]], r"--data-root: folder .*nowhere does not exist"),
    ],
    "segmentation_study": [
        ([*STUDY, "--protocols", "probe"], r"--protocols: invalid choice: 'probe'"),
        ([*STUDY, "--json", "{file}/x.json"], r"--json .*file\.txt/x\.json: cannot be written"),
        (
            [*STUDY, "--protocols", "finetune", "--fractions", "1", "--pretrained", "pretrained={nowhere}.pth"],
            r"nothing was started: .*nowhere\.pth does not exist",
        ),
    ],
    "linear_probe": [
        ([*PROBE, "--frames", "0"], r"--frames: expected a whole number of at least 1"),
        ([*PROBE, "--free-cells", "-5"], r"--free-cells: expected a whole number of at least 1"),
        ([*PROBE, "--json", "{file}/probe.json"], r"--json .*file\.txt/probe\.json: cannot be written"),
        ([*PROBE, "--device", "tpu9"], r"--device tpu9: expected a device"),
        ([*PROBE[:-1], "{nowhere}.safetensors", "--cfg-options", COARSE], r"nowhere\.safetensors does not exist"),
        ([*PROBE[:-1], "{foreign_checkpoint}", "--cfg-options", COARSE], r"foreign\.pth does not cover this model's"),
        ([*PROBE[:-1], "scrach"], r"checkpoint scrach does not exist; did you mean scratch\?"),
        ([*PROBE, "{nowhere}.safetensors"], r"checkpoint .*nowhere\.safetensors does not exist$"),
        (["{pretrain_recipe}", *PROBE[1:]], r"expected the recipe of a detector, found a RenderingPretrainer$"),
        (
            ["{tiny}/lidarseg_unet_synthetic.py", *PROBE[1:]],
            r"found a LidarSegmentor; segmentors are probed by training .*lidarseg_\*_linear_probe\.py .*"
            r"tools/segmentation_study\.py",
        ),
        ([*PROBE, "--seed", "-1"], r"--seed: expected a whole number of at least 0"),
        ([*PROBE[:2], "{no_infos}", *PROBE[3:], "--cfg-options", COARSE], r"_train\.pkl does not exist"),
    ],
    "blind_baselines": [
        (BLIND[:-2], r"the following arguments are required: --json"),
        ([*BLIND[:-1], "{file}/x.json"], r"--json .*file\.txt/x\.json: cannot be written"),
        ([*BLIND[:-1], "{file}"], r"--json .*file\.txt: expected blind baselines of an earlier run"),
        ([*BLIND[:3], "{file}", *BLIND[4:]], r"--out .*file\.txt: expected a folder, found a file"),
        (["--data-root", "{nowhere}", *BLIND[2:]], r"--data-root: folder .*nowhere does not exist"),
        (
            ["--data-root", "{no_infos}", *BLIND[2:]],
            r"has no nuscenes_infos_train\.pkl; make it with tools/create_data",
        ),
        ([*BLIND, "--only", "random"], r"--only: invalid choice: 'random'"),
        ([*BLIND, "--modalities", "fusion"], r"--modalities: invalid choice: 'fusion'"),
        ([*BLIND, "--fraction", "0"], r"--fraction: expected a share above 0 and at most 1"),
        ([*BLIND, "--frozen-fractions", "1", "1"], r"--fractions: expected different values"),
        ([*BLIND, "--seeds", "0", "0"], r"--seeds: expected different values"),
        ([*BLIND, "--seeds", "-1"], r"--seeds: expected a whole number of at least 0"),
        ([*BLIND, "--full-steps", "0"], r"--full-steps: expected a whole number of at least 1"),
        ([*BLIND, "--cfg-options", "model.haed=1"], r"cannot be built: .*haed"),
    ],
    "velocity_errors": [
        (["{nowhere}.json", "--data-root", "{empty}"], r"submission .*nowhere\.json does not exist"),
        (["{file}", "--data-root", "{empty}"], r"nuscenes_infos_val\.pkl does not exist"),
        (["{file}", "--data-root", "{empty}", "--min-score", "2"], r"--min-score: expected a share above 0"),
        (["{file}", "--data-root", "{empty}", "--json", "{empty}"], r"--json .*empty: expected a file, found a folder"),
    ],
    "benchmark": [
        ([], r"the following arguments are required: benchmark"),
        (["rendering"], r"invalid choice: 'rendering'"),
        (["render", "--repeats", "0"], r"--repeats: expected a whole number of at least 1"),
        (["render", "--json", "{empty}"], r"--json .*empty: expected a file, found a folder"),
        (["render", "--json", "{file}/x.json"], r"--json .*file\.txt/x\.json: cannot be written"),
        (["lift", "--device", "tpu9"], r"--device tpu9: expected a device"),
        (["lidar", "--ratio", "2"], r"--ratio: expected a share above 0 and at most 1"),
        (["lidar", "--sweep", "{nowhere}.bin"], r"sweep .*nowhere\.bin does not exist"),
    ],
}


@each_of(BAD)
def test_a_bad_input_is_one_line_with_exit_code_2(refuse: Refuse, tool, arguments, line):
    refuse(tool, arguments, line)
