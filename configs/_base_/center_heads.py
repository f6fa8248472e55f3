"""CenterPoint's head at full size, on the map of the camera ablation's volume: convolutions and groups as published."""

from mmdet3d.models.backbones import SECOND
from mmdet3d.models.necks import SECONDFPN

from ponderv2.heads import BEVCenterHead

_norm = dict(type="BN", eps=1e-3, momentum=0.01)

center_head_51m = dict(
    type=BEVCenterHead,
    in_channels=128,
    grid=dict(point_cloud_range=(-51.2, -51.2, -5.0, 51.2, 51.2, 3.0), size=(128, 128, 5)),
    bev_channels=256,
    bev_backbone=dict(
        type=SECOND,
        in_channels=256,
        out_channels=(128, 256),
        layer_nums=(5, 5),
        layer_strides=(1, 2),
        norm_cfg=_norm,
    ),
    bev_neck=dict(
        type=SECONDFPN,
        in_channels=(128, 256),
        out_channels=(256, 256),
        upsample_strides=(1, 2),
        norm_cfg=_norm,
        use_conv_for_no_stride=True,
    ),
)
