"""The training of the street teacher, on pictures that take no ray: scores, the file, and what is refused."""

import argparse

import numpy as np
import pytest

from ponderv2.errors import UserError
from ponderv2.teachers import read_street_net
from studies import street_teacher
from studies.street_pictures import CLASSES, towns
from synthetic_nuscenes.build import place_of


def _pictures(folder, seed, scene):
    """Each class has a brightness of its own, in blocks of 25 pixels; a corner does not count."""
    rng = np.random.default_rng([seed, scene])
    labels = rng.integers(0, 2, (2, 9, 16)).repeat(25, axis=1).repeat(25, axis=2) * 15
    pictures = np.repeat((40 + 12 * labels)[..., None], 3, axis=-1).astype(np.uint8)
    labels[:, :5, :5] = -1
    return pictures, labels


def test_a_teacher_is_trained_scored_on_other_towns_and_written(tmp_path, monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(street_teacher, "labeled_pictures", lambda *place: asked.append(place[1:]) or _pictures(*place))
    monkeypatch.setattr(street_teacher, "_BATCH", 2)
    out = tmp_path / "teacher.safetensors"
    given = argparse.Namespace(out=out, pictures=tmp_path, towns=2, held_out=1, seed=1000, minutes=0.05)
    assert street_teacher.train_street_teacher(given) == 0
    assert asked == [(1000, 0), (1000, 1), (2000, 0)]
    assert "pixel IoU in 1 towns that were not trained on, 2 pictures" in capsys.readouterr().out
    net = read_street_net(out)
    assert net.classes == CLASSES
    ious = street_teacher.class_ious(net, *_pictures(tmp_path, 5, 5))
    assert set(ious) == {CLASSES[0], CLASSES[15]}
    assert min(ious.values()) > 0.6


def test_towns_that_are_scored_elsewhere_are_refused():
    for seed in (0, 22):
        with pytest.raises(UserError, match="are those of streets"):
            street_teacher.train_street_teacher(argparse.Namespace(seed=seed))


def test_each_town_comes_once():
    places = [place_of(scene) for _, scene in towns(1000, 18)]
    assert len(set(places)) == len(places) == 18
