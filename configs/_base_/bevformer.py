"""BEVFormer's encoders without history, at their three sizes, and its head.

Published are ResNet-101s with deformable convolutions that start from FCOS3D, for base and small; here they have plain
convolutions, and start from rendering or from ImageNet-1k, as published for tiny. Four points of each pillar are
projected, at the published heights.
"""

from mmdet.models.necks import FPN

from ponderv2.encoders import CameraEncoder, PonderResNet
from ponderv2.heads import UVTRHead
from ponderv2.lifting import DeformableLift

range_51m = (-51.2, -51.2, -5.0, 51.2, 51.2, 3.0)
_resnet50 = dict(type=PonderResNet, depth=50, out_indices=(3,), frozen_stages=1, weights="microsoft/resnet-50")
_resnet101 = dict(_resnet50, depth=101, weights=None, grad_checkpointing=True)
imagenet_resnet101 = "microsoft/resnet-101"
_one_map = dict(type=FPN, in_channels=[2048], out_channels=256, num_outs=1)
_pillars = dict(
    type=DeformableLift,
    channels=256,
    reference_heights=(1 / 16, 17 / 48, 31 / 48, 15 / 16),
    num_levels=1,
    num_layers=3,
    num_cameras=6,
)

bevformer_tiny = dict(
    type=CameraEncoder,
    grid=dict(point_cloud_range=range_51m, size=(50, 50, 1)),
    img_backbone=_resnet50,
    img_neck=_one_map,
    neck_strides=(32,),
    depth_net=None,
    lift=dict(_pillars, size=(50, 50, 1)),
    channels=256,
)
bevformer_small = dict(
    bevformer_tiny,
    grid=dict(point_cloud_range=range_51m, size=(150, 150, 1)),
    img_backbone=_resnet101,
    lift=dict(_pillars, size=(150, 150, 1), grad_checkpointing=True),
)
bevformer_base = dict(
    bevformer_tiny,
    grid=dict(point_cloud_range=range_51m, size=(200, 200, 1)),
    img_backbone=dict(_resnet101, out_indices=(1, 2, 3)),
    img_neck=dict(
        type=FPN,
        in_channels=[512, 1024, 2048],
        out_channels=256,
        num_outs=4,
        add_extra_convs="on_output",
        relu_before_extra_convs=True,
    ),
    neck_strides=(8, 16, 32, 64),
    lift=dict(_pillars, size=(200, 200, 1), num_layers=6, num_levels=4, grad_checkpointing=True),
)
# Rendering needs a volume with height: backbone and neck of base, a query for each cell of the ablation's volume.
bevformer_pretraining = dict(
    bevformer_base,
    grid=dict(point_cloud_range=range_51m, size=(128, 128, 5)),
    img_backbone=dict(_resnet101, out_indices=(1, 2, 3), weights=imagenet_resnet101),
    lift=dict(
        type=DeformableLift,
        channels=256,
        size=(128, 128, 5),
        num_points=2,
        self_attention=False,
        ffn_channels=None,
        grad_checkpointing=True,
    ),
)
bevformer_head = dict(
    type=UVTRHead,
    in_channels=256,
    num_classes=10,
    cross_attention="deformable",
    code_weights=(1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.2, 0.2),
)
