"""CenterPoint's head on a feature volume: the volume is seen from above, and mmdet3d's `CenterHead` finds the boxes."""

import copy
import math
from collections.abc import Sequence

import torch
from mmcv.cnn import ConvModule
from mmdet3d.datasets import NuScenesDataset
from mmdet3d.models.dense_heads import CenterHead
from mmengine.model import BaseModule, ModuleList
from mmengine.structures import InstanceData
from torch import Tensor, nn

from ponderv2.errors import UserError
from ponderv2.heads.uvtr.box_code import CODE_SIZE, lidar_boxes
from ponderv2.heads.uvtr.target_boxes import checked_boxes_and_labels
from ponderv2.registry import MODELS
from ponderv2.shapes import Float
from ponderv2.structures import FeatureVolume, VoxelGrid

from .center_decoding import CenterDecoder
from .known_l1_loss import KnownL1Loss

PUBLISHED_TASKS = (
    ("car",),
    ("truck", "construction_vehicle"),
    ("bus", "trailer"),
    ("barrier",),
    ("motorcycle", "bicycle"),
    ("pedestrian", "traffic_cone"),
)
"""The groups of classes of CenterPoint's nuScenes configs."""

# Centers within a cell, height of the gravity center, logarithms of (l, w, h), sine and cosine of the yaw, velocity;
# published, with the number of convolutions of each.
_BOX_CODE = dict(reg=(2, 2), height=(1, 2), dim=(3, 2), rot=(2, 2), vel=(2, 2))

# Of the last convolutions' weights before training, as for detectors with a focal loss (Lin et al., ICCV 2017, §4.1).
_LAST_WEIGHTS_STD = 0.01


@MODELS.register_module()
class BEVCenterHead(BaseModule):
    """Predicts heat maps of the boxes' centers, and a box at each cell (CenterPoint, CVPR 2021).

    The levels of the volume become channels, and a 1×1 convolution mixes them. After 2-D convolutions follows mmdet3d's
    `CenterHead`, with its targets, losses and coder on the cells of the volume. The convolutions follow autocast; what
    they predict is in float32, and so are losses and boxes.

    Args:
        in_channels: channels of the volume.
        grid: arguments of the `VoxelGrid` of the volumes, the encoder's.
        bev_channels: channels of the map that the volume is collapsed into.
        bev_backbone: config of a module that turns this map into several, such as mmdet3d's `SECOND`; None for none.
        bev_neck: config of a module that turns these into one of the size of the grid, such as `SECONDFPN`; None for
            none. It has a list `out_channels`, whose sum is that of the map.
        tasks: names of classes by group; each group has branches of its own. A few groups cost less; with a single one
            all classes share a box in each cell.
        classes: names of the labels 0, 1, ….
        shared_channels: channels of the convolution before the branches, published 64.
        branch_channels: hidden channels of the branches, published 64.
        init_bias: bias of the heat maps' logits before training; published -2.19.
        norm_cfg: norm of the collapse, the shared convolution and the branches, in mmcv's terms; published BN2d.
        gaussian_overlap: overlap of a car that is displaced by the radius of its spot in the heat map, published 0.1.
        min_radius: smallest radius of such a spot in cells, published 2.
        max_objs: number of boxes of a task that are learned at most, published 500.
        cls_weight: factor of the loss of the heat maps, published 1.
        bbox_weight: factor of the loss of the boxes, published 0.25.
        code_weights: factors of x, y, z, log l, log w, log h, sine, cosine, vx and vy in that loss.
        decoding: arguments of `CenterDecoder`.
        init_cfg: initialization by mmengine, see `BaseModule`.

    Raises:
        ValueError: when the tasks do not hold every class once, there are not ten weights, one of backbone and neck is
            missing, or the backbone's strides do not divide the grid.
    """

    def __init__(
        self,
        in_channels: int,
        grid: dict,
        bev_channels: int = 256,
        bev_backbone: dict | None = None,
        bev_neck: dict | None = None,
        tasks: Sequence[Sequence[str]] = PUBLISHED_TASKS,
        classes: Sequence[str] = NuScenesDataset.METAINFO["classes"],
        shared_channels: int = 64,
        branch_channels: int = 64,
        init_bias: float = -2.19,
        norm_cfg: dict | None = None,
        gaussian_overlap: float = 0.1,
        min_radius: int = 2,
        max_objs: int = 500,
        cls_weight: float = 1.0,
        bbox_weight: float = 0.25,
        code_weights: Sequence[float] = (1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.2, 0.2),
        decoding: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.grid = VoxelGrid(**grid)
        self.classes = tuple(classes)
        named = [name for task in tasks for name in task]
        if sorted(named) != sorted(self.classes):
            raise ValueError(f"tasks: expected each of {self.classes} once, got {tuple(map(tuple, tasks))}")
        if len(code_weights) != CODE_SIZE:
            raise ValueError(f"code_weights: expected {CODE_SIZE} numbers, got {len(code_weights)}")
        if (bev_backbone is None) != (bev_neck is None):
            raise ValueError("bev_backbone and bev_neck: expected both or none")
        stride = 1 if bev_backbone is None else math.prod(bev_backbone.get("layer_strides", (1,)))
        if any(size % stride for size in self.grid.size[:2]):
            raise ValueError(f"bev_backbone: a stride of {stride} does not divide {self.grid.size[:2]} cells (x, y)")
        norm_cfg = norm_cfg or dict(type="BN2d", eps=1e-3, momentum=0.01)
        self.collapse = ConvModule(in_channels * self.grid.size[2], bev_channels, 1, norm_cfg=norm_cfg)
        self.bev_backbone = None if bev_backbone is None else MODELS.build(bev_backbone)
        self.bev_neck = None if bev_neck is None else MODELS.build(bev_neck)
        self.center = CenterHead(
            in_channels=bev_channels if bev_neck is None else sum(self.bev_neck.out_channels),
            tasks=[dict(num_class=len(task), class_names=list(task)) for task in tasks],
            # Boxes are decoded by `CenterDecoder`.
            bbox_coder=dict(type="mmdet3d.CenterPointBBoxCoder", pc_range=(), out_size_factor=1, voxel_size=()),
            common_heads=copy.deepcopy(_BOX_CODE),
            loss_cls=dict(type="mmdet.GaussianFocalLoss", reduction="mean", loss_weight=cls_weight),
            loss_bbox=dict(type=KnownL1Loss, reduction="mean", loss_weight=bbox_weight),
            separate_head=dict(
                type="mmdet3d.SeparateHead",
                init_bias=init_bias,
                final_kernel=3,
                head_conv=branch_channels,
                norm_cfg=dict(norm_cfg),
            ),
            share_conv_channel=shared_channels,
            norm_cfg=dict(norm_cfg),
            train_cfg=dict(
                grid_size=self.grid.size,
                point_cloud_range=self.grid.point_cloud_range,
                voxel_size=self.grid.voxel_size,
                out_size_factor=1,
                dense_reg=1,
                gaussian_overlap=gaussian_overlap,
                min_radius=min_radius,
                max_objs=max_objs,
                code_weights=list(code_weights),
            ),
        )
        # mmengine initializes no children of torch's own list (open-mmlab/mmdetection3d#1554).
        self.center.task_heads = ModuleList(self.center.task_heads)
        self.decoding = CenterDecoder(self.grid, **decoding or {})
        unknown = [name for name in self.decoding.radii if name not in self.classes]
        if unknown:
            raise ValueError(f"decoding.radii: {unknown[0]!r} is none of the classes {self.classes}")
        # mmdet3d numbers classes task by task.
        self._channel_labels = [torch.tensor([self.classes.index(name) for name in task]) for task in tasks]
        self._place_of_label = torch.tensor([named.index(name) for name in self.classes])

    def init_weights(self) -> None:
        """Initialize as mmengine does, but the branches' last convolutions with small weights.

        The heat maps then begin at the probability of their bias, and the boxes at zero. mmdet3d's own initialization
        draws weights by the few channels that such a convolution has as output: logits then spread by 2 to 8 about the
        bias in the usual cell, and the loss of the empty ones among them hides all others in the first steps.
        """
        super().init_weights()
        for task in self.center.task_heads:
            for name in task.heads:
                nn.init.normal_(getattr(task, name)[-1].weight, std=_LAST_WEIGHTS_STD)

    def forward(self, volume: FeatureVolume) -> list[dict[str, Float[Tensor, "b k y x"]]]:
        """Predict the maps of each task in float32: `heatmap` (logits), `reg`, `height`, `dim`, `rot` and `vel`.

        Raises:
            UserError: when the volume lies on another grid.
        """
        if volume.grid != self.grid:
            raise UserError(f"BEVCenterHead: head.grid is {self.grid}, but the encoder's volume lies on {volume.grid}")
        bev = self.collapse(volume.data.flatten(1, 2))
        if self.bev_backbone is not None:
            bev = self.bev_neck(self.bev_backbone(bev))[0]
        return [{name: part.float() for name, part in task.items()} for task in self.center.forward_single(bev)]

    def loss(self, volume: FeatureVolume, targets: list[InstanceData]) -> dict[str, Tensor]:
        """Return the losses of a batch, each a scalar: `task{i}.loss_heatmap` and `task{i}.loss_bbox`.

        Each is divided by the task's number of boxes in the batch of this rank, as published.

        Args:
            volume: volume of the batch.
            targets: true boxes of each sample, with `bboxes_3d` (`LiDARInstance3DBoxes`; an unknown velocity is NaN)
                and `labels_3d`. Boxes outside the grid are not learned.

        Raises:
            ValueError: when a label is no class, a box has no extent, or the number of samples is not the volume's.
        """
        if len(targets) != volume.data.shape[0]:
            raise ValueError(f"BEVCenterHead: {len(targets)} targets for a batch of {volume.data.shape[0]}")
        predictions = self.forward(volume)
        with torch.autocast(volume.data.device.type, enabled=False):
            return self.center.loss_by_feat([[task] for task in predictions], self.truth(targets, volume.data.device))

    @torch.no_grad()
    def predict(self, volume: FeatureVolume) -> list[InstanceData]:
        """Return the boxes of each sample by descending score: `bboxes_3d`, `scores_3d`, `labels_3d`."""
        return self.decoding(self.forward(volume), self._channel_labels, self.classes)

    def truth(self, targets: list[InstanceData], device: torch.device) -> list[InstanceData]:
        """Return true boxes as `CenterHead.get_targets` wants them: with velocities, and labels counted over tasks.

        Raises:
            UserError: when a label is no class, or a box has no extent.
        """
        boxes, labels = checked_boxes_and_labels(targets, len(self.classes), device, "BEVCenterHead")
        place = self._place_of_label.to(device)
        return [
            InstanceData(bboxes_3d=lidar_boxes(box), labels_3d=place[label.long()])
            for box, label in zip(boxes, labels, strict=True)
        ]
