"""The center head as a whole: grid conventions, hard batches, and that it learns."""

import math

import pytest
import torch
from mmdet3d.models import SECOND, SECONDFPN
from mmdet3d.structures import LiDARInstance3DBoxes
from mmengine.structures import InstanceData

from ponderv2.heads.center.bev_center_head import PUBLISHED_TASKS
from ponderv2.structures import FeatureVolume, VoxelGrid
from tests.factories.center import center_head_of, perfect_maps
from tests.factories.uvtr import CHANNELS, GRID, target_of, total, volume_of

CLASSES = tuple(name for task in PUBLISHED_TASKS for name in task)
FORMS = {"published tasks": PUBLISHED_TASKS, "one task": (CLASSES,)}
_BN = dict(type="BN2d")
_SECOND = dict(type=SECOND, in_channels=16, out_channels=(8, 8), layer_nums=(1, 1), layer_strides=(1, 2), norm_cfg=_BN)
_FPN = dict(type=SECONDFPN, in_channels=(8, 8), out_channels=(8, 8), upsample_strides=(1, 2), norm_cfg=_BN)
TOWER = dict(bev_backbone=_SECOND, bev_neck=_FPN)


def scattered_target() -> InstanceData:
    """A box of each class in a cell of its own, off the cells' centers and none alike; some velocities are unknown."""
    target = target_of(10, seed=3)
    rows, labels = target.bboxes_3d.tensor.clone(), torch.arange(10)
    # Cells of 4 m: eight along x, six along y.
    rows[:, 0] = -16 + 4 * (labels % 8) + torch.linspace(0.1, 3.9, 10)
    rows[:, 1] = -12 + 4 * (labels % 6) + torch.linspace(3.8, 0.2, 10)
    rows[2, 7] = math.nan
    return InstanceData(bboxes_3d=LiDARInstance3DBoxes(rows, box_dim=9), labels_3d=labels)


@pytest.mark.parametrize("tasks", FORMS.values(), ids=FORMS)
def test_what_the_truth_asks_for_decodes_to_the_truth(tasks):
    head = center_head_of(tasks=tasks, decoding=dict(score_threshold=0.99))
    targets = [scattered_target(), target_of(0), target_of(1)]
    found = head.decoding(perfect_maps(head, targets), head._channel_labels, head.classes)
    for sample, target in zip(found, targets, strict=True):
        assert len(sample) == len(target)
        order = sample.labels_3d.argsort()
        if len(target) > 1:
            assert torch.equal(sample.labels_3d[order], target.labels_3d)
        true = target.bboxes_3d.tensor
        torch.testing.assert_close(sample.bboxes_3d.tensor[order], true, rtol=1e-4, atol=1e-4, equal_nan=True)


@pytest.mark.parametrize("tasks", FORMS.values(), ids=FORMS)
def test_a_spot_of_the_heat_map_lies_in_the_cell_of_the_volume_that_holds_the_center(tasks):
    head, target = center_head_of(tasks=tasks), scattered_target()
    heats = [task["heatmap"][0].sigmoid() for task in perfect_maps(head, [target])]
    cells, inside = GRID.cell_of(target.bboxes_3d.gravity_center)
    assert inside.all()
    for label, (x, y, _) in zip(target.labels_3d.tolist(), cells.tolist(), strict=True):
        name = head.classes[label]
        (task,) = [k for k, names in enumerate(tasks) if name in names]
        heat = heats[task][list(tasks[task]).index(name)]
        assert (heat == 1).nonzero().tolist() == [[y, x]]


@pytest.mark.parametrize(("tower", "reach"), [({}, 3), (TOWER, 10)], ids=["plain", "tower"])
def test_what_stands_in_a_cell_is_seen_around_that_cell(tower, reach):
    grid = dict(point_cloud_range=(-20, -16, -3, 20, 16, 3), size=(40, 32, 3))
    head = center_head_of(grid=grid, norm_cfg=dict(type="BN2d"), tasks=(CLASSES,), **tower).eval()
    data = torch.randn(1, CHANNELS, 3, 32, 40)
    changed = data.clone()
    changed[0, :, 1, 12, 25] += 3
    before, after = (head(FeatureVolume(d, head.grid))[0]["heatmap"] for d in (data, changed))
    moved = (before != after).any(dim=1)[0].nonzero()
    # Without a tower three 3×3 convolutions see three cells further; strides make it one more on one side.
    middle = (moved.amin(dim=0) + moved.amax(dim=0)) / 2
    assert (middle - torch.tensor([12.0, 25.0])).abs().max() <= (0.5 if tower else 0)
    assert ((moved - torch.tensor([12, 25])).abs().amax(dim=0) <= reach).all()
    assert (moved.amax(dim=0) - moved.amin(dim=0)).min() >= 6


@pytest.mark.parametrize("tasks", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("counts", [(3, 2), (0, 2), (0, 0)], ids=str)
def test_losses_are_finite_and_every_parameter_has_a_gradient(tasks, counts):
    head = center_head_of(tasks=tasks, **TOWER)
    data = volume_of(2).data.requires_grad_()
    losses = head.loss(FeatureVolume(data, GRID), [target_of(n, seed=n) for n in counts])
    assert set(losses) == {f"task{k}.loss_{part}" for k in range(len(tasks)) for part in ("heatmap", "bbox")}
    assert all(torch.isfinite(value) and value.dim() == 0 for value in losses.values())
    total(losses).backward()
    grads = {name: p.grad for name, p in head.named_parameters()} | {"volume": data.grad}
    assert [name for name, grad in grads.items() if grad is None] == []
    assert all(torch.isfinite(grad).all() for grad in grads.values())


def test_the_unknown_velocity_of_a_box_has_no_loss():
    head, unknown = center_head_of(tasks=(CLASSES,)), target_of(1)
    assert unknown.bboxes_3d.tensor[0, 7:].isnan().all()
    losses = {}
    for name, velocity in (("unknown", math.nan), ("zero", 0.0), ("fast", 30.0)):
        boxes = unknown.bboxes_3d.clone()
        boxes.tensor[:, 7:] = velocity
        target = InstanceData(bboxes_3d=boxes, labels_3d=unknown.labels_3d)
        losses[name] = head.loss(volume_of(), [target])["task0.loss_bbox"]
    assert losses["unknown"] < losses["zero"] < losses["fast"]
    bottom = LiDARInstance3DBoxes(unknown.bboxes_3d.tensor[:, :7])
    without = head.loss(volume_of(), [InstanceData(bboxes_3d=bottom, labels_3d=unknown.labels_3d)])
    assert without["task0.loss_bbox"] == losses["unknown"]


def test_a_batch_of_two_is_the_mean_of_two_batches_of_one():
    head, volume = center_head_of(tasks=(CLASSES,)), volume_of(2)
    targets = [target_of(3, seed=1), target_of(3, seed=2)]
    both = head.loss(volume, targets)
    parts = [head.loss(volume.with_data(volume.data[b : b + 1]), targets[b : b + 1]) for b in range(2)]
    for name, value in both.items():
        torch.testing.assert_close(value, (parts[0][name] + parts[1][name]) / 2, rtol=1e-4, atol=1e-5)


def test_losses_and_boxes_are_in_float32_under_autocast():
    head, volume, target = center_head_of(), volume_of(), [target_of(3)]
    exact = head.loss(volume, target)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        under = head.loss(volume, target)
        (found,) = head.predict(volume)
    for name, value in exact.items():
        assert under[name].dtype == torch.float32
        torch.testing.assert_close(under[name], value, rtol=0.05, atol=0.05)
    assert found.bboxes_3d.tensor.dtype == found.scores_3d.dtype == torch.float32


def test_heat_maps_begin_at_the_bias():
    # mmdet3d's own head leaves it out.
    head = center_head_of(init_bias=-4.6)
    for task in head.center.task_heads:
        assert task.heatmap[-1].bias.tolist() == pytest.approx([-4.6] * len(task.heatmap[-1].bias))


@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_the_first_loss_is_that_of_the_bias_alone(scale):
    """Of a box: the logarithm of its probability; of empty cells next to nothing, however large the volume is."""
    head, volume = center_head_of(tasks=(CLASSES,), init_bias=-4.6, **TOWER), volume_of()
    loss = head.loss(volume.with_data(scale * volume.data), [target_of(3)])
    assert loss["task0.loss_heatmap"].item() == pytest.approx(4.5, rel=0.1)


def test_prediction_is_of_the_grid_and_by_descending_score():
    head = center_head_of(decoding=dict(score_threshold=None, max_boxes=20)).eval()
    for sample in head.predict(volume_of(2)):
        assert 1 <= len(sample) <= 20
        assert sample.labels_3d.dtype == torch.int64
        assert (sample.scores_3d.diff() <= 0).all()


def test_boxes_and_grids_that_cannot_be_are_named():
    head, target = center_head_of(), target_of(2)
    with pytest.raises(ValueError, match=r"BEVCenterHead: sample 0 has labels \[-1, 3\], expected 0 to 9"):
        head.loss(volume_of(), [InstanceData(bboxes_3d=target.bboxes_3d, labels_3d=torch.tensor([3, -1]))])
    with pytest.raises(ValueError, match="1 targets for a batch of 2"):
        head.loss(volume_of(2), [target])
    moved = VoxelGrid((-16, -12, -3, 16, 12, 5), GRID.size)
    with pytest.raises(ValueError, match=r"head\.grid is"):
        head.loss(FeatureVolume(volume_of().data, moved), [target])


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (dict(tasks=(("car",),)), "each of"),
        (dict(code_weights=(1.0,)), "expected 10 numbers, got 1"),
        (dict(bev_neck=TOWER["bev_neck"]), "expected both or none"),
        (TOWER | dict(bev_backbone=TOWER["bev_backbone"] | dict(layer_strides=(1, 4))), "4 does not divide"),
        (dict(decoding=dict(post_center_range=(1,))), "expected 6 numbers"),
        (dict(decoding=dict(radii=dict(lorry=1.0))), "lorry"),
    ],
)
def test_options_that_do_not_fit_are_named(options, named):
    with pytest.raises(ValueError, match=named):
        center_head_of(**options)


def test_it_finds_the_boxes_of_a_volume_that_learns_with_it():
    rows = torch.tensor(
        [
            [5.0, 3, -1, 4.5, 1.9, 1.6, 0.3, 1, 2],
            [-8.0, 2, -1, 4.0, 1.8, 1.5, 2.0, 0, 0],
            [2.0, -9, -1, 0.7, 0.7, 1.8, -1.0, math.nan, math.nan],
        ]
    )
    labels = torch.tensor([0, 0, 7])
    target = InstanceData(bboxes_3d=LiDARInstance3DBoxes(rows, box_dim=9), labels_3d=labels)
    head = center_head_of(tasks=(CLASSES,))
    data = torch.nn.Parameter(torch.randn(1, CHANNELS, *GRID.shape))
    optimizer = torch.optim.Adam([*head.parameters(), data], lr=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 150)
    for _ in range(150):
        optimizer.zero_grad()
        total(head.loss(FeatureVolume(data, GRID), [target])).backward()
        optimizer.step()
        schedule.step()
    (found,) = head.eval().predict(FeatureVolume(data, GRID))
    distance = torch.cdist(target.bboxes_3d.gravity_center, found.bboxes_3d.gravity_center[:3])
    nearest = distance.argmin(dim=1)
    assert distance.amin(dim=1).max() < 0.5
    assert sorted(nearest.tolist()) == [0, 1, 2]
    assert torch.equal(found.labels_3d[nearest], labels)
    turned = (found.bboxes_3d.yaw[nearest] - rows[:, 6]).abs()
    assert turned.max() < 0.2
