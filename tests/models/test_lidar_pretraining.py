"""LiDAR pre-training as a whole: without images, without cameras, without points."""

import numpy as np
import pytest
import torch

from ponderv2.registry import MODELS
from tests.factories.lidar_models import lidar_model_config, packed_lidar, unet_encoder_config


@pytest.fixture(params=[None, unet_encoder_config], ids=["voxelnet", "unet"])
def model(request):
    torch.manual_seed(0)
    return MODELS.build(lidar_model_config(None if request.param is None else request.param()))


@pytest.fixture
def no_images(monkeypatch):
    """Opening an image is an error."""

    def refuse(*args, **kwargs):
        raise AssertionError("an image was opened")

    from ponderv2.datasets.transforms import loading

    monkeypatch.setattr(loading, "read_images", refuse)
    for name in ("cv2.imread", "cv2.imdecode", "PIL.Image.open"):
        monkeypatch.setattr(name, refuse)


@pytest.mark.usefixtures("no_images")
def test_a_step_needs_no_image_and_every_parameter_gets_a_gradient(model, frame_root):
    batch = model.data_preprocessor(packed_lidar(frame_root, samples=2))
    assert batch["inputs"].images is None
    losses = model.train()(**batch, mode="loss")
    assert set(losses) == {"loss_depth", "opacity"}
    losses["loss_depth"].backward()
    wrong = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.isfinite().all()]
    assert wrong == []


@pytest.mark.usefixtures("no_images")
def test_prediction_and_whole_depth_images_need_no_image(model, frame_root):
    batch = model.data_preprocessor(packed_lidar(frame_root))
    (sample,) = model.eval()(**batch, mode="predict")
    assert sample.depth.shape == (6, 16)
    assert "rgb" not in sample
    fields = model.render_images(batch["inputs"], stride=16)
    assert set(fields) == {"image_depth", "image_opacity"}


def test_without_cameras_rays_start_at_the_lidar(model, frame_root):
    batch = model.data_preprocessor(packed_lidar(frame_root, samples=2, cameras=False))
    assert batch["inputs"].rig is None
    model.train()(**batch, mode="loss")["loss_depth"].backward()
    samples = model.eval()(**batch, mode="predict")
    assert [s.depth.shape for s in samples] == [(1, 96), (1, 96)]


def test_whole_images_without_cameras_are_one_clear_error(model, frame_root):
    batch = model.data_preprocessor(packed_lidar(frame_root, cameras=False))
    with pytest.raises(ValueError, match="the batch has no cameras"):
        model.eval().render_images(batch["inputs"], stride=16)


@pytest.mark.parametrize("empty", [[0], [1], [0, 1]])
def test_samples_without_points_train(model, frame_root, empty):
    data = packed_lidar(frame_root, samples=2)
    for k in empty:
        data["inputs"]["points"][k] = data["inputs"]["points"][k][:0]
    losses = model.train()(**model.data_preprocessor(data), mode="loss")
    losses["loss_depth"].backward()
    assert losses["loss_depth"].isfinite()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_a_batch_whose_sweeps_are_empty_has_no_ray_and_no_loss(model, frame_root):
    data = packed_lidar(frame_root)
    data["inputs"]["points"][0] = data["inputs"]["points"][0][:0]
    rays = data["inputs"]["rays"][0]
    object.__setattr__(rays, "valid", torch.zeros_like(rays.valid))
    losses = model.train()(**model.data_preprocessor(data), mode="loss")
    assert losses["loss_depth"] == 0


def test_training_reduces_the_loss(frame_root):
    torch.manual_seed(0)
    np.random.seed(0)
    model = MODELS.build(lidar_model_config() | dict(masking=None))
    batch = model.data_preprocessor(packed_lidar(frame_root))
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    history = []
    for _ in range(25):
        loss = model.train()(**batch, mode="loss")["loss_depth"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        history.append(loss.item())
    assert sum(history[-5:]) < 0.75 * sum(history[:5])
