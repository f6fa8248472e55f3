"""The wrapper of all tools: exit codes, one line for what a user can mend, and a report for the rest."""

import errno
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from ponderv2.command_line import positive, run_tool
from ponderv2.errors import UserError

TOOLS = sorted(path.stem for path in (Path(__file__).parents[2] / "tools").glob("*.py"))


def _add_arguments(parser) -> None:
    parser.add_argument("--samples", type=positive)


def _ends_with(error: BaseException, capsys, **more) -> tuple[int, list[str]]:
    def run(given) -> None:
        raise error

    code = run_tool("a tool", _add_arguments, run, [], **more)
    return code, capsys.readouterr().err.splitlines()


def test_a_run_returns_its_code_or_zero():
    assert run_tool("a tool", _add_arguments, lambda given: None, []) == 0
    assert run_tool("a tool", _add_arguments, lambda given: 1, []) == 1
    assert run_tool("a tool", _add_arguments, lambda given: given.samples, ["--samples", "3"]) == 3


def test_help_is_printed_and_nothing_runs(capsys):
    assert run_tool("a tool", _add_arguments, lambda given: 1 / 0, ["--help"]) == 0
    assert "--samples" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (ConnectionResetError, (errno.ECONNRESET, "Connection reset by peer")),
        (BrokenPipeError, (errno.EPIPE, "Broken pipe")),
        (EOFError, ()),
    ],
)
def test_a_loading_process_that_is_gone_before_its_batch_is_taken_is_told(capsys, monkeypatch, kind, words):
    batches = iter(DataLoader([torch.zeros(2)] * 8, num_workers=1))
    next(batches)

    def gone(timeout: float) -> None:
        raise kind(*words)

    # The process still lives here: torch sees the end of a socket before it sees the end of a process.
    monkeypatch.setattr(batches, "_data_queue", SimpleNamespace(get=gone))
    with pytest.raises(kind) as raised:
        next(batches)
    code, lines = _ends_with(raised.value, capsys)
    assert (code, len(lines)) == (2, 1)
    assert "a process that loads data was killed" in lines[0]


class _FarAway(Dataset):
    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> None:
        raise ConnectionResetError(errno.ECONNRESET, "Connection reset by peer", "s3://bucket/x")


@pytest.mark.parametrize("workers", [0, 1])
def test_a_data_set_that_loses_its_own_connection_is_not_taken_for_a_killed_process(capsys, workers):
    with pytest.raises(ConnectionResetError) as raised:
        next(iter(DataLoader(_FarAway(), num_workers=workers)))
    code, lines = _ends_with(raised.value, capsys)
    assert code == 2
    assert "was killed" not in lines[0]


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (UserError("recipe x.py: expected a model"), "recipe x.py: expected a model"),
        (UserError("not covered, nothing was loaded:\n  a: 3 missing\n  b: 1 missing"), "loaded: a: 3 missing; b: 1"),
        (FileNotFoundError("checkpoint x does not exist"), "checkpoint x does not exist"),
        (PermissionError(errno.EACCES, "Permission denied", "/data/x"), "/data/x: permission denied"),
        (OSError(errno.ENOSPC, "No space left on device", "/data/x"), "/data/x: no space left on device; free some"),
        (RuntimeError("[enforce fail] . PytorchStreamWriter failed writing file data/3"), "is the disk full?"),
        (RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed."), "most likely the memory ran out"),
        (RuntimeError("Pin memory thread exited unexpectedly"), "a process that loads data was killed"),
        (RuntimeError("CUDA out of memory. Tried to allocate 9 GiB"), "a smaller batch needs less"),
        (MemoryError(), "the memory ran out"),
    ],
)
def test_what_a_user_can_mend_is_one_line_with_code_2(capsys, error, line):
    code, lines = _ends_with(error, capsys)
    assert (code, len(lines)) == (2, 1)
    assert line in lines[0]


def test_an_error_of_a_loading_process_is_told_without_its_traceback(capsys):
    inner = "InfoFileError: infos.pkl, key frame 7: images.CAM_BACK.img_path: image /data/x.jpg is cut short"
    text = textwrap.dedent(f"""\
        Caught InfoFileError in DataLoader worker process 0.
        Original Traceback (most recent call last):
          File "worker.py", line 374, in _worker_loop
            data = fetcher.fetch(index)
                   ^^^^^^^^^^^^^^^^^^^^
          File "loading.py", line 3, in _read
            raise InfoFileError("...")
        ponderv2.datasets.info_file.{inner}
        """)
    code, lines = _ends_with(UserError(text), capsys)
    assert (code, len(lines)) == (2, 1)
    assert lines[0].endswith(inner.removeprefix("InfoFileError: "))


@pytest.mark.parametrize(
    "error", [ValueError("math"), KeyError("x"), RuntimeError("shapes differ"), ZeroDivisionError()]
)
def test_anything_else_is_a_traceback_and_one_line_that_asks_for_a_report(capsys, error):
    code, lines = _ends_with(error, capsys)
    assert code == 1
    assert lines[0] == "Traceback (most recent call last):"
    assert "please report it" in lines[-1]


def test_types_of_other_packages_can_be_a_users_as_well(capsys):
    assert _ends_with(KeyError("x"), capsys, expected=(KeyError,))[0] == 2


def test_the_traceback_behind_a_line_can_be_seen(capsys, monkeypatch):
    monkeypatch.setenv("PONDER_TRACEBACK", "1")
    code, lines = _ends_with(UserError("recipe x.py"), capsys)
    assert code == 2
    assert lines[0] == "Traceback (most recent call last):"


def test_an_interrupt_is_one_line_with_code_130(capsys):
    code, lines = _ends_with(KeyboardInterrupt(), capsys)
    assert (code, len(lines)) == (130, 1)
    assert lines[0].endswith("interrupted")


def test_an_interrupt_that_the_stack_made_an_error_of_is_still_one(capsys):
    def run(given) -> None:
        try:
            raise KeyboardInterrupt
        except BaseException:
            raise SyntaxError("Failed to format the config file")  # noqa: B904

    assert run_tool("a tool", _add_arguments, run, []) == 130
    assert capsys.readouterr().err.splitlines()[-1].endswith("interrupted")


def test_ctrl_c_while_a_tool_works_is_one_line(repository, frame_root, tmp_path):
    recipe = "configs/tiny/ponderv2_camera_keyframe.py"
    command = [sys.executable, "tools/train.py", recipe, "--data-root", frame_root, "--work-dir", tmp_path / "work"]
    # A shell that starts its jobs in the background lets them ignore the signal.
    tool = subprocess.Popen(
        [*map(str, command)],
        cwd=repository,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    deadline = time.monotonic() + 120
    while not list((tmp_path / "work").glob("*/*.log")):
        assert tool.poll() is None, tool.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    tool.send_signal(signal.SIGINT)
    _, error = tool.communicate(timeout=60)
    assert tool.returncode == 130, error
    assert error.strip().splitlines()[-1] == "train.py: interrupted"
    assert "Traceback" not in error


@pytest.mark.parametrize("tool", TOOLS)
def test_help_and_wrong_arguments_answer_without_importing_the_stack(repository, tool):
    code = textwrap.dedent(f"""\
        import runpy, sys, time
        start = time.process_time()
        for arguments in (["--help"], ["--no-such-option"]):
            sys.argv = ["{tool}.py", *arguments]
            try:
                runpy.run_path("tools/{tool}.py", run_name="__main__")
            except SystemExit as ended:
                print(arguments[0], ended.code, file=sys.stderr)
        heavy = {{"torch", "numpy", "mmengine", "mmdet3d", "matplotlib", "nuscenes"}} & set(sys.modules)
        print("imported", sorted(heavy), time.process_time() - start < 1, file=sys.stderr)
        """)
    done = subprocess.run([sys.executable, "-c", code], cwd=repository, capture_output=True, text=True)
    lines = done.stderr.strip().splitlines()
    assert lines[0] == "--help 0"
    assert lines[2:] == ["--no-such-option 2", "imported [] True"]
    assert "usage" in done.stdout
