"""Queues of earlier key frames: of the scene alone, with motions from the poses, and as a batch."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate

from ponderv2.datasets import LoadCameras, LoadLidarSweeps, MultiViewGridMask, PackSensorInputs
from ponderv2.datasets.history import choose_history
from ponderv2.errors import UserError
from ponderv2.geometry import signals_since
from ponderv2.models import SensorPreprocessor
from tests.factories.temporal import scenes_dataset, write_scenes


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scenes(tmp_path_factory.mktemp("scenes"))


def test_a_queue_ends_at_the_start_of_its_scene_and_moves_by_the_poses(scenes):
    dataset = scenes_dataset(scenes, history=2)
    assert [len(dataset[k]["inputs"]["history"].frames) for k in range(6)] == [0, 1, 2, 0, 1, 2]
    for first in (0, 3):
        frames = dataset[first + 2]["inputs"]["history"].frames
        poses = [torch.as_tensor(dataset[first + k]["data_samples"].lidar2global) for k in range(3)]
        for k, frame in enumerate(frames):
            torch.testing.assert_close(poses[k] @ frame.motion, poses[k + 1])
            earlier = dataset[first + k]["inputs"]
            assert torch.equal(frame.images, earlier["img"])
            assert torch.equal(frame.rig.lidar2img, earlier["rig"].lidar2img)
        # The car drives at 6 m/s and turns left.
        assert frames[0].motion[:3, 3].norm() == pytest.approx(3.0, abs=0.1)
    assert "history" not in scenes_dataset(scenes)[2]["inputs"]


def test_the_scene_is_augmented_alike_over_a_queue_and_motions_stay_true(scenes):
    plain, turned = scenes_dataset(scenes, history=2)[2], scenes_dataset(scenes, turn=3.0, history=2)[2]
    aug = torch.as_tensor(turned["data_samples"].lidar_aug)
    assert not torch.equal(aug, torch.eye(4))
    pairs = zip(plain["inputs"]["history"].frames, turned["inputs"]["history"].frames, strict=True)
    for before, after in pairs:
        torch.testing.assert_close(after.motion, aug @ before.motion @ torch.linalg.inv(aug))
        torch.testing.assert_close(after.rig.lidar2cam @ aug, before.rig.lidar2cam)


def test_training_leaves_out_one_of_the_nearest_places_and_testing_none(scenes):
    np.random.seed(0)
    earlier = [10, 11, 12, 13, 14]
    drawn = {tuple(choose_history(earlier, 2, True)) for _ in range(60)}
    assert drawn == {(12, 13), (12, 14), (13, 14)}
    # A place before the start of the scene may be the one that is left out.
    assert {tuple(choose_history([7], 2, True)) for _ in range(60)} == {(), (7,)}
    assert choose_history(earlier, 2, False) == [13, 14]
    assert choose_history([], 2, False) == []
    drawing = scenes_dataset(scenes, history=1, draw_history=True)
    assert all(len(drawing[2]["inputs"]["history"].frames) == 1 for _ in range(4))


def test_earlier_frames_are_of_the_scene_also_where_every_second_frame_is_used(scenes):
    every_second = scenes_dataset(scenes, history=2, load_interval=2)
    assert [len(every_second[k]["inputs"]["history"].frames) for k in range(3)] == [0, 2, 1]
    # The later scene of the names is the earlier one.
    assert every_second.scene_tokens() == ["scene-0916", "scene-0916", "scene-0103"]


def test_a_batch_aligns_queues_at_their_ends_and_says_where_frames_are_missing(scenes):
    dataset = scenes_dataset(scenes, turn=0.3, history=2)
    samples = [dataset[k] for k in (1, 2, 3)]
    oldest, last = SensorPreprocessor()(pseudo_collate(samples))["inputs"].history
    assert oldest.exists.tolist() == [False, True, False]
    assert last.exists.tolist() == [True, True, False]
    queues = [sample["inputs"]["history"].frames for sample in samples]
    torch.testing.assert_close(last.motion[0], queues[0][0].motion.float())
    torch.testing.assert_close(last.rig.lidar2img[1], queues[1][1].rig.lidar2img.float())
    torch.testing.assert_close(oldest.motion[1], queues[1][0].motion.float())
    assert torch.equal(last.motion[2], torch.eye(4))
    alone = SensorPreprocessor()(pseudo_collate(samples[1:2]))["inputs"]
    assert torch.equal(alone.history[0].images[0], oldest.images[1])
    assert SensorPreprocessor()(pseudo_collate([dataset[0]]))["inputs"].history == ()


def test_signals_of_a_queue_are_those_since_the_frame_before(scenes):
    dataset = scenes_dataset(scenes, can_bus=True, history=2)
    known = [dataset[k]["data_samples"].can_bus_signals for k in (3, 4, 5)]
    inputs = dataset[5]["inputs"]
    found = [*(frame.can_bus for frame in inputs["history"].frames), inputs["can_bus"]]
    for now, before, signals in zip(known, (None, *known), found, strict=False):
        assert torch.equal(signals, signals_since(now, before))
    # 6 m/s for half a second.
    assert found[2][:2].norm().item() == pytest.approx(3.0, abs=0.1)
    assert found[0][:3].tolist() == [0.0] * 3
    batch = SensorPreprocessor()(pseudo_collate([dataset[5], dataset[3]]))["inputs"]
    assert torch.equal(batch.can_bus[0], found[2])
    assert torch.equal(batch.history[1].can_bus[0], found[1])
    # The start of a scene: what stands for an earlier frame has the signals of the current one.
    assert torch.equal(batch.history[1].can_bus[1], batch.can_bus[1])
    assert torch.equal(batch.sample(1).can_bus, batch.can_bus[1:])
    assert scenes_dataset(scenes, history=2)[5]["inputs"].keys() == inputs.keys() - {"can_bus"}
    dataset.pipeline.transforms[-1].meta_keys = ("token", "lidar2global", "lidar_aug")
    with pytest.raises(UserError, match=r"has no can_bus_signals; .*, with LoadCanBus, can_bus_signals among the meta"):
        dataset[5]


def test_what_a_queue_needs_and_does_not_have_is_named(scenes):
    with pytest.raises(UserError, match="history: expected a whole number of at least 0, got -1"):
        scenes_dataset(scenes, history=-1)
    points = [dict(type=LoadLidarSweeps), dict(type=PackSensorInputs)]
    with pytest.raises(UserError, match="the pipeline does not load images"):
        scenes_dataset(scenes, history=1, pipeline=points)[1]
    posed = scenes_dataset(scenes, history=1)
    posed.pipeline.transforms[-1].meta_keys = ("token",)
    with pytest.raises(UserError, match=r"has no lidar2global; it needs ego2global"):
        posed[1]


def test_earlier_frames_are_whole_where_the_current_one_is_masked(scenes):
    def last(prob: float) -> dict:
        pipeline = [dict(type=LoadCameras), dict(type=MultiViewGridMask, prob=prob), dict(type=PackSensorInputs)]
        return scenes_dataset(scenes, history=2, pipeline=pipeline)[2]["inputs"]

    whole, masked = last(0.0), last(1.0)
    assert not torch.equal(masked["img"], whole["img"])
    for frame, expected in zip(masked["history"].frames, whole["history"].frames, strict=True):
        assert torch.equal(frame.images, expected.images)
