"""The data sets of a recipe, inside wrappers and lists."""

import pytest
from mmengine.config import ConfigDict

from ponderv2.engine import innermost_dataset, set_data_root
from ponderv2.engine.recipe_datasets import refuse_stock_dataset
from ponderv2.errors import UserError


def test_data_root_reaches_wrapped_data_sets_and_lists():
    config = {
        "a": {"dataset": {"dataset": {"data_root": "old"}}},
        "metrics": [{"data_root": "old"}, {"other": 1}],
    }
    set_data_root(config, "new")
    assert config == {
        "a": {"dataset": {"dataset": {"data_root": "new"}}},
        "metrics": [{"data_root": "new"}, {"other": 1}],
    }


@pytest.mark.parametrize("wrappers", [0, 1, 3])
def test_the_innermost_data_set_is_found_inside_any_number_of_wrappers(wrappers):
    dataset = dict(ann_file="train.pkl")
    for _ in range(wrappers):
        dataset = dict(type="Wrapper", dataset=dataset)
    key, innermost = innermost_dataset(ConfigDict(dataset=dataset))
    assert key == ".".join(["dataset"] * (wrappers + 1))
    assert innermost == dict(ann_file="train.pkl")


def test_the_data_set_of_mmdet3d_is_refused_inside_wrappers_and_others_are_not():
    def loader(kind: str) -> ConfigDict:
        return ConfigDict(dataset=dict(type="CBGSDataset", dataset=dict(type=kind)))

    refuse_stock_dataset(loader("PonderNuScenesDataset"), "ours.py")
    with pytest.raises(UserError, match=r"theirs\.py: dataset\.dataset is mmdet3d's NuScenesDataset.*own tools"):
        refuse_stock_dataset(loader("NuScenesDataset"), "theirs.py")
