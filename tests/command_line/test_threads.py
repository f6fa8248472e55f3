"""Threads of the tools: how many, and how they wait."""

import os
import subprocess
import sys

import pytest

from ponderv2.command_line.threads import available_cores, thread_settings

ALL = os.cpu_count() or 1


def test_threads_wait_asleep_and_take_all_cores_of_the_machine():
    assert thread_settings({}, ALL) == {"OMP_WAIT_POLICY": "PASSIVE", "KMP_BLOCKTIME": "0"}


@pytest.mark.parametrize(
    ("name", "value"), [("OMP_WAIT_POLICY", "ACTIVE"), ("KMP_BLOCKTIME", "200"), ("OMP_NUM_THREADS", "3")]
)
def test_what_the_user_has_set_stays(name, value):
    assert name not in thread_settings({name: value, "LOCAL_WORLD_SIZE": "2"}, ALL)


def test_a_spin_count_of_the_user_decides_how_threads_wait():
    assert "OMP_WAIT_POLICY" not in thread_settings({"GOMP_SPINCOUNT": "1000"}, ALL)


@pytest.mark.parametrize(
    ("environment", "threads"),
    [
        ({"LOCAL_WORLD_SIZE": "8"}, "8"),
        ({"SLURM_STEP_TASKS_PER_NODE": "4(x2)"}, "16"),
        ({"SLURM_STEP_TASKS_PER_NODE": "2,1"}, "32"),
        ({"SLURM_STEP_TASKS_PER_NODE": "8", "SLURM_CPUS_PER_TASK": "8"}, "8"),
        ({"SLURM_STEP_TASKS_PER_NODE": "1", "LOCAL_WORLD_SIZE": "8", "SLURM_CPUS_PER_TASK": "64"}, "8"),
        ({"OMPI_COMM_WORLD_LOCAL_SIZE": "100"}, "1"),
    ],
)
def test_processes_of_a_node_share_its_cores(monkeypatch, environment, threads):
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    assert thread_settings(environment, 64)["OMP_NUM_THREADS"] == threads


@pytest.mark.parametrize(("cores", "per_task", "threads"), [(8, "8", "8"), (8, "7", "7"), (4, "8", "4"), (8, "", "1")])
def test_cores_that_slurm_has_bound_to_a_task_are_not_divided_again(monkeypatch, cores, per_task, threads):
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    environment = {"SLURM_STEP_TASKS_PER_NODE": "8(x2)", "SLURM_CPUS_PER_TASK": per_task}
    assert thread_settings(environment, cores)["OMP_NUM_THREADS"] == threads


def test_the_quota_of_a_container_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)))
    assert available_cores(tmp_path) == 64
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert available_cores(tmp_path) == 64
    (tmp_path / "cpu.max").write_text("350000 100000\n")
    assert available_cores(tmp_path) == 4
    (tmp_path / "cpu.max").unlink()
    (tmp_path / "cpu").mkdir()
    for name, value in (("quota", "200000"), ("period", "100000")):
        (tmp_path / "cpu" / f"cpu.cfs_{name}_us").write_text(value)
    assert available_cores(tmp_path) == 2


def test_a_tool_sets_them_before_torch_is_imported():
    program = (
        "import os, sys\n"
        "from ponderv2.command_line import run_tool\n"
        "assert 'torch' not in sys.modules\n"
        "def run(given):\n"
        "    assert 'torch' not in sys.modules\n"
        "    print(os.environ['OMP_WAIT_POLICY'])\n"
        "sys.exit(run_tool('', lambda parser: None, run, []))\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("PASSIVE\n", "")
