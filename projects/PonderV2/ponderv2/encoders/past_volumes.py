"""Volumes of earlier frames, computed without gradients one after another (BEVFormer §3.5)."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from ponderv2.geometry import move_volume
from ponderv2.structures import PastVolume, SensorBatch


@torch.no_grad()
def encode_history(encoder: nn.Module, batch: SensorBatch) -> PastVolume | None:
    """Encode the earlier frames of a batch, each with the volume of the one before it, as a test would.

    They are computed in evaluation mode, without masking and without gradients, as published; so they cost no memory
    in training, and draw nothing.

    Args:
        encoder: is called with the batch of a frame and the moved volume of the frame before.
        batch: sensor data; without earlier frames nothing is computed.

    Returns:
        The volume of the last earlier frame, moved into the current one's place; None where no sample has any.
    """
    past = None
    with _evaluating(encoder):
        for frame in batch.history:
            volume = encoder(SensorBatch(frame.rig, frame.images, can_bus=frame.can_bus), past=past).volume
            past = PastVolume(move_volume(volume, frame.motion), frame.exists)
    # Autocast keeps the weights that it has converted, and those from here have no gradients.
    torch.clear_autocast_cache()
    return past


@contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    # One by one: frozen parts are in another mode than the rest.
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, mode in modes:
            part.training = mode
