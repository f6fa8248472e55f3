"""The linear probe of frozen volumes."""

import json
import math

import numpy as np
import pytest
import torch
from mmengine.logging import MMLogger
from torch.utils.data import Dataset

from ponderv2.geometry import points_in_box
from ponderv2.structures import VoxelGrid
from studies.evaluation_frames import frames_of
from studies.linear_probe import NO_OBJECT, Cells, cell_classes, probe
from tests.factories.tool_scripts import load_tool

GRID = VoxelGrid(point_cloud_range=(-8.0, -8.0, -2.0, 8.0, 8.0, 2.0), size=(16, 16, 4))
NAMES = ("car", "cone", "bus")


def test_a_cell_has_the_class_of_the_box_around_its_centre():
    boxes = torch.tensor([[3.0, -2.0, 0.0, 4.2, 2.1, 1.6, 0.6], [-5.0, 5.0, 0.5, 6.0, 2.5, 3.0, -1.0]])
    classes = cell_classes(boxes, torch.tensor([2, 0]), GRID)
    assert classes.shape == (4, 16, 16)
    centers = GRID.centers().numpy()
    for box, label in zip(boxes.numpy(), (2, 0), strict=True):
        found = centers[classes == label]
        assert len(points_in_box(found, box)) == len(found) == len(points_in_box(centers.reshape(-1, 3), box)) > 0


def test_a_box_that_holds_no_centre_has_the_cell_around_its_own():
    inside, outside = [2.2, -3.3, 0.4, 0.2, 0.2, 0.3, 0.0], [9.0, 0.0, 0.0, 0.2, 0.2, 0.3, 0.0]
    classes = cell_classes(torch.tensor([inside, outside]), torch.tensor([1, 1]), GRID)
    ((z, y, x),) = np.argwhere(classes != NO_OBJECT)
    assert classes[z, y, x] == 1
    assert (np.abs(GRID.centers()[z, y, x].numpy() - inside[:3]) <= 0.5).all()


def test_frames_without_boxes_have_no_object():
    assert (cell_classes(torch.zeros(0, 7), torch.zeros(0, dtype=torch.long), GRID) == NO_OBJECT).all()


def _cells(informative: bool, seed: int) -> Cells:
    """600 cells of 8 channels: noise, and where it is informative the class in channels 0 to 2."""
    random = np.random.default_rng(seed)
    classes = random.choice([NO_OBJECT, 0, 1, 2], 600, p=[0.7, 0.14, 0.14, 0.02])
    features = random.standard_normal((600, 8)).astype(np.float32)
    if informative:
        for k in range(3):
            features[classes == k, k] += 9.0
    return Cells(features, classes)


def test_informative_features_are_told_from_noise():
    known = probe("a", _cells(True, 0), _cells(True, 1), NAMES)
    noise = probe("b", _cells(False, 0), _cells(False, 1), NAMES)
    assert known.val > 0.99
    assert 0.4 < noise.val < 0.6 < noise.train + 0.15
    # The bus is in too few cells to be judged.
    assert set(known.classes) == {"car", "cone"}
    assert min(known.classes.values()) > 0.99


def test_dimensions_count_directions_and_not_channels():
    cells = _cells(False, 0)
    assert probe("a", cells, cells, NAMES).dimensions == pytest.approx(8.0, rel=0.05)
    twice = Cells(np.concatenate([cells.features[:, :4]] * 2, axis=1), cells.classes)
    assert probe("b", twice, twice, NAMES).dimensions == pytest.approx(4.0, rel=0.05)
    silent = Cells(np.concatenate([cells.features[:, :1], np.zeros((600, 7))], axis=1), cells.classes)
    assert probe("c", silent, silent, NAMES).dimensions == 1.0


def test_frames_without_objects_are_refused():
    empty = Cells(np.zeros((5, 8)), np.full(5, NO_OBJECT))
    with pytest.raises(ValueError, match="no object in the validation frames"):
        probe("a", _cells(True, 0), empty, NAMES)


def _line(repository, streets, *encoders: str) -> list[str]:
    recipe = repository / "configs" / "tiny" / "uvtr_lidar_synthetic.py"
    options = ("model.encoder.grid.size=(36,36,4)", "model.encoder.voxel_size=(0.375,0.375,0.25)")
    common = ("--data-root", str(streets), "--free-cells", "200", "--device", "cpu", "--cfg-options", *options)
    return [str(recipe), "--encoders", *encoders, *common]


def test_the_command_probes_a_recipe_and_writes_what_it_prints(repository, streets, tmp_path, capsys):
    out = tmp_path / "made" / "probe.json"
    level = MMLogger.get_current_instance().level
    assert load_tool(repository, "linear_probe").main([*_line(repository, streets, "scratch"), "--json", str(out)]) == 0
    assert MMLogger.get_current_instance().level == level
    (result,) = json.loads(out.read_text())
    said = capsys.readouterr().out
    for value in (f"{result['dimensions']:.1f}", f"{result['train']:.3f}", f"{result['val']:.3f}"):
        assert value in said
    assert 0.5 < result["train"] <= 1
    assert all(0 <= value <= 1 for value in result["classes"].values())
    assert math.isfinite(result["dimensions"])


def test_a_missing_encoder_is_one_clear_error(repository, streets, capsys):
    assert load_tool(repository, "linear_probe").main(_line(repository, streets, "nowhere.safetensors")) == 2
    assert "nowhere.safetensors" in capsys.readouterr().err


def test_the_same_encoder_twice_has_the_same_numbers_to_the_last_digit(repository, streets, tmp_path):
    out = tmp_path / "probe.json"
    assert (
        load_tool(repository, "linear_probe").main(
            [*_line(repository, streets, "scratch", "scratch"), "--json", str(out)]
        )
        == 0
    )
    first, second = json.loads(out.read_text())
    assert first == second
    assert load_tool(repository, "linear_probe").main([*_line(repository, streets, "scratch"), "--json", str(out)]) == 0
    assert json.loads(out.read_text()) == [first]


@pytest.mark.parametrize(("most", "expected"), [(20, list(range(10))), (10, list(range(10))), (4, [0, 2, 5, 7])])
def test_many_frames_are_thinned_out_evenly(most, expected):
    class Frames(Dataset):
        def __len__(self) -> int:
            return 10

        def __getitem__(self, index: int) -> dict:
            return {"inputs": index}

    assert [batch["inputs"] for batch in frames_of(Frames(), most)] == [[k] for k in expected]
