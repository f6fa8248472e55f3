"""Hooks around training and testing: progress, pictures, the export of the encoder, what is switched off or on."""

from .cost import CostHook
from .detection_preview import DetectionPreviewHook
from .disable_transforms import DisableTransformsHook
from .encoder_export import EncoderExportHook
from .exact_resume import ExactResumeHook, gather_rank_states
from .feature_hooks import CollapseAlarmHook, FitFeatureReductionHook
from .gathered_losses import GatheredRuntimeInfoHook
from .kept_options import KeptOptionsHook
from .module_switches import CompileHook, RecomputeHook
from .non_finite import NonFiniteLossHook
from .progress import ProgressHook
from .rank_watching import RankWatchHook
from .render_preview import RenderPreviewHook
from .resumable_checkpoint import SafeCheckpointHook
from .segmentation_preview import SegmentationPreviewHook
from .stop_on_signal import StopOnSignalHook
from .unfreeze_encoder import UnfreezeEncoderHook

__all__ = [
    "CollapseAlarmHook",
    "CompileHook",
    "CostHook",
    "DetectionPreviewHook",
    "DisableTransformsHook",
    "EncoderExportHook",
    "ExactResumeHook",
    "FitFeatureReductionHook",
    "GatheredRuntimeInfoHook",
    "KeptOptionsHook",
    "NonFiniteLossHook",
    "ProgressHook",
    "RankWatchHook",
    "RecomputeHook",
    "RenderPreviewHook",
    "SafeCheckpointHook",
    "SegmentationPreviewHook",
    "StopOnSignalHook",
    "UnfreezeEncoderHook",
    "gather_rank_states",
]
