"""Retrieval: input that cannot be used is named in one line."""

from tests.tools.refusals import BadInputs, Refuse, each_of

LIDAR = ["{tiny}/ponderv2_lidar_unet_distil_synthetic.py", "--data-root", "{streets}", "--out", "{out}/index"]

BAD: BadInputs = {
    "build_retrieval_index": [
        (LIDAR, r"expected a checkpoint or --keypoints, one of them"),
        ([*LIDAR, "--keypoints", "{empty}"], r"--keypoints .*empty: none of its 0 npz files has the source 'lidar'"),
        ([*LIDAR, "--layout", "vlad", "--keypoints", "{empty}"], r"--vocabulary: expected with --layout vlad"),
        (["{detector_recipe}", "{detector_checkpoint}", *LIDAR[1:]], r"expected the recipe of a pre-training"),
        (["{pretrain_recipe}", "{detector_checkpoint}", *LIDAR[1:]], r"detector\.pth is not of this recipe"),
        (["{pretrain_recipe}", "{torn_checkpoint}", *LIDAR[1:]], r"cannot read .*torn\.pth as a checkpoint"),
        (["{pretrain_recipe}", "{hostile_checkpoint}", *LIDAR[1:]], r"refused to load .*hostile\.pth"),
        (
            ["{pretrain_recipe}", "{encoder}", *LIDAR[1:], "--channels", "image"],
            r"encoder\.safetensors is no encoder|is no encoder of this recipe|has no features of images",
        ),
        ([*LIDAR[:-1], "{file}", "--keypoints", "{empty}"], r"--out .*file\.txt: expected a folder, found a file"),
        ([*LIDAR, "--layout", "round"], r"argument --layout: invalid choice: 'round'"),
        ([*LIDAR, "--power", "0"], r"--power: expected a number above 0"),
    ],
    "fit_retrieval_projection": [
        (["--out", "{out}/p.safetensors"], r"expected --lidar, --image or both"),
        (["--lidar", "{empty}", "--out", "{out}/p.pth"], r"expected a file \*\.safetensors"),
        (["--lidar", "{empty}", "--out", "{out}/p.safetensors"], r"index .*empty: has no places\.json"),
    ],
    "retrieve": [
        (["token"], r"the following arguments are required: --index"),
        (["--index", "{empty}"], r"expected a QUERY or --text, one of them"),
        (["token", "--index", "{empty}"], r"index .*empty: has no places\.json"),
        (["token", "--index", "{nowhere}"], r"index .*nowhere does not exist"),
        (["token", "--index", "{empty}", "--out", "{out}/f.png"], r"--out: drawing needs --data-root"),
        (["token", "--index", "{empty}", "--count", "0"], r"--count: expected a whole number of at least 1"),
        (["token", "--index", "{empty}", "--projection", "{nowhere}"], r"projection .*nowhere does not exist"),
    ],
}


@each_of(BAD)
def test_a_bad_input_is_one_line_with_exit_code_2(refuse: Refuse, tool, arguments, line):
    refuse(tool, arguments, line)
