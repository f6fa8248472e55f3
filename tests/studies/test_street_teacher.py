"""The training of the street teacher, on pictures that take no ray: scores, the file, and what is refused."""

import argparse
import json
import os
import re
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from ponderv2.engine import load_config
from ponderv2.errors import UserError
from ponderv2.registry import MODELS
from ponderv2.teachers import read_street_net
from studies import street_pictures, street_teacher
from studies.street_backbone import LabeledBackbone
from studies.street_pictures import CLASSES, towns
from synthetic_nuscenes.build import place_of
from synthetic_nuscenes.output.benchmarks import BENCHMARKS
from tests.factories.tool_scripts import load_tool

CAMERA = Path(__file__).parents[2] / "configs/tiny/ponderv2_camera_synthetic.py"


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
    given = dict(out=out, pictures=tmp_path, towns=2, held_out=1, seed=1000, minutes=0.05, backbone=None)
    assert street_teacher.train_street_teacher(argparse.Namespace(**given)) == 0
    assert asked == [(1000, 0), (1000, 1), (2000, 0)]
    assert "pixel IoU in 1 towns that were not trained on, 2 pictures" in capsys.readouterr().out
    net = read_street_net(out)
    assert net.classes == CLASSES
    ious = street_teacher.class_ious(net, *_pictures(tmp_path, 5, 5))
    assert set(ious) == {CLASSES[0], CLASSES[15]}
    assert min(ious.values()) > 0.6


def test_a_signal_ends_the_training_early_and_the_teacher_is_scored_and_written(tmp_path, monkeypatch, capsys):
    crop, drawn = street_teacher._crop, []

    def stopping(*picture):
        drawn.append(1)
        if len(drawn) == 5:
            os.kill(os.getpid(), signal.SIGTERM)
        return crop(*picture)

    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    monkeypatch.setattr(street_teacher, "labeled_pictures", _pictures)
    monkeypatch.setattr(street_teacher, "_BATCH", 2)
    monkeypatch.setattr(street_teacher, "_crop", stopping)
    given = dict(out=tmp_path / "teacher.safetensors", pictures=tmp_path, towns=1, held_out=1, seed=1000, minutes=60)
    assert street_teacher.train_street_teacher(argparse.Namespace(**given, backbone=None)) == 0
    assert signal.signal(signal.SIGTERM, before) is signal.default_int_handler
    assert "stopped by SIGTERM after 0 % of the time, which is scored and written" in capsys.readouterr().out
    with safe_open(given["out"], framework="pt") as file:
        about = json.loads(file.metadata()["about"])
    assert about["steps"] == 3
    assert about["share_of_the_time"] < 0.1


def test_part_of_a_minute_is_a_time(repository):
    parser = argparse.ArgumentParser()
    load_tool(repository, "train_street_teacher").add_arguments(parser)
    assert parser.parse_args(["--out", "teacher.safetensors", "--minutes", "0.2"]).minutes == 0.2


def test_the_backbone_of_a_recipe_is_trained_and_loaded_by_its_option_weights(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(street_teacher, "labeled_pictures", lambda *place: _pictures(*place))
    monkeypatch.setattr(street_teacher, "_BATCH", 2)
    out = tmp_path / "backbone.safetensors"
    given = dict(out=out, pictures=tmp_path, towns=1, held_out=1, seed=1000, minutes=0.03, backbone=CAMERA)
    assert street_teacher.train_street_teacher(argparse.Namespace(**given)) == 0
    assert float(re.search(r"mean +(\S+)", capsys.readouterr().out)[1]) > 0.6
    backbone = MODELS.build(
        load_config(CAMERA, options={"model.encoder.img_backbone.weights": str(out)}).model.encoder.img_backbone
    )
    before = {key: value.clone() for key, value in backbone.state_dict().items()}
    backbone.init_weights()
    written = load_file(out)
    after = backbone.state_dict()
    assert all(torch.equal(value, written[key]) for key, value in after.items())
    assert any(not torch.equal(value, before[key]) for key, value in after.items())


def test_a_recipe_without_an_image_backbone_is_refused():
    recipe = CAMERA.with_name("ponderv2_lidar_synthetic.py")
    with pytest.raises(UserError, match=r"img_backbone: expected an image backbone"):
        LabeledBackbone.of_recipe(recipe)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_towns_that_are_scored_elsewhere_are_refused(name, monkeypatch):
    seed = BENCHMARKS[name].seed
    with pytest.raises(UserError, match=f"--seed {seed}: towns of seed {seed} are those of {name}"):
        street_teacher.train_street_teacher(argparse.Namespace(seed=seed))
    # The towns that it is scored on are those of a seed that is 1000 higher.
    monkeypatch.setitem(street_teacher.TAKEN_SEEDS, 1078, "another")
    with pytest.raises(UserError, match="--seed 78: towns of seed 1078 are those of another"):
        street_teacher.train_street_teacher(argparse.Namespace(seed=78))


def test_pictures_are_read_from_the_file_of_their_size_and_others_are_one_clear_error(tmp_path, monkeypatch):
    shape = (6, 3, 4)
    monkeypatch.setattr(street_pictures, "SIZE", shape[1:])
    taken = []
    monkeypatch.setattr(street_pictures, "_take", lambda path, *_: taken.append(path) or write())

    def write(labels=24, **arrays):
        pictures = np.full((*shape, 3), 7, np.uint8)
        np.savez(taken[0], **{"pictures": pictures, "labels": np.full(shape, labels, np.uint8)} | arrays)

    pictures, labels = street_pictures.labeled_pictures(tmp_path, 5, 1, moments=1)
    assert (pictures == 7).all()
    assert (labels == CLASSES.index("driveable_surface")).all()
    street_pictures.labeled_pictures(tmp_path, 5, 1, moments=1)
    (path,) = taken
    assert path.name == "town_5_001_1_4x3.npz"
    for wrong, message in (
        (dict(labels=32), "labels: expected numbers of categories, 0 to 31"),
        (
            dict(pictures=np.zeros((*shape, 3))),
            r"expected pictures and labels of shape \(6, 3, 4\) in uint8, got float64",
        ),
        (dict(pictures=np.zeros((5, 3, 4, 3), np.uint8)), r"got uint8 \(5, 3, 4, 3\)"),
    ):
        write(**wrong)
        with pytest.raises(UserError, match=message):
            street_pictures.labeled_pictures(tmp_path, 5, 1, moments=1)
    path.write_bytes(path.read_bytes()[:99])
    with pytest.raises(UserError, match="no whole npz file"):
        street_pictures.labeled_pictures(tmp_path, 5, 1, moments=1)


def test_each_town_comes_once():
    places = [place_of(scene) for _, scene in towns(1000, 18)]
    assert len(set(places)) == len(places) == 18
