"""A transfer study with real trainings: one pair of tiny detectors, a step of the head and one of everything."""

import json
import os
import subprocess
import sys

from ponderv2.checkpoints import export_encoder
from ponderv2.engine import load_config
from ponderv2.registry import MODELS

SMALL = "model.encoder.grid.size"
RECIPE = "configs/tiny/uvtr_camera_synthetic_head_first.py"


def test_a_pair_of_detectors_is_trained_scored_and_reported(repository, streets, tmp_path):
    encoder, out = tmp_path / "encoder.safetensors", tmp_path / "out"
    config = load_config(repository / RECIPE, options={SMALL: (36, 36, 4)})
    model = MODELS.build(config.model)
    export_encoder(model.encoder, encoder, config.model.encoder, config.model.data_preprocessor)
    command = ["tools/transfer_study.py", "--data-root", streets, "--out", out, "--modalities", "camera", "--jobs", 2]
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
    rows = json.loads((out / "study.json").read_text())["rows"]
    assert {row["metric"] for row in rows} == {"NDS", "mAP"}
    for row in rows:
        assert len(row["scratch"]["values"]) == len(row["pretrained"]["values"]) == 1
    assert (out / "study.png").stat().st_size > 0
