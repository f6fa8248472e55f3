"""Trainings as processes: what is said while they run."""

import time
import zipfile

import pytest

from studies.runs import LOG, RESULT, Job, StudyError, run_jobs, write_json

LINE = "iter 120/360  loss 2.31  0.82 s/it  time left 3:17"


def test_the_progress_of_every_running_training_is_printed_every_few_seconds(tmp_path, capsys):
    printed = []

    def launcher(command, log, environment):
        quiet = log.parent.name == "quiet"
        log.write_text("" if quiet else f"iter 60/360  loss 3.1  0.82 s/it  time left 4:06\nsaving\n{LINE}\nsaving\n")
        deadline = time.monotonic() + 10
        while "".join(printed).count("seen: ") < 2 and time.monotonic() < deadline:
            time.sleep(0.02)
            printed.append(capsys.readouterr().out)
        return 0

    jobs = [
        Job(tmp_path / name, (), {}, lambda folder: {"done": (folder / LOG).is_file()}) for name in ("seen", "quiet")
    ]
    results, failures = run_jobs(jobs, parallel=2, launcher=launcher, seconds=0.1)
    assert failures == {}
    assert len(results) == 2
    said = "".join(printed)
    assert said.count(f"{tmp_path.name}/seen: {LINE}\n") >= 2
    assert f"{tmp_path.name}/quiet: starting\n" in said


@pytest.mark.parametrize("name", ["result.json", "settings.json"])
@pytest.mark.parametrize(
    "text", [b"{", b"[1]", b"\xff", b'{"settings": 3}', b"cos\nsystem\n(S'false'\ntR.", b"[" * 100_000]
)
def test_a_damaged_file_is_named_with_what_to_do(tmp_path, name, text):
    folder = tmp_path / "runs" / "one"
    folder.mkdir(parents=True)
    (folder / name).write_bytes(text)
    zipfile.ZipFile(folder / "iter_2.pth", "w").close()
    (folder / "last_checkpoint").write_text("iter_2.pth")
    job = Job(folder, (), {"seed": 0}, lambda folder: None)
    with pytest.raises(StudyError) as found:
        job.finished()
    said = str(found.value)
    assert said.startswith(f"{folder / name} is damaged: expected JSON with settings")
    assert said.endswith(f"remove {folder} to run it anew")


@pytest.mark.parametrize(("code", "lines"), [(2, 1), (1, 20)])
def test_a_failed_training_ends_with_what_its_tool_said_or_with_its_last_lines(tmp_path, code, lines):
    said = "train.py: recipe x.py cannot be built: no 'lrr'"

    def launcher(command, log, environment):
        log.write_text("\n".join([*(f"hook {k}" for k in range(30)), said, "a thread says goodbye"]))
        return code

    _, failures = run_jobs([Job(tmp_path / "one", ("tools/train.py", "x.py"), {}, lambda folder: None)], 1, launcher)
    (failure,) = failures.values()
    *before, last = failure.splitlines()
    assert len(before) == lines
    assert f"  {said}" in before
    assert last == f"  (exit code {code}; all of it in {tmp_path / 'one' / LOG})"


def test_what_was_finished_while_it_waited_is_not_run_again(tmp_path):
    first, second = (Job(tmp_path / "runs" / name, (), {"seed": 0}, lambda folder: {"mIoU": 0.3}) for name in "ab")
    started = []

    def launcher(command, log, environment):
        started.append(log.parent.name)
        second.folder.mkdir()
        write_json(second.folder / RESULT, {"settings": {"seed": 0}, "result": {"mIoU": 0.5}, "minutes": 1.0})
        return 0

    results, failures = run_jobs([first, second], 1, launcher)
    assert (started, failures) == (["a"], {})
    assert results["runs/b"]["result"] == {"mIoU": 0.5}


def test_a_training_whose_only_checkpoint_is_gone_starts_anew(tmp_path):
    """Killed between the removal of the old checkpoint and the new one, as mmengine's own hook does it."""
    folder, commands = tmp_path / "runs" / "one", []
    folder.mkdir(parents=True)
    (folder / "last_checkpoint").write_text(str(folder / "iter_100.pth"))

    def launcher(command, log, environment):
        commands.append(command)
        return 0

    _, failures = run_jobs([Job(folder, (), {}, lambda folder: {"mIoU": 0.4})], 1, launcher)
    assert (failures, len(commands), "--resume" in commands[0]) == ({}, 1, False)
