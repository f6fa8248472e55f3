"""Models: an encoder and a head, nothing else; and the data preprocessor before them."""

from .detection_tta import DetectionTTAModel, undo_augmentation
from .finetuned_model import FinetunedModel
from .image_feature_pretrainer import ImageFeaturePretrainer
from .lidar_segmentor import LidarSegmentor
from .preprocessor import SensorPreprocessor
from .rendering_pretrainer import RenderingPretrainer
from .segmentation_tta import SegmentationTTAModel
from .temporal_detector import TemporalDetector
from .volume_detector import VolumeDetector

__all__ = [
    "DetectionTTAModel",
    "FinetunedModel",
    "ImageFeaturePretrainer",
    "LidarSegmentor",
    "RenderingPretrainer",
    "SegmentationTTAModel",
    "SensorPreprocessor",
    "TemporalDetector",
    "VolumeDetector",
    "undo_augmentation",
]
