"""Pictures to look at: what is rendered beside what is real, boxes and classes that are found beside the true ones."""

from .detection_panel import draw_detection_panel
from .picture import save_png
from .render_panel import draw_render_panel, sample_panel
from .retrieval_panel import ShownPlace, color_of_distance, draw_retrieval_panel
from .segmentation_panel import draw_segmentation_panel

__all__ = [
    "ShownPlace",
    "color_of_distance",
    "draw_detection_panel",
    "draw_render_panel",
    "draw_retrieval_panel",
    "draw_segmentation_panel",
    "sample_panel",
    "save_png",
]
