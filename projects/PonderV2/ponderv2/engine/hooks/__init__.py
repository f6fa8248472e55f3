"""Hooks around training: previews, the export of the encoder, what is switched off or on as training goes on."""

from .disable_transforms import DisableTransformsHook
from .encoder_export import EncoderExportHook
from .render_preview import RenderPreviewHook
from .unfreeze_encoder import UnfreezeEncoderHook

__all__ = ["DisableTransformsHook", "EncoderExportHook", "RenderPreviewHook", "UnfreezeEncoderHook"]
