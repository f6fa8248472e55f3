"""The benchmark of a teacher's cache: a second epoch reads, and the defaults are the size of DINOv2-small."""

import argparse

from benchmarks.arguments import add_teacher_arguments
from benchmarks.teacher_benchmark import run


def _arguments(*given: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_teacher_arguments(parser)
    return parser.parse_args(given)


def test_a_second_epoch_costs_less_than_a_third(capsys):
    sizes = ("--width=32", "--heads=2", "--layers=6", "--channels=4", "--frames=2", "--size", "112", "196")
    result = run(_arguments(*sizes))
    assert result["ratio"] == result["first"] / result["second"] > 3
    assert "second" in capsys.readouterr().out


def test_the_defaults_are_dinov2_small_on_pictures_of_streets_v1():
    args = _arguments()
    assert (args.width, args.heads, args.layers, args.size, args.cameras) == (384, 6, 12, [225, 400], 6)
