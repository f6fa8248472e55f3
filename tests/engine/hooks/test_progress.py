"""Lines of progress: when they come, what they say, and that validations and start-up do not falsify them."""

import json
from pathlib import Path
from unittest.mock import Mock

import pytest
import torch
from mmengine.dataset import DefaultSampler
from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import nn

from ponderv2.engine import ProgressHook
from ponderv2.engine.hooks.progress import last_progress


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class TimedModel(BaseModel):
    """Each iteration of training takes `costs` seconds of the clock, each of validation a hundred."""

    def __init__(self, clock: Clock, costs: list[float]) -> None:
        super().__init__()
        self.clock, self.costs = clock, list(costs)
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, x: torch.Tensor, mode: str = "loss") -> dict | list:
        if mode == "predict":
            self.clock.now += 100.0
            return [x]
        self.clock.now += self.costs.pop(0)
        # The loss of the n-th iteration is n.
        self.done = getattr(self, "done", 0) + 1
        return {"loss": self.weight.sum() * 0 + float(self.done)}


def run(
    tmp_path, costs: list[float], seconds: float, by_epoch: int = 0, val_interval: int = 1000, metrics=()
) -> Runner:
    clock = Clock()
    loader = dict(
        dataset=[{"x": torch.zeros(1)}] * (by_epoch or len(costs)),
        sampler=dict(type=DefaultSampler, shuffle=False),
        batch_size=1,
        collate_fn=dict(type="default_collate"),
    )
    train_cfg = (
        dict(by_epoch=True, max_epochs=len(costs) // by_epoch)
        if by_epoch
        else dict(by_epoch=False, max_iters=len(costs))
    )
    runner = Runner(
        TimedModel(clock, costs),
        str(tmp_path),
        train_dataloader=loader,
        val_dataloader=loader | dict(dataset=[{"x": torch.zeros(1)}] * 3),
        val_evaluator=Evaluator(list(metrics)),
        val_cfg=dict(),
        test_dataloader=loader | dict(dataset=[{"x": torch.zeros(1)}] * 3),
        test_evaluator=Evaluator(list(metrics)),
        test_cfg=dict(),
        train_cfg=train_cfg | dict(val_interval=val_interval),
        optim_wrapper=dict(optimizer=dict(type="SGD", lr=0.0)),
        default_hooks=dict(progress=ProgressHook(seconds, clock), checkpoint=None),
        experiment_name=tmp_path.name,
        log_level="ERROR",
    )
    runner.train()
    return runner


def lines(capsys, of: str = "iter") -> list[str]:
    return [line for line in capsys.readouterr().out.splitlines() if f"{of} " in line and "time left" in line]


def test_a_line_comes_after_the_first_iteration_and_then_every_few_seconds(tmp_path, capsys):
    run(tmp_path, [1.0] * 12, seconds=5)
    assert [line.split("  ")[0] for line in lines(capsys)] == ["iter 1/12", "iter 6/12", "iter 11/12", "iter 12/12"]


def test_slow_iterations_have_a_line_each(tmp_path, capsys):
    run(tmp_path, [9.0] * 4, seconds=5)
    assert len(lines(capsys)) == 4


def test_the_loss_is_the_mean_since_the_line_before(tmp_path, capsys):
    run(tmp_path, [1.0] * 6, seconds=3)
    # Iterations 1, 2–4, 5–6.
    assert [line.split("  ")[1] for line in lines(capsys)] == ["loss 1", "loss 3", "loss 5.5"]


def test_the_time_left_follows_the_pace_and_forgets_a_slow_start(tmp_path, capsys):
    run(tmp_path, [60.0] + [2.0] * 99, seconds=20)
    first, second = lines(capsys)[:2]
    assert first.endswith("60.00 s/it  time left 1:39:00")
    assert second.startswith("iter 11/100")
    assert second.endswith("2.00 s/it  time left 2:58")


def test_the_pace_is_that_of_the_last_minute(tmp_path, capsys):
    run(tmp_path, [1.0] * 100 + [10.0] * 20, seconds=10)
    assert lines(capsys)[-2].endswith("10.00 s/it  time left 0:10")


def test_validations_are_told_and_are_not_part_of_the_pace_of_training(tmp_path, capsys):
    run(tmp_path, [2.0] * 8, seconds=4, val_interval=4)
    out = capsys.readouterr().out.splitlines()
    training = [line for line in out if line.startswith("iter ")]
    assert training[-1].endswith("2.00 s/it  time left 0:00")
    assert any(line.startswith("iter 5/8") and line.endswith("2.00 s/it  time left 0:06") for line in training)
    validation = [line for line in out if line.startswith("val ")]
    assert validation[:3] == [
        "val 1/3  100.00 s/it  time left 3:20",
        "val 2/3  100.00 s/it  time left 1:40",
        "val 3/3  100.00 s/it  time left 0:00",
    ]


def test_an_evaluation_ends_with_its_scores_and_a_test_with_their_file(tmp_path, capsys):
    class Constant(BaseMetric):
        default_prefix = "nuscenes"

        def process(self, data_batch, data_samples):
            self.results.append(1)

        def compute_metrics(self, results):
            return {"NDS": 0.125, "mAP": 1 / 3} | {f"class{k}_AP": 0.0 for k in range(10)}

    runner = run(tmp_path, [1.0], seconds=5, metrics=[Constant()])
    assert "val  NDS 0.125  mAP 0.3333\n" in capsys.readouterr().out
    runner.test()
    out = capsys.readouterr().out
    assert "test  NDS 0.125  mAP 0.3333\n" in out
    written = Path(out.splitlines()[-1].removeprefix("scores: "))
    assert json.loads(written.read_text())["nuscenes/NDS"] == 0.125


@pytest.mark.parametrize(
    ("metrics", "line"),
    [
        (
            {"mIoU": 0.5, "fwIoU": 0.75, "accuracy": 0.9}
            | {f"c{k}_IoU": 0.1 for k in range(16)}
            | {"official_mIoU": 0.5},
            "mIoU 0.5  fwIoU 0.75  accuracy 0.9  official_mIoU 0.5",
        ),
        (
            {"psnr": 20.0, "guess_psnr": 15.0, "abs_rel": 0.25, "rmse": 3.0, "delta1": 0.5, "guess_abs_rel": 0.5}
            | {"semantic_accuracy": 0.5, "semantic_miou": 0.25, "guess_semantic_miou": 0.0625},
            "psnr 20  guess_psnr 15  abs_rel 0.25  guess_abs_rel 0.5  semantic_miou 0.25  guess_semantic_miou 0.0625",
        ),
        (
            {"feature_cosine": 0.5, "view_cosine": 0.9, "guess_feature_cosine": 0.25, "abs_rel": 0.5},
            "abs_rel 0.5  feature_cosine 0.5  guess_feature_cosine 0.25",
        ),
        ({f"other{k}": k for k in range(9)}, "  ".join(f"other{k} {k}" for k in range(7))),
    ],
    ids=["segmentation", "rendering", "features", "unknown"],
)
def test_the_main_scores_are_told_whatever_their_place_among_all(capsys, metrics, line):
    runner = Mock(spec=Runner, log_dir="nowhere", timestamp="0")
    ProgressHook().after_val_epoch(runner, {f"prefix/{name}": value for name, value in metrics.items()})
    assert capsys.readouterr().out == f"val  {line}\n"


def test_epochs_are_named_and_the_time_left_is_that_of_all_of_them(tmp_path, capsys):
    run(tmp_path, [2.0] * 12, seconds=4, by_epoch=4)
    told = lines(capsys)
    assert told[0].startswith("epoch 1/3  iter 1/4  loss 1  ")
    assert told[2].startswith("epoch 2/3  iter 1/4  ")
    assert told[2].endswith("2.00 s/it  time left 0:14")


def test_the_last_line_is_found_in_the_output_of_a_training(tmp_path, capsys):
    run(tmp_path, [2.0] * 12, seconds=4, by_epoch=4)
    log = capsys.readouterr().out
    *_, training, _, _, validation = log.splitlines()
    assert training.startswith("epoch 3/3  iter 4/4")
    assert validation.startswith("val 3/3")
    assert last_progress(f"{log}some table\nepoch of nothing\n") == validation
    assert last_progress(log[: log.index(validation)].rpartition(training)[0] + f"{training}\nsaving\n") == training
    assert last_progress("loading\n") is None


def test_a_negative_interval_is_refused():
    with pytest.raises(ValueError, match="seconds"):
        ProgressHook(seconds=-1)
