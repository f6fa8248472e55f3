"""What the hook of the head's warm-up refuses; the warm-up itself is tested in `test_tiny_detectors.py`."""

from unittest.mock import Mock

import pytest
import torch
from mmengine.model.wrappers import MMDistributedDataParallel
from mmengine.runner import Runner

from ponderv2.engine import UnfreezeEncoderHook


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
