"""Files that are wrong in one way each, and checkpoints of untrained models, for the tools to refuse."""

import math
import os
import pickle
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from mmengine.logging import MMLogger

from ponderv2.checkpoints import export_encoder
from ponderv2.engine import load_config
from ponderv2.registry import MODELS
from tests.factories.tool_scripts import call_tool
from tests.tools.refusals import Refuse

COARSE = "model.encoder.grid.size=(36,36,4)"


class _Runs:
    """What a hostile pickle holds: reading it calls `os.system`."""

    def __reduce__(self) -> tuple:
        return os.system, ("false",)


@pytest.fixture(scope="session")
def places(repository_root: Path, streets: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Names that rows of the table use, and the files and folders behind them; do not write to them."""
    root = tmp_path_factory.mktemp("places")
    tiny = repository_root / "configs" / "tiny"
    found = {
        "streets": streets,
        "here": root,
        "tiny": tiny,
        "detection": repository_root / "configs" / "detection",
        "interop": repository_root / "configs" / "interop",
        "parts": repository_root / "configs" / "_base_" / "tiny.py",
        "pretrain_recipe": tiny / "ponderv2_camera_synthetic.py",
        "detector_recipe": tiny / "uvtr_camera_synthetic.py",
        "lidar_recipe": tiny / "uvtr_lidar_synthetic.py",
        "fusion_recipe": tiny / "uvtr_fusion_synthetic.py",
        "empty": root / "empty",
        "file": root / "file.txt",
    }
    found["empty"].mkdir()
    found["file"].write_text("not what is expected\n")
    return found | _recipes(root) | _checkpoints(root, found) | _data(root, streets)


@pytest.fixture
def refuse(
    places: dict[str, Path],
    repository: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> Refuse:
    """Runs a tool in an empty folder and checks that all it does is to tell one line, with exit code 2."""

    def check(tool: str, arguments: list[str], line: str) -> None:
        monkeypatch.chdir(tmp_path)
        paths = places | {"out": tmp_path, "nowhere": tmp_path / "nowhere"}
        code, error = call_tool(repository, tool, [a.format(**paths) for a in arguments], capsys)
        lines = error.strip().splitlines()
        assert code == 2, error
        assert len(lines) == 1, error
        assert re.search(line, lines[0]), lines[0]
        assert not list(tmp_path.rglob("*.pth*"))

    return check


@pytest.fixture(scope="session")
def repository_root() -> Path:
    return Path(__file__).parents[2]


def _recipes(root: Path) -> dict[str, Path]:
    rest = "train_dataloader = dict(batch_size=1)\noptim_wrapper = dict(type=1)\ntrain_cfg = dict(max_iters=1)\n"
    texts = {
        "broken_recipe": "model = dict(\n",
        "baseless_recipe": "_base_ = ['nowhere.py']\n",
        "importing_recipe": "from no_such_package import Model\nmodel = dict(type=Model)\n" + rest,
        "unknown_class_recipe": "from mmengine.config import read_base\nfrom ponderv2.models import NoSuchModel\n"
        "model = dict(type=NoSuchModel)\n" + rest,
    }
    for name, text in texts.items():
        (root / f"{name}.py").write_text(text)
    return {name: root / f"{name}.py" for name in texts}


def _checkpoints(root: Path, found: dict[str, Path]) -> dict[str, Path]:
    models = {}
    for name, recipe in (("pretrain", "pretrain_recipe"), ("detector", "detector_recipe")):
        config = load_config(found[recipe], options={"model.encoder.grid.size": (36, 36, 4), "model.init_cfg": None})
        models[name] = (config, MODELS.build(config.model))
        state = {
            "state_dict": models[name][1].state_dict(),
            "optimizer": {"param_groups": []},
            "meta": {"epoch": 0, "iter": 1},
        }
        torch.save(state, root / f"{name}.pth")
    config, model = models["pretrain"]
    export_encoder(model.encoder, root / "encoder.safetensors", config.model.encoder, config.model.data_preprocessor)
    meta = {"epoch": 0, "iter": 1, "config": "import os"}
    torch.save(state | {"meta": meta}, root / "coded.pth")
    torch.save({"state_dict": {"encoder.x": torch.zeros(2)}, "meta": {}}, root / "foreign.pth")
    torch.save({"state_dict": {"encoder.camera.x": torch.zeros(2)}, "meta": {}}, root / "fused.pth")
    torch.save({"state_dict": {"backbone.x": torch.zeros(2)}, "meta": {}}, root / "strange.pth")
    torch.save({"weights": {}}, root / "keyless.pth")
    published = {"pts_middle_encoder.conv_out.1.bias": torch.zeros(256), "pts_middle_encoder.extra": torch.zeros(1)}
    torch.save({"state_dict": published, "meta": {}}, root / "published.pth")
    (root / "torn.pth").write_bytes((root / "detector.pth").read_bytes()[:5000])
    (root / "nothing.pth").write_bytes(b"")
    (root / "hostile.pth").write_bytes(pickle.dumps(_Runs(), protocol=2))
    moved = root / "moved"
    moved.mkdir()
    (moved / "last_checkpoint").write_text("elsewhere/iter_9.pth")
    names = ("pretrain", "detector", "coded", "foreign", "fused", "strange", "keyless", "torn", "nothing", "hostile")
    return {f"{name}_checkpoint": root / f"{name}.pth" for name in (*names, "published")} | {
        "encoder": root / "encoder.safetensors",
        "moved": moved,
    }


def _data(root: Path, streets: Path) -> dict[str, Path]:
    """Data roots that lack or damage one thing each; all else is linked to the whole ones."""
    roots = {}

    def variant(name: str, *without: str) -> Path:
        folder = roots[name] = root / name
        folder.mkdir()
        for entry in streets.iterdir():
            if entry.name not in without:
                (folder / entry.name).symlink_to(entry)
        return folder

    train = "nuscenes_infos_train.pkl"
    variant("no_infos", train)
    (variant("torn_infos", train) / train).write_bytes((streets / train).read_bytes()[:2000])
    (variant("hostile_infos", train) / train).write_bytes(pickle.dumps(_Runs()))
    (variant("old_infos", train) / train).write_bytes(pickle.dumps({"infos": [], "metadata": {}}))
    (variant("listed_infos", train) / train).write_bytes(pickle.dumps([1, 2]))
    empty = pickle.dumps({"metainfo": {"version": "v1.0-mini"}, "data_list": []})
    (variant("empty_infos", train) / train).write_bytes(empty)
    wrong = {
        "wrong_box": lambda frame: [i.update(bbox_3d=[math.nan] * 7) for i in frame["instances"]],
        "wrong_velocity": lambda frame: [i.update(velocity="fast") for i in frame["instances"]],
        "singular_matrix": lambda frame: frame["images"]["CAM_BACK"].update(lidar2cam=[[1.0] * 4] * 4),
    }
    for name, change in wrong.items():
        content = pickle.loads((streets / train).read_bytes())
        for frame in content["data_list"]:
            change(frame)
        (variant(name, train) / train).write_bytes(pickle.dumps(content))
    variant("no_tables", "v1.0-mini")
    cut = variant("cut_image", "samples")
    shutil.copytree(streets / "samples", cut / "samples")
    for path in (cut / "samples" / "CAM_FRONT").iterdir():
        path.write_bytes(path.read_bytes()[:700])
    torn = variant("torn_tables", "v1.0-mini", train, "nuscenes_infos_val.pkl", "prepared.json")
    shutil.copytree(streets / "v1.0-mini", torn / "v1.0-mini")
    (torn / "v1.0-mini" / "sample.json").write_text("[{")
    return roots


@pytest.fixture(autouse=True)
def _own_loggers() -> Iterator[None]:
    """Loggers of mmengine write to the standard output of the test that made them: each test has its own."""
    yield
    MMLogger._instance_dict.clear()
