"""The segmentor: predictions that depend on nothing but the sweep, losses, what is trained, and the inverse map."""

import pytest
import torch
from mmdet3d.structures import Det3DDataSample

from ponderv2.errors import UserError
from ponderv2.models import SensorPreprocessor
from ponderv2.registry import MODELS
from ponderv2.structures import EncoderOutput, SensorBatch
from tests.factories.camera_models import model_config, packed
from tests.factories.lidar_models import lidar_encoder_config
from tests.factories.segmentation_models import fusion_encoder_config, mink_segmentor, segmentor, sweep, sweeps


@pytest.fixture(params=[segmentor, mink_segmentor], ids=["unet", "mink_unet"])
def model(request):
    """A segmentor in evaluation whose norms have statistics of a sweep."""
    model = request.param().train()
    with torch.no_grad():
        model(**sweeps(5, 6), mode="loss")
    return model.eval()


def logits_of(model, *clouds: torch.Tensor) -> list[torch.Tensor]:
    samples = [Det3DDataSample() for _ in clouds]
    found = model(SensorBatch(points=list(clouds)), samples, mode="predict")
    return [sample.pred_pts_seg.pts_seg_logits for sample in found]


def assert_same(first: torch.Tensor, second: torch.Tensor) -> None:
    torch.testing.assert_close(first, second, atol=1e-5, rtol=1e-5)
    assert torch.equal(first.argmax(dim=1), second.argmax(dim=1))


def test_predictions_do_not_depend_on_the_order_of_the_points(model):
    cloud = sweep(0)
    (expected,) = logits_of(model, cloud)
    assert expected.argmax(dim=1).unique().numel() > 1
    for seed in range(2):
        order = torch.randperm(len(cloud), generator=torch.Generator().manual_seed(seed))
        (found,) = logits_of(model, cloud[order])
        assert_same(found, expected[order])


def test_predictions_do_not_depend_on_what_shares_the_batch(model):
    cloud = sweep(0)
    (expected,) = logits_of(model, cloud)
    far = sweep(2) + torch.tensor([9.0, -9.0, 0.5, 0.0, 0.0])
    for clouds, place in (([cloud, sweep(1)], 0), ([far, cloud], 1), ([cloud[:0], cloud, far], 1)):
        assert_same(logits_of(model, *clouds)[place], expected)


def test_predictions_do_not_depend_on_the_number_of_threads():
    model = segmentor().eval()
    cloud, before = sweep(0, 300), torch.get_num_threads()
    found = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        found += logits_of(model, cloud)
    torch.set_num_threads(before)
    assert_same(*found)


def test_with_an_inverse_map_every_point_of_the_file_has_a_prediction(model):
    cloud = sweep(0, 50)
    sample = Det3DDataSample(inverse_map=torch.arange(120) % 50)
    (found,) = model(SensorBatch(points=[cloud]), [sample], mode="predict")
    (rows,) = logits_of(model, cloud)
    assert torch.equal(found.pred_pts_seg.pts_seg_logits, rows[sample.inverse_map])
    assert torch.equal(found.pred_pts_seg.pts_semantic_mask, rows[sample.inverse_map].argmax(dim=1))


def test_an_empty_sweep_and_one_without_a_point_in_range_are_predicted_and_trained_on(model):
    outside = sweep(0, 5)
    first, second = logits_of(model, outside[:0], outside)
    assert first.shape == (0, 3)
    assert second.shape == (5, 3)
    batch = sweeps(0, count=5)
    losses = model(**batch, mode="loss")
    sum(losses.values()).backward()
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)


def test_all_parts_learn_and_the_loss_is_that_of_the_head(model):
    batch = sweeps(0, 1)
    losses = model.train()(**batch, mode="loss")
    assert set(losses) == {"loss_cross_entropy", "loss_lovasz"}
    sum(losses.values()).backward()
    assert [n for n, p in model.named_parameters() if p.grad is None] == []


def test_a_linear_probe_trains_the_head_alone_and_a_decoder_probe_the_way_up_as_well():
    up = ("pts_middle_encoder.up", "pts_middle_encoder.decode")
    for parts in ((), up):
        model = segmentor(freeze_encoder=True, trained_parts=parts).train()
        before = {k: v.clone() for k, v in model.state_dict().items()}
        optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
        sum(model(**sweeps(0, 1), mode="loss").values()).backward()
        optimizer.step()
        changed = {k for k, v in model.state_dict().items() if not torch.equal(v, before[k])}
        allowed = ("head.", *(f"encoder.{part}." for part in parts))
        assert all(name.startswith(allowed) for name in changed)
        assert all(any(name.startswith(part) for name in changed) for part in allowed)
        # A norm that is frozen keeps its statistics, one that learns moves them.
        assert not model.encoder.pts_middle_encoder.stem.training
        assert model.encoder.pts_middle_encoder.up.training == bool(parts)


def test_cached_voxels_are_those_of_the_encoder_and_are_computed_once():
    model = segmentor(freeze_encoder=True, cache_voxels=True).train()
    calls = []
    model.encoder.register_forward_hook(lambda *_: calls.append(1))
    # Frames come in other batches and in another order than those they were encoded in.
    for seeds in ((0, 1), (2,), (1, 2, 0)):
        cached = model(**sweeps(*seeds), mode="loss")
    assert len(calls) == 2
    plain = segmentor(freeze_encoder=True).train()
    plain.load_state_dict(model.state_dict())
    for name, value in plain(**sweeps(1, 2, 0), mode="loss").items():
        assert cached[name].item() == pytest.approx(value.item(), rel=1e-3)
    model.unfreeze_encoder()
    sum(model(**sweeps(0), mode="loss").values()).backward()
    assert all(p.grad is not None for p in model.encoder.parameters())


def test_voxels_of_augmented_frames_or_of_a_learning_encoder_are_not_cached():
    model = segmentor(freeze_encoder=True, cache_voxels=True).train()
    batch = sweeps(0)
    batch["data_samples"][0].set_metainfo({"lidar_aug": torch.diag(torch.tensor([1.1, 1.1, 1.1, 1.0])).numpy()})
    with pytest.raises(UserError, match="cache_voxels is set, but sample sweep-0 is augmented"):
        model(**batch, mode="loss")
    for changes in ({}, {"freeze_encoder": True, "trained_parts": ("pts_middle_encoder.up",)}):
        with pytest.raises(UserError, match="cache_voxels needs freeze_encoder=True and no trained_parts"):
            segmentor(cache_voxels=True, **changes)


def test_parts_that_are_trained_must_be_parts_of_a_frozen_encoder():
    with pytest.raises(ValueError, match="needs freeze_encoder"):
        segmentor(trained_parts=("pts_middle_encoder.up",))
    with pytest.raises(ValueError, match=r"no part 'pts_backbone\.up'"):
        segmentor(freeze_encoder=True, trained_parts=("pts_backbone.up",))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda sample: delattr(sample, "gt_pts_seg"), "sample sweep-0 of the batch has no gt_pts_seg"),
        (lambda sample: sample.gt_pts_seg.pts_semantic_mask.fill_(3), "has the label 3; expected 0 to 2, or -1"),
        (lambda sample: sample.gt_pts_seg.pts_semantic_mask.fill_(-2), "has the label -2"),
    ],
)
def test_labels_that_are_missing_or_no_class_are_errors_that_name_the_sample(change, message):
    batch = sweeps(0)
    change(batch["data_samples"][0])
    with pytest.raises(ValueError, match=message):
        segmentor()(**batch, mode="loss")


def test_another_number_of_labels_and_a_batch_without_points_are_refused():
    batch = sweeps(0)
    with pytest.raises(ValueError, match="400 labels for 10 points"):
        segmentor()(SensorBatch(points=[sweep(0)[:10]]), batch["data_samples"], mode="loss")
    with pytest.raises(ValueError, match="the batch has no points"):
        segmentor().eval()(SensorBatch(points=None), batch["data_samples"], mode="loss")
    with pytest.raises(ValueError, match="expected 'tensor', 'loss' or 'predict', got 'losses'"):
        segmentor()(**batch, mode="losses")


def test_the_volume_of_the_encoder_is_not_computed(monkeypatch):
    def refuse(*_):
        raise AssertionError("nothing reads the volume")

    monkeypatch.setattr("ponderv2.encoders.lidar_encoder.pool_to_volume", refuse)
    model = segmentor()
    model(**sweeps(0), mode="loss")
    output = model(**sweeps(0), mode="tensor")
    assert isinstance(output, EncoderOutput)
    with pytest.raises(AssertionError, match="nothing reads"):
        _ = output.volume


def test_weights_of_mink_unet_load_as_they_were_saved_without_any_version_beside_them():
    first, second = mink_segmentor(), mink_segmentor()
    weights = {k: torch.randn_like(v) if v.is_floating_point() else v for k, v in first.state_dict().items()}
    second.load_state_dict(weights)
    assert all(torch.equal(v, weights[k]) for k, v in second.state_dict().items())


@pytest.fixture
def frame(frame_root) -> dict:
    """The factory frame with cameras and points, as the preprocessor gives it."""
    return SensorPreprocessor()(packed(frame_root))


@pytest.mark.parametrize("kind", ["camera", "lidar without voxels"])
def test_an_encoder_of_a_volume_alone_segments_points_as_well(kind, frame):
    encoder = model_config()["encoder"] if kind == "camera" else lidar_encoder_config()
    (cloud,) = frame["inputs"].points
    found = segmentor(encoder).eval()(**frame, mode="predict")
    assert found[0].pred_pts_seg.pts_semantic_mask.shape == (len(cloud),)


def test_a_fused_segmentor_reads_images_and_trains_all_that_it_uses(frame):
    model = segmentor(fusion_encoder_config(), head=dict(image_channels=8)).eval()
    inputs = frame["inputs"]
    (first,) = logits_of_frame(model, inputs)
    darker = SensorBatch(inputs.rig, inputs.images * 0.5, inputs.points)
    (second,) = logits_of_frame(model, darker)
    assert not torch.equal(first, second)
    sample = Det3DDataSample()
    sample.gt_pts_seg = type(sweeps(0)["data_samples"][0].gt_pts_seg)(
        pts_semantic_mask=torch.arange(len(inputs.points[0])) % 3
    )
    sum(model.train()(inputs, [sample], mode="loss").values()).backward()
    assert [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None] == []
    unused = ("encoder.camera.depth_net", "encoder.camera.lift", "encoder.camera.convs")
    frozen = [n for n, p in model.named_parameters() if not p.requires_grad]
    assert all(name.startswith(unused) for name in frozen)


def test_a_fused_segmentor_hands_on_where_the_cells_of_its_maps_lie(frame):
    config = fusion_encoder_config()
    strides = config["camera"]["neck_strides"]
    config["camera"] = dict(config["camera"], neck_offsets=(0.0,) * len(strides))
    with torch.no_grad():
        cells = MODELS.build(config).eval()(frame["inputs"]).images.cells
    assert [(place.stride, place.lead) for place in cells] == [(stride, (stride - 1) / 2) for stride in strides]


def logits_of_frame(model, inputs: SensorBatch) -> list[torch.Tensor]:
    found = model(inputs, [Det3DDataSample()], mode="predict")
    return [sample.pred_pts_seg.pts_seg_logits for sample in found]
