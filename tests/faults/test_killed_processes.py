"""Processes that are killed or hang while a training goes on: the others end, and say which one it was."""

import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
import time

import pytest
import torch

from ponderv2.command_line.error_lines import line_of
from tests.factories.small_training import Frames, small_runner


def _kill_itself(index: int) -> None:
    if index == 4:
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_loading_process_that_is_killed_ends_the_training_with_one_line(tmp_path):
    runner = small_runner(tmp_path, Frames(12, _kill_itself), [], steps=6, workers=1)
    with pytest.raises(RuntimeError) as ended:
        runner.train()
    line = line_of(ended.value)
    assert line is not None
    assert line.startswith("a process that loads data was killed; most likely the memory ran out")


PROGRAM = """
    import os, signal, sys, time
    from pathlib import Path
    from ponderv2.compat.cpu_distributed import install_cpu_distributed
    from ponderv2.engine import RankWatchHook
    from ponderv2.errors import UserError
    from tests.factories.small_training import Frames, small_runner

    install_cpu_distributed()
    folder, rank, victim, fault = Path(sys.argv[1]), int(os.environ["RANK"]), int(sys.argv[2]), sys.argv[3]

    def break_down(index):
        if rank != victim or index < 4:
            return
        if fault == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(60)

    runner = small_runner(
        folder,
        Frames(16, break_down),
        [dict(type=RankWatchHook, beat=0.3, stalled_after=1.0)],
        steps=8,
        launcher="pytorch",
        env_cfg=dict(dist_cfg=dict(backend="gloo", timeout=5)),
    )
    start = time.monotonic()
    try:
        runner.train()
    except UserError as error:
        print("ENDED", round(time.monotonic() - start, 1), error, flush=True)
        os._exit(2)
"""


@pytest.mark.skipif(torch.cuda.is_available(), reason="the processes share gloo and a CPU")
@pytest.mark.parametrize(
    ("victim", "fault", "words"),
    [
        (1, "killed", r"rank 0 cannot go on without rank 1 \(host .*, process {pid}\): lost, last seen in iteration 3"),
        (0, "killed", r"rank 1 cannot go on without rank 0 .*: lost, with the store of all processes"),
        (1, "hangs", r"rank 0 cannot go on without rank 1 \(host .*, process {pid}\): late, .* where it loads data"),
    ],
)
def test_a_process_that_is_killed_or_hangs_is_named_by_the_other_in_bounded_time(tmp_path, victim, fault, words):
    program = tmp_path / "train.py"
    program.write_text(textwrap.dedent(PROGRAM))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes = []
    for rank in range(2):
        environment = os.environ | {
            "OMP_NUM_THREADS": "1",
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "WORLD_SIZE": "2",
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
        }
        command = [sys.executable, str(program), str(tmp_path / f"work{rank}"), str(victim), fault]
        processes.append(
            subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment, cwd=tmp_path
            )
        )
    survivor = processes[1 - victim]
    try:
        start = time.monotonic()
        output, _ = survivor.communicate(timeout=240)
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert survivor.returncode == 2, output[-3000:]
    (line,) = [line for line in output.splitlines() if line.startswith("ENDED")]
    assert re.search(words.format(pid=processes[victim].pid), line), line
    # 5 s of the collective, and some beats; the start is not counted.
    assert float(line.split()[1]) < 60
    assert time.monotonic() - start < 240
    if fault == "hangs":
        assert re.search(r"rank 0 takes a step for \d+ s now, in iteration 3; rank 1 .* late", output), output[-2000:]
