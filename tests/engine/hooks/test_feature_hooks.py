"""Hooks around features: when a reduction is fitted, loaded or kept, and when the alarm of a collapse sounds."""

from types import SimpleNamespace
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from mmengine.logging import MMLogger
from mmengine.runner import Runner

from ponderv2.engine import CollapseAlarmHook, FitFeatureReductionHook
from ponderv2.engine.hooks.feature_hooks import REDUCTION_FILE
from ponderv2.errors import UserError
from ponderv2.geometry import sample_maps
from ponderv2.models import ImageFeaturePretrainer
from ponderv2.structures import RayBatch, SensorBatch
from ponderv2.teachers import FrozenImageBranch
from tests.factories.image_teachers import PixelTeacher


class _Pretrainer(ImageFeaturePretrainer):
    """An image branch and nothing else; rays run through every second pixel of its batches of pictures."""

    def __init__(self) -> None:
        torch.nn.Module.__init__(self)
        self.image_branch = FrozenImageBranch(dict(type=PixelTeacher), channels=4)

    def data_preprocessor(self, pictures):
        size, (height, width) = pictures.shape[:-3], pictures.shape[-2:]
        grid = torch.meshgrid(torch.arange(width) + 0.5, torch.arange(height) + 0.5, indexing="xy")
        pixels = torch.stack(grid, dim=-1).flatten(0, 1).expand(*size, -1, 2)
        depth = (torch.arange(width * height) % 2).float().expand(*size, -1)
        towards = torch.zeros(*depth.shape, 3)
        rays = RayBatch(towards, towards, torch.ones_like(depth, dtype=torch.bool), depth, pixels)
        return {"inputs": SensorBatch(images=pictures, rays=rays)}

    def pictures_of(self, inputs):
        return inputs


def _runner(folder, model, frames=20):
    asked = []

    class Frames:
        def __len__(self):
            return frames

        def __getitem__(self, row):
            asked.append(row)
            np.random.random(), torch.rand(1)
            return torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(row))

    loader = SimpleNamespace(dataset=Frames(), collate_fn=torch.stack)
    return Mock(spec=Runner, model=model, work_dir=str(folder), train_dataloader=loader, iter=0), asked


def test_a_reduction_is_fitted_once_to_frames_all_over_the_set_and_random_numbers_stay(tmp_path):
    model = _Pretrainer()
    runner, asked = _runner(tmp_path, model)
    np.random.seed(0), torch.manual_seed(0)
    expected = np.random.random(), float(torch.rand(1))
    np.random.seed(0), torch.manual_seed(0)
    FitFeatureReductionHook(num_frames=5).before_train(runner)
    assert asked == [0, 5, 10, 14, 19]
    assert model.image_branch.reduction.fitted
    assert (np.random.random(), float(torch.rand(1))) == expected
    fitted = model.image_branch.reduction.fingerprint()
    # Resumed: the checkpoint has it. Started again in the same folder: the file has it.
    FitFeatureReductionHook(num_frames=5).before_train(runner)
    again = _Pretrainer()
    other, asked_again = _runner(tmp_path, again)
    FitFeatureReductionHook(num_frames=7).before_train(other)
    assert (len(asked), asked_again) == (5, [])
    assert again.image_branch.reduction.fingerprint() == fitted
    (tmp_path / REDUCTION_FILE).unlink()
    anew = _Pretrainer()
    FitFeatureReductionHook(num_frames=5).before_train(_runner(tmp_path, anew)[0])
    assert anew.image_branch.reduction.fingerprint() == fitted


def test_the_reduction_is_fitted_to_rays_with_a_return_alone(tmp_path):
    model = _Pretrainer()
    runner, _ = _runner(tmp_path, model)
    FitFeatureReductionHook(num_frames=20).before_train(runner)
    found, others = [], []
    branch = model.image_branch
    for row in range(20):
        inputs = model.data_preprocessor(runner.train_dataloader.dataset[row][None])["inputs"]
        maps = branch.reduction(branch.raw_maps(inputs.images[0]))[None]
        features = sample_maps(maps, branch.cells, inputs.rays.pixels)
        found.append(features[inputs.rays.has_depth]), others.append(features[~inputs.rays.has_depth])
    torch.testing.assert_close(torch.cat(found).mean(dim=0), torch.zeros(4), atol=1e-4, rtol=0)
    assert torch.cat(others).mean(dim=0).abs().max() > 1e-3


@pytest.fixture
def warnings(monkeypatch):
    said = []
    monkeypatch.setattr(MMLogger, "get_current_instance", lambda: SimpleNamespace(warning=said.append))
    return said


def _watch(hook, values, name="rank_2d"):
    for k, value in enumerate(values):
        hook.after_train_iter(Mock(spec=Runner, iter=k), k, outputs={name: torch.tensor(value)})


def test_the_alarm_sounds_after_patience_and_is_repeated(warnings):
    hook = CollapseAlarmHook(dict(rank_2d=3.0), patience=3)
    _watch(hook, [2.0, 2.0, 4.0, 2.0, 2.0])
    assert warnings == []
    _watch(hook, [float("nan")])
    (said,) = warnings
    assert "rank_2d is nan, below 3 for 3 iterations; raise the weight of the anchor" in said
    _watch(hook, [1.0] * 7)
    assert len(warnings) == 3


def test_batches_without_returns_neither_count_nor_end_a_row_and_dead_features_count(warnings):
    hook = CollapseAlarmHook(dict(spread_2d=0.1), patience=3)
    values = [(0.0, 9), (float("nan"), 0), (float("nan"), 0), (0.0, 9), (float("nan"), 0)]
    for k, (spread, returns) in enumerate(values):
        outputs = {"spread_2d": torch.tensor(spread), "returns": torch.tensor(returns)}
        hook.after_train_iter(Mock(spec=Runner, iter=k), k, outputs=outputs)
    assert warnings == []
    # Features that are not finite, in a batch with returns.
    outputs = {"spread_2d": torch.tensor(float("nan")), "returns": torch.tensor(9.0)}
    hook.after_train_iter(Mock(spec=Runner, iter=5), 5, outputs=outputs)
    assert len(warnings) == 1


def test_the_alarm_waits_for_its_beginning_and_stops_a_training_on_request(warnings):
    hook = CollapseAlarmHook(dict(rank_2d=3.0), begin=4, patience=2, stop=True)
    _watch(hook, [1.0] * 5)
    with pytest.raises(UserError, match=r"iteration 5: features collapse: rank_2d is 1, below 3 for 2 iterations"):
        _watch(hook, [1.0] * 6)
    assert warnings == []


def test_wrong_input_is_one_clear_error(tmp_path):
    with pytest.raises(UserError, match="num_frames: expected a whole number of at least 1, got 0"):
        FitFeatureReductionHook(num_frames=0)
    with pytest.raises(UserError, match="expected measures to watch and a patience of at least 1"):
        CollapseAlarmHook({})
    with pytest.raises(UserError, match="'rank_2d' is not logged; there are"):
        _watch(CollapseAlarmHook(dict(rank_2d=3.0)), [1.0], name="loss")
    with pytest.raises(UserError, match="FitFeatureReductionHook: expected an ImageFeaturePretrainer, got Linear"):
        FitFeatureReductionHook().before_train(_runner(tmp_path, torch.nn.Linear(1, 1))[0])
