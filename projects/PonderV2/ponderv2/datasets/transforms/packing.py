"""Packing of samples for the preprocessor."""

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmdet3d.structures import Det3DDataSample, PointData
from mmengine.structures import InstanceData

from ponderv2.errors import UserError
from ponderv2.geometry import signals_since
from ponderv2.registry import TRANSFORMS
from ponderv2.shapes import UInt8

from .inverse_map import complete_inverse_map
from .loading import rig_of

META_KEYS = (
    "sample_idx",
    "token",
    "timestamp",
    "scene_token",
    "lidar2global",
    "lidar_path",
    "lidar_token",
    "cameras",
    "image_sizes",
    "image_digest",
    "can_bus_signals",
    "lidar_aug",
    "pcd_rotation_angle",
    "pcd_scale_factor",
    "pcd_trans",
    "pcd_flip",
    "box_type_3d",
    "box_mode_3d",
)


@TRANSFORMS.register_module()
class PackSensorInputs(BaseTransform):
    """Pack what a pipeline gathered into `{inputs: {img, rig, …}, data_samples}`; absent things stay absent.

    `img` is uint8 `[N, 3, H, W]`, with the channels of a pixel side by side in memory, as they were decoded; it is the
    memory of the loaded images, where these are as they were read. `points` is float32 `[P, 5]`; `rig` and `rays` are a
    `CameraRig` and a `RayBatch`; `can_bus` is float32 `[18]`, the signals of a frame without one before. Boxes and
    labels, if loaded, become `gt_instances_3d`, and labels of points `gt_pts_seg.pts_semantic_mask` `[P]`.

    For evaluation of segmentation the sample also has `inverse_map` `[N]`, for each point of the key frame's file the
    row of `points` that predicts it (`complete_inverse_map`), and, as in mmdet3d,
    `eval_ann_info["pts_semantic_mask"]` `[N]`, the labels that predictions of these points are scored by.

    Args:
        meta_keys: keys of the sample that are kept as meta information.

    Raises:
        ValueError: the views of a sample differ in size, or its points and their labels in number.
    """

    def __init__(self, meta_keys: tuple[str, ...] = META_KEYS) -> None:
        self.meta_keys = tuple(meta_keys)

    def transform(self, results: dict) -> dict:
        inputs = {}
        if "img" in results:
            sizes = {image.shape for image in results["img"]}
            if len(sizes) > 1:
                raise UserError(f"{results.get('info_name', 'sample')}: views differ in size: {sorted(sizes)}")
            inputs["img"] = torch.from_numpy(_stacked(results["img"])).permute(0, 3, 1, 2)
        if "rig" in results:
            inputs["rig"] = results["rig"]
        elif "lidar2cam" in results:
            inputs["rig"] = rig_of(results)
        if "points" in results:
            inputs["points"] = results["points"].tensor
        if "rays" in results:
            inputs["rays"] = results["rays"]
        if "can_bus_signals" in results:
            inputs["can_bus"] = signals_since(results["can_bus_signals"], None)
        sample = Det3DDataSample(metainfo={k: results[k] for k in self.meta_keys if k in results})
        if "gt_bboxes_3d" in results:
            sample.gt_instances_3d = InstanceData(
                bboxes_3d=results["gt_bboxes_3d"], labels_3d=torch.as_tensor(results["gt_labels_3d"])
            )
        _add_point_labels(sample, results)
        return {"inputs": inputs, "data_samples": sample}


def _stacked(images: list[UInt8[np.ndarray, "h w 3"]]) -> UInt8[np.ndarray, "n h w 3"]:
    """Stack images; those that `read_images` has read together, and nobody has replaced, are stacked already."""
    together = images[0].base
    if (
        isinstance(together, np.ndarray)
        and together.shape == (len(images), *images[0].shape)
        and all(_is_same(image, view) for image, view in zip(images, together, strict=True))
    ):
        return together
    return np.stack(images)


def _is_same(image: np.ndarray, view: np.ndarray) -> bool:
    return image.ctypes.data == view.ctypes.data and image.strides == view.strides and image.dtype == view.dtype


def _add_point_labels(sample: Det3DDataSample, results: dict) -> None:
    if "pts_semantic_mask" in results:
        labels = results["pts_semantic_mask"]
        if len(labels) != len(results["points"]):
            raise ValueError(
                f"{results.get('info_name', 'sample')}: {len(labels)} labels of {len(results['points'])} points; a "
                "transform that adds or leaves out points does not keep pts_semantic_mask"
            )
        sample.gt_pts_seg = PointData(pts_semantic_mask=torch.from_numpy(labels))
    if "inverse_map" in results:
        sample.inverse_map = torch.from_numpy(complete_inverse_map(results))
    if "original_labels" in results:
        sample.eval_ann_info = {"pts_semantic_mask": torch.from_numpy(results["original_labels"])}
