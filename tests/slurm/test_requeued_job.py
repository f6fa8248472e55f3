"""tools/slurm_train.sh in a real SLURM, which `one_node_slurm.sh` sets up on the loopback of this machine.

It takes root and Debian's packages slurm-wlm and munge, and some minutes: a job that is requeued waits two of them
before it starts again.
"""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from tests.engine.test_training import RECIPE, SMALL
from tests.factories.processes import wait_for

SCRIPT = Path(__file__).with_name("one_node_slurm.sh")
PROGRAMS = ("slurmctld", "slurmd", "munged", "sbatch", "srun")
MISSING = [name for name in PROGRAMS if shutil.which(name) is None]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(MISSING), reason=f"SLURM is not installed: no {', '.join(MISSING)} (slurm-wlm, munge)"),
    pytest.mark.skipif(os.geteuid() != 0, reason="the daemons of SLURM run as root"),
]


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., str]]:
    """A function that runs a command of SLURM and returns what it prints."""
    folder = tmp_path_factory.mktemp("slurm")
    subprocess.run([SCRIPT, "start", folder], check=True, timeout=60)
    environment = os.environ | {"SLURM_CONF": str(folder / "slurm.conf"), "OMP_NUM_THREADS": "1"}

    def call(*command: object) -> str:
        line = [str(part) for part in command]
        done = subprocess.run(line, cwd=Path(__file__).parents[2], env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    try:
        yield call
    finally:
        subprocess.run(["scancel", "--user=root"], env=environment, check=False)
        subprocess.run([SCRIPT, "stop", folder], check=True, timeout=60)


def submit(slurm: Callable[..., str], frame_root: Path, work_dir: Path, log: Path) -> str:
    """Submit a training of 24 iterations in two tasks; returns the number of the job."""
    options = [*SMALL, "train_cfg.max_iters=24", "train_cfg.val_interval=99"]
    options.append("default_hooks.checkpoint.interval=99")
    job = ["sbatch", "--parsable", "--ntasks=2", f"--output={log}", "tools/slurm_train.sh", RECIPE]
    return slurm(*job, "--data-root", frame_root, "--work-dir", work_dir, "--cfg-options", *options).strip()


def state(slurm: Callable[..., str], job: str) -> str:
    return slurm("squeue", "--noheader", "--states=all", "--format=%T", f"--jobs={job}").strip()


def wait_until_done(slurm: Callable[..., str], job: str, log: Path, minutes: float = 20) -> None:
    """Wait until a job has completed; one that fails is shown."""
    end = time.monotonic() + 60 * minutes
    while (found := state(slurm, job)) != "COMPLETED":
        assert found in ("PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "REQUEUED"), log.read_text()[-3000:]
        assert time.monotonic() < end, f"{found} after {minutes} minutes:\n{log.read_text()[-3000:]}"
        time.sleep(0.5)


def test_a_job_that_meets_its_limit_of_time_ends_with_the_weights_of_one_that_does_not(slurm, frame_root, tmp_path):
    interrupted, log = tmp_path / "interrupted", tmp_path / "interrupted.log"
    job = submit(slurm, frame_root, interrupted, log)
    wait_for(lambda: log.is_file() and "Iter(train) [ 3/24]" in log.read_text(), 600)
    # As SLURM does before the limit of time, `--signal=B:USR1@300`.
    slurm("scancel", "--batch", "--signal=USR1", job)
    # While it waits, the other one runs.
    undisturbed = tmp_path / "undisturbed"
    wait_for(lambda: "slurm job: goes on after 0 restarts" in log.read_text(), 300)
    assert not (interrupted / "iter_24.pth").exists()
    other = submit(slurm, frame_root, undisturbed, tmp_path / "undisturbed.log")
    wait_until_done(slurm, other, tmp_path / "undisturbed.log")
    wait_until_done(slurm, job, log)
    text = log.read_text()
    # It goes on, and does not start anew: the first step is made once.
    assert re.search(r"stopped by \w+ after iteration \d+; --resume goes on from .*/interrupted\.pth", text)
    assert text.count("Iter(train) [ 1/24]") == 1
    assert "Restarts=1" in slurm("scontrol", "show", "job", job)
    first, second = (torch.load(folder / "iter_24.pth", weights_only=False) for folder in (interrupted, undisturbed))
    assert first["state_dict"].keys() == second["state_dict"].keys()
    assert all(torch.equal(first["state_dict"][name], value) for name, value in second["state_dict"].items())
