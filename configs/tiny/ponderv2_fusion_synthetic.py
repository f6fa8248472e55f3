"""Joint camera and LiDAR pre-training, tiny, on synthetic street scenes: minutes on 2 CPU cores.

The sum of the volumes of the two tiny synthetic encoders, one convolution over it, and a renderer of colour, depth and
occupancy. Both sensors are masked; in a fifth of the steps each, one of them is dropped altogether.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.tiny_synthetic import *
    from .ponderv2_camera_synthetic import model
    from .ponderv2_lidar_synthetic import model as lidar_model

from ponderv2.encoders import FusionEncoder

norm_cfg = dict(type="IN3d", affine=True)
model.encoder = dict(type=FusionEncoder, camera=model.encoder, lidar=lidar_model.encoder, norm_cfg=norm_cfg)
model.masking.update(point_ratio=0.8, point_block=8, drop_camera=0.2, drop_lidar=0.2)
del lidar_model
