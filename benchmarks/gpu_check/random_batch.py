"""A batch with random content in the form that a recipe's pipeline would give it."""

import numpy as np
import torch
import torch.nn.functional as F
from mmdet3d.structures import Det3DDataSample, LiDARInstance3DBoxes, PointData
from mmengine.config import Config, ConfigDict
from mmengine.structures import InstanceData
from torch import Tensor

from benchmarks.lift_benchmark import IMAGE, camera_ring
from benchmarks.random_sweep import random_sweep
from ponderv2.datasets import LIDARSEG_CLASSES
from ponderv2.engine import innermost_dataset
from ponderv2.errors import UserError
from ponderv2.geometry import CAN_BUS_SIZE, compose_rig, translation_matrix
from ponderv2.registry import TRANSFORMS
from ponderv2.structures import CameraRig, FrameQueue, PastFrame, RayBatch

CAMERAS, BOXES = 6, 35
"""nuScenes: cameras, and about the mean number of boxes of a key frame."""
STEP = 4.0
"""Way of the car between two key frames, metres: half a second at 8 m/s."""


def random_batch(config: Config, image_size: tuple[int, int] = IMAGE) -> dict:
    """Make a batch of the recipe's batch size, as its data loader would hand it to the preprocessor.

    Args:
        config: recipe, whose training pipeline says what is loaded, what size images get and how many rays there are.
        image_size: height and width of the image files, pixels.

    Raises:
        UserError: the data set has a history, and the pipeline loads no images.
    """
    dataset = innermost_dataset(config.train_dataloader)[1]
    samples = [_sample(dataset, image_size) for _ in range(config.train_dataloader.batch_size)]
    names = samples[0][0]
    return {
        "inputs": {name: [inputs[name] for inputs, _ in samples] for name in names},
        "data_samples": [data_sample for _, data_sample in samples],
    }


def _sample(dataset: ConfigDict, image_size: tuple[int, int]) -> tuple[dict, Det3DDataSample]:
    steps = {_name(step): step for step in dataset.pipeline}
    inputs = {}
    cameras = steps.get("LoadCameras")
    if cameras is not None:
        inputs["rig"] = _rig(image_size, steps)
        if cameras.get("decode", True):
            inputs["img"] = _images(inputs["rig"])
    if "LoadCanBus" in steps:
        inputs["can_bus"] = torch.randn(CAN_BUS_SIZE)
    if dataset.get("history"):
        inputs["history"] = _history(dataset.history, inputs)
    if "LoadLidarSweeps" in steps:
        inputs["points"] = _sweeps(1 + steps["LoadLidarSweeps"].get("num_sweeps", 0))
    if "SampleCameraRays" in steps:
        step = steps["SampleCameraRays"]
        inputs["rays"] = _rays(CAMERAS, step.get("rays_per_camera", 512), step.get("color", True), step)
    elif "SampleLidarRays" in steps:
        step = steps["SampleLidarRays"]
        inputs["rays"] = _rays(1, step.get("num_rays", 512), False, step)
    sample = Det3DDataSample(metainfo={"token": "random"})
    if "LoadAnnotations3D" in steps:
        boxes = LiDARInstance3DBoxes(_boxes(), box_dim=9)
        sample.gt_instances_3d = InstanceData(bboxes_3d=boxes, labels_3d=torch.randint(0, 10, (BOXES,)))
    if "LoadPointLabels" in steps:
        sample.gt_pts_seg = PointData(pts_semantic_mask=_labels(len(inputs["points"])))
    return inputs, sample


def _rig(image_size: tuple[int, int], steps: dict[str, dict]) -> CameraRig:
    """Make the cameras of files of a size, as the resizing of the pipeline leaves them."""
    ring = camera_ring(CAMERAS, 1).first()
    sizes = np.array([image_size] * CAMERAS)
    results = {"image_sizes": sizes, "img_aug": np.tile(np.eye(4), (CAMERAS, 1, 1))}
    if "MultiViewResizeCropFlipRotate" in steps:
        results = TRANSFORMS.build(steps["MultiViewResizeCropFlipRotate"])(results)
    scale = torch.diag(torch.tensor([image_size[1] / IMAGE[1], image_size[0] / IMAGE[0], 1, 1], dtype=torch.float64))
    sizes = torch.from_numpy(results["image_sizes"])
    return compose_rig(
        ring.lidar2cam,
        scale @ ring.cam2img,
        torch.eye(4, dtype=torch.float64),
        torch.from_numpy(results["img_aug"]),
        image_size=sizes,
        padded_size=tuple(int(side) for side in sizes.amax(dim=0)),
    )


def _images(rig: CameraRig) -> Tensor:
    return torch.randint(0, 256, (CAMERAS, 3, *rig.padded_size), dtype=torch.uint8)


def _history(count: int, inputs: dict) -> FrameQueue:
    """Make earlier key frames of a car that drives straight on."""
    if "img" not in inputs:
        raise UserError("history: the pipeline does not load images, which is all that is read of earlier frames")
    motion = translation_matrix((0.0, STEP, 0.0))
    rig, signals = inputs["rig"], inputs.get("can_bus")
    return FrameQueue(tuple(PastFrame(_images(rig), rig, motion, signals) for _ in range(count)))


def _labels(*shape: int) -> Tensor:
    """Draw classes of points or rays, some of which are not known."""
    return torch.randint(-1, len(LIDARSEG_CLASSES), shape)


def _sweeps(count: int) -> Tensor:
    """Repeat a sweep, each time shifted a little and with its age in seconds."""
    sweep = random_sweep()
    parts = []
    for number in range(count):
        shift = torch.tensor([0.5 * number, 0.0, 0.0, 0.0, 0.05 * number])
        parts.append(sweep + shift + 0.02 * torch.randn_like(sweep) * torch.tensor([1.0, 1.0, 1.0, 0.0, 0.0]))
    return torch.cat(parts)


def _rays(cameras: int, count: int, color: bool, step: dict) -> RayBatch:
    directions = F.normalize(torch.randn(cameras, count, 3) * torch.tensor([1.0, 1.0, 0.08]), dim=-1)
    return RayBatch(
        torch.zeros(cameras, count, 3),
        directions,
        torch.ones(cameras, count, dtype=torch.bool),
        2 + 45 * torch.rand(cameras, count),
        torch.zeros(cameras, count, 2),
        torch.rand(cameras, count, 3) if color else None,
        semantic=_labels(cameras, count) if step.get("semantic") else None,
        intensity=torch.rand(cameras, count) if step.get("intensity") else None,
    )


def _boxes() -> Tensor:
    """Draw rows (x, y, z bottom, l, w, h, yaw, vx, vy) in the range of the volume."""
    low = torch.tensor([-50.0, -50.0, -3.0, 0.5, 0.5, 1.0, -3.1, -5.0, -5.0])
    high = torch.tensor([50.0, 50.0, -1.0, 6.0, 2.5, 3.0, 3.1, 5.0, 5.0])
    return low + torch.rand(BOXES, 9) * (high - low)


def _name(step: dict) -> str:
    kind = step["type"]
    return kind if isinstance(kind, str) else kind.__name__
