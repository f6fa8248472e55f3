"""The pretrainer as a whole: losses, gradients, masking, prediction, images."""

from dataclasses import replace

import pytest
import torch

from ponderv2.registry import MODELS
from tests.factories.camera_models import model_config, packed, rays_config


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    built = MODELS.build(model_config())
    built.init_weights()
    return built


@pytest.fixture(scope="module")
def batch(model, frame_root):
    return model.data_preprocessor(packed(frame_root, samples=1))


def test_losses_are_finite_and_every_parameter_gets_a_gradient(model, batch):
    model.train().zero_grad()
    losses = model(**batch, mode="loss")
    assert set(losses) == {"loss_color", "loss_depth", "opacity"}
    (losses["loss_color"] + losses["loss_depth"]).backward()
    without = [n for n, p in model.named_parameters() if p.grad is None or not torch.isfinite(p.grad).all()]
    assert without == []


def test_a_batch_of_two_is_the_mean_of_two_batches_of_one(model, frame_root):
    one, two = packed(frame_root, 1), packed(frame_root, 1, rays_config(seed=1))
    both = {
        "inputs": {k: one["inputs"][k] + two["inputs"][k] for k in one["inputs"]},
        "data_samples": one["data_samples"] + two["data_samples"],
    }
    model.eval()
    with torch.no_grad():
        a, b, ab = (model(**model.data_preprocessor(d), mode="loss") for d in (one, two, both))
    for name in ("loss_color", "loss_depth"):
        assert a[name] != b[name]
        torch.testing.assert_close(ab[name], (a[name] + b[name]) / 2)


def test_without_a_mode_the_model_gives_the_feature_volume(model, batch):
    model.eval()
    with torch.no_grad():
        assert torch.equal(model(**batch).data, model.encode(batch["inputs"]).data)


def test_input_is_masked_in_training_and_whole_in_evaluation(model, batch):
    model.eval()
    with torch.no_grad():
        assert torch.equal(model.encode(batch["inputs"]).data, model.encode(batch["inputs"]).data)
        model.train()
        first, second = model.encode(batch["inputs"]).data, model.encode(batch["inputs"]).data
    assert not torch.equal(first, second)


def test_masks_are_reproducible_under_the_seed(model, batch):
    model.train()
    volumes = []
    for _ in range(2):
        torch.manual_seed(5)
        with torch.no_grad():
            volumes.append(model.encode(batch["inputs"]).data)
    assert torch.equal(*volumes)


def test_prediction_has_a_result_a_sample_with_targets_beside_it(model, batch):
    model.eval()
    (sample,) = model(**batch, mode="predict")
    rays = batch["inputs"].rays
    assert sample.depth.shape == (6, 16)
    assert torch.equal(sample.target_depth, rays.depth[0])
    assert torch.equal(sample.target_rgb, rays.rgb[0])
    assert sample.metainfo["token"] == "factory"


def test_prediction_with_an_image_stride_has_whole_images_too(model, batch, monkeypatch):
    model.eval()
    monkeypatch.setattr(model, "image_stride", 8)
    (sample,) = model(**batch, mode="predict")
    assert sample.image.shape == sample.target_image.shape == (6, 11, 20, 3)
    assert sample.image_depth.shape == (6, 11, 20)


def test_rendering_in_chunks_equals_rendering_at_once(model, batch):
    model.eval()
    rays = batch["inputs"].rays
    with torch.no_grad():
        volume = model.encode(batch["inputs"])
        at_once = model.head.render(volume, rays)
        model.head.chunk_size = 5
        chunked = model.head.render_chunked(volume, rays)
        model.head.chunk_size = 64
    torch.testing.assert_close(chunked["depth"], at_once.depth)
    torch.testing.assert_close(chunked["rgb"], at_once.rgb)


def test_whole_images_have_their_targets_at_the_same_pixels(model, batch):
    model.eval()
    fields = model.render_images(batch["inputs"], stride=8)
    assert fields["image"].shape == (1, 6, 11, 20, 3)
    assert fields["image_depth"].shape == (1, 6, 11, 20)
    raw = model.data_preprocessor.to_rgb(batch["inputs"].images)
    torch.testing.assert_close(fields["target_image"][0, 2, 3, 5], raw[0, 2, :, 4 + 3 * 8, 4 + 5 * 8])


def test_a_batch_without_rays_or_images_is_one_clear_error(model, batch):
    with pytest.raises(ValueError, match="no rays"):
        model(replace(batch["inputs"], rays=None), mode="loss")
    with pytest.raises(ValueError, match="no images"):
        model(replace(batch["inputs"], images=None), mode="loss")


def test_training_reduces_the_loss(model, batch):
    torch.manual_seed(0)
    fresh = MODELS.build(model_config() | dict(masking=None))
    fresh.init_weights()
    optimizer = torch.optim.Adam(fresh.parameters(), lr=3e-3)
    history = []
    for _ in range(25):
        losses = fresh.train()(**batch, mode="loss")
        total = losses["loss_color"] + losses["loss_depth"]
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        history.append(total.item())
    assert sum(history[-5:]) < 0.75 * sum(history[:5])


def test_a_lattice_wider_than_an_image_is_refused(model, batch):
    with pytest.raises(ValueError, match=r"stride: expected at most .* the shorter side of an image"):
        model.render_images(batch["inputs"], stride=100_000)
