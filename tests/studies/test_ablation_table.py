"""The table of a pre-training's choices: all that differs is told, and losses as well as gains."""

import copy
from dataclasses import asdict

import pytest

from studies.measured_values import ResultsError
from studies.paired_scores import compare_seeds, summarize
from studies.result_tables import block_of

RECIPE = {"recipe": "lidar.py", "steps": 250}
ABOUT = "Measured on streets-v1; pre-trained by lidar.py, 250 steps; with `max_iters=250`; segmentors with `a=1`."


def row_of(protocol: str, fraction: float, **starts: list[float | None]) -> dict:
    """A row as a segmentation study writes it."""
    sides = {start: summarize(values) for start, values in starts.items()}
    row = {"protocol": protocol, "fraction": fraction, "metric": "mIoU", "n": 3}
    for start, side in sides.items():
        row[start] = asdict(side) | (compare_seeds(sides["scratch"], side) if start != "scratch" else {})
    return row


@pytest.fixture
def ablation() -> dict:
    """Two choices of which one has two settings, and a name that begins like another."""
    recipe = {"scratch": [0.1, 0.2, 0.1], "pretrained": [0.3, 0.3, 0.33]}
    probe = row_of("linear_probe", 1.0, **recipe, block=[0.5, 0.5, 0.53], block2=[0.31, None, 0.33])
    options = ["max_iters=250", "block:masking.a=2", "block2:masking.b=c:d", "block:masking.c=3"]
    return {
        "rows": [probe, row_of("finetune", 0.1, **recipe, block=[0.25, 0.35, 0.32])],
        "pretrain_options": options,
        "options": ["a=1"],
        "pretrainings": {f"{start}_seed0": dict(RECIPE) for start in ("pretrained", "block", "block2")},
        "data": {"benchmark": "streets-v1"},
        "failed": [],
    }


def test_each_choice_stands_beside_the_recipe_as_it_is(ablation):
    about, _, head, _, *lines = block_of("pretraining_ablation", ablation).splitlines()
    assert about == ABOUT
    assert head == "| protocol | labels | changed | mIoU | gain | n | seed by seed | in std | beyond two std |"
    assert lines[:7] == [
        "| linear_probe | 100% | nothing, the recipe as it is | 31.00 ± 1.73 |  | 3 |  |  |  |",
        "|  |  | no pre-training | 13.33 ± 5.77 | -17.67 | 3 | ± 6.81, 0 of 3 ahead | -4.1 | behind |",
        "|  |  | `masking.a=2`, `masking.c=3` | 51.00 ± 1.73 | +20.00 | 3 | ± 0.00, 3 of 3 ahead | +11.5 | ahead |",
        "|  |  | `masking.b=c:d` | 32.00 ± 1.41 (1 failed) | +0.50 | 2 | ± 0.71, 1 of 2 ahead | +0.3 | no |",
        "| finetune | 10% | nothing, the recipe as it is | 31.00 ± 1.73 |  | 3 |  |  |  |",
        "|  |  | no pre-training | 13.33 ± 5.77 | -17.67 | 3 | ± 6.81, 0 of 3 ahead | -4.1 | behind |",
        "|  |  | `masking.a=2`, `masking.c=3` | 30.67 ± 5.13 | -0.33 | 3 | ± 5.03, 1 of 3 ahead | -0.1 | no |",
    ]
    assert lines[8].startswith("gain = mean(changed) - mean(recipe as it is)")


def test_failed_trainings_are_told(ablation):
    about = block_of("pretraining_ablation", ablation | {"failed": ["runs/a"]}).splitlines()[0]
    assert about == ABOUT[:-1] + "; FAILED: runs/a."


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["block:a=1"], "expected what block2 changes as block2:KEY=VALUE, found none"),
        (["block:a=1", "block2:b=1", "pretrained:c=1"], "expected none as pretrained:KEY=VALUE, found `c=1`"),
        (["block:a=1", "block2:b=1", "gone:c=1"], "gone:c=1: expected one of pretrained, block, block2 before"),
        ([], "expected a list with entries, found []"),
        ([1], "expected a name without bars and line breaks, found 1"),
        (None, "expected a list with entries, found None"),
    ],
)
def test_options_that_do_not_say_what_changed_are_refused(ablation, options, line):
    with pytest.raises(ResultsError) as error:
        block_of("pretraining_ablation", ablation | {"pretrain_options": options})
    assert line in str(error.value)
    assert str(error.value).startswith("docs/results/pretraining_ablation.json: pretrain_options")


@pytest.mark.parametrize(
    ("keys", "value", "line"),
    [
        (("pretrainings", "block_seed0", "steps"), 500, "pretrainings: expected one recipe and as many steps for all"),
        (("pretrainings", "block_seed0", "recipe"), "b.py", "found b.py, 250 steps; lidar.py, 250 steps"),
        (("pretrainings",), {}, "pretrainings: expected one recipe and as many steps for all, found none"),
        (("pretrainings", "block_seed0"), 1, "pretrainings.block_seed0: expected an object, found 1"),
        (("rows", 1, "metric"), "mAP", "rows[1].metric: expected mIoU, found mAP"),
        (("rows", 0, "fraction"), 5, "rows[0].fraction: expected a score from 0 to 1, found 5"),
        (("rows", 0, "block", "mean"), 0.6, "rows[0].block.mean: expected 0.51"),
        (("rows", 0, "pretrained"), None, "rows[0]: expected pretrained, the recipe as it is, found block, block2"),
        (("rows", 0, "block2"), None, "block2:masking.b=c:d: expected one of pretrained, block before"),
        (("data",), {}, "expected what the study writes, with the key 'benchmark'"),
    ],
)
def test_a_study_that_is_no_ablation_is_refused(ablation, keys, value, line):
    changed = copy.deepcopy(ablation)
    part = changed
    for key in keys[:-1]:
        part = part[key]
    part[keys[-1]] = value
    with pytest.raises(ResultsError) as error:
        block_of("pretraining_ablation", changed)
    assert line in str(error.value)
