"""What the hook of the head's warm-up refuses; the warm-up itself is tested in `test_tiny_detectors.py`."""

from unittest.mock import Mock

import pytest
import torch
from mmengine.model.wrappers import MMDistributedDataParallel
from mmengine.optim import DefaultOptimWrapperConstructor, build_optim_wrapper
from mmengine.runner import Runner

from ponderv2.engine import CheckedOptimWrapperConstructor, UnfreezeEncoderHook
from ponderv2.errors import UserError
from ponderv2.models import VolumeDetector
from ponderv2.registry import MODELS


def test_a_model_that_is_not_frozen_is_refused():
    with pytest.raises(ValueError, match="expected a detector or segmentor with freeze_encoder=True"):
        UnfreezeEncoderHook(after=3).before_train(Mock(spec=Runner, model=torch.nn.Linear(1, 1)))


def test_several_processes_are_refused_for_they_would_drift_apart():
    wrapped = MMDistributedDataParallel.__new__(MMDistributedDataParallel)
    with pytest.raises(ValueError, match="MMDistributedDataParallel reduces no gradients"):
        UnfreezeEncoderHook(after=3).before_train(Mock(spec=Runner, model=wrapped))


def test_a_warm_up_without_iterations_is_refused():
    with pytest.raises(ValueError, match="at least 1, got 0"):
        UnfreezeEncoderHook(after=0)


class _Encoder(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(2, 2)


class _Head(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(2, 1)


def _detector() -> VolumeDetector:
    return VolumeDetector(dict(type=_Encoder), dict(type=_Head), freeze_encoder=True)


def _runner(model: VolumeDetector, constructor: type) -> Mock:
    wrapper = build_optim_wrapper(
        model,
        dict(
            type="OptimWrapper",
            constructor=constructor,
            optimizer=dict(type="SGD", lr=1.0),
            paramwise_cfg=dict(custom_keys={"encoder": dict(lr_mult=0.1)}),
        ),
    )
    return Mock(spec=Runner, model=model, optim_wrapper=wrapper, iter=0)


@pytest.fixture(autouse=True, scope="module")
def _registered():
    for part in (_Encoder, _Head):
        MODELS.register_module(module=part)
    yield
    for part in (_Encoder, _Head):
        MODELS.module_dict.pop(part.__name__)


def test_an_encoder_that_joins_later_is_trained_also_with_rates_of_its_own():
    model = _detector()
    runner = _runner(model, CheckedOptimWrapperConstructor)
    hook = UnfreezeEncoderHook(after=1)
    hook.before_train(runner)
    weights = []
    for runner.iter in range(2):
        hook.before_train_iter(runner, runner.iter)
        x = torch.ones(1, 2)
        runner.optim_wrapper.update_params(model.head.layer(model.encoder.layer(x)).sum())
        weights.append(model.encoder.layer.weight.detach().clone())
    assert torch.equal(weights[0], _same_start())
    assert not torch.equal(weights[1], weights[0])


def _same_start() -> torch.Tensor:
    torch.manual_seed(0)
    return _detector().encoder.layer.weight.detach()


def test_an_optimizer_without_the_encoder_is_refused_for_it_would_never_be_trained():
    with pytest.raises(UserError, match=r"lacks 2 of 2 parameters of the encoder.*CheckedOptimWrapperConstructor"):
        UnfreezeEncoderHook(after=1).before_train(_runner(_detector(), DefaultOptimWrapperConstructor))
