"""The branches: frozen maps and their cache, the student, and what keeps consensus from a collapse."""

import pytest
import torch

from ponderv2.errors import UserError
from ponderv2.geometry import sample_maps
from ponderv2.registry import MODELS
from ponderv2.rendering import feature_loss
from ponderv2.structures import CameraRig, RayBatch, SensorBatch
from ponderv2.teachers import (
    ConsensusImageBranch,
    FrozenImageBranch,
    direction_moments,
    effective_rank,
    spread_of,
)
from tests.factories.image_teachers import PixelTeacher


def _fitted(kind=FrozenImageBranch, **kwargs):
    branch = MODELS.build(dict(type=kind, teacher=dict(type=PixelTeacher), channels=8, **kwargs))
    torch.manual_seed(1)
    branch.fit_reduction(torch.rand(4, 3, 32, 32))
    return branch


def test_the_teacher_is_in_no_checkpoint_and_no_optimizer_and_moves_with_the_branch():
    branch = _fitted().train()
    assert set(branch.state_dict()) == {"reduction.mean", "reduction.components", "teacher_fingerprint"}
    assert list(branch.parameters()) == []
    assert not branch.teacher.training
    assert branch.double().teacher.network.weight.dtype == torch.float64


def test_maps_are_whitened_features_of_the_teacher():
    branch, pictures = _fitted(), torch.rand(2, 3, 3, 32, 32)
    maps = branch(pictures, [None, None]).target
    assert maps.shape == (2, 3, 8, 8, 8)
    raw = branch.teacher(pictures[1])
    expected = torch.einsum("dc,vchw->vdhw", branch.reduction.components, raw - branch.reduction.mean[:, None, None])
    torch.testing.assert_close(maps[1], expected, atol=2e-3, rtol=2e-3)


def test_a_second_pass_reads_the_cache_and_gives_the_same_bits(tmp_path, monkeypatch):
    cache = dict(folder=str(tmp_path), limit=1)
    first, pictures = _fitted(cache=cache), torch.rand(2, 3, 3, 32, 32)
    maps = first(pictures, ["a1", "b2"]).target
    second = _fitted(cache=cache)
    monkeypatch.setattr(second.teacher.network, "forward", None)
    assert torch.equal(second(pictures, ["a1", "b2"]).target, maps)
    assert (first.cache.hits, second.cache.hits) == (0, 2)
    # Features of another teacher, of another reduction and of padded pictures have other names.
    other = MODELS.build(dict(type=FrozenImageBranch, teacher=dict(type=PixelTeacher, seed=1), channels=8, cache=cache))
    other.reduction.load_state_dict(first.reduction.state_dict())
    other(pictures, ["a1", "b2"])
    first.reduction.components.mul_(2)
    first.load_state_dict(first.state_dict())
    first(pictures, ["a1", "b2"])
    assert other.cache.hits == first.cache.hits == 0


@pytest.mark.parametrize("kind", [FrozenImageBranch, ConsensusImageBranch])
def test_a_checkpoint_of_another_teacher_is_refused_and_one_that_does_not_tell_is_loaded(kind, monkeypatch):
    branch, said = _fitted(kind), []
    monkeypatch.setattr("ponderv2.teachers.image_branches.print_log", lambda text, **_: said.append(text))
    same = MODELS.build(dict(type=kind, teacher=dict(type=PixelTeacher), channels=8))
    other = MODELS.build(dict(type=kind, teacher=dict(type=PixelTeacher, seed=1), channels=8))
    weights = branch.state_dict()
    same.load_state_dict(weights)
    with pytest.raises(
        UserError, match=r"was trained with the teacher \w{12}, and model.image_branch.teacher is another"
    ):
        other.load_state_dict(weights)
    assert not other.reduction.fitted
    assert said == []
    del weights["teacher_fingerprint"]
    other.load_state_dict(weights)
    assert other.reduction.fitted
    (line,) = said
    assert "the checkpoint does not tell its teacher" in line
    assert bytes(other.state_dict()["teacher_fingerprint"].tolist()).hex() == other.fingerprint


def test_without_a_reduction_there_is_one_clear_error():
    branch = MODELS.build(dict(type=FrozenImageBranch, teacher=dict(type=PixelTeacher), channels=4))
    with pytest.raises(UserError, match="not fitted; put FitFeatureReductionHook into custom_hooks"):
        branch(torch.rand(1, 1, 3, 8, 8), [None])


def test_the_student_starts_as_the_teacher_and_the_average_follows_it():
    branch, pictures = _fitted(ConsensusImageBranch, momentum=0.75).train(), torch.rand(1, 2, 3, 32, 32)
    maps = branch(pictures, [None])
    torch.testing.assert_close(maps.student, maps.frozen, atol=2e-3, rtol=2e-3)
    torch.testing.assert_close(maps.target, maps.frozen, atol=2e-3, rtol=2e-3)
    before = branch.average.network.weight.clone()
    with torch.no_grad():
        branch.student.network.weight += 1
    branch(pictures, [None])
    torch.testing.assert_close(branch.average.network.weight, before + 0.25)
    branch.eval()(pictures, [None])
    torch.testing.assert_close(branch.average.network.weight, before + 0.25)
    trained = {name for name, parameter in branch.named_parameters() if parameter.requires_grad}
    assert trained == {"student.network.weight", "student.network.bias"}


def _train(anchor: float, steps: int = 150) -> tuple[float, float]:
    """Train a student and a table in place of the volume where pictures tell nothing of the place: they are noise.

    Returns:
        Spread and effective rank of the student's features at the end.
    """
    branch = _fitted(ConsensusImageBranch, anchor=anchor, views=0.0, momentum=0.9).train()
    generator = torch.Generator().manual_seed(0)
    table = torch.nn.Parameter(torch.randn(1, 2, 30, 8, generator=generator))
    trained = [table, *(p for p in branch.parameters() if p.requires_grad)]
    optimizer = torch.optim.Adam(trained, lr=0.03)
    every = torch.ones(1, 2, 30, dtype=torch.bool)
    nowhere = torch.zeros(1, 2, 4, 4)
    rig = CameraRig(nowhere, nowhere, nowhere, nowhere, torch.full((1, 2, 2), 32), (32, 32))
    for _ in range(steps):
        pictures = torch.rand(1, 2, 3, 32, 32, generator=generator)
        pixels = 31 * torch.rand(1, 2, 30, 2, generator=generator)
        maps = branch(pictures, [None])
        target = sample_maps(maps.target, branch.cells, pixels)
        zeros = torch.zeros(1, 2, 30, 3)
        rays = RayBatch(zeros, zeros, every, torch.ones(1, 2, 30), pixels, features=target)
        losses = branch.losses(maps, rays, table, SensorBatch(rig, pictures))
        loss = feature_loss(table, target, every)
        loss = loss + sum(value for name, value in losses.items() if name.startswith("loss_"))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    student = sample_maps(maps.student, branch.cells, pixels)
    mean, moment = direction_moments(student, every)
    return float(spread_of(mean, moment)), float(effective_rank(moment))


def test_without_the_anchor_features_collapse_and_with_it_they_do_not():
    spread, rank = _train(anchor=0.0)
    assert rank < 2.5
    assert spread < 0.4
    spread, rank = _train(anchor=1.0)
    assert rank > 6
    assert spread > 0.6


@pytest.mark.parametrize("mode", ["cosine", "l2"])
def test_constant_features_lose_to_identity(mode):
    branch = _fitted()
    torch.manual_seed(2)
    target = branch(torch.rand(1, 1, 3, 64, 64), [None]).target.flatten(3).transpose(2, 3)[0]
    every = torch.ones(target.shape[:-1], dtype=torch.bool)
    assert feature_loss(target, target, every, mode) == pytest.approx(0, abs=1e-5)
    for constant in (target.mean(dim=1, keepdim=True), torch.ones_like(target)):
        assert feature_loss(constant.expand_as(target), target, every, mode) > 0.5
