"""Trainings as processes: what is said while they run."""

import time

from studies.runs import LOG, Job, run_jobs

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
