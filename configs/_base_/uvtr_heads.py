"""The published heads: UVTRHead of the camera ablation, and UVTRDNHead of everything else.

The second has denoising queries, a branch that predicts the overlap with the truth, and twice the weight on centres
and a fifth on velocities. The final camera model ignores the overlap when it scores, as published; LiDAR and fusion
use it, and the finals suppress overlapping boxes of three classes.
"""

from ponderv2.heads import UVTRHead

plain_head = dict(type=UVTRHead, in_channels=128, num_classes=10)
denoising_head = dict(
    type=UVTRHead,
    in_channels=256,
    num_classes=10,
    query_init="reference",
    denoising=dict(),
    iou_weight=0.5,
    code_weights=(2.0, 2.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.2, 0.2),
)
overlap_head = dict(denoising_head, decoding=dict(use_iou=True))
suppressing_head = dict(
    denoising_head, decoding=dict(use_iou=True, nms=dict(barrier=0.2, motorcycle=0.2, traffic_cone=0.2))
)
