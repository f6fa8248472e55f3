"""Whitening and reduction: against an explicit decomposition, on the disk, and what is refused."""

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from ponderv2.errors import UserError
from ponderv2.teachers import FeatureReduction
from ponderv2.teachers.feature_reduction import FORMAT


def _maps(count=3, channels=6) -> list[torch.Tensor]:
    torch.manual_seed(0)
    mix = torch.randn(channels, channels)
    return [torch.einsum("dc,vchw->vdhw", mix, torch.randn(2, channels, 9, 7)) + 3 for _ in range(count)]


def _rows(maps: list[torch.Tensor]) -> list[torch.Tensor]:
    return [m.movedim(1, -1).flatten(0, 2) for m in maps]


def test_components_are_those_of_a_singular_value_decomposition_and_are_white():
    maps = _maps()
    reduction = FeatureReduction(6, 4)
    variances = reduction.fit(_rows(maps))
    rows = torch.cat(_rows(maps)).double().numpy()
    _, singular, vectors = np.linalg.svd(rows - rows.mean(axis=0), full_matrices=False)
    np.testing.assert_allclose(variances, singular**2 / len(rows), rtol=1e-4)
    expected = (rows - rows.mean(axis=0)) @ vectors[:4].T / (singular[:4] / np.sqrt(len(rows)))
    found = torch.cat(_rows([reduction(m) for m in maps]))
    signs = np.sign((found.numpy() * expected).sum(axis=0))
    np.testing.assert_allclose(found, expected * signs, atol=1e-3)
    torch.testing.assert_close(torch.cov(found.t(), correction=0), torch.eye(4), atol=1e-3, rtol=0)


def test_a_direction_without_variance_is_not_raised_to_one():
    maps = [torch.cat([m[:, :3], torch.zeros_like(m[:, :3])], dim=1) for m in _maps()]
    reduction = FeatureReduction(6, 6)
    reduction.fit(_rows(maps))
    found = reduction(maps[0])
    assert found.isfinite().all()
    assert found[:, 3:].abs().max() < 1e-2


def test_it_is_saved_without_pickle_and_loaded_for_its_own_teacher_alone(tmp_path):
    path, reduction = tmp_path / "reduction.safetensors", FeatureReduction(6, 4)
    reduction.fit(_rows(_maps()))
    reduction.save(path, "teacher")
    with safe_open(path, framework="pt") as file:
        assert set(file.keys()) == {"mean", "components"}
    other = FeatureReduction(6, 4)
    assert not other.fitted
    other.load(path, "teacher")
    assert other.fitted
    assert other.fingerprint() == reduction.fingerprint()
    with pytest.raises(UserError, match="expected a reduction of the features of teacher another"):
        other.load(path, "another")
    with pytest.raises(UserError, match="expected tensors of shapes"):
        FeatureReduction(6, 3).load(path, "teacher")
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(UserError, match="no whole safetensors file"):
        other.load(path, "teacher")
    with pytest.raises(UserError, match="no such file"):
        other.load(tmp_path / "none", "teacher")


@pytest.mark.parametrize(
    "wrong",
    [
        dict(components=torch.full((4, 6), float("nan"))),
        dict(mean=torch.full((6,), float("inf"))),
        dict(components=torch.zeros(4, 6)),
        dict(components=torch.ones(4, 6, dtype=torch.int64)),
    ],
)
def test_a_file_whose_numbers_are_no_reduction_is_refused(tmp_path, wrong):
    path, reduction = tmp_path / "reduction.safetensors", FeatureReduction(6, 4)
    reduction.fit(_rows(_maps()))
    before = reduction.fingerprint()
    save_file(dict(reduction.state_dict()) | wrong, path, metadata={"format": FORMAT, "teacher": "teacher"})
    with pytest.raises(UserError, match=r"reduction\.safetensors: expected finite floating-point numbers, and no comp"):
        reduction.load(path, "teacher")
    assert reduction.fingerprint() == before


def test_wrong_input_is_one_clear_error():
    with pytest.raises(UserError, match="channels: expected 1 to 6, the channels of the teacher, got 7"):
        FeatureReduction(6, 7)
    with pytest.raises(UserError, match="more than 4 places"):
        FeatureReduction(6, 4).fit([torch.zeros(4, 6)])
    with pytest.raises(UserError, match="expected finite features"):
        FeatureReduction(6, 4).fit([torch.full((9, 6), float("nan"))])
