"""A transfer study with real trainings: tiny detectors, a step of the head and one of everything, and references."""

import json
import os
import subprocess
import sys

from ponderv2.checkpoints import export_encoder
from ponderv2.engine import load_config
from ponderv2.registry import MODELS

SIDES = ("constant", "frozen", "scratch", "pretrained")

SMALL = "model.encoder.grid.size"
RECIPE = "configs/tiny/uvtr_camera_synthetic_head_first.py"


def test_a_pair_of_detectors_is_trained_scored_and_reported(repository, streets, tmp_path):
    encoder, out = tmp_path / "encoder.safetensors", tmp_path / "out"
    config = load_config(repository / RECIPE, options={SMALL: (36, 36, 4)})
    model = MODELS.build(config.model)
    export_encoder(model.encoder, encoder, config.model.encoder, config.model.data_preprocessor)
    command = ["tools/transfer_study.py", "--data-root", streets, "--out", out, "--models", "camera", "--jobs", 3]
    command += ["--fractions", "1.0", "--seeds", 0, "--pretrained", f"camera={encoder}"]
    command += ["--config", f"camera={RECIPE}", "--cfg-options", f"{SMALL}=(36,36,4)", "train_cfg.max_iters=2"]
    command += ["train_cfg.val_interval=1", "custom_hooks.0.after=1", "default_hooks.logger.interval=1"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *map(str, command)], cwd=repository, capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "After 1 steps:" in done.stdout
    assert "At the end:" in done.stdout
    study = json.loads((out / "study.json").read_text())
    assert [row["metric"] for row in study["rows"]] == ["mAP", "NDS"]
    for row in study["rows"]:
        assert all(len(row[side]["values"]) == 1 and row[side]["mean"] is not None for side in SIDES)
    # Labels of one drive say nothing of where things stand in another.
    assert study["rows"][0]["constant"]["mean"] < 0.05
    for row in study["earlier"]["1"]:
        assert row["frozen"]["values"] == row["scratch"]["values"]
    trained = "the encoder is trained from iteration 2 on"
    logs = {init: (out / "runs" / f"camera_1_{init}_seed0" / "log.txt").read_text() for init in ("scratch", "frozen")}
    assert {init: trained in log for init, log in logs.items()} == {"scratch": True, "frozen": False}
    assert (out / "study.png").stat().st_size > 0
