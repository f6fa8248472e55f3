"""CenterPoint's detection head: heat maps of the boxes' centers on the volume seen from above."""

from .bev_center_head import BEVCenterHead

__all__ = ["BEVCenterHead"]
