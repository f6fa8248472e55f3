"""Checkpoints that UniPAD, UVTR and BEVFormer published: read, renamed and laid out for the models here."""

from .bevformer import convert_bevformer, recipe_of
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
    "convert_bevformer",
    "convert_published",
    "fitting_recipe",
    "read_published",
    "recipe_of",
]
