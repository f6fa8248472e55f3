"""What is compared where there is torch alone: rows of a table, interpolation, renderer and lifts."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.lift_benchmark import PADDED, camera_ring
from ponderv2.geometry import add_to_rows, sample_volume, sum_rows
from ponderv2.lifting import PullLift, SplatLift
from ponderv2.rendering import (
    ErrorBoundedSampler,
    HierarchicalSampler,
    NeuSOpacity,
    RootFindingSampler,
    SDFField,
    UniSurfOpacity,
    VolSDFOpacity,
    VolumeRenderer,
    trilinear,
)
from ponderv2.structures import FeatureVolume, VoxelGrid

from .agreement import Case

GRID = VoxelGrid((-54.0, -54.0, -5.0, 54.0, 54.0, 3.0), (36, 36, 5))
CHANNELS, RAYS, STRIDE, BINS = 16, 64, 64, 16


def cases() -> list[Case]:
    """Return all cases of this level."""
    return [
        Case("sums of rows", _rows, _sum_rows),
        Case("trilinear interpolation", _points, _interpolate),
        Case(
            "renderer, NeuS, hierarchical",
            lambda: _scene(NeuSOpacity(), HierarchicalSampler(24, 8)),
            _render,
            1e-3,
            1e-2,
        ),
        Case("renderer, VolSDF, error-bounded", lambda: _scene(VolSDFOpacity(), _error_bounded()), _render, 1e-3, 1e-2),
        Case("renderer, UNISURF, root-finding", lambda: _scene(UniSurfOpacity(), _root_finding()), _render, 1e-3, 1e-2),
        Case("pull lift", lambda: _maps(PullLift((1.0, 60.0))), _lift, 1e-3, 1e-3),
        # A point on the border of two cells may be in either.
        Case("splat lift", lambda: _maps(SplatLift((1.0, 60.0))), _lift, 1e-2, 1e-2),
    ]


def volume_data(batch: int = 1) -> Tensor:
    """Make the features of a volume on `GRID`, smooth enough for a surface here and there."""
    coarse = torch.randn(batch, CHANNELS, 3, 6, 6)
    return F.interpolate(coarse, GRID.shape, mode="trilinear", align_corners=False)


def rays(batch: int = 1) -> tuple[Tensor, Tensor]:
    """Make origins and unit directions, nearly level, as cameras on a car have them."""
    directions = torch.randn(batch, RAYS, 3) * torch.tensor([1.0, 1.0, 0.08])
    return torch.randn(batch, RAYS, 3) * 0.1, F.normalize(directions, dim=-1)


def _rows() -> tuple[nn.Module, dict[str, Any]]:
    inputs = {
        "table": torch.randn(300, CHANNELS, requires_grad=True),
        "values": torch.randn(1000, CHANNELS, requires_grad=True),
        "weights": torch.rand(1000, 4),
        "rows": torch.randint(0, 280, (1000,), dtype=torch.int32),
    }
    return nn.Identity(), inputs


def _sum_rows(module: nn.Module, given: dict[str, Any]) -> dict[str, Tensor]:
    offsets = (0, 1, 10, 11)
    table, values, weights, rows = (given[name] for name in ("table", "values", "weights", "rows"))
    return {
        "sum_rows": sum_rows(table, rows, offsets, weights),
        "add_to_rows": add_to_rows(300, rows, offsets, weights, values),
        "add_to_rows, long table": add_to_rows(3000, rows, offsets, weights, values),
    }


def _points() -> tuple[nn.Module, dict[str, Any]]:
    points = torch.randn(2, 500, 3) * torch.tensor([30.0, 30.0, 3.0])
    return nn.Identity(), {"volume": volume_data(2).requires_grad_(), "points": points}


def _interpolate(module: nn.Module, given: dict[str, Any]) -> dict[str, Tensor]:
    volume = FeatureVolume(given["volume"], GRID)
    return {
        "trilinear": trilinear(volume.data, GRID.to_index(given["points"])),
        "sample_volume": sample_volume(volume, given["points"]),
    }


def _error_bounded() -> ErrorBoundedSampler:
    return ErrorBoundedSampler(16, 8, 32, num_rounds=3)


def _root_finding() -> RootFindingSampler:
    return RootFindingSampler(24, 16, 8)


def _scene(opacity: nn.Module, sampler: object) -> tuple[nn.Module, dict[str, Any]]:
    field = SDFField(CHANNELS, 16, 16, sdf_layers=3, color_layers=2, chunk_size=64)
    # Without jitter, which no two devices draw alike.
    renderer = VolumeRenderer(field, opacity, sampler).eval()
    origins, directions = rays()
    return renderer, {"volume": volume_data().requires_grad_(), "origins": origins, "directions": directions}


def _render(renderer: nn.Module, given: dict[str, Any]) -> dict[str, Tensor]:
    out = renderer(FeatureVolume(given["volume"], GRID), given["origins"], given["directions"])
    # Of rays that miss the box no value means anything.
    return {name: getattr(out, name)[out.hit] for name in ("rgb", "depth", "opacity", "depth_to_far")}


def _maps(lift: nn.Module) -> tuple[nn.Module, dict[str, Any]]:
    size = tuple(edge // STRIDE for edge in PADDED)
    inputs = {
        "features": torch.randn(1, 6, CHANNELS, *size, requires_grad=True),
        "depths": torch.randn(1, 6, BINS, *size).softmax(dim=2).requires_grad_(),
        "rig": camera_ring(6, 1).to("cpu", torch.float32),
    }
    return lift, inputs


def _lift(lift: nn.Module, given: dict[str, Any]) -> dict[str, Tensor]:
    return {"volume": lift([given["features"]], [given["depths"]], (STRIDE,), given["rig"], GRID)}
