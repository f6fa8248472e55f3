"""Camera and LiDAR detection, UniPAD's final model: UVTR on both encoders, ±54 m, all training frames.

Hardware: 4 A100, two frames each (published setting: 4 GPUs), 70,320 iterations; time not measured yet.
Aims at: 73.2 NDS / 69.9 mAP on nuScenes val (published, UniPAD; its config evaluates on every 20th frame,
this one on all). Objects are pasted into sweeps and images for the first 15 of 20 epochs (tools/create_data.py
--image-crops). Both encoders come from the final camera and LiDAR detectors, merged into `work_dirs/merged.pth` as the
ablation says. `tools/test.py --tta` scores with 12 passes.
"""

from mmengine.config import read_base

with read_base():
    from .uvtr_fusion_convnext_s_vs0p075_4xb2_12e_nuscenes_fifth import *
    from .._base_.schedule_uvtr_fusion_20e import *  # after the ablation's 12 epochs, which it replaces
    from .._base_.tta_detection import *

model.init_cfg.checkpoint = "work_dirs/merged.pth"
train_dataloader.dataset.update(load_interval=1, pipeline=with_paste)
custom_hooks = [fade]
tta_pipeline = [load_cameras, load_sweeps | dict(test_mode=True), *tta_passes]
