"""Pre-training with features as a whole: losses and gradients of both modes, cache, prediction, what others read."""

from dataclasses import replace

import pytest
import torch
from mmengine.dataset import pseudo_collate

from ponderv2.datasets import (
    DigestImages,
    LoadCameras,
    LoadLidarSweeps,
    PackSensorInputs,
    PonderNuScenesDataset,
    SampleCameraRays,
)
from ponderv2.errors import UserError
from ponderv2.models import ImageFeaturePretrainer
from ponderv2.models.image_feature_pretrainer import feature_colors
from ponderv2.registry import MODELS
from ponderv2.teachers import ConsensusImageBranch, FrozenImageBranch
from tests.factories.camera_models import RANGE
from tests.factories.image_teachers import PixelTeacher
from tests.factories.keyframe import INFO_NAME
from tests.factories.lidar_models import lidar_model_config, unet_encoder_config


def _model(kind=FrozenImageBranch, **branch) -> ImageFeaturePretrainer:
    torch.manual_seed(0)
    config = lidar_model_config(unet_encoder_config())
    head = dict(config["head"], objective=dict(color=0.0, feature=1.0), feature=dict(channels=6))
    branch = dict(type=kind, teacher=dict(type=PixelTeacher), channels=6, **branch)
    model = MODELS.build(dict(config, type=ImageFeaturePretrainer, head=head, image_branch=branch))
    model.image_branch.fit_reduction(torch.rand(2, 3, 64, 64))
    return model


@pytest.fixture(scope="module")
def packed(frame_root):
    rays = dict(type=SampleCameraRays, point_cloud_range=RANGE, rays_per_camera=16, seed=0, color=False)
    steps = [dict(type=LoadCameras), dict(type=DigestImages), dict(type=LoadLidarSweeps), rays]
    dataset = PonderNuScenesDataset(
        data_root=str(frame_root), ann_file=INFO_NAME, pipeline=[*steps, dict(type=PackSensorInputs)], test_mode=True
    )
    return pseudo_collate([dataset[0], dataset[0]])


def test_distil_trains_all_but_the_teacher(packed):
    model = _model().train()
    batch = model.data_preprocessor(packed)
    losses = model(**batch, mode="loss")
    measures = {"spread_2d", "rank_2d", "spread_3d", "rank_3d", "returns", "opacity"}
    assert set(losses) == {"loss_depth", "loss_feature", *measures}
    assert 1 <= losses["rank_2d"] <= 6
    assert 0 <= losses["spread_3d"] <= 1
    (losses["loss_feature"] + losses["loss_depth"]).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    assert not any(name.startswith("image_branch.teacher.") for name in model.state_dict())


def test_consensus_trains_the_student_and_its_losses_give_the_volume_no_gradient(packed):
    model = _model(ConsensusImageBranch).train()
    losses = model(**model.data_preprocessor(packed), mode="loss")
    assert {"loss_consensus", "loss_anchor", "loss_views", "view_cosine"} <= set(losses)
    assert losses["loss_anchor"] < 1e-4
    own = losses["loss_consensus"] + losses["loss_anchor"] + losses["loss_views"]
    own.backward()
    with_gradient = {name for name, p in model.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    assert with_gradient == {f"image_branch.student.network.{name}" for name in ("weight", "bias")}


@pytest.mark.parametrize("kind", [FrozenImageBranch, ConsensusImageBranch])
def test_features_that_are_not_finite_reach_the_loss_and_no_measure_raises(packed, kind):
    model = _model(kind).train()
    broken = model.image_branch.teacher if kind is FrozenImageBranch else model.image_branch.student
    with torch.no_grad():
        broken.network.bias[2] = float("nan")
    losses = model(**model.data_preprocessor(packed), mode="loss")
    assert losses["rank_2d"].isnan()
    assert losses["spread_2d"].isnan()
    assert losses["returns"] > 0
    assert not sum(value.sum() for name, value in losses.items() if "loss" in name).isfinite()


def test_a_batch_without_returns_has_no_measures_and_finite_losses(packed):
    model = _model(ConsensusImageBranch).train()
    batch = model.data_preprocessor(packed)
    rays = replace(batch["inputs"].rays, depth=torch.zeros_like(batch["inputs"].rays.depth))
    losses = model(replace(batch["inputs"], rays=rays), batch["data_samples"], mode="loss")
    assert losses["returns"] == 0
    nothing = {name for name, value in losses.items() if value.isnan().any()}
    assert nothing == {"spread_2d", "rank_2d", "spread_3d", "rank_3d", "view_cosine"}


def test_targets_are_the_maps_at_the_pixels_of_the_rays(packed):
    model = _model().eval()
    batch = model.data_preprocessor(packed)
    rays, cells = batch["inputs"].rays, []
    (maps,) = model.image_features(**batch).maps
    (sample, _) = model(**batch, mode="predict")
    with torch.no_grad():
        rendered = model.rendered_features(model.encode(batch["inputs"]), rays)
    for n, r in ((0, 3), (2, 5), (5, 11)):
        # Cells of 4 pixels, read bilinearly.
        column, row = (((rays.pixels[0, n, r] + 0.5) / 4 - 0.5).clamp(min=0)).tolist()
        x, y = int(column), int(row)
        a, b = column - x, row - y
        corners = [
            maps[0, n, :, min(y + j, maps.shape[3] - 1), min(x + i, maps.shape[4] - 1)] for j in (0, 1) for i in (0, 1)
        ]
        target = (1 - b) * ((1 - a) * corners[0] + a * corners[1]) + b * ((1 - a) * corners[2] + a * corners[3])
        cosine = torch.cosine_similarity(target, rendered[0, n, r], dim=0)
        assert float(sample.feature_cosine[n, r]) == pytest.approx(float(cosine), abs=1e-3)
        cells.append((x, y))
    assert len(set(cells)) == 3
    assert -1 <= float(sample.view_cosine) <= 1
    assert float(sample.view_cosine) == float(sample.frozen_view_cosine)
    assert float(sample.view_cosine_unmatched) == float(sample.frozen_view_cosine_unmatched)


def test_pictures_have_the_first_components_of_both_features_as_colors(packed):
    model = _model().eval()
    inputs = model.data_preprocessor(packed)["inputs"]
    fields = model.render_images(inputs, 16)
    rendered, target = fields["image_features"], fields["target_image_features"]
    assert rendered.shape == target.shape == (*fields["image_depth"].shape, 3)
    assert all(0 <= colors.min() < colors.max() <= 1 for colors in (rendered, target))
    (maps,) = model.image_features(inputs).maps
    # A pixel of the lattice, 8 + 16 k, lies at 1.625 + 4 k of the cells.
    for axis in (-2, -1):
        before, after = (maps.narrow(axis, k, maps.shape[axis] - k) for k in (1, 2))
        maps = torch.lerp(*(m.movedim(axis, 0)[:13:4] for m in (before, after)), 0.625).movedim(0, axis)
    shown = (maps[0, 2, :3] / 4 + 0.5).clamp(0, 1).movedim(0, -1)
    assert torch.allclose(target[0, 2, :4, :4], shown[:4, :4], atol=1e-3)
    assert torch.equal(feature_colors(torch.tensor([[0.0, 9.0]])), torch.tensor([[0.5, 1.0, 0.5]]))


def test_a_second_pass_does_not_run_the_teacher(packed, tmp_path, monkeypatch):
    model = _model(cache=dict(folder=str(tmp_path), limit=1)).eval()
    batch = model.data_preprocessor(packed)
    first = model(**batch, mode="loss")["loss_feature"]
    # Both samples are the same frame.
    assert (model.image_branch.cache.hits, model.image_branch.cache.misses) == (1, 1)
    monkeypatch.setattr(model.image_branch.teacher.network, "forward", None)
    assert torch.equal(model(**batch, mode="loss")["loss_feature"], first)


def test_others_read_features_of_places_in_the_same_channels(packed):
    model = _model().eval()
    batch = model.data_preprocessor(packed)
    volume = model.encode(batch["inputs"])
    assert model.volume_features(volume, torch.rand(2, 9, 3)).shape == (2, 9, 6)
    features = model.image_features(**batch)
    assert features.maps[0].shape[:3] == (2, 6, 6)
    assert features.cells[0].stride == 4


def test_wrong_input_is_one_clear_error(packed):
    model = _model().eval()
    without = {"inputs": {k: v for k, v in packed["inputs"].items() if k != "img"}, "data_samples": None}
    with pytest.raises(UserError, match="the batch has no images"):
        model(**model.data_preprocessor(without), mode="loss")
    config = lidar_model_config(unet_encoder_config())
    branch = dict(type=FrozenImageBranch, teacher=dict(type=PixelTeacher), channels=6)
    for head in (
        config["head"],
        dict(config["head"], objective=dict(color=0.0, feature=1.0), feature=dict(channels=5)),
    ):
        with pytest.raises(UserError, match=r"model.head.feature.channels: expected 6, as many as .* got (None|5)"):
            MODELS.build(dict(config, type=ImageFeaturePretrainer, head=head, image_branch=branch))
