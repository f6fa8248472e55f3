"""The number of samples of a batch."""

import pytest
import torch

from ponderv2.structures import SensorBatch


def test_the_batch_size_is_that_of_the_images_or_else_of_the_sweeps():
    assert SensorBatch(images=torch.zeros(2, 6, 3, 4, 8)).batch_size == 2
    assert SensorBatch(points=[torch.zeros(7, 5), torch.zeros(0, 5), torch.zeros(0, 5)]).batch_size == 3
    assert SensorBatch(images=torch.zeros(1, 6, 3, 4, 8), points=[torch.zeros(0, 5)]).batch_size == 1


def test_a_batch_of_nothing_has_no_size():
    with pytest.raises(ValueError, match="without images and points"):
        _ = SensorBatch().batch_size
