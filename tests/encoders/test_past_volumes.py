"""Earlier frames: encoded one after another, without gradients, masks or draws, and parts keep their modes."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from mmengine.dataset import pseudo_collate

from ponderv2.errors import UserError
from ponderv2.geometry import move_volume
from ponderv2.masking import InputMasking
from ponderv2.models import SensorPreprocessor
from ponderv2.registry import MODELS
from ponderv2.structures import PastVolume, SensorBatch
from tests.factories.temporal import encoder_config, scenes_dataset, write_scenes


@pytest.fixture(scope="module")
def batch(tmp_path_factory: pytest.TempPathFactory) -> SensorBatch:
    """A frame with two earlier ones, and the first frame of a scene."""
    root: Path = write_scenes(tmp_path_factory.mktemp("scenes"))
    dataset = scenes_dataset(root, history=2)
    return SensorPreprocessor()(pseudo_collate([dataset[2], dataset[3]]))["inputs"]


def _encoder(**lift) -> torch.nn.Module:
    return MODELS.build(encoder_config(**lift))


@torch.no_grad()
def test_a_queue_is_encoded_as_frame_after_frame(batch):
    encoder, past = _encoder().eval(), None
    for frame in batch.history:
        volume = encoder(SensorBatch(frame.rig, frame.images), past=past).volume
        past = PastVolume(move_volume(volume, frame.motion), frame.exists)
    expected = encoder(SensorBatch(batch.rig, batch.images), past=past).volume.data
    found = encoder(batch).volume.data
    assert torch.equal(found, expected)
    static = encoder(SensorBatch(batch.rig, batch.images)).volume.data
    # The second sample is the first of its scene.
    torch.testing.assert_close(found[1], static[1])
    assert (found[0] - static[0]).abs().max() > 0.01


@torch.no_grad()
def test_every_frame_of_a_queue_reads_its_own_signals(batch):
    encoder = _encoder(can_bus=True).eval()
    signals = torch.randn(2, 18)
    alike = replace(batch, history=tuple(replace(f, can_bus=signals) for f in batch.history), can_bus=signals)
    found = encoder(alike).volume.data
    other = replace(alike, history=(replace(alike.history[0], can_bus=-signals), *alike.history[1:]))
    changed = (encoder(other).volume.data - found).flatten(1).abs().amax(dim=1)
    assert changed[0] > 1e-4
    # The second sample has no frame before, whatever stands there.
    assert changed[1] == 0


def test_gradients_are_those_of_the_current_frame_and_modes_come_back(batch):
    encoder = _encoder(dropout=0.0).train()
    encoder.img_backbone.eval()
    modes = [part.training for part in encoder.modules()]
    masking = InputMasking(image_ratio=0.5, image_block=32)
    seen = []
    encoder.img_backbone.register_forward_hook(lambda _, inputs, __: seen.append((inputs[1], torch.is_grad_enabled())))
    # Autocast keeps converted weights, which must not be those without gradients.
    with torch.autocast("cpu", dtype=torch.bfloat16):
        volume = encoder(batch, masking).volume.data
    assert [part.training for part in encoder.modules()] == modes
    assert [(visible is None, grad) for visible, grad in seen] == [(True, False), (True, False), (False, True)]
    volume.float().square().sum().backward()
    silent = [n for n, p in encoder.named_parameters() if p.grad is None]
    assert silent == []


def test_earlier_frames_that_a_lift_does_not_read_are_refused(batch):
    with pytest.raises(UserError, match="DeformableLift does not read earlier frames; leave out history"):
        _encoder(history=False)(batch)
    with pytest.raises(UserError, match=r"num_convs: .*expected 0, got 1"):
        MODELS.build(encoder_config() | dict(num_convs=1))
