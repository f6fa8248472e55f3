"""What the official score needs is looked for before a training starts, not at its first validation."""

import shutil
from pathlib import Path

import pytest
from mmengine.runner import Runner

from ponderv2.engine import load_config
from ponderv2.errors import UserError
from ponderv2.evaluation import PonderNuScenesMetric

VAL = "nuscenes_infos_val.pkl"


@pytest.fixture
def streets_without(streets, tmp_path):
    """Makes a copy of the streets, of links, without some tables."""

    def make(*tables: str) -> Path:
        for path in streets.iterdir():
            (tmp_path / path.name).symlink_to(path)
        (tmp_path / "v1.0-mini").unlink()
        shutil.copytree(streets / "v1.0-mini", tmp_path / "v1.0-mini")
        for name in tables:
            (tmp_path / "v1.0-mini" / f"{name}.json").unlink()
        return tmp_path

    return make


def _told(root: Path, version: str, ann_file: str = VAL) -> PonderNuScenesMetric:
    metric = PonderNuScenesMetric(str(root), ann_file)
    metric.dataset_meta = {"version": version, "classes": ("car",)}
    return metric


def test_a_missing_table_ends_a_training_before_it_starts(streets_without, repository, tmp_path):
    root = streets_without("sample_annotation")
    recipe = repository / "configs" / "tiny" / "uvtr_lidar_synthetic.py"
    small = {"model.encoder.grid.size": (36, 36, 4), "model.encoder.voxel_size": (0.375, 0.375, 0.25)}
    config = load_config(recipe, root, small | {"model.init_cfg": None, "train_cfg.max_iters": 1})
    config.work_dir = str(tmp_path / "work")
    runner = Runner.from_cfg(config)
    with pytest.raises(UserError, match=r"v1\.0-mini/sample_annotation\.json is missing: the official score needs all"):
        runner.train()
    assert runner.iter == 0


def test_many_missing_tables_are_one_line_with_the_first(streets_without):
    root = streets_without("map", "log", "scene")
    with pytest.raises(UserError, match=r"log\.json and 2 more tables are missing") as found:
        _told(root, "v1.0-mini")
    assert "\n" not in str(found.value)


def test_a_missing_info_file_is_named(streets):
    with pytest.raises(UserError, match=r"info file .*/no\.pkl of PonderNuScenesMetric does not exist"):
        _told(streets, "v1.0-mini", "no.pkl")


def test_whole_tables_and_a_version_without_public_boxes_pass(streets):
    assert _told(streets, "v1.0-mini").dataset_meta["version"] == "v1.0-mini"
    assert _told(streets, "v1.0-test").dataset_meta["classes"] == ("car",)
