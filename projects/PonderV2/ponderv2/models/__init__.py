"""Encoder + head, nothing else; and the data preprocessor before them."""

from .preprocessor import SensorPreprocessor
from .rendering_pretrainer import RenderingPretrainer
from .detection_tta import DetectionTTAModel, undo_augmentation
from .volume_detector import VolumeDetector

__all__ = ["DetectionTTAModel", "RenderingPretrainer", "SensorPreprocessor", "VolumeDetector", "undo_augmentation"]
