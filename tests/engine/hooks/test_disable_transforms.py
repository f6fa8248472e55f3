"""Transforms are switched off from an epoch on: in the right epochs, after resuming, in every process."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from mmcv.transforms import BaseTransform
from mmengine.dataset import BaseDataset, ClassBalancedDataset, ConcatDataset, DefaultSampler, RepeatDataset
from mmengine.model import BaseModel
from mmengine.runner import IterBasedTrainLoop, Runner
from torch import nn

from ponderv2.datasets import PonderCBGSDataset, SharedSwitch, SwitchableTransform
from ponderv2.engine import DisableTransformsHook


class Mark(SwitchableTransform):
    """Adds one to a number: whether it was on when the sample was made."""

    def transform(self, results: dict) -> dict:
        results["x"] = results["x"] + 1
        return results


class OtherMark(Mark):
    pass


class Fixed(BaseTransform):
    def transform(self, results: dict) -> dict:
        return results


class Numbers(BaseDataset):
    METAINFO = {"classes": ("one",)}

    def load_data_list(self) -> list[dict]:
        return [{"x": torch.zeros(1)} for _ in range(4)]

    def get_cat_ids(self, idx: int) -> list[int]:
        return [0]


class Seen(BaseModel):
    """Remembers what it was given, epoch by epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.seen: list[float] = []

    def forward(self, x: list[torch.Tensor], mode: str = "loss", **_) -> dict:
        x = torch.cat(x)
        self.seen += x.tolist()
        return {"loss": (x * self.weight).sum()}


def runner_with(
    dataset, hook: DisableTransformsHook, work_dir: Path, epochs: int = 4, workers: int = 1, **more
) -> Runner:
    train_cfg = more.pop("train_cfg", dict(by_epoch=True, max_epochs=epochs))
    return Runner(
        model=Seen(),
        work_dir=str(work_dir),
        train_dataloader=dict(
            dataset=dataset,
            batch_size=2,
            num_workers=workers,
            persistent_workers=workers > 0,
            sampler=dict(type=DefaultSampler, shuffle=False),
        ),
        optim_wrapper=dict(optimizer=dict(type="SGD", lr=0.1)),
        train_cfg=train_cfg,
        custom_hooks=[hook],
        default_hooks=dict(logger=None),
        experiment_name=f"disable_{work_dir.name}_{np.random.randint(10**9)}",
        log_level="WARNING",
        **more,
    )


def train(runner: Runner) -> list[set[float]]:
    """Train, and return the values that the model got in each epoch."""
    runner.train()
    # Now, not when garbage is collected, which waits seconds for workers.
    runner.train_dataloader._iterator = None
    seen = runner.model.seen
    return [set(seen[k : k + 4]) for k in range(0, len(seen), 4)]


@pytest.mark.parametrize("workers", [0, 1], ids=["in process", "persistent worker"])
def test_they_are_off_from_the_epoch_on_also_in_workers_that_live_on(tmp_path, workers):
    dataset = Numbers(pipeline=[Mark()])
    runner = runner_with(dataset, DisableTransformsHook(2, (Mark,)), tmp_path, workers=workers)
    assert train(runner) == [{1.0}, {1.0}, {0.0}, {0.0}]


def test_a_late_resume_finds_them_off(tmp_path):
    first = runner_with(Numbers(pipeline=[Mark()]), DisableTransformsHook(1, (Mark,)), tmp_path, epochs=3)
    train(first)
    again = runner_with(
        Numbers(pipeline=[Mark()]),
        DisableTransformsHook(1, (Mark,)),
        tmp_path,
        epochs=5,
        load_from=str(tmp_path / "epoch_3.pth"),
        resume=True,
    )
    assert train(again) == [{0.0}, {0.0}]


def test_an_early_resume_finds_them_on_though_they_were_switched_off_before(tmp_path):
    dataset = Numbers(pipeline=[Mark()])
    dataset.pipeline.transforms[0].switch.set(False)
    runner = runner_with(dataset, DisableTransformsHook(1, (Mark,)), tmp_path, epochs=2, workers=0)
    assert train(runner) == [{1.0}, {0.0}]


def test_wrappers_of_any_depth_are_walked():
    def fresh() -> Numbers:
        return Numbers(pipeline=[Fixed(), Mark()])

    hook = DisableTransformsHook(1, (Mark,))
    assert len(hook.find(ConcatDataset([fresh(), fresh()]))) == 2
    balanced = PonderCBGSDataset(fresh())
    wrappers = (RepeatDataset(fresh(), times=2), balanced, ClassBalancedDataset(fresh(), oversample_thr=1e-3))
    for wrapped in wrappers:
        assert len(hook.find(wrapped)) == 1
    # mmengine's wrappers take no wrappers; torch's do.
    assert len(hook.find(torch.utils.data.ConcatDataset([balanced, fresh()]))) == 2


def test_subclasses_count_and_names_do_as_well_as_classes():
    dataset = Numbers(pipeline=[Mark(), OtherMark()])
    assert [type(t) for t in DisableTransformsHook(1, (Mark,)).find(dataset)] == [Mark, OtherMark]
    assert [type(t) for t in DisableTransformsHook(1, ("tests.OtherMark",)).find(dataset)] == [OtherMark]
    assert len(DisableTransformsHook(1, (Mark, OtherMark)).find(dataset)) == 2


def test_nothing_to_switch_off_is_an_error_before_training(tmp_path):
    runner = runner_with(Numbers(pipeline=[Fixed()]), DisableTransformsHook(2, (Mark,)), tmp_path, workers=0)
    with pytest.raises(ValueError, match="no Mark in the training data; it has Fixed"):
        runner.train()
    assert runner.model.seen == []


def test_one_of_several_missing_is_an_error():
    with pytest.raises(ValueError, match="no OtherMark in the training data; it has Mark"):
        DisableTransformsHook(2, (Mark, OtherMark)).find(Numbers(pipeline=[Mark()]))


def test_what_cannot_be_switched_is_an_error():
    with pytest.raises(TypeError, match="Fixed is no SwitchableTransform"):
        DisableTransformsHook(2, (Fixed,)).find(Numbers(pipeline=[Fixed()]))


def test_training_by_iterations_is_refused(tmp_path):
    runner = runner_with(
        Numbers(pipeline=[Mark()]),
        DisableTransformsHook(2, (Mark,)),
        tmp_path,
        workers=0,
        train_cfg=dict(type=IterBasedTrainLoop, max_iters=2),
    )
    with pytest.raises(ValueError, match="counts epochs, and IterBasedTrainLoop does not train by epochs"):
        runner.train()


@pytest.mark.parametrize(("after", "transforms"), [(-1, (Mark,)), (1, ()), (1, "Mark")])
def test_wrong_arguments_are_refused(after, transforms):
    with pytest.raises(ValueError, match=r"(after|transforms): expected"):
        DisableTransformsHook(after, transforms)


def _report(switch: SharedSwitch, asked, answers) -> None:
    while asked.get():
        answers.put(bool(switch))


# A spawned process imports everything anew: half a minute.
@pytest.mark.parametrize("method", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
def test_a_switch_is_shared_with_processes_however_they_start(method):
    context = torch.multiprocessing.get_context(method)
    switch, asked, answers = SharedSwitch(), context.Queue(), context.Queue()
    process = context.Process(target=_report, args=(switch, asked, answers))
    process.start()
    seen = []
    for on in (True, False, True):
        switch.set(on)
        asked.put(True)
        seen.append(answers.get(timeout=60))
    asked.put(False)
    process.join(timeout=60)
    assert seen == [True, False, True]
    assert process.exitcode == 0


def test_a_deep_copy_of_a_switch_is_another_one():
    switch = SharedSwitch(False)
    other = copy.deepcopy(switch)
    other.set(True)
    assert not switch
    assert other._bit.is_shared()
