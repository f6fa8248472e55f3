"""Labels of pixels: those of the LiDAR's returns where both see the same place, and the bodies of the picture."""

import numpy as np

from synthetic_nuscenes import EXACT, take_picture
from synthetic_nuscenes.moment import NOTHING, STATIC
from synthetic_nuscenes.output.tables import CATEGORIES
from synthetic_nuscenes.sensors.pixel_labels import SKY, label_pixels
from synthetic_nuscenes.sensors.rig import CAMERAS


def test_pixels_have_the_categories_of_the_bodies_that_the_picture_shows(world):
    labels = label_pixels(world, CAMERAS[0], 0.0, 80, 45)
    body = take_picture(world, CAMERAS[0], 0.0, 80, 45, smooth=False, effects=EXACT).body
    assert labels.shape == (45, 80)
    np.testing.assert_array_equal(labels == SKY, body == NOTHING)
    for number in np.unique(body[body > STATIC]):
        category = world.actors[number - 1].kind.category
        assert set(labels[body == number]) == {CATEGORIES.index(category)}
    static = {CATEGORIES[k].split(".")[0] for k in np.unique(labels[body == STATIC])}
    assert static <= {"flat", "static", "vehicle", "movable_object", "human"}
    # The street is below the horizon.
    assert CATEGORIES[labels[44, 40]].startswith(("flat", "vehicle"))
