"""Files that were changed at random: an error of ours or a valid result, never a hang, a crash or code that runs.

A few cases of each kind are tried at every run, hundreds in `make test-all`; they are the same at every run.
"""

import io
import json
import os
import pickle
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save

from ponderv2.checkpoints import load_encoder
from ponderv2.checkpoints.encoder_file import read_encoder, read_header
from ponderv2.compat.safe_checkpoint import load_checkpoint_file
from ponderv2.datasets import GroundTruthDatabase, PonderNuScenesDataset
from ponderv2.datasets.data_files import read_image, read_label_file, read_point_file
from ponderv2.datasets.frame_store import open_frame_store
from ponderv2.datasets.gt_tables import GroundTruthTables
from ponderv2.errors import UserError
from tests.factories.fuzzing import changed, fuzz, nothing_happens
from tests.factories.gt_database import gt_object, write_gt_database
from tests.factories.keyframe import INFO_NAME, write_keyframe

FEW, MANY = 8, 150


def _info(folder: Path) -> dict:
    return write_keyframe(folder / "honest", cameras=("CAM_FRONT",))


def _index(folder: Path) -> bytes:
    objects = [gt_object("car", (0, 0, 0, 4, 2, 1.5, 0), camera="CAM_FRONT", sample_token="a")]
    return (write_gt_database(folder / "honest", objects) / "index.pkl").read_bytes()


def _checkpoint(folder: Path, old: bool = False) -> bytes:
    meta = {"iter": 3, "time": "now", "values": np.arange(3.0), "options": ["a=1"]}
    weights = OrderedDict(weight=torch.rand(3, 2), bias=torch.zeros(2, dtype=torch.bfloat16))
    out = io.BytesIO()
    torch.save({"meta": meta, "state_dict": weights}, out, _use_new_zipfile_serialization=not old)
    return out.getvalue()


def _encoder_header(folder: Path) -> bytes:
    """An encoder file whose header is whole, and whose weights are none that its config asks for."""
    encoder = {"type": "CameraEncoder", "grid": {"size": [4, 4, 2]}, "img_backbone": {"type": "PonderConvNeXt"}}
    metadata = {
        "format": "ponderv2.encoder.v2",
        "encoder": json.dumps(encoder),
        "preprocessor": json.dumps({"type": "SensorPreprocessor"}),
        "sha256": "0" * 64,
        "tensors": "2",
        "version": "0.1.0",
        "name": "recipe",
        "recipe": "model = dict()",
        "cost": json.dumps({"gpu_hours": 1.5}),
    }
    return save({"a.weight": torch.rand(2, 3), "b": torch.zeros(4, dtype=torch.float16)}, metadata)


def _read_infos(path: Path) -> None:
    (path.parent / INFO_NAME).write_bytes(path.read_bytes())
    open_frame_store(path.parent / INFO_NAME)
    dataset = PonderNuScenesDataset(data_root=str(path.parent), ann_file=INFO_NAME, pipeline=[])
    for index in range(min(len(dataset), 3)):
        dataset[index]


def _read_json_infos(path: Path) -> None:
    dataset = PonderNuScenesDataset(data_root=str(path.parent), ann_file=path.name, pipeline=[])
    for index in range(min(len(dataset), 3)):
        dataset[index]


def _read_database(path: Path) -> None:
    folder = path.parent / "honest"
    (folder / "index.pkl").write_bytes(path.read_bytes())
    tables = GroundTruthTables(folder)
    for name in tables:
        for row in tables[name][:3]:
            tables.files.points(name, int(row["first_point"]), int(row["num_points"]))
    database = GroundTruthDatabase(folder)
    assert database.objects is not None


def _read_encoder(path: Path) -> None:
    read_header(path)
    with pytest.raises(UserError):
        # The honest one has a false hash.
        read_encoder(path)
    load_encoder(path)


KINDS: dict[str, tuple[Callable[[Path], bytes], str, Callable[[Path], object]]] = {
    "info file": (lambda folder: pickle.dumps(_info(folder), 4), "fuzzed.pkl", _read_infos),
    "old info file": (lambda folder: pickle.dumps(_info(folder), 0), "fuzzed.pkl", _read_infos),
    "json info file": (lambda folder: json.dumps(_info(folder)).encode(), "fuzzed.json", _read_json_infos),
    "paste database": (_index, "fuzzed.index", _read_database),
    "checkpoint": (_checkpoint, "fuzzed.pth", load_checkpoint_file),
    "old checkpoint": (lambda folder: _checkpoint(folder, old=True), "fuzzed.pth", load_checkpoint_file),
    "encoder": (_encoder_header, "fuzzed.safetensors", _read_encoder),
    "weights": (_encoder_header, "fuzzed.safetensors", load_checkpoint_file),
    "point file": (lambda _: np.arange(50, dtype=np.float32).tobytes(), "fuzzed.bin", read_point_file),
    "label file": (lambda _: bytes(range(30)), "fuzzed.bin", lambda path: read_label_file(path, 30)),
    "png": (lambda _: cv2.imencode(".png", np.ones((9, 16, 3), np.uint8))[1].tobytes(), "fuzzed.png", read_image),
    "jpeg": (lambda _: cv2.imencode(".jpg", np.ones((9, 16, 3), np.uint8))[1].tobytes(), "fuzzed.jpg", read_image),
}


def _try_kind(folder: Path, kind: str, examples: int) -> None:
    make, name, read = KINDS[kind]
    honest, path, outcomes = make(folder), folder / name, {"read": 0, "refused": 0}
    messages: list[str] = []

    @fuzz(examples)
    @given(st.data())
    def try_one(data: st.DataObject) -> None:
        path.write_bytes(data.draw(changed(honest)))
        with nothing_happens():
            try:
                read(path)
                outcomes["read"] += 1
            except (UserError, FileNotFoundError) as error:
                outcomes["refused"] += 1
                messages.append(str(error))

    try_one()
    assert all(any(name in text for name in ("fuzzed", INFO_NAME, "index.pkl", ".bin")) for text in messages)
    assert sum(outcomes.values()) >= examples
    assert outcomes["refused"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_changed_file_is_read_or_refused_by_name(tmp_path, kind):
    _try_kind(tmp_path, kind, FEW)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_hundreds_of_changed_files_are_read_or_refused_by_name(tmp_path, kind):
    _try_kind(tmp_path, kind, MANY)


@pytest.mark.parametrize("length", [1 << 62, (1 << 64) - 1, 1 << 27, 100])
def test_a_safetensors_header_that_is_too_large_or_no_json_is_refused(tmp_path, length):
    path = tmp_path / "forged.safetensors"
    path.write_bytes(length.to_bytes(8, "little") + b"[" * 1000)
    for read in (load_encoder, load_checkpoint_file):
        with pytest.raises(UserError, match=r"forged\.safetensors"), nothing_happens():
            read(path)


class _Runs:
    """Pickled, it makes a folder when it is loaded."""

    def __init__(self, marker: Path) -> None:
        self.marker = str(marker)

    def __reduce__(self) -> tuple:
        return os.mkdir, (self.marker,)


@pytest.mark.parametrize(
    ("content", "name", "read"),
    [
        (lambda attack: pickle.dumps({"metainfo": {}, "data_list": [attack]}), "crafted.pkl", open_frame_store),
        (lambda attack: pickle.dumps(attack), "crafted.pkl", open_frame_store),
        (lambda attack: pickle.dumps({"metainfo": {}, "objects": attack}), "index.pkl", GroundTruthDatabase),
        (lambda attack: pickle.dumps({"metainfo": {}, "objects": attack}), "index.pkl", GroundTruthTables),
        (lambda attack: _saved({"state_dict": {"encoder.a": attack}}), "crafted.pth", load_checkpoint_file),
        (lambda attack: pickle.dumps({"state_dict": attack}, 2), "crafted.pth", load_checkpoint_file),
        (lambda attack: pickle.dumps(attack, 2), "crafted.safetensors", load_encoder),
    ],
    ids=["info file", "only code", "paste database", "paste tables", "checkpoint", "old checkpoint", "encoder"],
)
def test_a_pickle_that_runs_code_is_refused_by_every_reader(tmp_path, content, name, read):
    marker, path = tmp_path / "it_ran", tmp_path / name
    path.write_bytes(content(_Runs(marker)))
    with pytest.raises(UserError, match=name.replace(".", r"\.")), nothing_happens():
        read(tmp_path if name == "index.pkl" else path)
    assert not marker.exists()


def _saved(content: object) -> bytes:
    out = io.BytesIO()
    torch.save(content, out)
    return out.getvalue()
