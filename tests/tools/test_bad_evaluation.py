"""Evaluation, rendering and the printing of recipes: input that cannot be used is named in one line."""

from tests.tools.conftest import COARSE
from tests.tools.refusals import BadInputs, Refuse, each_of

HERE = ["--work-dir", "{out}/work"]
TEST = ["{detector_recipe}", "{detector_checkpoint}", "--data-root", "{streets}", *HERE]
SEGMENT = ["{tiny}/lidarseg_unet_synthetic.py", "--data-root", "{streets}", *HERE]
RENDER = ["{pretrain_recipe}", "{pretrain_checkpoint}", "--data-root", "{streets}", "--out", "{out}/pictures"]

BAD: BadInputs = {
    "test": [
        (
            [SEGMENT[0], "{detector_checkpoint}", *SEGMENT[1:], "--cfg-options", "test_evaluator.ranges=(40,20)"],
            r"ranges: expected growing distances above 0 m, got \(40, 20\)",
        ),
        (
            [SEGMENT[0], "{detector_checkpoint}", *SEGMENT[1:]],
            r"detector\.pth is not of this recipe",
        ),
        (["{detector_recipe}"], r"the following arguments are required: checkpoint"),
        (["{detector_recipe}", "{nowhere}.pth"], r"checkpoint .*nowhere\.pth does not exist"),
        (["{detector_recipe}", "{empty}", *HERE], r"empty has no last_checkpoint"),
        (["{detector_recipe}", "{moved}", *HERE], r"names the checkpoint iter_9\.pth, which does not exist"),
        (
            [*TEST[:1], "{pretrain_checkpoint}", *TEST[2:], "--cfg-options", COARSE],
            r"pretrain\.pth is not of this recipe",
        ),
        ([*TEST[:1], "{encoder}", *TEST[2:], "--cfg-options", COARSE], r"encoder\.safetensors is an exported encoder"),
        (["{lidar_recipe}", *TEST[1:]], r"detector\.pth is not of this recipe, it covers \d+ of \d+ weights"),
        ([*TEST[:1], "{torn_checkpoint}", *TEST[2:]], r"cannot read .*torn\.pth as a checkpoint"),
        ([*TEST[:1], "{nothing_checkpoint}", *TEST[2:]], r"cannot read .*nothing\.pth as a checkpoint"),
        ([*TEST[:1], "{hostile_checkpoint}", *TEST[2:]], r"refused to load .*hostile\.pth"),
        (
            [*TEST[:1], "{keyless_checkpoint}", *TEST[2:]],
            r"keyless\.pth: expected a checkpoint with the key 'state_dict'",
        ),
        ([*TEST, "--tta"], r"--tta: .*has no tta_model and no tta_pipeline"),
        ([*TEST, "--draw", "{file}"], r"--draw .*file\.txt: expected a folder, found a file"),
        ([*TEST, "--cfg-options", "test_dataloadr.batch_size=2"], r"did you mean test_dataloader\?"),
        (
            [
                "{detector_recipe}",
                "{detector_checkpoint}",
                "--data-root",
                "{no_tables}",
                *HERE,
                "--cfg-options",
                COARSE,
            ],
            r"v1\.0-mini",
        ),
    ],
    "render": [
        (RENDER[:-2], r"the following arguments are required: --out"),
        ([*RENDER, "--samples", "0"], r"--samples: expected a whole number of at least 1, got '0'"),
        ([*RENDER, "--stride", "-2"], r"--stride: expected a whole number of at least 1"),
        ([*RENDER, "--mesh-step", "0"], r"--mesh-step: expected a number above 0"),
        ([*RENDER[:-1], "{file}"], r"--out .*file\.txt: expected a folder, found a file"),
        ([*RENDER, "--device", "meta"], r"--device meta: expected a device that torch can use here"),
        ([*RENDER, "--device", "tpu9"], r"--device tpu9: expected a device that torch can use here"),
        (["{detector_recipe}", *RENDER[1:]], r"expected the recipe of a pre-training, found a VolumeDetector"),
        ([*RENDER[:1], "{detector_checkpoint}", *RENDER[2:]], r"detector\.pth is not of this recipe"),
        ([*RENDER[:1], "{encoder}", *RENDER[2:]], r"encoder\.safetensors is an exported encoder"),
    ],
    "print_config": [
        (["nowhere.py"], r"recipe nowhere\.py does not exist"),
        (["{pretrain_recipe}", "--scratch"], r"names no baseline"),
        (["{parts}"], r"tiny\.py has no model, so there is nothing to print"),
        (["{pretrain_recipe}", "--cfg-options", "modle.x=1"], r"has no 'modle'; did you mean model\?"),
    ],
}


@each_of(BAD)
def test_a_bad_input_is_one_line_with_exit_code_2(refuse: Refuse, tool, arguments, line):
    refuse(tool, arguments, line)
