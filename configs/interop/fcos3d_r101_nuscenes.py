"""mmdet3d's FCOS3D from the ResNet-101 and the neck of a pre-training: nothing but mmdet3d is needed to run it.

Backbone and neck load what `tools/export_to_mmdet3d.py` wrote; the neck's last extra level and the head start new. The
backbone's convolutions are plain, with the stride on the 3×3, and images are normalized as in the pre-training: RGB,
ImageNet's mean and deviation. Schedule and data are those of mmdet3d's config; neither memory nor score measured yet.
"""

_base_ = "mmdet3d::fcos3d/fcos3d_r101-caffe-dcn_fpn_head-gn_8xb2-1x_nus-mono3d.py"

encoder = "work_dirs/ponderv2_camera_r101_bevformer_vs0p1_4xb1_12e_nuscenes/encoder_mmdet3d.pth"
model = dict(
    data_preprocessor=dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True),
    backbone=dict(
        style="pytorch",
        dcn=None,
        stage_with_dcn=(False, False, False, False),
        init_cfg=dict(_delete_=True, type="Pretrained", checkpoint=encoder, prefix="img_backbone."),
    ),
    neck=dict(init_cfg=dict(type="Pretrained", checkpoint=encoder, prefix="img_neck.")),
)
