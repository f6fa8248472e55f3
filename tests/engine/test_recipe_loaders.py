"""Data loaders of a recipe: pinned memory where there is a GPU, one order of frames for all processes."""

import json
import os
import subprocess
import sys
import textwrap

import pytest
import torch
from mmengine.config import Config

from ponderv2.engine import load_config
from ponderv2.engine.recipe_loaders import set_loaders
from ponderv2.structures import CameraRig, RayBatch, SensorBatch
from tests.factories.camera_models import packed


def _config(**randomness) -> Config:
    loader = dict(sampler=dict(type="DefaultSampler", shuffle=True))
    return Config(
        dict(train_dataloader=loader, val_dataloader=dict(loader), test_dataloader=None, randomness=randomness)
    )


@pytest.mark.parametrize("there", [True, False])
def test_memory_is_pinned_where_there_is_a_gpu_unless_the_loader_says_otherwise(monkeypatch, there):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    config = _config()
    config.val_dataloader.pin_memory = False
    set_loaders(config)
    assert config.train_dataloader.get("pin_memory", False) is there
    assert config.val_dataloader.pin_memory is False


def test_samplers_have_the_seed_of_the_recipe_where_processes_have_their_own():
    config = _config(seed=7, diff_rank_seed=True)
    config.val_dataloader.sampler.seed = 3
    set_loaders(config)
    assert (config.train_dataloader.sampler.seed, config.val_dataloader.sampler.seed) == (7, 3)
    for randomness in (dict(seed=7), dict(seed=None, diff_rank_seed=True), dict()):
        config = _config(**randomness)
        set_loaders(config)
        assert "seed" not in config.train_dataloader.sampler


def test_every_recipe_differs_by_process_synchronizes_buffers_and_looks_for_fast_convolutions(repository):
    for path in sorted((repository / "configs").glob("[!_]*/*.py")):
        if path.parent.name == "interop":
            continue
        config = load_config(path)
        assert config.randomness.diff_rank_seed, path
        assert config.default_hooks.sync_buffers.type.__name__ == "SyncBuffersHook", path
        assert config.default_hooks.runtime_info.type.__name__ == "GatheredRuntimeInfoHook", path
        assert config.env_cfg.cudnn_benchmark, path


def test_carriers_are_pinned_part_by_part(frame_root, monkeypatch):
    monkeypatch.setattr(
        torch.Tensor, "pin_memory", lambda self, device=None: self + 0 if self.dtype != torch.bool else ~~self
    )
    batch = packed(frame_root)
    pinned = torch.utils.data._utils.pin_memory.pin_memory(batch)["inputs"]
    for name, kind in (("rig", CameraRig), ("rays", RayBatch)):
        (one,), (other,) = batch["inputs"][name], pinned[name]
        assert isinstance(other, kind)
        for field, value in vars(one).items():
            if isinstance(value, torch.Tensor):
                assert getattr(other, field) is not value, field
                assert torch.equal(getattr(other, field), value), field
            else:
                assert getattr(other, field) == value


@pytest.mark.gpu
def test_a_pinned_batch_reaches_the_gpu_without_waiting(frame_root):
    from benchmarks.gpu_check.host_syncs import host_syncs
    from ponderv2.models import SensorPreprocessor

    batch = torch.utils.data._utils.pin_memory.pin_memory(packed(frame_root))
    assert batch["inputs"]["img"][0].is_pinned()
    assert batch["inputs"]["rays"][0].depth.is_pinned()
    preprocessor = SensorPreprocessor().cuda()
    preprocessor(batch)
    kept = []
    assert host_syncs(lambda: kept.append(preprocessor(batch)["inputs"]), "cuda") == []
    expected = SensorPreprocessor()(packed(frame_root))["inputs"]
    assert isinstance(kept[0], SensorBatch)
    torch.testing.assert_close(kept[0].images.cpu(), expected.images)


PROGRAM = """
    import json, sys
    import torch
    from mmengine.dist import all_gather_object, get_rank
    from mmengine.model import BaseModel
    from mmengine.runner import Runner
    from ponderv2.compat.cpu_distributed import install_cpu_distributed
    from ponderv2.masking import draw_block_mask

    install_cpu_distributed()
    seen = []

    class Model(BaseModel):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(4, 2)
            self.norm = torch.nn.BatchNorm1d(2)

        def init_weights(self):
            torch.nn.init.normal_(self.layer.weight)

        def forward(self, inputs, mode):
            # What is drawn in a forward pass: a mask, the jitter of samples.
            seen.append([inputs.tolist(), draw_block_mask(1, (64, 64)).int().tolist(), torch.rand(1).item()])
            return {"loss": self.norm(self.layer(inputs[:, None].expand(-1, 4))).square().sum()}

    recipe = json.loads(sys.argv[2])
    runner = Runner(
        model=Model(),
        work_dir=sys.argv[1],
        train_dataloader=dict(
            dataset=[{"inputs": torch.tensor(float(i))} for i in range(8)],
            batch_size=2,
            collate_fn=dict(type="default_collate"),
            **recipe["train_dataloader"],
        ),
        train_cfg=dict(by_epoch=True, max_epochs=1),
        optim_wrapper=dict(optimizer=dict(type="SGD", lr=0.1)),
        randomness=recipe["randomness"],
        launcher="pytorch",
        default_hooks=dict(sync_buffers=dict(type="SyncBuffersHook")),
        env_cfg=dict(dist_cfg=dict(backend="gloo")),
        log_level="ERROR",
    )
    runner.train()
    model = runner.model.module
    report = {
        "seen": seen,
        "weights": model.layer.weight.tolist(),
        "mean": model.norm.running_mean.tolist(),
        "batches": model.norm.num_batches_tracked.item(),
    }
    reports = all_gather_object(report)
    if get_rank() == 0:
        print("REPORT", json.dumps(reports))
    # None may leave while another still talks to it.
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()
"""


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="the processes share gloo and a CPU")
def test_two_processes_differ_in_what_they_draw_and_agree_in_weights_order_and_statistics(tmp_path):
    program = tmp_path / "train.py"
    program.write_text(textwrap.dedent(PROGRAM))
    config = _config(seed=5, diff_rank_seed=True)
    set_loaders(config)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", program]
    done = subprocess.run(
        [*command, tmp_path / "work", json.dumps(config.to_dict())],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("REPORT")]
    first, second = json.loads(line.removeprefix("REPORT"))
    # Eight frames, each once, in the order of one seed.
    order = torch.randperm(8, generator=torch.Generator().manual_seed(5)).float().tolist()
    for rank, report in enumerate((first, second)):
        frames = [frame for inputs, _, _ in report["seen"] for frame in inputs]
        assert frames == order[rank::2]
    assert all(one[2] != other[2] for one, other in zip(first["seen"], second["seen"], strict=True))
    assert [mask for _, mask, _ in first["seen"]] != [mask for _, mask, _ in second["seen"]]
    assert first["weights"] == second["weights"]
    assert first["mean"] == second["mean"]
    assert first["batches"] == second["batches"] == 2
