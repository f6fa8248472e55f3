"""The picture of a search: titles that fit above their columns."""

import numpy as np
import pytest

from ponderv2.visualization import ShownPlace, draw_retrieval_panel
from ponderv2.visualization.retrieval_panel import shortened


@pytest.mark.parametrize("length", [5, 34, 35, 80])
def test_a_long_name_keeps_its_ends(length):
    name = ("n015-2018-07-24-11-22-45+0800__CAM_FRONT__" * 3)[: length - 4] + ".jpg"
    short = shortened(name)
    assert len(short) == min(length, 34)
    assert (short == name) == (length <= 34)
    assert short.endswith(".jpg")
    assert short[:3] == name[:3]


def test_the_title_of_a_query_does_not_reach_beyond_the_picture():
    name = "query by image\nn015-2018-07-24-11-22-45+0800__CAM_FRONT__1532402927612460.jpg"
    picture = draw_retrieval_panel([ShownPlace(name), ShownPlace("1: 0.9")])
    # Above the frames; where a title is cut off, its letters stand at the very edge.
    assert np.all(picture[:30, :2] == 255)
    assert np.any(picture[:30, :310] != 255)
