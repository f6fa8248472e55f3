"""The camera encoder of the published final model at test size: one level, DepthNet, splat, depth loss."""

import pytest
import torch
from mmdet.models.necks import FPN

from ponderv2.encoders import DepthNet
from ponderv2.lifting import SplatLift
from ponderv2.registry import MODELS
from tests.factories.camera_models import model_config, packed


def splat_encoder_config() -> dict:
    encoder = model_config()["encoder"]
    encoder["img_backbone"]["out_indices"] = (1,)
    return encoder | dict(
        img_neck=dict(type=FPN, in_channels=[16], out_channels=8, num_outs=1),
        neck_strides=(8,),
        depth_net=dict(type=DepthNet, in_channels=8, num_bins=24, channels=8, pyramid_channels=4, dropout=0.0),
        lift=dict(type=SplatLift, depth_range=(1.0, 25.0)),
        depth_loss=dict(weight=1.0),
    )


@pytest.fixture(scope="module")
def inputs(frame_root):
    preprocessor = MODELS.build(model_config()["data_preprocessor"])
    return preprocessor(packed(frame_root, samples=1))["inputs"]


def test_every_parameter_gets_a_gradient(inputs):
    encoder = MODELS.build(splat_encoder_config()).train()
    output = encoder(inputs)
    assert output.volume.data.shape == (1, 8, 4, 24, 24)
    (output.volume.data.square().mean() + sum(output.losses.values())).backward()
    wrong = [n for n, p in encoder.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert wrong == []


def test_learning_the_depth_puts_features_where_the_returns_are(inputs):
    encoder = MODELS.build(splat_encoder_config()).train()
    encoder.init_weights()
    grid = encoder.grid
    # The factory world is a cylinder of 20 m: outside of it there is nothing.
    beyond = grid.centers()[..., :2].norm(dim=-1) > 22

    def share_beyond():
        with torch.no_grad():
            energy = encoder(inputs).volume.data.abs().sum(dim=1)[0]
        return float(energy[beyond].sum() / energy.sum())

    before, optimizer, history = share_beyond(), torch.optim.Adam(encoder.parameters(), lr=1e-2), []
    for _ in range(30):
        (loss,) = encoder(inputs).losses.values()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        history.append(loss.item())
    assert sum(history[-5:]) < 0.6 * sum(history[:5])
    assert share_beyond() < 0.5 * before
