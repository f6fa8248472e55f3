"""The detector that keeps the last plane: as a queue, within a scene, whatever the batch size."""

from pathlib import Path

import pytest
import torch
from mmengine.dataset import pseudo_collate

from ponderv2.errors import UserError
from ponderv2.models import TemporalDetector
from tests.factories.temporal import encoder_config, scenes_dataset, temporal_detector, write_scenes


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scenes(tmp_path_factory.mktemp("scenes"))


def _boxes(model: TemporalDetector, samples: list[dict]) -> list[torch.Tensor]:
    batch = model.data_preprocessor(pseudo_collate(samples))
    return [s.pred_instances_3d.bboxes_3d.tensor for s in model(**batch, mode="predict")]


@pytest.mark.parametrize("can_bus", [False, True])
def test_a_kept_plane_is_that_of_a_queue_from_the_start_of_the_scene(scenes, can_bus):
    model = temporal_detector(lift=encoder_config(can_bus=can_bus)["lift"])
    alone, queued = (scenes_dataset(scenes, can_bus=can_bus, history=history) for history in (0, 2))
    kept = [_boxes(model, [alone[k]])[0] for k in range(6)]
    for k in range(6):
        model.forget()
        torch.testing.assert_close(_boxes(model, [queued[k]])[0], kept[k], rtol=1e-4, atol=1e-4)
        model.forget()
        same = torch.equal(_boxes(model, [alone[k]])[0], kept[k])
        assert same == (k in (0, 3))


def test_predictions_do_not_depend_on_the_batch_size(scenes):
    model, dataset = temporal_detector(), scenes_dataset(scenes)
    one_by_one = [_boxes(model, [dataset[k]])[0] for k in range(6)]
    model.forget()
    batched = _boxes(model, [dataset[k] for k in range(4)]) + _boxes(model, [dataset[k] for k in (4, 5)])
    for found, expected in zip(batched, one_by_one, strict=True):
        torch.testing.assert_close(found, expected)


def test_a_frame_that_is_not_later_another_scene_and_training_start_anew(scenes):
    model, dataset = temporal_detector(), scenes_dataset(scenes)
    first = _boxes(model, [dataset[1]])[0]
    assert torch.equal(_boxes(model, [dataset[1]])[0], first)
    _boxes(model, [dataset[4]])
    assert torch.equal(_boxes(model, [dataset[1]])[0], first)
    _boxes(model, [dataset[0]])
    assert not torch.equal(_boxes(model, [dataset[1]])[0], first)
    model.forget()
    _boxes(model, [dataset[0]])
    model.train().eval()
    assert torch.equal(_boxes(model, [dataset[1]])[0], first)


def test_passes_of_test_time_augmentation_have_a_plane_each(scenes):
    model, dataset = temporal_detector(), scenes_dataset(scenes)
    turned = scenes_dataset(scenes)
    turned.pipeline.transforms[1].rotation = (0.3, 0.3)
    alone = [_boxes(model, [turned[k]])[0] for k in range(3)]
    model.forget()
    together = []
    for k in range(3):
        _boxes(model, [dataset[k]])
        together += _boxes(model, [turned[k]])
    assert all(torch.equal(a, b) for a, b in zip(alone, together, strict=True))


def test_what_keeping_a_plane_needs_is_named(scenes):
    with pytest.raises(UserError, match="whose lift has history=True"):
        temporal_detector(lift=encoder_config(history=False)["lift"])
    sample = scenes_dataset(scenes)[0]
    del sample["data_samples"].lidar2global
    with pytest.raises(UserError, match=r"has no \['lidar2global'\]"):
        _boxes(temporal_detector(), [sample])
    sample = scenes_dataset(scenes, can_bus=True)[0]
    with pytest.raises(UserError, match="DeformableLift does not read the CAN bus; leave out LoadCanBus"):
        _boxes(temporal_detector(), [sample])
    model = temporal_detector(lift=encoder_config(can_bus=True)["lift"])
    with pytest.raises(UserError, match="can_bus=True, but there are no signals; put LoadCanBus into the pipeline"):
        _boxes(model, [scenes_dataset(scenes)[0]])
    del sample["data_samples"].can_bus_signals
    with pytest.raises(UserError, match=r"has no \['can_bus_signals'\]"):
        _boxes(model, [sample])
