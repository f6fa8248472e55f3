"""How often the host waits for the device in a training step: at most twice in camera pre-training."""

import pytest
import torch
from mmengine.optim import OptimWrapper

from benchmarks.gpu_check.host_syncs import host_syncs
from ponderv2.geometry import row_sums
from ponderv2.lifting import pull
from ponderv2.registry import MODELS
from tests.factories.camera_models import model_config, packed


def _step(root, device):
    torch.manual_seed(0)
    model = MODELS.build(model_config())
    model.init_weights()
    model = model.to(device).train()
    # Adam's own counters are on the CPU, and reading those waits for nothing.
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4)
    wrapper = OptimWrapper(optimizer, clip_grad=dict(max_norm=35, norm_type=2))
    data = packed(root, samples=2)
    if device != "cpu":
        data = torch.utils.data._utils.pin_memory.pin_memory(data)
    return lambda: model.train_step(data, wrapper)


@pytest.fixture
def gpu_ways(monkeypatch):
    """Let a CPU take the ways through the lift and through sums of rows that a GPU takes."""

    def scatter(length, rows, offsets, weights, values, source):
        return row_sums._scatter(length, rows, offsets, weights, values if source is None else values[source])

    monkeypatch.setattr(pull, "pull_by_rows", pull.pull_by_grid_sample)
    monkeypatch.setattr(row_sums, "_sum_sorted_entries", scatter)
    monkeypatch.setattr(row_sums, "_sum_shifted_runs", scatter)


@pytest.mark.usefixtures("gpu_ways")
def test_a_camera_step_would_make_the_host_wait_twice_and_builds_no_tensor_from_a_list(frame_root):
    step = _step(frame_root, "cpu")
    step()  # Constants are kept from here on.
    found = host_syncs(step, "cpu")
    assert len(found) <= 2, "\n".join(found)
    assert not any("tensor" in line.split()[0] for line in found), "\n".join(found)
    # The number of cells that a camera sees; and the norm of the gradient, which mmengine logs.
    assert "pull.py" in found[0]


@pytest.mark.gpu
def test_a_camera_step_makes_the_host_wait_twice(frame_root):
    step = _step(frame_root, "cuda")
    step()
    found = host_syncs(step, "cuda")
    assert len(found) <= 2, "\n".join(found)


def test_what_a_gpu_would_wait_for_is_noted():
    values = torch.arange(6.0)

    def step():
        values[values > 2]
        values.nonzero()
        values.new_tensor([1.0])
        torch.tensor([1, 2])
        torch.repeat_interleave(values, values.long())
        float(values.sum())
        # These do not wait.
        torch.as_tensor(values).add(1.0).where(values > 2, 0.0)
        values[torch.arange(2)].repeat_interleave(2)

    found = [line.split()[0] for line in host_syncs(step, "cpu")]
    assert found == [
        "aten.index.Tensor",
        "aten.nonzero.default",
        "new_tensor",
        "tensor",
        "aten.repeat_interleave.Tensor",
        "aten._local_scalar_dense.default",
    ]


@pytest.mark.gpu
def test_what_a_gpu_waits_for_is_noted_there():
    values = torch.arange(6.0, device="cuda")
    assert len(host_syncs(lambda: (values[values > 2], float(values.sum())), "cuda")) >= 2
    assert host_syncs(lambda: values + 1, "cuda") == []
