"""The classes of lidarseg are those of the official devkit, by number, by name and by color."""

import numpy as np
import pytest
from nuscenes.eval.lidarseg.utils import LidarsegClassMapper
from nuscenes.utils.color_map import get_colormap

from ponderv2.datasets import DETECTION_CLASSES
from ponderv2.datasets.lidarseg_classes import (
    IGNORE_LABEL,
    LIDARSEG_CATEGORIES,
    LIDARSEG_CLASSES,
    LIDARSEG_PALETTE,
    class_labels,
)


class Tables:
    """What the devkit's mapper asks of its tables."""

    lidarseg_name2idx_mapping = {name: number for number, name in enumerate(get_colormap())}


@pytest.fixture
def mapper() -> LidarsegClassMapper:
    return LidarsegClassMapper(Tables())


def test_the_numbers_of_the_categories_are_official():
    assert list(LIDARSEG_CATEGORIES) == list(get_colormap())


def test_labels_are_those_of_the_devkit_less_one(mapper):
    raw = np.arange(32, dtype=np.uint8)
    # The devkit's 0 is ignored and its 1 is the first class.
    assert (class_labels(raw) + 1).tolist() == mapper.convert_label(raw).tolist()
    assert class_labels(raw).dtype == np.int64
    assert IGNORE_LABEL == -1


def test_names_and_colors_are_those_of_the_devkit(mapper):
    names = {index: name for name, index in mapper.coarse_name_2_coarse_idx_mapping.items() if index}
    assert tuple(names[k] for k in range(1, 17)) == LIDARSEG_CLASSES
    assert tuple(mapper.coarse_colormap[name] for name in LIDARSEG_CLASSES) == LIDARSEG_PALETTE


def test_every_detection_class_is_a_class_of_points():
    assert set(DETECTION_CLASSES) < set(LIDARSEG_CLASSES)


def test_no_points_have_no_labels():
    assert class_labels(np.zeros(0, dtype=np.uint8)).shape == (0,)


@pytest.mark.parametrize("wrong", [32, 255, -1])
def test_another_number_is_refused(wrong):
    with pytest.raises(ValueError, match=r"expected numbers of categories, 0 to 31, got"):
        class_labels(np.array([4, wrong]))
