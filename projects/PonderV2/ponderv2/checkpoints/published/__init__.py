"""Checkpoints that UniPAD and UVTR published, with mmdet3d 0.17: read, renamed and laid out for the models here."""

from .conversion import Conversion, convert_published
from .fitting_recipe import Fit, fitting_recipe
from .published_file import KINDS, PublishedFile, read_published
from .published_layouts import CLASSES, PUBLISHED_CLASSES

__all__ = [
    "CLASSES",
    "KINDS",
    "PUBLISHED_CLASSES",
    "Conversion",
    "Fit",
    "PublishedFile",
    "convert_published",
    "fitting_recipe",
    "read_published",
]
