"""Tools that turn checkpoints into others: input that cannot be used is named in one line."""

from tests.tools.conftest import COARSE
from tests.tools.refusals import BadInputs, Refuse, each_of

MERGE = ["{encoder}", "{encoder}", "{out}/merged.pth", "--config", "{fusion_recipe}"]
CONVERT = ["{published_checkpoint}", "{out}/converted.pth", "--from", "unipad-lidar"]
EXPORT = ["{pretrain_recipe}", "{pretrain_checkpoint}", "--out", "{out}/encoder.safetensors", "--cfg-options", COARSE]

BAD: BadInputs = {
    "merge_checkpoints": [
        (["{nowhere}.pth", *MERGE[1:]], r"checkpoint .*nowhere\.pth does not exist"),
        ([*MERGE[:2], "{empty}", *MERGE[3:]], r"OUT .*empty: expected a file, found a folder"),
        ([*MERGE[:2], "{out}/merged.ckpt", *MERGE[3:]], r"OUT .*merged\.ckpt: expected a file \*\.pth"),
        (
            ["{foreign_checkpoint}", "{encoder}", "{foreign_checkpoint}", *MERGE[3:], "--overwrite"],
            r"is the input .*foreign",
        ),
        ([*MERGE[:2], "{foreign_checkpoint}", *MERGE[3:]], r"foreign\.pth: is there already; give --overwrite"),
        ([*MERGE[:2], "/proc/merged.pth", *MERGE[3:]], r"OUT /proc/merged\.pth: cannot be written"),
        ([*MERGE[:-1], "{detector_recipe}"], r"expected a model with an encoder of camera and lidar"),
        ([*MERGE[:-1], "{nowhere}.py"], r"recipe .*nowhere\.py does not exist"),
        (["{fused_checkpoint}", *MERGE[1:]], r"fused\.pth: expected a camera encoder, found a fusion encoder"),
        ([*MERGE[:1], "{keyless_checkpoint}", *MERGE[2:]], r"keyless\.pth: expected a checkpoint with the key"),
        (["{foreign_checkpoint}", *MERGE[1:], "--no-head"], r"the weights are not of this recipe, nothing was written"),
        (MERGE, r"encoder\.safetensors is an exported encoder, which has no head; .*; --no-head starts"),
    ],
    "export_encoder": [
        (["{pretrain_recipe}"], r"the following arguments are required: checkpoint"),
        (["{pretrain_recipe}", "{nowhere}.pth"], r"checkpoint .*nowhere\.pth does not exist"),
        ([*EXPORT, "--out", "{file}"], r"--out .*file\.txt: expected a file \*\.safetensors"),
        ([*EXPORT, "--out", "{empty}"], r"--out .*empty: expected a file, found a folder"),
        (["{pretrain_recipe}", "{detector_checkpoint}", *EXPORT[2:]], r"detector\.pth is not of this recipe"),
        (["{parts}", "{pretrain_checkpoint}"], r"tiny\.py has no model, so there is nothing to export"),
    ],
    "export_to_mmdet3d": [
        (["{encoder}"], r"the following arguments are required: out"),
        (["{nowhere}.safetensors", "{out}/stock.pth"], r"encoder .*nowhere\.safetensors does not exist"),
        (["{encoder}", "{out}/stock.safetensors"], r"OUT .*stock\.safetensors: expected a file \*\.pth"),
        (["{encoder}", "{foreign_checkpoint}"], r"foreign\.pth: is there already; give --overwrite"),
        (["{empty}", "{out}/stock.pth"], r"encoder file .*empty/encoder\.safetensors does not exist"),
        (
            ["{detector_checkpoint}", "{out}/stock.pth"],
            r"detector\.pth: is a checkpoint, expected an exported encoder; make it by tools/export_encoder\.py RECIPE",
        ),
    ],
    "convert_checkpoint": [
        (CONVERT[:2], r"the following arguments are required: --from"),
        ([*CONVERT[:3], "ponder"], r"--from: invalid choice: 'ponder'"),
        (["{nowhere}.pth", *CONVERT[1:]], r"checkpoint .*nowhere\.pth does not exist"),
        ([CONVERT[0], "{empty}", *CONVERT[2:]], r"OUT .*empty: expected a file, found a folder"),
        ([CONVERT[0], "{out}/converted", *CONVERT[2:]], r"OUT .*converted: expected a file \*\.pth"),
        ([CONVERT[0], CONVERT[0], *CONVERT[2:], "--overwrite"], r"published\.pth: is the input .*published\.pth"),
        ([CONVERT[0], "{foreign_checkpoint}", *CONVERT[2:]], r"foreign\.pth: is there already; give --overwrite"),
        (["{torn_checkpoint}", *CONVERT[1:]], r"cannot read .*torn\.pth as a checkpoint"),
        (["{hostile_checkpoint}", *CONVERT[1:]], r"hostile\.pth"),
        (["{keyless_checkpoint}", *CONVERT[1:]], r"keyless\.pth: expected a checkpoint with the key 'state_dict'"),
        (
            ["{pretrain_checkpoint}", *CONVERT[1:]],
            r"pretrain\.pth: is a checkpoint of this project already, with",
        ),
        (["{strange_checkpoint}", *CONVERT[1:]], r"strange\.pth: no key of its state_dict starts with img_backbone"),
        ([*CONVERT[:3], "unipad-camera"], r"--from unipad-camera expects the encoder of camera, the file holds the"),
        (
            CONVERT,
            r"published\.pth does not fit the model, weights are 1 left over: pts_middle_encoder\.extra; \d+ miss",
        ),
        ([*CONVERT, "--config", "{nowhere}.py"], r"recipe .*nowhere\.py does not exist"),
        ([*CONVERT, "--config", "{parts}"], r"--config .*tiny\.py: expected a recipe whose model has an encoder"),
        ([*CONVERT, "--cfg-options", "modle.x=1"], r"has no 'modle'; did you mean model\?"),
    ],
}


@each_of(BAD)
def test_a_bad_input_is_one_line_with_exit_code_2(refuse: Refuse, tool, arguments, line):
    refuse(tool, arguments, line)
