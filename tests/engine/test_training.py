"""Training, interrupting, resuming, testing and rendering through the tools, as a user would."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from PIL import Image

from ponderv2.checkpoints import read_encoder
from ponderv2.folder_lock import folder_lock
from tests.factories.tool_scripts import call_tool

ROOT = Path(__file__).parents[2]
RECIPE = "configs/tiny/ponderv2_camera_keyframe.py"
SMALL = [
    "model.encoder.grid.size=(36,36,5)",
    "model.head.sampler.num_proposals=12",
    "model.head.sampler.num_important=4",
    "train_dataloader.dataset.pipeline.2.resize=(0.5,0.5)",
    "val_dataloader.dataset.pipeline.2.resize=(0.5,0.5)",
    "test_dataloader.dataset.pipeline.2.resize=(0.5,0.5)",
    "val_dataloader.dataset.pipeline.3.rays_per_camera=32",
    "test_dataloader.dataset.pipeline.3.rays_per_camera=32",
    "default_hooks.logger.interval=1",
]


def _command(tool: str, *arguments: object, options: list[str] = ()) -> list[str]:
    return [
        sys.executable,
        f"tools/{tool}.py",
        RECIPE,
        *map(str, arguments),
        "--cfg-options",
        *SMALL,
        *options,
    ]


def _run(command: list[str]) -> subprocess.CompletedProcess:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done


@pytest.fixture(scope="module")
def trained(frame_root, tmp_path_factory):
    """A work dir of 4 iterations, previewed, evaluated and exported."""
    work_dir = tmp_path_factory.mktemp("trained")
    options = ["train_cfg.max_iters=4", "train_cfg.val_interval=4", "default_hooks.checkpoint.interval=2"]
    _run(_command("train", "--data-root", frame_root, "--work-dir", work_dir, options=options))
    return work_dir


def test_the_encoder_of_a_checkpoint_is_exported_as_at_the_end_of_a_training(trained, repository, tmp_path, capsys):
    arguments = [repository / RECIPE, trained / "iter_4.pth", "--out", tmp_path / "encoder.safetensors"]
    assert call_tool(repository, "export_encoder", [*arguments, "--cfg-options", *SMALL], capsys) == (0, "")
    ours, theirs = (read_encoder(folder / "encoder.safetensors")[1] for folder in (tmp_path, trained))
    assert (ours.sha256, ours.encoder, ours.preprocessor, ours.name) == (
        theirs.sha256,
        theirs.encoder,
        theirs.preprocessor,
        theirs.name,
    )
    arguments = [repository / RECIPE, trained / "iter_2.pth", "--out", tmp_path / "earlier.safetensors"]
    assert call_tool(repository, "export_encoder", [*arguments, "--cfg-options", *SMALL], capsys) == (0, "")
    assert read_encoder(tmp_path / "earlier.safetensors")[1].sha256 != theirs.sha256


def test_training_leaves_checkpoint_preview_and_encoder(trained):
    assert (trained / "iter_4.pth").is_file()
    picture = Image.open(trained / "previews" / "iter_000004.png")
    assert len(set(picture.convert("L").tobytes())) > 100
    weights, header = read_encoder(trained / "encoder.safetensors")
    checkpoint = torch.load(trained / "iter_4.pth", weights_only=False)["state_dict"]
    encoder = {k.removeprefix("encoder."): v for k, v in checkpoint.items() if k.startswith("encoder.")}
    assert weights.keys() == encoder.keys()
    assert all(torch.equal(weights[k], encoder[k]) for k in weights)
    assert "RenderingPretrainer" in header.recipe


def test_testing_reports_the_metrics_of_the_last_validation(trained, frame_root, tmp_path):
    done = _run(_command("test", trained, "--data-root", frame_root, "--work-dir", tmp_path))
    shown = done.stdout + done.stderr
    logs = [json.loads(line) for f in trained.glob("*/vis_data/scalars.json") for line in f.read_text().splitlines()]
    validated = next(log["render/psnr"] for log in logs if "render/psnr" in log)
    assert f"render/psnr: {validated:.4f}" in shown


def test_rendering_writes_a_panel_and_all_metrics(trained, frame_root, tmp_path):
    _run(_command("render", trained, "--data-root", frame_root, "--out", tmp_path, "--stride", 4))
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert {"psnr", "ssim", "abs_rel", "rmse", "delta1", "image_psnr"} <= metrics.keys()
    width, height = Image.open(tmp_path / "panel_0000.png").size
    assert width > 1000
    assert height > 300


def test_another_run_in_the_work_dir_is_told_of_and_two_at_once_are_refused(trained, frame_root):
    """The work dir has a finished run: it would be replaced, resuming it has nothing to do."""
    before = (trained / "iter_4.pth").stat().st_mtime_ns
    with folder_lock(trained, ".train.lock", "training", "--work-dir"):
        options = ["train_cfg.max_iters=1", "train_cfg.val_interval=9"]
        command = _command("train", "--data-root", frame_root, "--work-dir", trained, options=options)
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert f"process {os.getpid()} on " in done.stderr
    assert "is training in" in done.stderr
    options = ["train_cfg.max_iters=4", "train_cfg.val_interval=9"]
    done = _run(_command("train", "--data-root", frame_root, "--work-dir", trained, "--resume", options=options))
    assert "iter_4.pth is at iter 4 of 4 already: nothing is trained, its last validation is repeated" in done.stdout
    assert (trained / "iter_4.pth").stat().st_mtime_ns == before


@pytest.mark.slow
def test_a_killed_run_resumes_from_its_last_checkpoint(frame_root, tmp_path):
    options = [
        "train_cfg.max_iters=500",
        "train_cfg.val_interval=1000",
        "default_hooks.checkpoint.interval=2",
    ]
    command = _command("train", "--data-root", frame_root, "--work-dir", tmp_path, options=options)
    run = subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    deadline = time.time() + 120
    while not (tmp_path / "last_checkpoint").is_file():
        assert time.time() < deadline, "no checkpoint within two minutes"
        assert run.poll() is None, "training ended by itself"
        time.sleep(0.2)
    run.send_signal(signal.SIGKILL)
    run.wait()
    last = int(Path((tmp_path / "last_checkpoint").read_text()).stem.removeprefix("iter_"))
    assert last < 500
    shorter = [
        f"train_cfg.max_iters={last + 2}",
        "train_cfg.val_interval=1000",
        "default_hooks.checkpoint.interval=2",
    ]
    done = _run(_command("train", "--data-root", frame_root, "--work-dir", tmp_path, "--resume", options=shorter))
    assert f"resumed epoch: 0, iter: {last}" in done.stdout + done.stderr
    assert (tmp_path / f"iter_{last + 2}.pth").is_file()


def test_a_missing_image_ends_training_with_its_name(frame_root, tmp_path):
    import shutil

    broken = tmp_path / "data"
    shutil.copytree(frame_root, broken)
    (broken / "samples" / "CAM_BACK" / "frame.png").unlink()
    command = _command("train", "--data-root", broken, "--work-dir", tmp_path / "work")
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode != 0
    last = done.stderr.strip().splitlines()[-1]
    assert "CAM_BACK" in last
    assert "frame.png" in last
