"""The benchmark of a training step: its parts, the ratios between ways, and its errors."""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks import step_benchmark as benchmark
from benchmarks.arguments import add_step_arguments
from benchmarks.step_worker import PARTS, Step
from ponderv2.errors import UserError

RECIPE = Path("configs/tiny/ponderv2_camera_synthetic.py")
SMALL = {"model.encoder.grid.size": (36, 36, 4), "model.head.sampler.num_proposals": 8}


@pytest.fixture
def given(streets, repository, monkeypatch):
    """Reads arguments for the recipe on the small streets."""
    monkeypatch.chdir(repository)
    parser = argparse.ArgumentParser()
    add_step_arguments(parser)
    return lambda *more: parser.parse_args([str(RECIPE), "--data-root", str(streets), *more])


def test_a_step_moves_every_trained_weight_and_times_all_parts(streets, repository, tmp_path):
    step = Step(str(repository / RECIPE), str(streets), SMALL, str(tmp_path))
    before = [p.detach().clone() for p in step.model.parameters()]
    answers = [step() for _ in range(2)]
    for answer in answers:
        assert set(answer) == {*PARTS, "loss"}
        assert all(answer[part] > 0 for part in PARTS)
    assert answers[0]["loss"] != answers[1]["loss"]
    assert not any(torch.equal(a, b) for a, b in zip(before, step.model.parameters(), strict=True))


def test_ratios_are_medians_over_rounds_of_the_first_way_over_each(given, monkeypatch, capsys):
    def steps_of(*totals):
        return [dict.fromkeys(PARTS, total / len(PARTS)) | {"loss": 1.0} for total in totals]

    def measure(args, ways):
        assert ways["half"] == (benchmark.ROOT, {"a.b": 1, "c": (1, 2)})
        assert ways["recipe"] == (benchmark.ROOT, {})
        return {"recipe": steps_of(2.0, 4.0, 40.0), "half": steps_of(1.0, 4.0, 10.0)}

    monkeypatch.setattr(benchmark, "measure", measure)
    threads = torch.get_num_threads()
    result = benchmark.run(given("--variation", "half", "a.b=1", "c=(1,2)", "--threads", str(threads)))
    assert result["ratio"] == pytest.approx({"recipe": 1.0, "half": 2.0})
    assert result["seconds"]["half"] == pytest.approx({"step": 4.0} | dict.fromkeys(PARTS, 0.8))
    assert (result["recipe"], result["threads"]) == (RECIPE.name, threads)
    assert "2.00×" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--variation", "half"], "half: expected a name of its own and then changes"),
        (["--variation", "recipe", "a=1"], "recipe: expected a name of its own"),
        (["--variation", "x", "a"], "expected key=value, got 'a'"),
        (["--before", "docs"], "docs: expected a checkout"),
    ],
)
def test_wrong_ways_are_named_before_anything_starts(given, monkeypatch, more, message):
    monkeypatch.setattr(benchmark, "measure", lambda *_: pytest.fail("it started"))
    with pytest.raises(UserError, match=message):
        benchmark.run(given(*more, "--threads", str(torch.get_num_threads())))


@pytest.mark.slow
def test_the_command_measures_another_checkout_and_a_variation(repository, streets, tmp_path):
    command = [sys.executable, "tools/benchmark.py", "step", str(RECIPE), "--data-root", str(streets)]
    command += ["--variation", "coarse", "model.encoder.grid.size=(36,36,4)", "--before", str(repository)]
    command += ["--repeats=1", "--warm-up=1", "--threads=1", f"--json={tmp_path / 'step.json'}"]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "step.json").read_text())
    assert list(result["seconds"]) == ["before", "recipe", "coarse"]
    assert result["loss"]["before"] == pytest.approx(result["loss"]["recipe"], rel=1e-3)


@pytest.mark.slow
def test_a_way_that_fails_says_why(given):
    args = given("--repeats=1", "--threads=1")
    with pytest.raises(RuntimeError, match=r"(?s)the way 'broken' failed.*no_such_lift"):
        benchmark.measure(args, {"broken": (benchmark.ROOT, {"model.encoder.lift.type": "no_such_lift"})})
