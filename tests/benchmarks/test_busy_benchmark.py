"""The benchmark of busy machines: its ratios, and its busy processes."""

import argparse
from pathlib import Path

import pytest

from benchmarks import busy_benchmark as benchmark
from benchmarks.arguments import add_busy_arguments
from tests.factories.processes import is_running

RECIPE = Path("configs/tiny/ponderv2_camera_synthetic.py")


def test_the_ratio_is_the_median_of_neighboring_rounds(repository, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(repository)
    parser = argparse.ArgumentParser()
    add_busy_arguments(parser)
    given = parser.parse_args([str(RECIPE), "--data-root", str(tmp_path)])
    rounds = {"quiet": [1.0, 2.0, 4.0], "busy": [3.0, 4.0, 12.0]}
    monkeypatch.setattr(benchmark, "measure", lambda args: {benchmark.TORCH: rounds, benchmark.TOOLS: rounds})
    result = benchmark.run(given)
    assert result["busy_over_quiet"] == pytest.approx({benchmark.TORCH: 3.0, benchmark.TOOLS: 3.0})
    assert result["seconds"][benchmark.TOOLS] == {"quiet": 2.0, "busy": 4.0}
    assert (result["processes"], result["threads"], result["recipe"]) == (2, 2, RECIPE.name)
    assert benchmark.TOOLS in capsys.readouterr().out


def test_busy_processes_end_with_the_block(monkeypatch):
    started = []
    popen = benchmark.subprocess.Popen
    monkeypatch.setattr(benchmark.subprocess, "Popen", lambda *a: started.append(popen(*a)) or started[-1])
    with benchmark.busy(2):
        assert [is_running(loop.pid) for loop in started] == [True, True]
    assert [is_running(loop.pid) for loop in started] == [False, False]
