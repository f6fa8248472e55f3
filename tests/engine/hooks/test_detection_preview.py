"""Pictures of a detector under test: of the first frames, of what scores enough, whatever the recipe reads."""

from types import SimpleNamespace
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from mmdet3d.structures import Det3DDataSample, LiDARInstance3DBoxes
from mmengine.runner import Runner
from mmengine.structures import InstanceData
from PIL import Image

from ponderv2.datasets import PonderNuScenesDetDataset
from ponderv2.engine import DetectionPreviewHook
from ponderv2.engine.hooks import detection_preview, first_frames


@pytest.fixture
def runner(streets):
    dataset = PonderNuScenesDetDataset(str(streets), "nuscenes_infos_val.pkl", pipeline=[], test_mode=True)
    runner = Mock(spec=Runner)
    runner.test_dataloader = SimpleNamespace(dataset=dataset)
    return runner


def predictions(runner, scores: list[float]) -> list[Det3DDataSample]:
    """A sample for each key frame of the data set, with a box for each score."""
    samples = []
    for index in range(len(runner.test_dataloader.dataset)):
        boxes = LiDARInstance3DBoxes(torch.tensor([[0.0, 9.0, -1.0, 4.0, 2.0, 1.5, 1.57, 0.0, 0.0]] * len(scores)), 9)
        sample = Det3DDataSample(metainfo={"token": runner.test_dataloader.dataset.get_data_info(index)["token"]})
        sample.pred_instances_3d = InstanceData(bboxes_3d=boxes, scores_3d=torch.tensor(scores))
        samples.append(sample)
    return samples


@pytest.mark.parametrize("frames", [1, 99])
def test_the_end_of_a_test_says_how_many_pictures_there_are_and_where(runner, tmp_path, capsys, frames):
    hook = DetectionPreviewHook(str(tmp_path), frames=frames)
    hook.before_test(runner)
    samples = predictions(runner, [])[:1]
    hook.after_test_iter(runner, 0, outputs=samples)
    hook.after_test(runner)
    assert capsys.readouterr().out == f"1 pictures of boxes in {tmp_path}\n"


def test_the_first_frames_are_drawn_and_no_more(runner, tmp_path):
    hook = DetectionPreviewHook(str(tmp_path), frames=1)
    hook.before_test(runner)
    for sample in predictions(runner, [0.9]):
        hook.after_test_iter(runner, 0, outputs=[sample])
    assert [path.name for path in tmp_path.iterdir()] == ["boxes_0000.png"]
    assert Image.open(tmp_path / "boxes_0000.png").width > 600


def test_true_boxes_and_what_scores_enough_are_drawn_where_they_are(runner, tmp_path, monkeypatch):
    drawn = []

    def draw(*given, **_):
        drawn.append(given)
        return np.zeros((1, 1, 3), np.uint8)

    monkeypatch.setattr(detection_preview, "draw_detection_panel", draw)
    monkeypatch.setattr(first_frames, "save_png", lambda picture, path: None)
    DetectionPreviewHook(str(tmp_path), min_score=0.3).after_test_iter(
        runner, 0, outputs=predictions(runner, [0.9, 0.3, 0.2])[:1]
    )
    images, cameras, lidar2img, points, true, found = drawn[0]
    assert images.shape == (6, 3, 54, 96)
    assert len(cameras) == len(lidar2img) == 6
    assert len(points) > 100
    truth = runner.test_dataloader.dataset.get_data_info(0)["eval_ann_info"]["gt_bboxes_3d"]
    torch.testing.assert_close(true, torch.cat([truth.gravity_center, truth.tensor[:, 3:7]], dim=1).double())
    # The gravity centre is half a height above the bottom.
    expected = torch.tensor([[0.0, 9.0, -0.25, 4.0, 2.0, 1.5, 1.57]]).double()
    torch.testing.assert_close(found, expected.expand(2, 7))


def test_a_prediction_for_an_unknown_frame_is_an_error(runner, tmp_path):
    sample = predictions(runner, [])[0]
    sample.set_metainfo({"token": "elsewhere"})
    with pytest.raises(ValueError, match="elsewhere"):
        DetectionPreviewHook(str(tmp_path)).after_test_iter(runner, 0, outputs=[sample])
