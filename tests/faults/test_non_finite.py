"""A loss that is not finite: it does not reach weights, optimizer or statistics, and its key frames are named."""

import json
import math

import pytest
import torch

from ponderv2.engine import NonFiniteLossHook
from ponderv2.engine.hooks import non_finite
from ponderv2.engine.hooks.non_finite import NonFiniteLossError
from ponderv2.errors import UserError
from tests.factories.small_training import Frames, Line, small_runner


def _nan_of(*numbers: float):
    """The loss is NaN for batches that hold one of these frames; so is what the batch norm sees of them."""

    def change(loss: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
        return loss * math.nan if any(number in inputs for number in numbers) else loss

    return change


def _runner(folder, change, policy="stop", steps=4, **options):
    hook = dict(type=NonFiniteLossHook, policy=policy, limit=options.pop("limit", 10))
    return small_runner(folder, Frames(12), [hook], Line(change), steps, **options)


def _state(runner) -> dict:
    return {name: value.clone() for name, value in runner.model.state_dict().items()}


@pytest.mark.parametrize("clip", [dict(max_norm=35), None])
def test_the_training_stops_with_the_key_frames_and_the_weights_of_before(tmp_path, clip):
    wrapper = dict(optimizer=dict(type="AdamW", lr=0.1), clip_grad=clip)
    before = _runner(tmp_path / "short", None, steps=2, optim_wrapper=wrapper)
    before.model.load_state_dict(Line().state_dict())
    start = _state(before)
    before.train()
    runner = _runner(tmp_path / "run", _nan_of(5.0), optim_wrapper=wrapper)
    runner.model.load_state_dict(start)
    with pytest.raises(
        NonFiniteLossError, match=r"loss, loss_line not finite in iteration 3; key frames frame4, frame5"
    ):
        runner.train()
    record = json.loads((tmp_path / "run" / "non_finite" / "iter_000003_rank_0.json").read_text())
    assert record["tokens"] == [["frame4", "frame5"]]
    assert record["losses"] == {"loss": "nan", "loss_line": "nan"}
    for (name, value), other in zip(runner.model.named_parameters(), before.model.parameters(), strict=True):
        assert torch.equal(value, other), name


def test_steps_are_skipped_as_if_the_batch_had_not_been_there(tmp_path, monkeypatch):
    runner = _runner(tmp_path / "skipping", _nan_of(2.0, 4.0), "skip", steps=6)
    start = _state(runner)
    told: list[str] = []
    monkeypatch.setattr(non_finite, "print_log", lambda line, **_: told.append(line))
    runner.train()
    assert [text.split(":")[0] for text in told] == [f"skipped a step, {k} of at most 10" for k in (1, 2)]
    assert "key frames frame2, frame3" in told[0]
    # The same training without the two batches.
    frames = [0, 1, 6, 7, 8, 9, 10, 11]
    other = small_runner(tmp_path / "without", torch.utils.data.Subset(Frames(12), frames), [], steps=4)
    other.model.load_state_dict(start)
    other.train()
    for name, value in runner.model.state_dict().items():
        assert torch.equal(value, other.model.state_dict()[name]), name


# The first batch of a step, and the second.
@pytest.mark.parametrize("bad", [0.0, 2.0, 4.0, 6.0])
def test_a_step_of_several_batches_is_skipped_with_the_statistics_of_them_all(tmp_path, bad):
    wrapper = dict(optimizer=dict(type="AdamW", lr=0.1), clip_grad=dict(max_norm=35), accumulative_counts=2)
    runner = _runner(tmp_path / "skipping", _nan_of(bad), "skip", steps=6, optim_wrapper=wrapper)
    start = _state(runner)
    runner.train()
    frames = [k for k in range(12) if k // 4 != bad // 4]
    other = small_runner(
        tmp_path / "without", torch.utils.data.Subset(Frames(12), frames), [], steps=4, optim_wrapper=wrapper
    )
    other.model.load_state_dict(start)
    other.train()
    for name, value in runner.model.state_dict().items():
        assert torch.equal(value, other.model.state_dict()[name]), name


def test_a_resumed_training_goes_on_counting(tmp_path):
    hooks = dict(checkpoint=dict(type="CheckpointHook", by_epoch=False, interval=1))
    _runner(tmp_path, _nan_of(0.0, 2.0), "skip", steps=3, limit=2, default_hooks=hooks).train()
    last = str(tmp_path / "iter_3.pth")
    runner = _runner(tmp_path, _nan_of(8.0), "skip", steps=6, limit=2, load_from=last, resume=True)
    with pytest.raises(NonFiniteLossError, match=r"iteration 5, after 2 skipped steps"):
        runner.train()


def test_more_steps_than_the_limit_end_the_training(tmp_path):
    runner = _runner(tmp_path, _nan_of(0.0, 2.0, 4.0), "skip", steps=4, limit=2)
    with pytest.raises(NonFiniteLossError, match=r"iteration 3, after 2 skipped steps .*; key frames frame4, frame5"):
        runner.train()


def test_a_gradient_alone_is_seen_and_all_batches_of_its_step_are_named(tmp_path):
    def change(loss: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
        # The root is finite at 0, its slope is not.
        return loss + ((loss - loss) * 1.0).sqrt() if 2.0 in inputs else loss

    wrapper = dict(optimizer=dict(type="SGD", lr=0.1), clip_grad=dict(max_norm=35), accumulative_counts=2)
    runner = _runner(tmp_path, change, optim_wrapper=wrapper)
    words = r"a gradient is not finite, losses of this process are in iteration 2; key frames frame0, frame1, frame2, "
    with pytest.raises(NonFiniteLossError, match=words):
        runner.train()


@pytest.mark.parametrize(
    ("options", "words"),
    [({"policy": "ignore"}, "policy: expected 'stop' or 'skip'"), ({"limit": 0}, "limit: expected a whole number")],
)
def test_wrong_options_are_named(options, words):
    with pytest.raises(UserError, match=words):
        NonFiniteLossHook(**options)
