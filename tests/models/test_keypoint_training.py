"""Key points in pre-training: losses beside the others, no gradient for the encoder, and nothing without the option."""

import pytest
import torch
from mmengine.dataset import pseudo_collate

from ponderv2.datasets import LoadCameras, LoadLidarSweeps, PackSensorInputs, SampleCameraRays
from ponderv2.errors import UserError
from ponderv2.models import ImageFeaturePretrainer
from ponderv2.registry import MODELS
from ponderv2.structures import FrameQueue, PastFrame
from ponderv2.teachers import ConsensusImageBranch, FrozenImageBranch
from tests.factories.camera_models import RANGE
from tests.factories.image_teachers import PixelTeacher
from tests.factories.keyframe import INFO_NAME
from tests.factories.lidar_models import lidar_model_config, unet_encoder_config

OWN = {"loss_keypoints", "loss_keypoint_descriptors", "loss_keypoint_pictures", "keypoints_repeat"}


def _model(kind=FrozenImageBranch, **changes) -> ImageFeaturePretrainer:
    torch.manual_seed(0)
    config = lidar_model_config(unet_encoder_config())
    head = dict(config["head"], objective=dict(color=0.0, feature=1.0), feature=dict(channels=6))
    branch = dict(type=kind, teacher=dict(type=PixelTeacher), channels=6)
    model = MODELS.build(dict(config, type=ImageFeaturePretrainer, head=head, image_branch=branch, **changes))
    torch.manual_seed(0)
    model.image_branch.fit_reduction(torch.rand(2, 3, 64, 64))
    return model


@pytest.fixture(scope="module")
def sample(frame_root):
    from ponderv2.datasets import PonderNuScenesDataset

    rays = dict(type=SampleCameraRays, point_cloud_range=RANGE, rays_per_camera=16, seed=0, color=False)
    steps = [dict(type=LoadCameras), dict(type=LoadLidarSweeps), rays, dict(type=PackSensorInputs)]
    return PonderNuScenesDataset(str(frame_root), INFO_NAME, steps, test_mode=True)[0]


def _batch(model: ImageFeaturePretrainer, sample: dict, earlier: bool = False) -> dict:
    inputs = dict(sample["inputs"])
    if earlier:
        motion = torch.eye(4, dtype=torch.float64)
        motion[0, 3] = 2.0
        moved = inputs["points"].clone()
        moved[:, 0] += 2.0
        inputs["history"] = FrameQueue((PastFrame(inputs["img"].flip(-1), inputs["rig"], motion, points=moved),))
    return model.data_preprocessor(pseudo_collate([dict(sample, inputs=inputs)]))


@pytest.mark.parametrize("earlier", [False, True])
@pytest.mark.parametrize("kind", [FrozenImageBranch, ConsensusImageBranch])
def test_key_points_have_losses_and_gradients_of_their_own(sample, kind, earlier):
    model = _model(kind, keypoints=dict(max_points=30)).train()
    losses = model(**_batch(model, sample, earlier), mode="loss")
    assert losses.keys() >= OWN
    sum(losses[name] for name in OWN if name.startswith("loss")).backward()
    with_gradient = {name.split(".")[0] for name, p in model.named_parameters() if p.grad is not None}
    assert with_gradient == {"keypoints"}
    assert all(p.grad is not None for p in model.keypoints.parameters())
    assert model.encoder.training


def test_the_other_losses_and_weights_are_those_of_a_model_without_key_points(sample):
    plain, keyed = _model().train(), _model(keypoints=dict(max_points=30)).train()
    own = keyed.state_dict()
    assert all(torch.equal(value, own[name]) for name, value in plain.state_dict().items())
    losses = [_two_steps(model, sample) for model in (plain, keyed)]
    for step in range(2):
        first, second = losses[0][step], losses[1][step]
        assert second.keys() - first.keys() == OWN
        assert all(torch.equal(value, second[name]) for name, value in first.items())
    assert not torch.equal(losses[0][0]["loss_feature"], losses[0][1]["loss_feature"])
    own = keyed.state_dict()
    assert all(torch.equal(value, own[name]) for name, value in plain.state_dict().items())


def _two_steps(model: ImageFeaturePretrainer, sample: dict) -> list[dict[str, torch.Tensor]]:
    """The losses of two steps of training, between which nobody seeds anything."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    torch.manual_seed(1)
    found = []
    for _ in range(2):
        found.append(model(**_batch(model, sample), mode="loss"))
        optimizer.zero_grad()
        sum(value for name, value in found[-1].items() if name.startswith("loss")).backward()
        optimizer.step()
    return found


def test_key_points_of_every_source_lie_in_the_volume_and_repeat_at_a_second_call(sample):
    model = _model(keypoints=dict(max_points=30)).eval()
    batch = _batch(model, sample)
    view = model.keypoint_view(batch["inputs"], batch["data_samples"])
    for source in ("lidar", "image", "fusion"):
        (points,), (again,) = (model.keypoints_of(view, source) for _ in range(2))
        assert 10 < len(points) <= 30
        assert torch.equal(points.places, again.places)
        assert view.volume.grid.contains(points.places).all()
    with pytest.raises(UserError, match="source: expected one of image, lidar, fusion, got 'radar'"):
        model.keypoints_of(view, "radar")
    with pytest.raises(UserError, match=r"it has no key points; give model\.keypoints"):
        _model().keypoint_view(batch["inputs"])
