"""Models: an encoder and a head, nothing else; and the data preprocessor before them."""

from .detection_tta import DetectionTTAModel, undo_augmentation
from .preprocessor import SensorPreprocessor
from .rendering_pretrainer import RenderingPretrainer
from .volume_detector import VolumeDetector

__all__ = ["DetectionTTAModel", "RenderingPretrainer", "SensorPreprocessor", "VolumeDetector", "undo_augmentation"]
