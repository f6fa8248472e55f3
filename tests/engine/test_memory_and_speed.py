"""Switches of memory and speed: the result stays what it is without them."""

import copy
import os
import socket
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
from mmengine.model import BaseModel, convert_sync_batchnorm
from mmengine.optim import OptimWrapper
from torch import nn

from ponderv2.compat.cpu_distributed import install_cpu_distributed
from ponderv2.engine import CompileHook, RecomputeHook, ShardedOptimizer
from ponderv2.errors import UserError
from ponderv2.registry import MODELS
from tests.factories.camera_models import model_config, packed
from tests.factories.processes import forked
from tests.factories.small_training import Frames, small_runner


class Layers(BaseModel):
    """A head of two layers with dropout, on inputs of one number."""

    def __init__(self, norm: nn.Module | None = None) -> None:
        super().__init__()
        self.head = nn.Module()
        self.head.layers = nn.Sequential(nn.Linear(1, 64), norm or nn.LayerNorm(64), nn.GELU(), nn.Dropout(0.5))
        self.head.last = nn.Linear(64, 1)
        self.runs = 0
        self.head.layers[0].register_forward_hook(lambda *_: setattr(self, "runs", self.runs + 1))

    def forward(self, inputs: list[torch.Tensor], data_samples: list, mode: str = "loss") -> dict:
        return {"loss": self.head.last(self.head.layers(torch.stack(inputs) / 10)).square().mean()}


def _trained(folder: Path, hooks: list, model: nn.Module, **options) -> nn.Module:
    torch.manual_seed(3)
    runner = small_runner(folder, Frames(12), hooks, model, steps=3, **options)
    runner.train()
    return runner.model


def _equal(one: nn.Module, other: nn.Module, **tolerance: float) -> None:
    for (name, value), expected in zip(one.state_dict().items(), other.state_dict().values(), strict=True):
        torch.testing.assert_close(value, expected, msg=name, **tolerance)


def test_modules_are_computed_again_with_the_same_weights_at_the_end(tmp_path):
    start = Layers()
    plain = _trained(tmp_path / "plain", [], copy.deepcopy(start), randomness=dict(seed=1))
    again = Layers()
    again.load_state_dict(start.state_dict())
    hooks = [dict(type=RecomputeHook, modules=["head.layers"])]
    again = _trained(tmp_path / "again", hooks, again, randomness=dict(seed=1))
    assert again.runs == 6
    _equal(again, plain, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("modules", "norm", "words"),
    [
        (["head.nowhere"], None, r"the model has no head\.nowhere; there are head\.layers, head\.last"),
        (["head.layers"], nn.BatchNorm1d(64), r"head\.layers has a BatchNorm1d, which would count each batch twice"),
        ("head", None, r"modules: expected a list of names of modules, got 'head'"),
    ],
)
def test_modules_that_cannot_be_recomputed_are_named(tmp_path, modules, norm, words):
    with pytest.raises(UserError, match=words):
        _trained(tmp_path, [dict(type=RecomputeHook, modules=modules)], Layers(norm))


def test_the_hook_compiles_the_modules_that_are_named(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(nn.Module, "compile", lambda module, **options: seen.append((module, options)))
    model = _trained(tmp_path, [dict(type=CompileHook, modules=["head.last"], mode="max-autotune")], Layers())
    assert seen == [(model.head.last, {"mode": "max-autotune", "backend": "inductor"})]
    with pytest.raises(UserError, match=r"CompileHook: the model has no head\.renderer"):
        _trained(tmp_path, [dict(type=CompileHook)], Layers())


@pytest.mark.slow
def test_modules_are_compiled_in_place(tmp_path):
    start = Layers()
    plain = _trained(tmp_path / "plain", [], copy.deepcopy(start), randomness=dict(seed=1))
    compiled = Layers()
    compiled.load_state_dict(start.state_dict())
    # Without a compiler of C++, and without the checks of shapes, which cannot be compiled.
    hooks = [dict(type=CompileHook, modules=["head.layers"], backend="aot_eager")]
    compiled = _trained(tmp_path / "compiled", hooks, compiled, randomness=dict(seed=1))
    assert compiled.head.layers._compiled_call_impl is not None
    _equal(compiled, plain)


def test_accumulated_gradients_are_those_of_the_larger_batch(frame_root):
    config = model_config() | dict(masking=dict(image_ratio=0.0, point_ratio=0.0))
    config["head"] |= dict(norm_cfg=dict(type="IN3d", affine=True))
    config["encoder"] |= dict(norm_cfg=dict(type="IN3d", affine=True))
    model = MODELS.build(config).train()
    # Samples along rays are drawn at random.
    model.head.renderer.eval()
    batch = packed(frame_root, samples=2)
    gradients = []
    for accumulated in (1, 2):
        model.zero_grad()
        wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.0), accumulative_counts=accumulated)
        for k in range(accumulated):
            part = {"inputs": {n: v[k : k + 1] if accumulated == 2 else v for n, v in batch["inputs"].items()}}
            part["data_samples"] = batch["data_samples"][k : k + 1] if accumulated == 2 else batch["data_samples"]
            loss, _ = model.parse_losses(model(**model.data_preprocessor(part, True), mode="loss"))
            wrapper.backward(wrapper.scale_loss(loss))
        gradients.append([p.grad.clone() for p in model.parameters() if p.grad is not None])
    assert any(gradient.abs().max() > 0 for gradient in gradients[0])
    for one, two in zip(*gradients, strict=True):
        # Sums of many terms in another order.
        assert (two - one).norm() <= 1e-3 * one.norm() + 1e-6


def test_synchronized_norms_keep_the_names_of_weights(frame_root):
    """They need a GPU to compute; `sync_bn="torch"` of a recipe converts the model like this."""
    model = MODELS.build(model_config())
    names = list(model.state_dict())
    norms = [name for name, part in model.named_modules() if isinstance(part, nn.modules.batchnorm._BatchNorm)]
    assert norms
    converted = convert_sync_batchnorm(model, "torch")
    assert list(converted.state_dict()) == names
    assert all(isinstance(converted.get_submodule(name), nn.SyncBatchNorm) for name in norms)


# ---------------------------------------------------------------------------------------------------- ZeRO-1


def _shard(folder: Path, rank: int, port: int) -> None:
    sys.stdout, sys.stderr = os.fdopen(1, "w", buffering=1), os.fdopen(2, "w", buffering=1)
    install_cpu_distributed()
    places = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ |= {name: str(value) for name, value in places.items()}
    sharded = dict(type=ShardedOptimizer, optimizer="AdamW", lr=0.1)
    launched = dict(launcher="pytorch", env_cfg=dict(dist_cfg=dict(backend="gloo")), randomness=dict(seed=1))
    results = {}
    for name, optimizer in (("plain", dict(type="AdamW", lr=0.1)), ("sharded", sharded)):
        wrapper = dict(optimizer=optimizer, clip_grad=dict(max_norm=35))
        torch.manual_seed(5)
        hooks = [dict(type="CheckpointHook", by_epoch=False, interval=3)]
        work = folder / name
        runner = small_runner(work, Frames(12), hooks, Layers(), 3, optim_wrapper=wrapper, **launched)
        runner.train()
        state = getattr(runner.optim_wrapper.optimizer, "optim", runner.optim_wrapper.optimizer).state
        elements = sum(v.numel() for values in state.values() for v in values.values())
        results[name] = {"weights": runner.model.module.state_dict(), "elements": elements}
    torch.save(results, folder / f"rank{rank}.pt")
    torch.distributed.barrier()
    os._exit(0)


@pytest.mark.skipif(torch.cuda.is_available(), reason="the processes share gloo and a CPU")
def test_a_sharded_optimizer_trains_alike_holds_half_of_the_state_and_writes_all_of_it(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    logs = [tmp_path / f"rank{rank}.log" for rank in range(2)]
    with (
        forked(partial(_shard, tmp_path, 0, port), logs[0]) as first,
        forked(partial(_shard, tmp_path, 1, port), logs[1]) as second,
    ):
        for process in (first, second):
            process.join(timeout=200)
        assert (first.exitcode, second.exitcode) == (0, 0), logs[0].read_text()[-2000:] + logs[1].read_text()[-2000:]
    ranks = [torch.load(tmp_path / f"rank{rank}.pt") for rank in range(2)]
    for rank in ranks:
        for name, value in rank["sharded"]["weights"].items():
            torch.testing.assert_close(value, rank["plain"]["weights"][name], msg=name)
    whole = ranks[0]["plain"]["elements"]
    parts = [rank["sharded"]["elements"] for rank in ranks]
    assert all(0 < part < whole for part in parts)
    # A whole one also goes into a training of a single process.
    saved = torch.load(tmp_path / "sharded" / "iter_3.pth", weights_only=False)["optimizer"]["state"]
    assert len(saved) == len(list(Layers().parameters()))


@pytest.mark.parametrize(("name", "words"), [("Adamm", "got 'Adamm'"), ("AdamW", "there is one alone")])
def test_a_sharded_optimizer_that_cannot_be_is_refused(name, words):
    with pytest.raises(UserError, match=words):
        ShardedOptimizer([nn.Parameter(torch.zeros(2))], name, lr=0.1)
