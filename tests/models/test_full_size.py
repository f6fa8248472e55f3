"""The published models at full size: one training step on the real key frame fits into memory."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CAMERA = {"img": [6, 3, 900, 1600]}
# What a recipe reads, and the memory it may take.
RECIPES = {
    "pretrain/ponderv2_camera_convnext_s_vs0p1_4xb1_12e_nuscenes": (CAMERA, {"rig", "points", "rays"}, 20),
    "pretrain/ponderv2_camera_convnext_s_splat_vs0p075_4xb1_12e_nuscenes": (CAMERA, {"rig", "points", "rays"}, 20),
    "pretrain/ponderv2_lidar_voxelnet_vs0p075_4xb4_12e_nuscenes": ({}, {"points", "rays", "rig"}, 20),
    "pretrain/ponderv2_lidar_unet_vs0p1_4xb4_24e_nuscenes": ({}, {"points", "rays", "rig"}, 20),
    "detection/bevformer_static_base_r101_8xb1_24e_nuscenes": (CAMERA, {"rig"}, 22),
    "detection/bevformer_base_r101_8xb1_24e_nuscenes": (CAMERA, {"rig", "history", "can_bus"}, 22),
    "detection/uvtr_lidar_voxelnet_vs0p075_4xb4_20e_nuscenes_fifth": ({}, {"points"}, 22),
    "detection/uvtr_fusion_convnext_s_vs0p075_4xb2_12e_nuscenes_fifth": (CAMERA, {"rig", "points"}, 22),
}
# Queries that start at references have no content yet, so the first layer hands the same value from one to another:
# until biases have moved, its weights get a gradient of zero.
AT_FIRST_ALIKE = ("head.decoder.layers.0.self_attention.", "head.decoder.layers.0.norms.0.")
# Positions choose offsets and weights alone, by layers that start at zero.
AT_FIRST_IDLE = ("encoder.lift.position.",)


@pytest.mark.slow
@pytest.mark.real
@pytest.mark.parametrize("recipe", RECIPES)
def test_one_step_at_full_size_fits_into_memory(recipe, keyframe_root):
    shapes, names, limit = RECIPES[recipe]
    command = [sys.executable, "-m", "tests.models.full_size_step", f"configs/{recipe}.py", str(keyframe_root)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    result = json.loads(done.stdout.strip().splitlines()[-1])
    print(result)
    assert set(result["inputs"]) == set(shapes) | names
    assert {k: result["inputs"][k] for k in shapes} == shapes
    assert all(abs(v) < 1e3 for v in result["losses"].values())
    assert result["without_gradient"] == []
    assert [
        name for name in result["silent"] + result["unmoved"] if not name.startswith(AT_FIRST_ALIKE + AT_FIRST_IDLE)
    ] == []
    frozen = ("img_backbone.stem.", "img_backbone.stages.0.")
    assert all(any(part in name for part in frozen) for name in result["frozen"])
    assert result["peak_gb"] < limit
