"""`compat.safe_checkpoint`: mmengine's own checkpoints load, and nothing in a file is ever run."""

import os
import pickle
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
import torch
from torch import nn

mmengine = pytest.importorskip("mmengine")

from mmengine.logging import HistoryBuffer  # noqa: E402
from mmengine.model import BaseModel  # noqa: E402
from mmengine.optim import MultiStepLR, OneCycleLR  # noqa: E402
from mmengine.runner import CheckpointLoader, Runner  # noqa: E402
from mmengine.runner.checkpoint import load_from_local as mmengine_own_loader  # noqa: E402

from ponderv2.compat import safe_checkpoint  # noqa: E402
from ponderv2.compat.safe_checkpoint import (  # noqa: E402
    CorruptCheckpointError,
    UnsafeCheckpointError,
    install_checkpoint_loader,
    load_checkpoint_file,
)

ORDERS = ["torch.load of torch >= 2.7", "our unpickler for older torch"]


@pytest.fixture(params=ORDERS)
def reader(request, monkeypatch):
    """Each of the two ways to read a file; both must accept and refuse the same."""
    if request.param == ORDERS[1]:
        monkeypatch.setattr(safe_checkpoint, "_torch_version", lambda: (2, 1))
    elif safe_checkpoint._torch_version() < (2, 7):
        pytest.skip("needs torch >= 2.7")
    return request.param


class Attack:
    """Pickles as a call of a function with arguments."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


def mmengine_checkpoint():
    """The kinds of values that a checkpoint of mmengine holds."""
    log = HistoryBuffer([1.0, 2.5], [1, 1])
    log.update(4.0)
    return {
        "meta": {
            "epoch": 1,
            "seed": None,
            "dataset_meta": {"classes": ("car", "bus"), "palette": [(0, 1, 2)], "sizes": np.eye(2)},
        },
        "state_dict": OrderedDict(weight=torch.arange(6.0).reshape(2, 3), count=torch.tensor(3)),
        "message_hub": {
            "log_scalars": OrderedDict({"train/loss": log}),
            "runtime_info": OrderedDict(iter=3, best=np.float64(0.5), names=np.array(["a", "bc"])),
            "resumed_keys": OrderedDict({"train/loss": True}),
        },
        "optimizer": {
            "state": {0: {"step": torch.tensor(2.0), "exp_avg": torch.ones(3)}},
            "param_groups": [{}],
        },
    }


def save(tmp_path, value, **kwargs):
    path = tmp_path / "checkpoint.pth"
    torch.save(value, path, **kwargs)
    return path


@pytest.mark.usefixtures("reader")
def test_every_kind_of_value_of_an_mmengine_checkpoint_survives(tmp_path):
    saved = mmengine_checkpoint()
    loaded = load_checkpoint_file(save(tmp_path, saved))
    torch.testing.assert_close(loaded["state_dict"], saved["state_dict"])
    torch.testing.assert_close(loaded["optimizer"], saved["optimizer"])
    assert type(loaded["state_dict"]) is OrderedDict
    info = loaded["message_hub"]["runtime_info"]
    assert (info["iter"], info["best"], info["names"].tolist()) == (3, 0.5, ["a", "bc"])
    np.testing.assert_array_equal(loaded["meta"]["dataset_meta"]["sizes"], np.eye(2))
    log = loaded["message_hub"]["log_scalars"]["train/loss"]
    assert isinstance(log, HistoryBuffer)
    assert (log.mean(), log.min(), log.max(), log.current()) == (2.5, 1.0, 4.0, 4.0)
    assert log.statistics("mean", window_size=1) == 4.0
    log.update(5.0)
    assert log.current() == 5.0


@pytest.mark.usefixtures("reader")
def test_the_metadata_of_a_state_dict_survives(tmp_path):
    state = nn.BatchNorm1d(2).state_dict()
    loaded = load_checkpoint_file(save(tmp_path, {"state_dict": state}))
    assert loaded["state_dict"]._metadata == state._metadata


@pytest.mark.usefixtures("reader")
@pytest.mark.parametrize("dtype", ["?", "i1", "u2", "i4", "i8", "f2", "f4", "f8", "c8", "U3", "S3"])
def test_numpy_arrays_and_scalars_of_every_kind(tmp_path, dtype):
    array = np.array([[0, 1], [1, 0]]).astype(dtype)
    loaded = load_checkpoint_file(save(tmp_path, {"array": array, "scalar": array[0, 1]}))
    np.testing.assert_array_equal(loaded["array"], array)
    assert loaded["scalar"] == array[0, 1]


@pytest.mark.usefixtures("reader")
def test_a_checkpoint_saved_under_numpy_2_loads(tmp_path):
    path = save(tmp_path, {"array": np.arange(3), "scalar": np.float64(2)})
    renamed = tmp_path / "numpy2.pth"
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(renamed, "w") as target:
        for name in source.namelist():
            data = source.read(name).replace(b"cnumpy.core.multiarray\n", b"cnumpy._core.multiarray\n")
            target.writestr(name, data)
    loaded = load_checkpoint_file(renamed)
    assert loaded["array"].tolist() == [0, 1, 2]
    assert loaded["scalar"] == 2


def test_the_format_of_torch_before_1_6_loads(tmp_path):
    path = save(tmp_path, {"state_dict": {"weight": torch.ones(2)}}, _use_new_zipfile_serialization=False)
    assert load_checkpoint_file(path)["state_dict"]["weight"].tolist() == [1, 1]


@pytest.mark.usefixtures("reader")
def test_map_location_is_obeyed(tmp_path):
    loaded = load_checkpoint_file(save(tmp_path, {"weight": torch.ones(2)}), map_location="meta")
    assert loaded["weight"].device.type == "meta"


def test_safetensors_load_as_a_state_dict(tmp_path):
    from safetensors.torch import save_file

    path = tmp_path / "encoder.safetensors"
    save_file({"weight": torch.arange(3.0)}, path)
    install_checkpoint_loader()
    for loaded in (load_checkpoint_file(path), CheckpointLoader.load_checkpoint(str(path), "cpu")):
        assert list(loaded) == ["state_dict"]
        assert loaded["state_dict"]["weight"].tolist() == [0, 1, 2]


ATTACKS = {
    "os.system": lambda proof: Attack(os.system, f"touch {proof}"),
    "builtins.eval": lambda proof: Attack(eval, f"open({str(proof)!r}, 'w')"),
    "builtins.exec": lambda proof: Attack(exec, f"open({str(proof)!r}, 'w')"),
    "the globals of an allowed function": lambda proof: Attack(getattr, HistoryBuffer.mean, "__globals__"),
    "a class's other functions": lambda proof: Attack(getattr, HistoryBuffer, "__init__"),
    "a registering function": lambda proof: Attack(getattr, HistoryBuffer, "register_statistics"),
    "numpy.load": lambda proof: Attack(np.load, str(proof)),
    "pickle.loads": lambda proof: Attack(pickle.loads, pickle.dumps(Attack(os.system, f"touch {proof}"))),
    "torch.load": lambda proof: Attack(torch.load, str(proof)),
}


@pytest.mark.usefixtures("reader")
@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_refused_and_not_run(tmp_path, name):
    proof = tmp_path / "attacked"
    path = save(tmp_path, {"state_dict": {}, "meta": ATTACKS[name](proof)})
    with pytest.raises(UnsafeCheckpointError) as caught:
        load_checkpoint_file(path)
    assert not proof.exists()
    assert str(path) in str(caught.value)


@pytest.mark.usefixtures("reader")
def test_the_refusal_names_the_file_and_the_function(tmp_path):
    path = save(tmp_path, {"meta": Attack(os.system, "true")})
    with pytest.raises(UnsafeCheckpointError, match=r"refused to load .*checkpoint\.pth.*system") as caught:
        load_checkpoint_file(path)
    assert caught.value.refused == f"{os.system.__module__}.system"
    assert caught.value.path == path


@pytest.mark.usefixtures("reader")
def test_a_whole_pickled_model_is_refused(tmp_path):
    with pytest.raises(UnsafeCheckpointError) as caught:
        load_checkpoint_file(save(tmp_path, {"model": nn.Linear(1, 1)}))
    assert caught.value.refused == "torch.nn.modules.linear.Linear"


def test_a_plain_pickle_of_an_attack_is_refused_and_not_run(tmp_path):
    proof = tmp_path / "attacked"
    path = tmp_path / "plain.pth"
    for protocol in (2, 4):
        path.write_bytes(pickle.dumps(Attack(os.system, f"touch {proof}"), protocol=protocol))
        with pytest.raises((UnsafeCheckpointError, CorruptCheckpointError)):
            load_checkpoint_file(path)
        assert not proof.exists()


@pytest.mark.usefixtures("reader")
def test_an_allowed_class_cannot_be_changed(tmp_path):
    """BUILD, the instruction that sets attributes, aimed at the class itself rather than at an object."""
    program = (
        b"\x80\x02cmmengine.logging.history_buffer\nHistoryBuffer\nN}X\x04\x00\x00\x00meanX\x03\x00\x00\x00bads\x86b."
    )
    path = save(tmp_path, {})
    attack = tmp_path / "build.pth"
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(attack, "w") as target:
        for name in source.namelist():
            target.writestr(name, program if name.endswith("data.pkl") else source.read(name))
    before = HistoryBuffer.mean
    with pytest.raises(UnsafeCheckpointError):
        load_checkpoint_file(attack)
    assert HistoryBuffer.mean is before


def test_a_torchscript_program_is_refused(tmp_path):
    path = tmp_path / "script.pth"
    torch.jit.save(torch.jit.script(nn.ReLU()), path)
    with pytest.raises(UnsafeCheckpointError, match="TorchScript"):
        load_checkpoint_file(path)


@pytest.mark.usefixtures("reader")
def test_a_compressed_checkpoint_is_refused_before_it_is_unpacked(tmp_path):
    path, bomb = save(tmp_path, {"weight": torch.zeros(10_000)}), tmp_path / "bomb.pth"
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            target.writestr(name, source.read(name))
    with pytest.raises(CorruptCheckpointError, match=r"bomb\.pth .*it is compressed"):
        load_checkpoint_file(bomb)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no checkpoint at .*nothing\.pth"):
        load_checkpoint_file(tmp_path / "nothing.pth")


@pytest.mark.usefixtures("reader")
@pytest.mark.parametrize("kept", [0.0, 0.2, 0.5, 0.99])
def test_a_truncated_file_is_called_unreadable(tmp_path, kept):
    path = save(tmp_path, mmengine_checkpoint())
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(CorruptCheckpointError, match=r"cannot read .*checkpoint\.pth"):
        load_checkpoint_file(path)


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.99])
def test_a_truncated_old_file_is_called_unreadable(tmp_path, kept):
    path = save(tmp_path, {"weight": torch.ones(1000)}, _use_new_zipfile_serialization=False)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(CorruptCheckpointError):
        load_checkpoint_file(path)


def test_other_files_are_called_unreadable(tmp_path):
    with zipfile.ZipFile(tmp_path / "archive.pth", "w") as archive:
        archive.writestr("readme.txt", "not a checkpoint")
    (tmp_path / "page.pth").write_bytes(b"<html>404</html>")
    (tmp_path / "plain.pth").write_bytes(pickle.dumps({"weight": 1.0}, protocol=2))
    (tmp_path / "damaged.safetensors").write_bytes(b"\xff" * 40)
    for name in ("archive.pth", "page.pth", "plain.pth", "damaged.safetensors"):
        with pytest.raises(CorruptCheckpointError, match=name):
            load_checkpoint_file(tmp_path / name)
    with pytest.raises(CorruptCheckpointError, match="holds a Tensor, expected a dict"):
        load_checkpoint_file(save(tmp_path, torch.ones(1)))


class Regression(BaseModel):
    def __init__(self):
        super().__init__()
        self.layer = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 1))

    def forward(self, inputs, target, mode):
        return {"loss": (self.layer(inputs) - target).square().mean()}


def make_runner(work_dir, max_iters, resume=False):
    torch.manual_seed(0)
    data = [{"inputs": torch.randn(2), "target": torch.randn(1)} for _ in range(16)]
    return Runner(
        model=Regression(),
        work_dir=str(work_dir),
        # mmengine keeps one message hub a name, for the life of the process.
        experiment_name=f"{work_dir}_{max_iters}_{resume}",
        train_dataloader={
            "dataset": data,
            "batch_size": 4,
            "num_workers": 0,
            "sampler": {"type": "InfiniteSampler", "shuffle": False},
            "collate_fn": {"type": "default_collate"},
        },
        train_cfg={"type": "IterBasedTrainLoop", "max_iters": max_iters},
        optim_wrapper={"optimizer": {"type": "AdamW", "lr": 0.01}},
        param_scheduler=[
            # A schedule keeps its end through a checkpoint, and by default that is the end of the first run.
            {"type": OneCycleLR, "eta_max": 0.02, "total_steps": 6, "end": 6, "by_epoch": False},
            {"type": MultiStepLR, "milestones": [1, 5], "end": 6, "by_epoch": False},
        ],
        default_hooks={
            "checkpoint": {"type": "CheckpointHook", "interval": 2, "by_epoch": False},
            "logger": {"type": "LoggerHook", "interval": 1},
        },
        resume=resume,
        log_level="ERROR",
        randomness={"seed": 0},
    )


@pytest.mark.usefixtures("reader")
def test_a_resumed_run_ends_as_one_that_was_not_interrupted(tmp_path):
    install_checkpoint_loader()
    straight = make_runner(tmp_path / "straight", 6)
    straight.train()
    make_runner(tmp_path / "cut", 4).train()
    resumed = make_runner(tmp_path / "cut", 6, resume=True)
    resumed.train()

    assert resumed.iter == 6
    torch.testing.assert_close(resumed.model.state_dict(), straight.model.state_dict())
    torch.testing.assert_close(resumed.optim_wrapper.state_dict(), straight.optim_wrapper.state_dict())
    for ours, theirs in zip(resumed.param_schedulers, straight.param_schedulers):
        assert (ours.last_step, ours.get_last_value()) == (theirs.last_step, theirs.get_last_value())
    losses = [runner.message_hub.get_scalar("train/loss").data[0] for runner in (resumed, straight)]
    assert len(losses[0]) == 6
    np.testing.assert_allclose(*losses, rtol=1e-5)


def test_installing_again_changes_nothing():
    install_checkpoint_loader()
    before = dict(CheckpointLoader._schemes)
    install_checkpoint_loader()
    assert CheckpointLoader._schemes == before


@pytest.mark.skipif(safe_checkpoint._torch_version() < (2, 6), reason="the fault is that of torch >= 2.6")
def test_the_fault_mmengine_cannot_load_its_own_checkpoint(tmp_path):
    with pytest.raises(pickle.UnpicklingError, match="Weights only load failed"):
        mmengine_own_loader(str(save(tmp_path, mmengine_checkpoint())), "cpu")
