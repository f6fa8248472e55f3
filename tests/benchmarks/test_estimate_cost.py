"""The estimate of a step: FLOPs of layers by their formulas, parts that add up, and a bound below a real step."""

import io
import json
import logging

import pytest
import torch
import torch.nn.functional as F
from mmengine.logging import MMLogger
from torch import nn

from benchmarks.cards import CARDS
from benchmarks.cost_estimate import Part, StepCost, StepCounter, estimate_step, parts_of
from benchmarks.cost_report import cost_lines, schedule_steps
from ponderv2.engine import load_config
from tests.factories.tool_scripts import call_tool

COARSE = {
    "model.encoder.grid.size": (18, 18, 2),
    "model.head.sampler.num_proposals": 6,
    "model.head.sampler.num_important": 2,
    "train_dataloader.dataset.pipeline.2.rays_per_camera": 16,
}


def _counted(module: nn.Module, *inputs: torch.Tensor) -> Part:
    counter = StepCounter({"part": module}, module.parameters())
    with counter.counting():
        loss = module(*inputs).sum()
        counter.backward()
        loss.backward()
    assert not any(vars(counter.costs["other"])[key] for key in ("forward", "backward"))
    return counter.costs["part"]


class _Read(nn.Module):
    def forward(self, values: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
        return F.grid_sample(values, grid, align_corners=False)


class _Bags(nn.Module):
    def forward(self, table: torch.Tensor, rows: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        return F.embedding_bag(rows, table, per_sample_weights=weights, mode="sum")


@pytest.mark.parametrize(
    ("module", "inputs", "flops", "times"),
    [
        (nn.Conv2d(4, 6, 3, padding=1, bias=False), [(1, 4, 8, 9)], 2 * 8 * 9 * 4 * 6 * 9, 2),
        (nn.Conv2d(6, 6, 7, padding=3, groups=6, bias=False), [(2, 6, 8, 9)], 2 * 2 * 8 * 9 * 6 * 49, 2),
        (nn.ConvTranspose2d(4, 6, 2, stride=2, bias=False), [(1, 4, 8, 9)], 2 * 8 * 9 * 4 * 6 * 4, 2),
        (nn.Linear(5, 7, bias=False), [(11, 5)], 2 * 11 * 5 * 7, 2),
        (_Read(), [(1, 3, 8, 9), (1, 10, 11, 2)], 2 * 4 * 3 * 10 * 11, 2),
    ],
    ids=["convolution", "depth-wise", "transposed", "linear", "grid_sample"],
)
def test_flops_are_those_of_the_formulas(module, inputs, flops, times):
    counted = _counted(module, *(torch.rand(shape, requires_grad=True) for shape in inputs))
    assert (counted.forward, counted.backward) == (flops, times * flops)


def test_flops_of_weighted_rows_are_counted():
    rows, weights = torch.randint(0, 9, (20, 4)), torch.rand(20, 4)
    counted = _counted(_Bags(), torch.rand(9, 8, requires_grad=True), rows, weights)
    assert counted.forward == 2 * 20 * 4 * 8
    assert counted.backward == counted.forward


def test_kept_bytes_are_those_of_tensors_and_not_of_weights_and_each_counts_once():
    module = nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 1))
    # Input, and input and output of the activation.
    assert _counted(module, torch.rand(10, 16)).activations == 4 * 10 * (16 + 32 + 32)


def test_parts_add_up_and_no_card_is_faster_than_its_rates():
    cost = StepCost({"a": Part(10, 10, 2 * 10**12, 10**12, 8), "b": Part(forward=10**12)}, state_bytes=80)
    assert cost.flops == 4 * 10**12
    assert cost.memory == {"parameters": 40, "gradients": 40, "optimizer": 80, "activations": 8}
    assert cost.seconds_on(CARDS["a100-80gb"]) == pytest.approx(4 / 312)
    assert cost.seconds_on(CARDS["a100-80gb"], "float32") == pytest.approx(4 / 19.5)
    kept = StepCost({"a": Part(activations=10**12)})
    assert kept.seconds_on(CARDS["a100-80gb"], "tf32") == pytest.approx(2 / 2.039)
    assert kept.seconds_on(CARDS["a100-80gb"]) == pytest.approx(1 / 2.039)


def test_parts_are_those_of_both_sensors_and_the_head():
    model = nn.Module()
    model.encoder, model.head, model.data_preprocessor = nn.Module(), nn.Linear(1, 1), nn.Identity()
    model.encoder.camera, model.encoder.fuse = nn.Module(), nn.Identity()
    model.encoder.camera.img_backbone = nn.Identity()
    assert list(parts_of(model)) == ["encoder.camera.img_backbone", "encoder.fuse", "head"]


def test_a_tiny_step_is_counted_by_part_and_takes_longer_than_at_the_rate_of_matrices(repository):
    recipe = repository / "configs" / "tiny" / "ponderv2_camera_synthetic.py"
    cost, _ = estimate_step(recipe, COARSE, (64, 96), measured=1)
    for name in ("encoder.img_backbone", "encoder.lift", "encoder.convs", "head"):
        part = cost.parts[name]
        assert part.forward > 0, name
        # Of a part that reads images, the input has no gradient.
        assert 0.5 < part.backward / part.forward < 6, name
    assert cost.total("forward") > 10 * cost.parts["other"].forward
    assert cost.seconds > cost.flops / cost.gemm_flops


SMALL = {"model.encoder.grid.size": (36, 36, 4), "model.encoder.voxel_size": (1.5, 1.5, 0.5)}


@pytest.mark.parametrize("family", ["lidarseg", "semantic", "distil", "consensus"])
def test_families_that_need_labels_or_a_teacher_are_counted(repository, family):
    name = "lidarseg_unet_synthetic" if family == "lidarseg" else f"ponderv2_lidar_unet_{family}_synthetic"
    options = dict(SMALL) if family == "lidarseg" else SMALL | {"model.head.sampler.num_proposals": 4}
    cost, _ = estimate_step(repository / "configs" / "tiny" / f"{name}.py", options, (64, 96))
    assert cost.parts["head"].backward > 0
    assert ("image_branch" in cost.parts) == (family in ("distil", "consensus"))
    if "image_branch" in cost.parts:
        # The frozen teacher runs in both; in consensus a student is trained.
        assert cost.parts["image_branch"].forward > 0
        assert (cost.parts["image_branch"].backward > 0) == (family == "consensus")


def test_earlier_key_frames_are_counted_forward_alone(repository):
    recipe = repository / "configs" / "tiny" / "ponderv2_camera_bevformer_temporal_synthetic.py"
    small = {key: value for key, value in COARSE.items() if "grid" not in key}
    costs = [
        estimate_step(recipe, small | {"train_dataloader.dataset.history": history}, (32, 64))[0] for history in (0, 2)
    ]
    without, with_two = (cost.parts["encoder.img_backbone"] for cost in costs)
    assert with_two.forward == pytest.approx(3 * without.forward)
    assert with_two.backward == without.backward


@pytest.mark.parametrize(
    ("recipe", "steps"),
    [
        ("tiny/ponderv2_camera_synthetic", 360),
        ("pretrain/ponderv2_camera_convnext_s_vs0p1_4xb1_12e_nuscenes", 12 * 28130),
        ("detection/uvtr_camera_convnext_s_vs0p1_4xb1_12e_nuscenes_half", 12 * 14065),
        ("detection/uvtr_lidar_voxelnet_vs0p075_4xb4_20e_nuscenes", 20 * 30895),
        ("segmentation/lidarseg_unet_vs0p05_4xb3_50e_nuscenes_10pct", 50 * 938),
        ("segmentation/lidarseg_unet_vs0p05_4xb3_50e_nuscenes_weak", 50 * 9377),
    ],
)
def test_steps_of_a_schedule_are_those_of_the_frames_that_it_takes(repository, recipe, steps):
    config = load_config(repository / "configs" / f"{recipe}.py")
    assert schedule_steps(config) == steps
    if "nuscenes" in recipe:
        batch = config.train_dataloader.batch_size
        assert schedule_steps(config, 7 * batch) == 7 * config.train_cfg.max_epochs


def test_the_last_lines_say_what_is_kept_whether_it_fits_and_how_long_the_schedule_takes(repository):
    config = load_config(repository / "configs" / "pretrain" / "ponderv2_camera_convnext_s_vs0p1_4xb1_12e_nuscenes.py")
    cost = StepCost({"head": Part(forward=312 * 10**10, activations=30 * 2**30)}, image_size=(450, 800))
    *before, together, small, large = cost_lines(cost, config, [CARDS["rtx4090"], CARDS["a100-80gb"]])
    assert "images: 450×800 pixels after the pipeline's resizing" in before
    assert together.startswith("together 15.00 GiB in bfloat16, 30.00 GiB in float32")
    hours = 12 * 28130 * max(3.12e12 / 165.2e12, 30 * 2**30 / 1008e9) / 3600
    assert small == (
        f"GeForce RTX 4090, 24 GB: fits in bfloat16 alone; 337560 steps take at least {hours:.1f} h in bfloat16 on "
        f"one card, {hours * 60 / 4:.1f} min on 4"
    )
    assert large.startswith("A100 80 GB SXM4, 80 GB: fits; 337560 steps")


def test_the_tool_tells_parts_memory_and_the_least_time(repository, tmp_path, capsys):
    logger, log = MMLogger.get_current_instance(), io.StringIO()
    handler = logging.StreamHandler(log)
    logger.addHandler(handler)
    recipe = repository / "configs" / "tiny" / "ponderv2_lidar_synthetic.py"
    out = tmp_path / "cost.json"
    options = ["model.encoder.grid.size=(36,36,4)", "model.encoder.voxel_size=(0.375,0.375,0.25)"]
    arguments = [recipe, "--card", "a100-80gb", "rtx4090", "--image-size", "64", "96", "--json", out]
    assert call_tool(repository, "estimate_cost", [*arguments, "--cfg-options", *options], capsys) == (0, "")
    logger.removeHandler(handler)
    # No message of a parameter comes before the table.
    assert log.getvalue() == ""
    record = json.loads(out.read_text())
    assert record["parts"]["encoder.pts_middle_encoder"]["backward"] > 0
    assert record["flops"]["forward"] == sum(part["forward"] for part in record["parts"].values())
    assert set(record["least_seconds"]) == {"A100 80 GB SXM4", "GeForce RTX 4090"}
