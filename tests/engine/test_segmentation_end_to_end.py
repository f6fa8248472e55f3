"""The whole path of a user of segmentation: prepare, pre-train, fine-tune, test, and a submission that is accepted."""

import json

import torch
from nuscenes import NuScenes
from nuscenes.eval.lidarseg.validate_submission import validate_submission
from PIL import Image

from ponderv2.compat.safe_checkpoint import load_checkpoint_file
from tests.factories.lidarseg_tables import write_labeled_tables
from tests.factories.tool_scripts import call_tool

# Voxels of half a metre, few of them.
SMALL = ["model.encoder.grid.size=(36,36,4)", "model.encoder.voxel_size=(0.5,0.5,0.5)"]
STEPS = ["train_cfg.max_iters=2", "train_cfg.val_interval=2", "default_hooks.checkpoint.interval=2"]
ALONE = ["train_dataloader.num_workers=0", "train_dataloader.persistent_workers=False"]


def test_from_tables_to_an_accepted_submission(repository, tmp_path, capsys):
    data, work = write_labeled_tables(tmp_path / "data"), tmp_path / "work"

    def run(tool: str, *arguments: object, options: list[str] = ()) -> str:
        changes = ["--cfg-options", *options] if options else []
        code, said = call_tool(repository, tool, [*arguments, *changes], capsys)
        assert code == 0, said
        return said

    run("create_data", "--root", data, "--version", "v1.0-mini", "--out", data, "--workers", 1, "--no-paste-database")
    tiny, on = repository / "configs" / "tiny", ["--data-root", data]
    pretraining = [*SMALL, *STEPS, *ALONE, "custom_hooks.0.interval=9", "val_dataloader.dataset.load_interval=6"]
    run("train", tiny / "ponderv2_lidar_unet_synthetic.py", *on, "--work-dir", work / "pretrain", options=pretraining)
    encoder = work / "pretrain" / "encoder.safetensors"
    start = [f"model.init_cfg.checkpoint={encoder}"]
    recipe = tiny / "lidarseg_unet_synthetic.py"
    run("train", recipe, *on, "--work-dir", work / "seg", options=[*SMALL, *STEPS, *ALONE, *start])
    weights = load_checkpoint_file(work / "seg" / "iter_2.pth")["state_dict"]
    assert not any(torch.isnan(value).any() for value in weights.values() if value.is_floating_point())
    lines = [json.loads(line) for f in work.glob("seg/*/vis_data/scalars.json") for line in f.read_text().splitlines()]
    (validated,) = [line for line in lines if "lidarseg/mIoU" in line]
    submission = work / "submission"
    run(
        *("test", recipe, work / "seg", *on, "--work-dir", work / "test", "--draw", work / "pictures"),
        options=[*SMALL, f"test_evaluator.submission_dir={submission}"],
    )
    averaged = work / "averaged"
    run(
        *("test", recipe, work / "seg", *on, "--work-dir", work / "tta", "--tta"),
        options=[
            *(*SMALL, f"test_evaluator.submission_dir={averaged}"),
            *("test_evaluator.partial=True", "test_dataloader.dataset.load_interval=3"),
        ],
    )
    assert json.loads((averaged / "metrics_summary.json").read_text())["official_mIoU"] > 0
    scores = json.loads((submission / "metrics_summary.json").read_text())
    # The running scores while training are the official ones of the same weights.
    assert abs(scores["official_mIoU"] - validated["lidarseg/mIoU"]) < 1e-6
    tables = NuScenes("v1.0-mini", str(data), verbose=False)
    validate_submission(tables, str(submission / "results"), "mini_val")
    assert (submission / "lidarseg_submission.zip").is_file()
    pictures = sorted((work / "pictures").glob("segments_*.png"))
    assert len(pictures) == 4
    assert Image.open(pictures[0]).width == 1600
