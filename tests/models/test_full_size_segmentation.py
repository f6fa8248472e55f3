"""The full-size segmentors: a complete step on the real sweep fits into memory, and all of its points are predicted."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RECIPES = (
    "lidarseg_unet_vs0p05_4xb3_50e_nuscenes",
    "lidarseg_minkunet_vs0p05_4xb3_50e_nuscenes",
)


@pytest.mark.slow
@pytest.mark.real
@pytest.mark.parametrize("recipe", RECIPES)
def test_one_step_and_a_prediction_of_the_whole_sweep_at_full_size(recipe, keyframe_root):
    command = [
        *(sys.executable, "-m", "tests.models.full_size_segmentation"),
        *(f"configs/segmentation/{recipe}.py", str(keyframe_root)),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    result = json.loads(done.stdout.strip().splitlines()[-1])
    print(result)
    assert result["predicted"] == result["scored"] == 34688
    assert result["rows"] < result["predicted"]
    assert result["without_gradient"] == []
    # The mask token stands for hidden voxels, and none is hidden.
    assert [name for name in result["unmoved"] if not name.endswith("mask_token")] == []
    assert 0 < result["losses"]["loss"] < 10
    assert result["peak_gb"] < 8
