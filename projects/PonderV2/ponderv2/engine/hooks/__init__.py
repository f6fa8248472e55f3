"""Hooks around training and testing: progress, pictures, the export of the encoder, what is switched off or on."""

from .detection_preview import DetectionPreviewHook
from .disable_transforms import DisableTransformsHook
from .encoder_export import EncoderExportHook
from .feature_hooks import CollapseAlarmHook, FitFeatureReductionHook
from .gathered_losses import GatheredRuntimeInfoHook
from .kept_options import KeptOptionsHook
from .progress import ProgressHook
from .render_preview import RenderPreviewHook
from .resumable_checkpoint import SafeCheckpointHook
from .segmentation_preview import SegmentationPreviewHook
from .unfreeze_encoder import UnfreezeEncoderHook

__all__ = [
    "CollapseAlarmHook",
    "DetectionPreviewHook",
    "DisableTransformsHook",
    "EncoderExportHook",
    "FitFeatureReductionHook",
    "GatheredRuntimeInfoHook",
    "KeptOptionsHook",
    "ProgressHook",
    "RenderPreviewHook",
    "SafeCheckpointHook",
    "SegmentationPreviewHook",
    "UnfreezeEncoderHook",
]
