"""Threads of a tool: how many, and what they do while they wait for each other."""

import os
from collections.abc import Mapping
from pathlib import Path

_TASKS_OF_NODE = ("LOCAL_WORLD_SIZE", "SLURM_STEP_TASKS_PER_NODE", "OMPI_COMM_WORLD_LOCAL_SIZE")
"""Where torchrun, srun and mpirun tell how many processes they start on a node; srun of two nodes as "8(x2)"."""


def set_threads() -> None:
    """Set in the environment what `thread_settings` finds; it has to happen before torch is imported."""
    os.environ.update(thread_settings(os.environ, available_cores()))


def thread_settings(environment: Mapping[str, str], cores: int) -> dict[str, str]:
    """Choose what threads of OpenMP, which torch computes with, take from the environment. What is set there stays.

    Threads that are done wait asleep (`OMP_WAIT_POLICY=PASSIVE`). By default they wait in a loop, and where other
    programs want the cores as well, a thread that waits in a loop takes the core from the one that it waits for. Each
    process has its part of the cores that this one may use. The number does not depend on what else the machine does:
    with another number of threads sums are rounded otherwise, and a training could not be repeated bit by bit.

    Args:
        environment: variables that are set.
        cores: number of cores for all processes of this node.
    """
    # KMP_BLOCKTIME is the same for the OpenMP of Intel and LLVM.
    wanted = {"OMP_WAIT_POLICY": "PASSIVE", "KMP_BLOCKTIME": "0"}
    if "GOMP_SPINCOUNT" in environment:
        # Whoever sets this has decided already.
        del wanted["OMP_WAIT_POLICY"]
    part = max(cores // max(1, _processes_of_node(environment)), min(cores, _cores_of_task(environment)))
    if part < (os.cpu_count() or 1):
        wanted["OMP_NUM_THREADS"] = str(max(1, part))
    return {name: value for name, value in wanted.items() if name not in environment}


def available_cores(control_group: Path = Path("/sys/fs/cgroup")) -> int:
    """Return the number of cores that this process may use: its affinity, and the quota of its container, rounded up.

    Args:
        control_group: where the container's own control group is mounted, of either version.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota(control_group)
    return cores if quota is None else max(1, min(cores, -int(-quota // 1)))


def _quota(control_group: Path) -> float | None:
    try:
        if (control_group / "cpu.max").is_file():
            used, period = (control_group / "cpu.max").read_text().split()
        else:
            used, period = ((control_group / "cpu" / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        return int(used) / int(period) if int(used) > 0 else None
    except (OSError, ValueError):
        # "max", or no control groups here.
        return None


def _cores_of_task(environment: Mapping[str, str]) -> int:
    """Return the cores that srun gives each task, 0 if it does not say; bound tasks see these alone."""
    number = environment.get("SLURM_CPUS_PER_TASK", "")
    # torchrun inside of a task divides the cores of that task.
    started_by_srun = "SLURM_STEP_TASKS_PER_NODE" in environment and "LOCAL_WORLD_SIZE" not in environment
    return int(number) if started_by_srun and number.isdecimal() else 0


def _processes_of_node(environment: Mapping[str, str]) -> int:
    for name in _TASKS_OF_NODE:
        number = environment.get(name, "").partition("(")[0].partition(",")[0]
        if number.isdecimal():
            return int(number)
    return 1
