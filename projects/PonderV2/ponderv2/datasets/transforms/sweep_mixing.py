"""Augmentations that mix the key frame's points with those of another key frame, labels included."""

from collections.abc import Sequence

import numpy as np
from mmdet3d.datasets.transforms import LaserMix, PolarMix

from ponderv2.datasets.lidarseg_classes import LIDARSEG_CLASSES
from ponderv2.datasets.nuscenes_constants import DETECTION_CLASSES
from ponderv2.errors import UserError
from ponderv2.registry import TRANSFORMS


@TRANSFORMS.register_module()
class LidarLaserMix(LaserMix):
    """mmdet3d's `LaserMix`: every second band of inclinations is that of another frame (Kong et al. 2023, 2207.00026).

    The other frame is drawn from those that the data set uses, so that no label outside of its fraction leaks in. The
    transform comes before anything that moves points, and leaves boxes out of the sample, which it does not mix.

    Args:
        pre_transform: steps that load the other frame, as `LoadLidarSweeps` and `LoadPointLabels`, or their configs.
        num_areas: numbers of bands, of which one is drawn; published 3 to 6.
        pitch_angles: lowest and highest inclination of the bands, degrees; published for nuScenes -30 and 10 (the code
            of the paper). What lies beyond counts to the outer bands.
        prob: probability that a sample is mixed.

    Raises:
        UserError: `pre_transform` has no step; or, for a sample, the data set is none for segmentation or the sample
            has images, which show one frame alone.
        ValueError: a sample is augmented already, or it is for evaluation.
    """

    def __init__(
        self,
        pre_transform: Sequence,
        num_areas: Sequence[int] = (3, 4, 5, 6),
        pitch_angles: tuple[float, float] = (-30.0, 10.0),
        prob: float = 1.0,
    ) -> None:
        _check_steps(pre_transform)
        super().__init__(list(num_areas), tuple(pitch_angles), list(pre_transform), prob)

    def transform(self, results: dict) -> dict:
        _check_sample(results, "LidarLaserMix")
        return _without_what_is_not_mixed(super().transform(results))


@TRANSFORMS.register_module()
class LidarPolarMix(PolarMix):
    """mmdet3d's `PolarMix`: half of the azimuths, and objects, are of another frame (Xiao et al. 2022, 2208.00223).

    Points of the classes that are objects are added three times, as they are and turned by two random angles.
    Otherwise it is as `LidarLaserMix`.

    Args:
        pre_transform: steps that load the other frame, or their configs.
        instance_classes: classes of the objects; the default are all ten.
        swap_prob: probability that half of the azimuths are exchanged; published 0.5.
        object_prob: probability that objects are added; published 1.
        prob: probability that a sample is mixed.

    Raises:
        UserError: a class is unknown; and as `LidarLaserMix`.
        ValueError: as `LidarLaserMix`.
    """

    def __init__(
        self,
        pre_transform: Sequence,
        instance_classes: Sequence[str] = DETECTION_CLASSES,
        swap_prob: float = 0.5,
        object_prob: float = 1.0,
        prob: float = 1.0,
    ) -> None:
        _check_steps(pre_transform)
        unknown = sorted(set(instance_classes) - set(LIDARSEG_CLASSES))
        if unknown:
            raise UserError(f"instance_classes: {unknown} are none of {list(LIDARSEG_CLASSES)}")
        labels = sorted(LIDARSEG_CLASSES.index(name) for name in instance_classes)
        super().__init__(labels, swap_prob, object_prob, list(pre_transform), prob)

    def transform(self, results: dict) -> dict:
        _check_sample(results, "LidarPolarMix")
        return _without_what_is_not_mixed(super().transform(results))


def _check_steps(pre_transform: Sequence) -> None:
    if not pre_transform:
        raise UserError("pre_transform: expected the steps that load the other frame's points and labels, got none")


def _check_sample(results: dict, name: str) -> None:
    where = results.get("info_name", "sample")
    if "inverse_map" in results:
        raise ValueError(f"{where}: {name} is for training, and this sample is to be predicted")
    if "dataset" not in results:
        raise UserError(
            f"{where}: {name} draws another frame from the data set; it belongs into the pipeline of a "
            "PonderNuScenesSegDataset in training"
        )
    if "lidar2cam" in results:
        raise UserError(f"{where}: {name} mixes points of two frames, and the cameras show one; leave the cameras out")
    if not np.array_equal(results["lidar_aug"], np.eye(4)):
        raise ValueError(f"{where}: {name} comes before augmentation, but lidar_aug is not the identity")


def _without_what_is_not_mixed(results: dict) -> dict:
    for key in ("gt_bboxes_3d", "gt_labels_3d", "key_frame_rows"):
        results.pop(key, None)
    return results
