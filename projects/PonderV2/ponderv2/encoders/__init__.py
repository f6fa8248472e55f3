"""Sensors to one feature volume. A fine-tuned model keeps an encoder key by key."""

from .camera import CameraEncoder
from .depth import SimpleDepth
from .image_backbones import PonderConvNeXt, PonderResNet

__all__ = ["CameraEncoder", "PonderConvNeXt", "PonderResNet", "SimpleDepth"]
