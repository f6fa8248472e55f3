"""A kill at any moment leaves a checkpoint to resume from."""

import errno
import os
from pathlib import Path

import pytest
import torch
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner
from torch import nn

from ponderv2.checkpoints import checkpoint_to_resume
from ponderv2.engine.held_log import BuildingRunner
from ponderv2.engine.hooks import SafeCheckpointHook


class _Killed(BaseException):
    """Not an exception that anything would catch."""


class _Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))

    def forward(self, inputs, data_samples=None, mode="loss"):
        return {"loss": (self.weight - 1) ** 2}

    def train_step(self, data, optim_wrapper):
        loss = (self.weight - 1) ** 2
        optim_wrapper.update_params(loss)
        return {"loss": loss.detach()}


def _runner(folder, steps, kind, kept=1, resume=False) -> BuildingRunner:
    return BuildingRunner(
        _Model(),
        str(folder),
        train_dataloader=dict(
            dataset=[0.0] * 10, batch_size=1, num_workers=0, sampler=dict(type="InfiniteSampler", shuffle=False)
        ),
        train_cfg=dict(by_epoch=False, max_iters=steps),
        optim_wrapper=dict(optimizer=dict(type="SGD", lr=0.1)),
        default_hooks=dict(checkpoint=dict(type=kind, by_epoch=False, interval=1, max_keep_ckpts=kept)),
        resume=resume,
        load_from=str(checkpoint_to_resume(folder)) if resume else None,
        experiment_name=f"{folder.name}_{steps}_{resume}",
        default_scope="mmengine",
        log_level="ERROR",
    )


def _names(folder) -> set[str]:
    return {path.name for path in folder.glob("*.pth*")} | {path.name for path in folder.glob(".*")}


@pytest.mark.parametrize("kind", [CheckpointHook, "CheckpointHook", "mmengine.hooks.CheckpointHook"])
def test_a_kill_while_a_checkpoint_is_written_leaves_the_one_before(tmp_path, kind, monkeypatch):
    runner = _runner(tmp_path, 3, kind)
    assert [type(hook) for hook in runner.hooks if isinstance(hook, CheckpointHook)] == [SafeCheckpointHook]
    save = torch.save

    def killed(checkpoint, file):
        if checkpoint["meta"]["iter"] == 2:
            file.write(b"half of it")
            raise _Killed
        save(checkpoint, file)

    monkeypatch.setattr(torch, "save", killed)
    with pytest.raises(_Killed):
        runner.train()
    assert _names(tmp_path) == {"iter_1.pth"}
    assert checkpoint_to_resume(tmp_path) == tmp_path / "iter_1.pth"
    monkeypatch.setattr(torch, "save", save)
    _runner(tmp_path, 4, kind, resume=True).train()
    assert _names(tmp_path) == {"iter_4.pth"}


def test_a_kill_before_the_name_of_the_last_checkpoint_is_written_goes_on_from_the_newest(tmp_path, monkeypatch):
    runner = _runner(tmp_path, 3, CheckpointHook, kept=2)
    save = BuildingRunner.save_checkpoint

    def killed(self, *args, **kwargs):
        save(self, *args, **kwargs)
        if self.iter == 2:
            raise _Killed

    monkeypatch.setattr(BuildingRunner, "save_checkpoint", killed)
    with pytest.raises(_Killed):
        runner.train()
    assert _names(tmp_path) == {"iter_1.pth", "iter_2.pth", "iter_3.pth"}
    assert checkpoint_to_resume(tmp_path) == tmp_path / "iter_2.pth"
    monkeypatch.setattr(BuildingRunner, "save_checkpoint", save)
    _runner(tmp_path, 5, CheckpointHook, kept=2, resume=True).train()
    assert _names(tmp_path) == {"iter_4.pth", "iter_5.pth"}


def test_as_many_checkpoints_stay_as_mmengine_keeps(tmp_path):
    for kept in (-1, 1, 2):
        ours, theirs = tmp_path / f"ours{kept}", tmp_path / f"theirs{kept}"
        for folder in (ours, theirs):
            runner = _runner(folder, 4, CheckpointHook, kept)
            if folder == theirs:
                runner._hooks = [h for h in runner.hooks if not isinstance(h, CheckpointHook)]
                hook = CheckpointHook(by_epoch=False, interval=1, max_keep_ckpts=kept)
                Runner.register_hook(runner, hook)
            runner.train()
        assert _names(ours) == _names(theirs)


@pytest.mark.parametrize("indicators", ["a/x", ["a/x", "a/y"]])
def test_the_best_checkpoint_stays_until_a_better_one_is_written(tmp_path, indicators, monkeypatch):
    runner = _runner(tmp_path, 3, CheckpointHook)
    runner.train()
    hook = SafeCheckpointHook(by_epoch=False, save_best=indicators, rule="greater", max_keep_ckpts=1)
    hook.before_train(runner)
    names = [indicators] if isinstance(indicators, str) else indicators

    def best_of(score: float) -> set[str]:
        runner.train_loop._iter += 1
        hook._save_best_checkpoint(runner, dict.fromkeys(names, score))
        return {name for name in _names(tmp_path) if name.startswith("best")}

    first = best_of(0.5)
    second = best_of(0.7)
    assert len(first) == len(second) == len(names)
    assert not second & first
    assert best_of(0.1) == second
    monkeypatch.setattr(torch, "save", _no_space)
    with pytest.raises(OSError, match="No space left on device") as error:
        best_of(0.8)
    assert Path(error.value.filename).name == "best_a_x_iter_7.pth"
    assert {name for name in _names(tmp_path) if name.startswith("best")} == second


@pytest.mark.parametrize("what", ["file", "folder", "best of the original", "folder named best"])
def test_a_checkpoint_that_is_resumed_deletes_nothing_but_the_best_of_its_own_work_dir(tmp_path, what):
    work, other = tmp_path / "work", tmp_path / "other"
    _runner(work, 2, CheckpointHook).train()
    earlier = {
        "file": other / "thesis.pth",
        "folder": other,
        "best of the original": other / "best_a_x_iter_2.pth",
        "folder named best": work / "best_folder",
    }[what]
    if what.startswith("folder"):
        earlier.mkdir()
    else:
        other.mkdir()
        earlier.touch()
    torch.save(_with_info(work / "iter_2.pth", best_ckpt=str(earlier), best_score=0.5), work / "iter_2.pth")
    runner = _runner(work, 3, CheckpointHook, resume=True)
    hook = SafeCheckpointHook(by_epoch=False, save_best="a/x", rule="greater")
    runner.register_hook(hook)
    runner.train()
    hook._save_best_checkpoint(runner, {"a/x": 0.9})
    assert earlier.exists()
    assert (work / "best_a_x_iter_3.pth").is_file()


def test_a_checkpoint_that_is_resumed_names_no_other_files_as_those_it_keeps(tmp_path):
    work = tmp_path / "work"
    _runner(work, 2, CheckpointHook).train()
    (work / "iter_x").mkdir()
    (tmp_path / "thesis.pth").touch()
    torch.save(_with_info(work / "iter_2.pth", keep_ckpt_ids=["x/../../thesis", 1, 2]), work / "iter_2.pth")
    _runner(work, 4, CheckpointHook, resume=True).train()
    assert (tmp_path / "thesis.pth").is_file()
    assert {path.name for path in work.glob("*.pth")} == {"iter_4.pth"}


def _with_info(path: Path, **info: object) -> dict:
    checkpoint = torch.load(path, weights_only=False)
    hub = checkpoint["message_hub"]
    hub["runtime_info"] |= info
    hub["resumed_keys"] |= dict.fromkeys(info, True)
    return checkpoint


def test_a_full_disk_is_an_error_that_keeps_the_checkpoint_before(tmp_path, monkeypatch):
    runner = _runner(tmp_path, 5, CheckpointHook)
    save = torch.save
    monkeypatch.setattr(torch, "save", lambda *given: (save if runner.iter < 2 else _no_space)(*given))
    with pytest.raises(OSError, match="No space left on device") as error:
        runner.train()
    assert Path(error.value.filename).name == "iter_3.pth"
    assert _names(tmp_path) == {"iter_2.pth"}
    assert checkpoint_to_resume(tmp_path) == tmp_path / "iter_2.pth"


def _no_space(checkpoint, file) -> None:
    file.write(b"half of it")
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
