"""Projections: what two modalities share is found, and files are read as they were written."""

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from ponderv2.errors import UserError
from ponderv2.retrieval import Describer, Projection, fit_centering, fit_common_space, hashes_of
from tests.retrieval.places import SETTINGS

MADE_BY = Describer(SETTINGS, "encoder", channels="volume")


def _two_views(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Four numbers that both modalities know, each in a mix of its own with louder ones that say nothing."""
    fixed, rng = np.random.default_rng(9), np.random.default_rng(seed)
    shared = rng.normal(size=(count, 4))
    views = []
    for width in (20, 24):
        mix = fixed.normal(size=(4 + 6, width))
        own = rng.normal(size=(count, 6)) * 3
        views.append((np.concatenate([shared, own], axis=1) @ mix + 5).astype(np.float32))
    return views[0], views[1]


def test_a_common_space_finds_the_same_frame_in_the_other_modality():
    projection = fit_common_space(*_two_views(400, 0), MADE_BY, channels=4, ridge=1e-4)
    image, lidar = _two_views(100, 1)
    cosine = projection(image, "image") @ projection(lidar, "lidar").T
    assert (cosine.argmax(axis=1) == np.arange(100)).mean() > 0.9
    unit = [view[:, :20] / np.linalg.norm(view[:, :20], axis=1, keepdims=True) for view in (image, lidar)]
    assert ((unit[0] @ unit[1].T).argmax(axis=1) == np.arange(100)).mean() < 0.1


def test_what_all_descriptors_of_a_modality_share_is_left_out():
    rng = np.random.default_rng(0)
    places, sky, road = rng.normal(size=(60, 12)), 9 * rng.normal(size=12), 9 * rng.normal(size=12)
    image, lidar = places + sky + 0.3 * rng.normal(size=(60, 12)), places + road + 0.3 * rng.normal(size=(60, 12))

    def found(a: np.ndarray, b: np.ndarray) -> float:
        unit = [view / np.linalg.norm(view, axis=1, keepdims=True) for view in (a, b)]
        return float(((unit[0] @ unit[1].T).argmax(axis=1) == np.arange(len(a))).mean())

    projection = fit_centering({"image": image[:20], "lidar": lidar[:20]}, MADE_BY)
    assert found(image[20:], lidar[20:]) < 0.3
    assert found(projection(image[20:], "image"), projection(lidar[20:], "lidar")) > 0.8


def test_a_projection_is_read_as_it_was_written(tmp_path):
    image, lidar = _two_views(50, 0)
    centering = fit_centering({"lidar": lidar}, MADE_BY)
    centering.save(tmp_path / "c.safetensors")
    assert Projection.load(tmp_path / "c.safetensors").fingerprint == centering.fingerprint
    projection = fit_common_space(image, lidar, MADE_BY, ["a", "b"], channels=4)
    projection.save(tmp_path / "p.safetensors")
    found = Projection.load(tmp_path / "p.safetensors")
    assert (found.fingerprint, found.made_by) == (projection.fingerprint, MADE_BY)
    np.testing.assert_array_equal(found.frames, hashes_of(["a", "b"]))
    with pytest.raises(UserError, match="expected descriptors of 20 numbers, got 24"):
        found(_two_views(2, 0)[1], "image")
    with pytest.raises(UserError, match="it was fitted to \\['lidar'\\], not to image"):
        fit_centering({"lidar": _two_views(9, 0)[1]}, MADE_BY)(_two_views(2, 0)[0], "image")


@pytest.mark.parametrize("content", [b"", b"not safetensors at all"])
def test_files_that_hold_something_else_are_refused(tmp_path, content):
    (tmp_path / "p.safetensors").write_bytes(content)
    with pytest.raises(UserError, match="no whole safetensors file"):
        Projection.load(tmp_path / "p.safetensors")
    save_file({"x": np.zeros(2, np.float32)}, tmp_path / "x.safetensors")
    with pytest.raises(UserError, match=r"expected format ponderv2\.place_projection\.v2, found None"):
        Projection.load(tmp_path / "x.safetensors")


def test_matrices_to_two_spaces_and_files_that_do_not_tell_their_frames_are_refused(tmp_path):
    image, lidar = _two_views(50, 0)
    fit_common_space(image, lidar, MADE_BY, channels=4).save(tmp_path / "p.safetensors")
    with safe_open(tmp_path / "p.safetensors", framework="numpy") as file:
        tensors, note = {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118
    for changes, message in (
        ({"lidar.matrix": tensors["lidar.matrix"][:, :3].copy()}, "expected matrices to one space, found columns"),
        ({"frames": np.zeros((2, 2), np.int64)}, "expected frames, encoder and channels"),
        ({"image.mean": np.zeros(20, np.int32)}, "image: mean and matrix do not fit"),
    ):
        save_file(tensors | changes, tmp_path / "p.safetensors", metadata=note)
        with pytest.raises(UserError, match=message):
            Projection.load(tmp_path / "p.safetensors")


def test_frames_with_nothing_in_them_stay_unlike_each_other():
    lidar = _two_views(50, 0)[1]
    found = fit_centering({"lidar": lidar}, MADE_BY)(np.concatenate([np.zeros_like(lidar[:2]), lidar[:1]]), "lidar")
    np.testing.assert_allclose(found @ found.T, np.diag([0, 0, 1]), atol=1e-6)
