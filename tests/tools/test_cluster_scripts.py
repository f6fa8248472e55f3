"""tools/dist_*.sh and tools/slurm_*.sh, with programs of a line in place of python, srun, scancel and scontrol.

tests/slurm runs them in a real SLURM.
"""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from ponderv2.engine.stop_signals import REQUEUE
from tests.factories.processes import wait_for

RECIPE = "configs/tiny/ponderv2_camera_synthetic.py"


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """A folder at the front of PATH whose programs write their arguments into `calls`; srun runs its command."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("python", "scancel", "scontrol"):
        write_program(folder / name, f'echo "{name} $*" >> {tmp_path}/calls')
    write_program(folder / "srun", f'echo "srun $1 $2" >> {tmp_path}/calls; shift 2; exec "$@"')
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHON", str(folder / "python"))
    for name in [name for name in os.environ if name.startswith("SLURM_")]:
        monkeypatch.delenv(name)
    return folder


@pytest.fixture
def calls(tmp_path):
    """What the programs were called with, as text."""
    return lambda: (tmp_path / "calls").read_text() if (tmp_path / "calls").exists() else ""


def write_program(path: Path, body: str) -> None:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


def start(repository: Path, script: str, *arguments: object, **environment: object) -> subprocess.Popen:
    """Start a script of tools/ in the root of the repository; `environment` is added to that of this process."""
    return subprocess.Popen(
        [f"tools/{script}.sh", *map(str, arguments)],
        cwd=repository,
        env=os.environ | {name: str(value) for name, value in environment.items()},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(*arguments: object, **environment: object) -> tuple[int, str]:
    """Run a script; returns its exit code and its standard error."""
    process = start(*arguments, **environment)
    error = process.communicate(timeout=30)[1]
    return process.returncode, error


JOB = {"SLURM_JOB_ID": 7}
ONE_OF_AN_ARRAY = {"SLURM_JOB_ID": 9, "SLURM_ARRAY_JOB_ID": 8, "SLURM_ARRAY_TASK_ID": 2}


@pytest.mark.usefixtures("programs")
def test_one_node_trains_and_tests_with_all_arguments_handed_on(repository, calls):
    assert run(repository, "dist_train", RECIPE, 8, "--work-dir", "a b", "--cfg-options", "x=1") == (0, "")
    assert run(repository, "dist_test", RECIPE, "w/iter_1.pth", 2, "--tta") == (0, "")
    beginning = "python -m torch.distributed.run --standalone"
    assert calls().splitlines() == [
        f"{beginning} --nproc-per-node=8 {repository}/tools/train.py {RECIPE} --work-dir a b --cfg-options x=1 "
        "--launcher pytorch",
        f"{beginning} --nproc-per-node=2 {repository}/tools/test.py {RECIPE} w/iter_1.pth --tta --launcher pytorch",
    ]


@pytest.mark.usefixtures("programs")
def test_several_nodes_meet_at_the_address_that_is_given(repository, calls):
    nodes = {"NNODES": 2, "NODE_RANK": 1, "MASTER_ADDR": "first", "PORT": 1234}
    assert run(repository, "dist_train", RECIPE, 8, **nodes) == (0, "")
    meeting = "--nnodes=2 --node-rank=1 --master-addr=first --master-port=1234 --nproc-per-node=8"
    assert f"torch.distributed.run {meeting} " in calls()


@pytest.mark.usefixtures("programs")
@pytest.mark.parametrize(
    ("script", "arguments", "environment", "said"),
    [
        ("dist_train", [RECIPE], {}, "usage: tools/dist_train.sh RECIPE GPUS"),
        ("dist_train", [RECIPE, "--resume"], {}, "GPUS: expected a number of processes for this node, got '--resume'"),
        ("dist_test", [RECIPE, 8], {}, "usage: tools/dist_test.sh RECIPE CHECKPOINT GPUS"),
        ("dist_train", [RECIPE, 8], {"NNODES": 2, "MASTER_ADDR": "a"}, "NNODES=2: expected NODE_RANK as well"),
        ("slurm_train", [RECIPE], {}, "not inside a SLURM job; start it with: sbatch"),
        ("slurm_train", [], JOB, "usage: sbatch [OPTIONS] tools/slurm_train.sh RECIPE"),
        ("slurm_train", [RECIPE], JOB | {"PYTHON": "no_python"}, "PYTHON=no_python: expected a python, found no such"),
        ("slurm_test", [RECIPE], JOB, "usage: sbatch [OPTIONS] tools/slurm_test.sh RECIPE CHECKPOINT"),
        ("slurm_study", ["no_study"], JOB, "usage: sbatch --array=SEEDS"),
        ("slurm_study", ["transfer_study", "--out", "o"], JOB, "not one of an array; submit with --array=0-2"),
        ("slurm_study", ["transfer_study"], ONE_OF_AN_ARRAY, "--out: expected the folder of the study"),
    ],
)
def test_what_is_missing_is_named_and_nothing_is_started(repository, calls, script, arguments, environment, said):
    code, error = run(repository, script, *arguments, **environment)
    assert (code, calls()) == (2, "")
    assert said in error


@pytest.mark.usefixtures("programs")
def test_a_job_trains_in_all_tasks_and_ends_with_their_exit_code(repository, programs, calls):
    assert run(repository, "slurm_train", RECIPE, "--scratch", **JOB) == (0, "")
    assert calls().splitlines() == [
        "srun --kill-on-bad-exit=0 --wait=300",
        f"python -u tools/train.py {RECIPE} --scratch --launcher slurm "
        "--work-dir work_dirs/ponderv2_camera_synthetic_scratch",
    ]
    write_program(programs / "python", "exit 3")
    assert run(repository, "slurm_train", RECIPE, **JOB)[0] == 3
    assert "requeue" not in calls()


@pytest.mark.parametrize("script", ["slurm_train", "slurm_test", "slurm_study", "_slurm_job", "_torchrun"])
def test_arrays_that_may_be_empty_are_guarded_against_old_bash(repository, script):
    """Before bash 4.4 they are unset variables, which `set -u` ends a script for; there is none here to try it with."""
    bare = re.findall(r'(?<!\+)"\$\{options\[@\]\}"', (repository / "tools" / f"{script}.sh").read_text())
    assert bare == []


@pytest.mark.usefixtures("programs")
def test_only_a_job_that_was_requeued_resumes_by_itself(repository, tmp_path, calls):
    line = (repository, "slurm_train", RECIPE, f"--work-dir={tmp_path}")
    # Requeued before its first checkpoint.
    assert run(*line, SLURM_RESTART_COUNT=1, **JOB) == (0, "")
    assert calls().splitlines()[-1].endswith(f"--work-dir={tmp_path} --launcher slurm")
    (tmp_path / "last_checkpoint").write_text("iter_1.pth")
    assert run(*line, SLURM_RESTART_COUNT=1, **JOB) == (0, "")
    assert calls().splitlines()[-1].endswith("--launcher slurm --resume")
    (tmp_path / "calls").unlink()
    code, error = run(*line, **JOB)
    assert (code, calls()) == (2, "")
    assert f"{tmp_path} has a run already; --resume goes on with it" in error
    assert run(*line, "--resume", **JOB) == (0, "")


@pytest.mark.parametrize(
    ("script", "arguments", "code", "job", "name"),
    [
        ("slurm_train", [RECIPE], 75, JOB, "7"),
        ("slurm_train", [RECIPE], 75, ONE_OF_AN_ARRAY, "8_2"),
        ("slurm_study", ["transfer_study", "--out=o"], 138, ONE_OF_AN_ARRAY, "8_2"),
    ],
)
def test_before_the_limit_of_time_the_tasks_are_asked_to_stop_and_the_job_is_requeued(
    repository, tmp_path, programs, calls, script, arguments, code, job, name
):
    write_program(programs / "python", f"while ! test -e {tmp_path}/asked; do sleep 0.02; done; exit {code}")
    write_program(programs / "scancel", f'echo "scancel $*" >> {tmp_path}/calls; touch {tmp_path}/asked')
    # SLURM ends the shell of a job that is requeued.
    write_program(programs / "scontrol", f'echo "scontrol $*" >> {tmp_path}/calls; kill -9 $PPID')
    process = start(repository, script, *arguments, **job)
    wait_for(lambda: "srun" in calls())
    process.send_signal(signal.SIGUSR1)
    process.communicate(timeout=30)
    assert process.returncode == -signal.SIGKILL
    assert calls().splitlines()[-2:] == [f"scancel --signal=USR1 {name}", f"scontrol requeue {name}"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 75), (signal.SIGUSR1, 1), (signal.SIGUSR1, 0)])
def test_a_job_that_is_cancelled_fails_or_is_done_is_not_requeued(repository, tmp_path, programs, calls, number, code):
    write_program(programs / "python", f"while ! test -e {tmp_path}/asked; do sleep 0.02; done; exit {code}")
    process = start(repository, "slurm_train", RECIPE, **JOB)
    wait_for(lambda: "srun" in calls())
    # The shell has set its traps before it starts srun.
    process.send_signal(number)
    time.sleep(0.1)
    assert process.poll() is None
    (tmp_path / "asked").touch()
    process.communicate(timeout=30)
    assert process.returncode == code
    assert "scontrol" not in calls()


def test_the_exit_code_that_has_a_job_requeued_is_that_of_a_stopped_training(repository):
    assert f"\nSTOPPED={REQUEUE}\n" in (repository / "tools" / "_slurm_job.sh").read_text()


@pytest.mark.usefixtures("programs")
def test_a_seed_of_a_study_has_a_folder_of_its_own(repository, calls):
    options = ["--data-root", "d", "--out", "o", "--seeds", 1, 2]
    assert run(repository, "slurm_study", "segmentation_study", *options, **ONE_OF_AN_ARRAY) == (0, "")
    assert calls().splitlines()[-1] == (
        "python -u tools/segmentation_study.py --data-root d --out o --seeds 1 2 --seeds 2 --out o/seed_2"
    )
