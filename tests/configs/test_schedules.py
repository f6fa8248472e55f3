"""Learning rates and momenta over whole trainings are those that the recipes state."""

import math
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import PARAM_SCHEDULERS
from torch import nn

from ponderv2.engine import CheckedOptimWrapperConstructor

CONFIGS = Path(__file__).parents[2] / "configs"
EPOCH = 50
CAMERA_PRETRAINING = "pretrain/ponderv2_camera_convnext_s_vs0p1_4xb1_12e_nuscenes"
FUSION_PRETRAINING = "pretrain/ponderv2_fusion_convnext_s_vs0p075_4xb1_12e_nuscenes"
LIDAR_PRETRAINING = "pretrain/ponderv2_lidar_voxelnet_vs0p075_4xb4_12e_nuscenes"
UNET_PRETRAINING = "pretrain/ponderv2_lidar_unet_vs0p1_4xb4_24e_nuscenes"
CAMERA_HALF = "detection/uvtr_camera_convnext_s_vs0p1_4xb1_12e_nuscenes_half"
CAMERA_FIFTH = "detection/uvtr_camera_convnext_s_vs0p075_4xb1_12e_nuscenes_fifth"
CAMERA = "detection/uvtr_camera_convnext_s_vs0p075_4xb1_24e_nuscenes"
LIDAR_FIFTH = "detection/uvtr_lidar_voxelnet_vs0p075_4xb4_20e_nuscenes_fifth"
LIDAR = "detection/uvtr_lidar_voxelnet_vs0p075_4xb4_20e_nuscenes"
FUSION_FIFTH = "detection/uvtr_fusion_convnext_s_vs0p075_4xb2_12e_nuscenes_fifth"
FUSION = "detection/uvtr_fusion_convnext_s_vs0p075_4xb2_20e_nuscenes"


class Detector(nn.Module):
    """A module with the names that the keys of the schedules mean."""

    def __init__(self, sensor: str) -> None:
        super().__init__()
        camera = nn.ModuleDict({name: nn.Linear(1, 1) for name in ("img_backbone", "img_neck", "lift", "convs")})
        lidar = nn.ModuleDict({name: nn.Linear(1, 1) for name in ("pts_middle_encoder", "pts_backbone", "convs")})
        fusion = nn.ModuleDict({"camera": camera, "lidar": lidar, "fuse": nn.Linear(1, 1)})
        self.encoder = fusion if sensor == "fusion" else camera
        self.head = nn.Linear(1, 1)


def schedule(name: str, module: str = "head", epoch: int = EPOCH) -> tuple[list[float], list[float]]:
    """Learning rate and first momentum of a part of the model at every step."""
    config = Config.fromfile(str(CONFIGS / f"{name}.py"))
    model = Detector("fusion" if "fusion" in name else "camera")
    wrapper = build_optim_wrapper(model, config.optim_wrapper)
    of_module = set(model.get_submodule(module).parameters())
    (group, *_) = [g for g in wrapper.optimizer.param_groups if of_module & set(g["params"])]
    schedulers = []
    for part in config.param_scheduler:
        part = dict(part)
        kind = part.pop("type")
        if part.pop("convert_to_iter_based", False):
            schedulers.append(kind.build_iter_from_epoch(optimizer=wrapper, epoch_length=epoch, **part))
        else:
            schedulers.append(kind(optimizer=wrapper, **part))
    rates, momenta = [], []
    for step in range(1, config.train_cfg.max_epochs * epoch + 1):
        rates.append(group["lr"])
        momenta.append(group["betas"][0])
        wrapper.step()
        for scheduler in schedulers:
            if not scheduler.by_epoch or step % epoch == 0:
                scheduler.step()
    return rates, momenta


@pytest.fixture(autouse=True)
def _quiet(monkeypatch):
    monkeypatch.setattr(torch.optim.AdamW, "step", lambda *args, **kwargs: None)
    assert PARAM_SCHEDULERS is not None


def test_the_lidar_schedule_rises_tenfold_over_40_percent_and_falls():
    rates, momenta = schedule(LIDAR_PRETRAINING)
    peak = round(0.4 * len(rates))
    assert rates[0] == pytest.approx(2e-5)
    assert max(rates) == pytest.approx(2e-4, rel=1e-3)
    assert abs(rates.index(max(rates)) - peak) <= 1
    assert rates[peak // 2] == pytest.approx(1.1e-4, rel=0.01)
    assert rates[-1] < 1e-7
    assert momenta[0] == pytest.approx(0.9)
    assert min(momenta) == pytest.approx(0.9 * 0.85 / 0.95, rel=1e-3)
    assert abs(momenta.index(min(momenta)) - peak) <= 1
    assert momenta[-1] == pytest.approx(0.9, abs=1e-3)


def test_the_one_cycle_schedule_peaks_at_40_percent_and_ends_at_a_thousandth():
    rates, momenta = schedule(UNET_PRETRAINING)
    assert rates[0] == pytest.approx(2e-5)
    assert max(rates) == pytest.approx(2e-4, rel=1e-3)
    assert abs(rates.index(max(rates)) - 0.4 * len(rates)) <= 1
    assert rates[-1] == pytest.approx(2e-7, rel=0.05)
    middle = rates[round(0.7 * len(rates))]
    assert middle == pytest.approx(2e-7 + (2e-4 - 2e-7) * (1 + math.cos(math.pi / 2)) / 2, rel=0.05)
    # torch's own, which PonderV2 trains with: its defaults cycle the momentum as well.
    optimizer = torch.optim.AdamW([nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=2e-4, total_steps=len(rates), pct_start=0.4, div_factor=10.0, final_div_factor=100.0
    )
    (group,) = optimizer.param_groups
    for rate, momentum in zip(rates[:-1], momenta[:-1], strict=True):
        # Cosines of both end a step apart.
        assert rate == pytest.approx(group["lr"], abs=2e-6)
        assert momentum == pytest.approx(group["betas"][0], abs=2e-3)
        optimizer.step()
        theirs.step()
    assert (momenta[0], min(momenta)) == pytest.approx((0.95, 0.85), abs=1e-3)
    assert momenta[-1] == pytest.approx(0.95, abs=1e-3)


WARMING_UP = [
    (CAMERA_PRETRAINING, 12, "encoder.img_backbone"),
    (FUSION_PRETRAINING, 12, "encoder.camera.img_backbone"),
    (CAMERA_HALF, 12, "encoder.img_backbone"),
    (CAMERA_FIFTH, 12, "encoder.img_backbone"),
    (CAMERA, 24, "encoder.img_backbone"),
]


@pytest.mark.parametrize(("name", "epochs", "backbone"), WARMING_UP)
def test_the_camera_schedule_warms_up_and_then_falls_by_a_step_an_epoch(name, epochs, backbone):
    """As mmcv 1.x: cosine of the epoch, times a linear warm-up of 500 iterations."""
    length = 600
    rates, momenta = schedule(name, epoch=length)
    assert len(rates) == epochs * length
    for step, rate in enumerate(rates):
        cosine = (1 + math.cos(math.pi * (step // length) / epochs)) / 2
        warm_up = min(1.0, 1 / 3 + 2 / 3 * step / 500)
        assert rate == pytest.approx((2e-7 + (2e-4 - 2e-7) * cosine) * warm_up, rel=0.005)
    assert len(set(rates[length:])) == epochs - 1
    assert set(momenta) == {0.9}
    tenth, _ = schedule(name, backbone, epoch=length)
    torch.testing.assert_close(torch.tensor(tenth), torch.tensor(rates) / 10)


CYCLIC = [
    (LIDAR_FIFTH, 20, 1e-4),
    (LIDAR, 20, 1e-4),
    (FUSION, 20, 4e-5),
    (FUSION_FIFTH, 12, 4e-5),
]


@pytest.mark.parametrize(("name", "epochs", "base"), CYCLIC)
def test_the_uvtr_cyclic_schedules_rise_tenfold_and_momentum_runs_the_other_way(name, epochs, base):
    rates, momenta = schedule(name)
    assert len(rates) == epochs * EPOCH
    peak = round(0.4 * len(rates))
    assert rates[0] == pytest.approx(base)
    assert max(rates) == pytest.approx(10 * base, rel=1e-3)
    assert abs(rates.index(max(rates)) - peak) <= 1
    assert rates[peak // 2] == pytest.approx(5.5 * base, rel=0.01)
    # The last step is one before the end, where it would be a ten-thousandth.
    assert 1e-4 * base < rates[-1] < 4e-4 * base
    assert momenta[0] == pytest.approx(0.9)
    assert min(momenta) == pytest.approx(0.805, abs=1e-3)
    assert abs(momenta.index(min(momenta)) - peak) <= 1
    # mmdet3d's own cyclic schedules end at 1.
    assert momenta[-1] == pytest.approx(0.9, abs=1e-3)


@pytest.mark.parametrize("name", [FUSION, FUSION_FIFTH])
def test_fusion_trains_both_encoders_at_a_tenth_all_the_way_and_what_is_new_at_the_full_rate(name):
    full = torch.tensor(schedule(name)[0])
    for module in ("camera.img_backbone", "camera.lift", "camera.convs", "lidar.pts_middle_encoder", "lidar.convs"):
        torch.testing.assert_close(torch.tensor(schedule(name, f"encoder.{module}")[0]), full / 10)
    torch.testing.assert_close(torch.tensor(schedule(name, "encoder.fuse")[0]), full)


@pytest.mark.parametrize(
    ("name", "epochs", "clip", "batch"),
    [
        (CAMERA_HALF, 12, 35, 4),
        (CAMERA_FIFTH, 12, 35, 4),
        (CAMERA, 24, 35, 4),
        (LIDAR_FIFTH, 20, 10, 16),
        (LIDAR, 20, 10, 16),
        (FUSION_FIFTH, 12, 35, 8),
        (FUSION, 20, 35, 8),
    ],
)
def test_detectors_check_their_keys_clip_gradients_and_know_their_batch(name, epochs, clip, batch):
    config = Config.fromfile(str(CONFIGS / f"{name}.py"))
    assert config.optim_wrapper.constructor is CheckedOptimWrapperConstructor
    assert config.optim_wrapper.clip_grad.max_norm == clip
    assert config.optim_wrapper.optimizer.weight_decay == 0.01
    assert config.auto_scale_lr.base_batch_size == batch
    assert config.train_cfg.max_epochs == epochs
    if "lidar" not in name:
        with pytest.raises(ValueError, match="matches no parameter"):
            build_optim_wrapper(nn.Linear(1, 1), config.optim_wrapper)


@pytest.mark.parametrize("name", [CAMERA_PRETRAINING, LIDAR_PRETRAINING, UNET_PRETRAINING, FUSION])
def test_every_schedule_follows_the_rate_of_the_optimiser_so_that_it_can_be_scaled(name, monkeypatch):
    """`auto_scale_lr` changes the optimiser alone; an absolute rate in a schedule would undo that."""
    plain = torch.tensor(schedule(name)[0])
    build = build_optim_wrapper

    def doubled(model, config):
        wrapper = build(model, config)
        for group in wrapper.optimizer.param_groups:
            group["lr"] *= 2
        return wrapper

    monkeypatch.setattr("tests.configs.test_schedules.build_optim_wrapper", doubled)
    torch.testing.assert_close(torch.tensor(schedule(name)[0]), 2 * plain)
