"""What `make demo` runs, at a size for tests: streets, info files, pre-training, pictures, probe, detector, summary."""

import json
import os
import re
import shlex
import subprocess
import sys

import pytest

SMALL = "model.encoder.grid.size=(36,36,4)"
STEPS = "train_cfg.max_iters=2"


def commands_of_the_demo(repository, work_dir, data_root: str = "") -> list[list[str]]:
    """The Python commands that `make demo` would run on a machine that is set up."""
    given = ["-o", ".venv/.installed", f"WORK_DIR={work_dir}", f"DATA_ROOT={data_root}"]
    done = subprocess.run(["make", "-n", "demo", *given], cwd=repository, capture_output=True, text=True, check=True)
    lines = done.stdout.replace("\\\n", " ").splitlines()
    return [shlex.split(line)[1:] for line in lines if line.startswith(".venv/bin/python ") and "pip" not in line]


def shrink(command: list[str], data) -> list[str]:
    """The same command on little data, with a small volume and two steps."""
    tool = command[0]
    command = [str(data) if part == "data/synthetic" else part for part in command]
    if tool.endswith("make_synthetic_nuscenes.py"):
        sizes = ["--scenes", "2", "--keyframes", "2", "--image-size", "128x72"]
        at = command.index("--benchmark")
        assert command[at + 1] == "streets-mini"
        return [*command[:at], *sizes, *command[at + 2 :]]
    if tool.endswith("render.py"):
        command += ["--stride", "4"]
    options = [SMALL] if re.search("train|test|render|probe", tool) else []
    if tool.endswith("train.py"):
        options += [STEPS, "train_dataloader.num_workers=0", "train_dataloader.persistent_workers=False"]
        command = [part for part in command if not part.startswith("train_cfg.max_iters")]
    if not options:
        return command
    if "--cfg-options" in command:
        at = command.index("--cfg-options") + 1
        return [*command[:at], *options, *command[at:]]
    return [*command, "--cfg-options", *options]


def run(repository, command: list[str]) -> str:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *command], cwd=repository, capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done.stdout


@pytest.mark.slow
def test_the_demo_goes_from_nothing_to_pictures_and_a_summary(repository, tmp_path):
    work, data = tmp_path / "work", tmp_path / "data"
    commands = [shrink(command, data) for command in commands_of_the_demo(repository, work)]
    names = [command[0] if command[0] != "-m" else command[1] for command in commands]
    assert [name.removeprefix("tools/") for name in names] == [
        "make_synthetic_nuscenes.py",
        "create_data.py",
        "train.py",
        "render.py",
        "linear_probe.py",
        "train.py",
        "test.py",
        "studies.constant_predictor",
        "studies.demo_summary",
    ]
    said = [run(repository, command) for command in commands]
    for training in (said[2], said[5]):
        assert re.search(r"^iter 2/2  loss \S+  \S+ s/it  time left 0:00$", training, re.MULTILINE)
        # The recipe and its log go to the work dir.
        assert "INFO" not in training
    metrics = json.loads((work / "render" / "metrics.json").read_text())
    assert {"psnr", "ssim", "abs_rel", "rmse", "delta1", "guess_psnr", "guess_abs_rel"} <= set(metrics)
    assert [result["encoder"] for result in json.loads((work / "probe.json").read_text())] == [
        "scratch",
        str(work / "encoder.safetensors"),
    ]
    assert json.loads((work / "detection" / "test" / "metrics_summary.json").read_text())["split"] == "mini_val"
    for picture in ("render/panel_0000.png", "boxes/boxes_0000.png"):
        assert (work / picture).stat().st_size > 0
        assert str(work / picture) in said[-1]
    for part in ("Depth", "Colour", "Probe", "Boxes"):
        assert f"\n{part} " in said[-1]


def test_of_a_real_key_frame_the_demo_pretrains_renders_and_sums_up(repository, tmp_path):
    *commands, last = commands_of_the_demo(repository, tmp_path, data_root="somewhere")
    assert [command[0] for command in commands] == ["tools/train.py", "tools/render.py"]
    for command in commands:
        assert command[1] == "configs/tiny/ponderv2_camera_keyframe.py"
        assert command[command.index("--data-root") + 1] == "somewhere"
    assert last == ["-m", "studies.demo_summary", str(tmp_path)]
