"""From heat maps and what stands beside them to boxes with scores."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import torch
from mmdet3d.models.layers import circle_nms
from mmdet3d.models.task_modules.coders import CenterPointBBoxCoder
from mmengine.structures import InstanceData
from torch import Tensor

from ponderv2.heads.suppression import suppress_by_class
from ponderv2.heads.uvtr.box_code import lidar_boxes
from ponderv2.shapes import Bool, Float, Int
from ponderv2.structures import VoxelGrid

PUBLISHED_RADII: Mapping[str, float] = MappingProxyType(
    dict(
        car=2.0,
        truck=3.46,
        construction_vehicle=3.46,
        bus=3.16,
        trailer=3.16,
        barrier=1.0,
        motorcycle=0.92,
        bicycle=0.92,
        pedestrian=0.42,
        traffic_cone=0.42,
    )
)
"""Circle suppression of CenterPoint's nuScenes configs, metres; mmdet3d's `min_radius` has the squares."""


class CenterDecoder:
    """Turns the predictions of one task into boxes, with mmdet3d's coder and circle suppression class by class.

    mmdet3d suppresses across the classes of a task; here a lower score for another class keeps its box, which the
    nuScenes score, an average over classes, counts.

    Args:
        grid: cells of the maps; heights are not used.
        max_candidates: highest scores of a sample that are decoded, published 500.
        max_boxes: boxes of a sample that are kept over all tasks; nuScenes takes 500.
        score_threshold: boxes with a lower score are dropped, published 0.1; None drops none.
        post_center_range: (x, y, z min, then max) in metres; boxes with a gravity center outside are dropped.
        radii: distance of centers seen from above (metres) within which the box of the lower score is dropped, by class
            name; a class that is missing keeps all its boxes.
    """

    def __init__(
        self,
        grid: VoxelGrid,
        max_candidates: int = 500,
        max_boxes: int = 500,
        score_threshold: float | None = 0.1,
        post_center_range: Sequence[float] = (-61.2, -61.2, -10.0, 61.2, 61.2, 10.0),
        radii: Mapping[str, float] = PUBLISHED_RADII,
    ) -> None:
        if len(post_center_range) != 6:
            raise ValueError(
                f"post_center_range: expected 6 numbers (x, y, z min, then max), got {tuple(post_center_range)}"
            )
        self.max_boxes = max_boxes
        self.radii = dict(radii)
        self._coder = dict(
            pc_range=grid.lower[:2],
            voxel_size=grid.voxel_size[:2],
            out_size_factor=1,
            # The coder asks every class for as many cells.
            max_num=min(max_candidates, grid.size[0] * grid.size[1]),
            score_threshold=score_threshold,
            post_center_range=list(post_center_range),
        )

    def __call__(
        self, maps: list[dict[str, Tensor]], classes: list[Int[Tensor, "_"]], names: Sequence[str]
    ) -> list[InstanceData]:
        """Return the boxes of each sample by descending score: `bboxes_3d`, `scores_3d`, `labels_3d`.

        Args:
            maps: predictions `[B, K, Y, X]` of each task: `heatmap` (logits), `reg`, `height`, `dim` (logarithms),
                `rot` (sine, cosine) and `vel`.
            classes: labels of the heat map's channels, for each task.
            names: names of the labels.
        """
        tasks = [self._decode(task) for task in maps]
        return [self._of_sample([task[b] for task in tasks], classes, names) for b in range(len(maps[0]["heatmap"]))]

    def _decode(self, task: dict[str, Tensor]) -> list[dict[str, Tensor]]:
        # A coder of its own for each call: mmdet3d's turns its range into a tensor, and warns of that the next time.
        return CenterPointBBoxCoder(**self._coder).decode(
            task["heatmap"].sigmoid(),
            task["rot"][:, :1],
            task["rot"][:, 1:],
            task["height"],
            task["dim"].exp(),
            task["vel"],
            reg=task["reg"],
        )

    def _of_sample(
        self, tasks: list[dict[str, Tensor]], classes: list[Int[Tensor, "_"]], names: Sequence[str]
    ) -> InstanceData:
        boxes = torch.cat([task["bboxes"] for task in tasks])
        scores = torch.cat([task["scores"] for task in tasks])
        labels = torch.cat(
            [of.to(boxes.device)[task["labels"].long()] for task, of in zip(tasks, classes, strict=True)]
        )
        kept = suppress_circles(boxes[:, :2], scores, labels, {names.index(k): r for k, r in self.radii.items()})
        kept = kept[: self.max_boxes]
        return InstanceData(bboxes_3d=lidar_boxes(boxes[kept]), scores_3d=scores[kept], labels_3d=labels[kept])


def suppress_circles(
    centers: Float[Tensor, "n 2"], scores: Float[Tensor, "n"], labels: Int[Tensor, "n"], radii: Mapping[int, float]
) -> Int[Tensor, "k"]:
    """Return the indices of the boxes that are kept, by descending score: none lies within a better one's circle.

    Args:
        centers: centers seen from above, metres.
        scores: their scores.
        labels: their classes; only boxes of the same class drop each other.
        radii: radius of the circle by class, metres; a class without one keeps all its boxes.
    """
    rows = torch.cat([centers, scores[:, None]], dim=1).double().cpu().numpy()

    def keep(members: Int[Tensor, "m"], radius: float) -> Bool[Tensor, "m"]:
        # mmdet3d sorts by score itself, and compares the square of the distance.
        in_order, places = members.cpu().sort()
        best = circle_nms(rows[in_order.numpy()], radius**2, len(members))
        kept = torch.zeros(len(members), dtype=torch.bool)
        kept[places[best]] = True
        return kept.to(members.device)

    return suppress_by_class(scores, labels, radii, keep)
