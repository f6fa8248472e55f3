"""Processes that are killed or hang while a training goes on: the others end, and say which one it was."""

import os
import re
import signal
import socket
import sys
import time
from functools import partial
from pathlib import Path

import pytest
import torch

from ponderv2.command_line import run_tool
from ponderv2.compat.cpu_distributed import install_cpu_distributed
from ponderv2.engine import RankWatchHook
from ponderv2.errors import UserError
from tests.factories.processes import forked
from tests.factories.small_training import Frames, small_runner


def _kill_itself(index: int) -> None:
    if index == 4:
        os.kill(os.getpid(), signal.SIGKILL)


def _speak() -> None:
    """Let this forked process print into its own file, and not into what the tests capture."""
    sys.stdout, sys.stderr = os.fdopen(1, "w", buffering=1), os.fdopen(2, "w", buffering=1)


def _train_with_a_tool(folder: Path) -> None:
    _speak()
    runner = small_runner(folder, Frames(12, _kill_itself), [], steps=6, workers=2)
    code = run_tool("trains", lambda parser: None, lambda given: runner.train() and None, [])
    print("CODE", code, flush=True)


def test_a_loading_process_that_is_killed_ends_the_training_with_one_line(tmp_path):
    log = tmp_path / "log"
    with forked(partial(_train_with_a_tool, tmp_path / "work"), log) as process:
        process.join(timeout=120)
    told = [line for line in log.read_text().splitlines() if "a process that loads data was killed" in line]
    assert len(told) == 1, log.read_text()
    assert "most likely the memory ran out" in told[0]
    assert "CODE 2" in log.read_text()
    assert "Traceback" not in log.read_text()


def _train(folder: Path, rank: int, port: int, victim: int, fault: str) -> None:
    """One of two processes; the victim breaks down when it loads its third batch."""
    _speak()
    install_cpu_distributed()
    places = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ |= {name: str(value) for name, value in places.items()}
    os.environ.pop("TORCHELASTIC_USE_AGENT_STORE", None)
    loaded = []

    def break_down(index: int) -> None:
        loaded.append(index)
        if rank == victim and len(loaded) > 4:
            if fault == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(60)

    try:
        runner = small_runner(
            folder / f"work{rank}",
            Frames(32, break_down),
            [dict(type=RankWatchHook, beat=0.3, stalled_after=1.5)],
            steps=8,
            launcher="pytorch",
            env_cfg=dict(dist_cfg=dict(backend="gloo", timeout=6)),
        )
        runner.train()
    except UserError as error:
        print("ENDED", error, flush=True)
        # Without waiting for threads of gloo, whose other end is gone.
        os._exit(2)


@pytest.mark.skipif(torch.cuda.is_available(), reason="the processes share gloo and a CPU")
@pytest.mark.parametrize(
    ("victim", "fault", "words"),
    [
        (
            1,
            "killed",
            r"rank 0 cannot go on without rank 1 \(host .*, process {pid}\): lost, last seen in",
        ),
        (0, "killed", r"rank 1 cannot go on without rank 0.*: lost, with the store of all processes"),
        (1, "hangs", r"rank 0 cannot go on without rank 1 \(host .*, process {pid}\): late, .* where it loads data"),
    ],
)
def test_a_process_that_is_killed_or_hangs_is_named_by_the_other_in_bounded_time(tmp_path, victim, fault, words):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    logs = [tmp_path / f"rank{rank}.log" for rank in range(2)]
    start = time.monotonic()
    with (
        forked(partial(_train, tmp_path, 0, port, victim, fault), logs[0]) as first,
        forked(partial(_train, tmp_path, 1, port, victim, fault), logs[1]) as second,
    ):
        survivor, lost = (second, first) if victim == 0 else (first, second)
        # The collective may take 6 s, and the watch some beats.
        survivor.join(timeout=120)
        output = logs[1 - victim].read_text()
        assert survivor.exitcode == 2, output[-3000:]
        assert re.search(words.format(pid=lost.pid), output), output[-3000:]
    assert time.monotonic() - start < 120
    if fault == "hangs":
        assert re.search(r"rank 0 takes a step for \d+ s now, in iteration 3; rank 1 .* late", output), output[-3000:]
