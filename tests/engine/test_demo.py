"""What `make demo` runs, at a size for tests: synthetic streets, info files, pre-training, pictures, detectors."""

import json
import subprocess
import sys


def _run(repository, *command):
    done = subprocess.run([sys.executable, *map(str, command)], cwd=repository, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_demo_goes_from_nothing_to_pictures_and_detection_scores(repository, tmp_path):
    data, work, out = tmp_path / "data", tmp_path / "work", tmp_path / "out"
    recipe = "configs/tiny/ponderv2_camera_synthetic.py"
    size = ["--scenes", 2, "--keyframes", 2, "--image-size", "128x72"]
    _run(repository, "tools/make_synthetic_nuscenes.py", "--out", data, *size)
    prepare = ["--root", data, "--version", "v1.0-mini", "--out", data, "--no-paste-database"]
    _run(repository, "tools/create_data.py", *prepare)
    small = ["model.encoder.grid.size=(36,36,4)", "train_dataloader.dataset.pipeline.2.rays_per_camera=16"]
    steps = ["train_cfg.max_iters=2", "train_cfg.val_interval=2", "default_hooks.checkpoint.interval=2"]
    options = ["--cfg-options", *small, *steps]
    _run(repository, "tools/train.py", recipe, "--data-root", data, "--work-dir", work, *options)
    drawing = ["--data-root", data, "--out", out, "--samples", 1, "--stride", 4, "--cfg-options", *small]
    said = _run(repository, "tools/render.py", recipe, work, *drawing)
    assert "guessing the median" in said
    metrics = json.loads((out / "metrics.json").read_text())
    assert {"psnr", "ssim", "abs_rel", "rmse", "delta1", "guess_psnr", "guess_abs_rel"} <= set(metrics)
    assert (out / "panel_0000.png").stat().st_size > 0
    assert (work / "encoder.safetensors").is_file()

    encoder, detector = f"camera={work / 'encoder.safetensors'}", "configs/tiny/uvtr_camera_synthetic_head_first.py"
    compare = ["--data-root", data, "--out", out, "--modalities", "camera", "--fractions", "1.0", "--seeds", 0]
    compare += ["--jobs", 2, "--pretrained", encoder, "--config", f"camera={detector}"]
    # One step of the head alone, one of everything.
    steps = [*steps, "custom_hooks.0.after=1", "train_cfg.val_interval=1", "default_hooks.logger.interval=1"]
    said = _run(repository, "tools/transfer_study.py", *compare, "--cfg-options", small[0], *steps)
    assert "After 1 steps:" in said
    assert "At the end:" in said
    assert "scratch" in said
    rows = json.loads((out / "study.json").read_text())["rows"]
    assert {row["metric"] for row in rows} == {"NDS", "mAP"}
    for row in rows:
        assert len(row["scratch"]["values"]) == len(row["pretrained"]["values"]) == 1
    assert (out / "study.png").stat().st_size > 0
