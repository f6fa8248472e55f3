"""Encoder + head, nothing else; and the data preprocessor before them."""

from .preprocessor import SensorPreprocessor
from .rendering_pretrainer import RenderingPretrainer

__all__ = ["RenderingPretrainer", "SensorPreprocessor"]
