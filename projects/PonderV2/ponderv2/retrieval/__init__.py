"""Finding places again: descriptors of what is around the car, an index of them, and scores by ego pose and location.

Pictures and LiDAR are described alike where a model has features of both in the same channels.
"""

from .descriptor_settings import LAYOUTS, MODALITIES, Describer, DescriptorSettings
from .keypoint_places import read_keypoint_folder
from .place_features import PlaceFeatures, height_features, image_features, lidar_features, occupied_places
from .place_index import PlaceIndex
from .place_pooling import generalized_means, place_descriptor
from .place_projection import Projection, fit_centering, fit_common_space, hashes_of
from .place_records import PlaceRecord, record_of, relation, sweep_hash
from .retrieval_scores import candidates, chance_of, duplicate_scores, evaluate_retrieval
from .score_table import score_lines
from .text_tower import TextSpace, check_text_model, sentence_vector
from .vocabulary import fingerprint as vocabulary_fingerprint
from .vocabulary import fit_vocabulary, load_vocabulary, save_vocabulary

__all__ = [
    "LAYOUTS",
    "MODALITIES",
    "Describer",
    "DescriptorSettings",
    "PlaceFeatures",
    "PlaceIndex",
    "PlaceRecord",
    "Projection",
    "TextSpace",
    "candidates",
    "chance_of",
    "check_text_model",
    "duplicate_scores",
    "evaluate_retrieval",
    "fit_centering",
    "fit_common_space",
    "fit_vocabulary",
    "generalized_means",
    "hashes_of",
    "height_features",
    "image_features",
    "lidar_features",
    "load_vocabulary",
    "occupied_places",
    "place_descriptor",
    "read_keypoint_folder",
    "record_of",
    "relation",
    "save_vocabulary",
    "score_lines",
    "sentence_vector",
    "sweep_hash",
    "vocabulary_fingerprint",
]
