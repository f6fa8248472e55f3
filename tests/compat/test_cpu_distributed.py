"""`compat.cpu_distributed`: mmengine's launchers and DDP over gloo, without CUDA."""

import json
import os
import subprocess
import sys
import textwrap

import pytest
import torch
from torch import distributed, nn

mmengine = pytest.importorskip("mmengine")

from mmengine.dist import utils  # noqa: E402
from mmengine.model import MMDistributedDataParallel  # noqa: E402

from ponderv2.compat.cpu_distributed import install_cpu_distributed  # noqa: E402

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="the faults are those of a machine without CUDA")

install_cpu_distributed()


@pytest.fixture
def one_process(tmp_path):
    """A process group of this process alone."""
    distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/group", rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


@pytest.fixture
def launcher_environment(tmp_path, monkeypatch):
    """What torchrun and srun tell a job of one process, and arguments that need no free port."""
    for name, value in {
        "RANK": 0,
        "LOCAL_RANK": 0,
        "WORLD_SIZE": 1,
        "SLURM_PROCID": 0,
        "SLURM_LOCALID": 0,
        "SLURM_NTASKS": 1,
        "SLURM_NODELIST": "localhost",
        "MASTER_ADDR": "localhost",
        "MASTER_PORT": 29500,
    }.items():
        monkeypatch.setenv(name, str(value))
    yield {"init_method": f"file://{tmp_path}/group", "rank": 0, "world_size": 1}
    if distributed.is_initialized():
        distributed.destroy_process_group()


@pytest.mark.parametrize("launcher", ["pytorch", "slurm"])
def test_a_launcher_makes_a_gloo_group(launcher, launcher_environment):
    utils.init_dist(launcher, backend="gloo", **launcher_environment)
    assert utils.get_backend() == "gloo"
    assert utils.get_world_size() == 1


def test_nccl_is_refused_with_what_to_set(launcher_environment):
    with pytest.raises(ValueError, match=r"env_cfg\.dist_cfg\.backend=gloo"):
        utils.init_dist("pytorch", backend="nccl", **launcher_environment)


def test_cuda_stays_an_error_elsewhere(launcher_environment):
    before = torch.cuda.set_device
    utils.init_dist("pytorch", backend="gloo", **launcher_environment)
    assert torch.cuda.set_device is before


@pytest.mark.usefixtures("one_process")
def test_ddp_of_a_module_on_cpu_ignores_the_local_rank():
    model = MMDistributedDataParallel(module=nn.Linear(2, 1), device_ids=[0], broadcast_buffers=False)
    assert model.device_ids is None
    model(torch.ones(1, 2)).sum().backward()
    assert model.module.weight.grad.tolist() == [[1, 1]]


def test_installing_again_changes_nothing():
    before = utils._init_dist_pytorch, MMDistributedDataParallel.__init__
    install_cpu_distributed()
    assert (utils._init_dist_pytorch, MMDistributedDataParallel.__init__) == before


def test_nothing_changes_where_there_is_cuda(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    own = utils._init_dist_pytorch.__wrapped__
    monkeypatch.setattr(utils, "_init_dist_pytorch", own)
    install_cpu_distributed()
    assert utils._init_dist_pytorch is own


PROGRAM = """
    import json, sys
    from ponderv2.compat.cpu_distributed import install_cpu_distributed
    install_cpu_distributed()
    import torch
    from mmengine.dist import all_gather_object, collect_results, get_rank
    from mmengine.model import BaseModel
    from mmengine.runner import Runner

    class Mean(BaseModel):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(()))

        def forward(self, inputs, mode):
            return {"loss": (self.weight * inputs).sum()}

    runner = Runner(
        model=Mean(),
        work_dir=sys.argv[1],
        train_dataloader=dict(
            dataset=[{"inputs": torch.tensor(float(i))} for i in range(4)],
            batch_size=1,
            sampler=dict(type="DefaultSampler", shuffle=False),
            collate_fn=dict(type="default_collate"),
        ),
        train_cfg=dict(type="IterBasedTrainLoop", max_iters=2),
        optim_wrapper=dict(optimizer=dict(type="SGD", lr=1.0)),
        launcher="pytorch",
        env_cfg=dict(dist_cfg=dict(backend="gloo")),
        log_level="ERROR",
    )
    runner.train()
    weights = all_gather_object(runner.model.module.weight.item())
    results = collect_results([get_rank()], 2)
    if get_rank() == 0:
        wrapper = type(runner.model).__name__
        print("REPORT", json.dumps({"wrapper": wrapper, "weights": weights, "results": results}))
    # None may leave while another still talks to it.
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()
"""


@pytest.mark.slow
def test_two_processes_train_as_one(tmp_path):
    program = tmp_path / "train.py"
    program.write_text(textwrap.dedent(PROGRAM))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", program]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, tmp_path / "work"],
        capture_output=True,
        text=True,
        env=environment,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    (report,) = [line for line in done.stdout.splitlines() if line.startswith("REPORT")]
    # The gradient is the mean of the inputs 0 and 1, then of 2 and 3.
    assert json.loads(report.removeprefix("REPORT")) == {
        "wrapper": "MMDistributedDataParallel",
        "weights": [-3.0, -3.0],
        "results": [0, 1],
    }


def test_the_fault_mmengine_sets_a_cuda_device(launcher_environment):
    with pytest.raises((AttributeError, AssertionError, RuntimeError)):
        utils._init_dist_pytorch.__wrapped__("gloo", **launcher_environment)
    assert not distributed.is_initialized()


@pytest.mark.usefixtures("one_process")
def test_the_fault_ddp_gets_a_cuda_device():
    own_init = MMDistributedDataParallel.__init__.__wrapped__
    model = MMDistributedDataParallel.__new__(MMDistributedDataParallel)
    with pytest.raises((ValueError, RuntimeError, AssertionError)):
        own_init(model, module=nn.Linear(2, 1), device_ids=[0])
