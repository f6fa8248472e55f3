"""A batch with random content in the form that a recipe's pipeline would give it."""

import torch
import torch.nn.functional as F
from mmdet3d.structures import Det3DDataSample, LiDARInstance3DBoxes
from mmengine.config import Config
from mmengine.structures import InstanceData
from torch import Tensor

from benchmarks.lift_benchmark import IMAGE, camera_ring
from benchmarks.random_sweep import random_sweep
from ponderv2.engine import innermost_dataset
from ponderv2.structures import CameraRig, RayBatch

CAMERAS, BOXES = 6, 35
"""nuScenes: cameras, and about the mean number of boxes of a key frame."""


def random_batch(config: Config, image_size: tuple[int, int] = IMAGE) -> dict:
    """Make a batch of the recipe's batch size, as its data loader would hand it to the preprocessor.

    Args:
        config: recipe, whose training pipeline says what is loaded and how many rays there are.
        image_size: height and width of the images, pixels.
    """
    steps = {_name(step): step for step in innermost_dataset(config.train_dataloader)[1].pipeline}
    samples = [_sample(steps, image_size) for _ in range(config.train_dataloader.batch_size)]
    names = samples[0][0]
    return {
        "inputs": {name: [inputs[name] for inputs, _ in samples] for name in names},
        "data_samples": [data_sample for _, data_sample in samples],
    }


def _sample(steps: dict[str, dict], image_size: tuple[int, int]) -> tuple[dict, Det3DDataSample]:
    inputs = {}
    rig = _rig(image_size)
    cameras = steps.get("LoadCameras")
    if cameras is not None:
        inputs["rig"] = rig
        if cameras.get("decode", True):
            inputs["img"] = torch.randint(0, 256, (CAMERAS, 3, *image_size), dtype=torch.uint8)
    if "LoadLidarSweeps" in steps:
        inputs["points"] = _sweeps(1 + steps["LoadLidarSweeps"].get("num_sweeps", 0))
    if "SampleCameraRays" in steps:
        step = steps["SampleCameraRays"]
        inputs["rays"] = _rays(CAMERAS, step.get("rays_per_camera", 512), step.get("color", True))
    elif "SampleLidarRays" in steps:
        inputs["rays"] = _rays(1, steps["SampleLidarRays"].get("num_rays", 512), False)
    sample = Det3DDataSample(metainfo={"token": "random"})
    if "LoadAnnotations3D" in steps:
        boxes = LiDARInstance3DBoxes(_boxes(), box_dim=9)
        sample.gt_instances_3d = InstanceData(bboxes_3d=boxes, labels_3d=torch.randint(0, 10, (BOXES,)))
    return inputs, sample


def _rig(image_size: tuple[int, int]) -> CameraRig:
    rig = camera_ring(CAMERAS, 1).first()
    scale = torch.diag(torch.tensor([image_size[1] / IMAGE[1], image_size[0] / IMAGE[0], 1, 1], dtype=torch.float64))
    cam2img = scale @ rig.cam2img
    lidar2img = cam2img @ rig.lidar2cam
    sizes = torch.tensor([image_size] * CAMERAS)
    return CameraRig(rig.lidar2cam, cam2img, lidar2img, torch.linalg.inv(lidar2img), sizes, image_size)


def _sweeps(count: int) -> Tensor:
    """Repeat a sweep, each time shifted a little and with its age in seconds."""
    sweep = random_sweep()
    parts = []
    for number in range(count):
        shift = torch.tensor([0.5 * number, 0.0, 0.0, 0.0, 0.05 * number])
        parts.append(sweep + shift + 0.02 * torch.randn_like(sweep) * torch.tensor([1.0, 1.0, 1.0, 0.0, 0.0]))
    return torch.cat(parts)


def _rays(cameras: int, count: int, color: bool) -> RayBatch:
    directions = F.normalize(torch.randn(cameras, count, 3) * torch.tensor([1.0, 1.0, 0.08]), dim=-1)
    return RayBatch(
        torch.zeros(cameras, count, 3),
        directions,
        torch.ones(cameras, count, dtype=torch.bool),
        2 + 45 * torch.rand(cameras, count),
        torch.zeros(cameras, count, 2),
        torch.rand(cameras, count, 3) if color else None,
    )


def _boxes() -> Tensor:
    """Draw rows (x, y, z bottom, l, w, h, yaw, vx, vy) in the range of the volume."""
    low = torch.tensor([-50.0, -50.0, -3.0, 0.5, 0.5, 1.0, -3.1, -5.0, -5.0])
    high = torch.tensor([50.0, 50.0, -1.0, 6.0, 2.5, 3.0, 3.1, 5.0, 5.0])
    return low + torch.rand(BOXES, 9) * (high - low)


def _name(step: dict) -> str:
    kind = step["type"]
    return kind if isinstance(kind, str) else kind.__name__
