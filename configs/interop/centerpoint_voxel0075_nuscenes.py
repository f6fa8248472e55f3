"""mmdet3d's CenterPoint, 0.075 m voxels, from the sparse encoder of a pre-training: nothing but mmdet3d is needed.

mmdet3d's `SparseEncoder` takes no `init_cfg` of its own, so the detector has it. What `tools/export_to_mmdet3d.py`
wrote covers all of that encoder but its last layer; backbone, neck and head start new. Schedule and data are those of
mmdet3d's config; neither memory nor score measured yet.
"""

_base_ = "mmdet3d::centerpoint/centerpoint_voxel0075_second_secfpn_8xb4-cyclic-20e_nus-3d.py"

encoder = "work_dirs/ponderv2_lidar_voxelnet_vs0p075_4xb4_12e_nuscenes/encoder_mmdet3d.pth"
model = dict(init_cfg=dict(type="Pretrained", checkpoint=encoder))
