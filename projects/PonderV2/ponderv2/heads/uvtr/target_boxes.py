"""The true boxes of a batch, checked: what detection heads learn from."""

import torch
from mmengine.structures import InstanceData

from ponderv2.errors import UserError
from ponderv2.shapes import Float, Int

from .box_code import boxes_with_velocity


def checked_boxes_and_labels(
    targets: list[InstanceData], num_classes: int, device: torch.device, head: str
) -> tuple[list[Float[torch.Tensor, "_ 9"]], list[Int[torch.Tensor, "_"]]]:
    """Return the boxes of each sample as float32 rows with gravity centres and velocities, and their labels.

    Args:
        targets: true boxes of each sample, with `bboxes_3d` (`LiDARInstance3DBoxes`; an unknown velocity is NaN) and
            `labels_3d`.
        num_classes: number of classes; labels are 0 … num_classes − 1.
        device: where the rows are wanted.
        head: name of the head, for the errors.

    Raises:
        UserError: when a label is no class, or a box has no extent.
    """
    boxes = [boxes_with_velocity(target.bboxes_3d).to(device, torch.float32) for target in targets]
    labels = [target.labels_3d.to(device) for target in targets]
    for b, (box, label) in enumerate(zip(boxes, labels, strict=True)):
        if ((label < 0) | (label >= num_classes)).any():
            raise UserError(
                f"{head}: sample {b} has labels {sorted(set(label.tolist()))}, expected 0 to {num_classes - 1}; "
                "does the data set drop other categories?"
            )
        flat = (box[:, 3:6] <= 0).any(dim=1)
        if flat.any():
            raise UserError(
                f"{head}: sample {b} has a box of (l, w, h) = {tuple(box[flat][0, 3:6].tolist())} metres, "
                "expected all above 0"
            )
    return boxes, labels
