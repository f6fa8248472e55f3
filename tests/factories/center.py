"""Small center heads, and what a perfect one would predict."""

import torch
from mmengine.structures import InstanceData
from torch import Tensor

from ponderv2.heads import BEVCenterHead
from tests.factories.uvtr import CHANNELS, GRID


def center_head_of(**changes) -> BEVCenterHead:
    """A head on the volumes of `tests.factories.uvtr`, initialized as for training."""
    torch.manual_seed(0)
    grid = dict(point_cloud_range=GRID.point_cloud_range, size=GRID.size)
    arguments = dict(in_channels=CHANNELS, grid=grid, bev_channels=16, shared_channels=16, branch_channels=8)
    norm_cfg = dict(type="GN", num_groups=4)
    head = BEVCenterHead(**arguments | dict(norm_cfg=norm_cfg) | changes)
    head.init_weights()
    return head


def perfect_maps(head: BEVCenterHead, targets: list[InstanceData]) -> list[dict[str, Tensor]]:
    """The maps of each task that `CenterHead.get_targets` asks for; what it leaves open is 0."""
    nx, ny, _ = head.grid.size
    maps = []
    truth = head.truth(targets, torch.device("cpu"))
    for heat, codes, cells, masks in zip(*head.center.get_targets(truth), strict=True):
        code = heat.new_zeros(len(heat), codes.shape[-1], ny * nx)
        for b, mask in enumerate(masks.bool()):
            code[b][:, cells[b][mask]] = codes[b][mask].T
        parts = code.view(len(heat), -1, ny, nx).split([2, 1, 3, 2, 2], dim=1)
        maps.append(dict(zip(("reg", "height", "dim", "rot", "vel"), parts, strict=True)) | {"heatmap": heat.logit()})
    return maps
