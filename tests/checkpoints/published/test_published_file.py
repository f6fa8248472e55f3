"""What a published checkpoint is not is said in one line, and nothing of the file is run."""

import os

import pytest
import torch

from ponderv2.checkpoints.published import CLASSES, KINDS, PUBLISHED_CLASSES, read_published
from ponderv2.errors import UserError

LIDAR = "pts_middle_encoder.conv_out.1.bias"
CAMERA = "img_backbone.norm3.bias"


class Hostile:
    def __reduce__(self):
        return os.system, ("false",)


def saved(tmp_path, weights, **meta):
    torch.save({"meta": meta, "state_dict": weights}, tmp_path / "published.pth")
    return tmp_path / "published.pth"


def test_weights_are_read_in_single_precision_with_the_published_classes(tmp_path):
    path = saved(tmp_path, {LIDAR: torch.ones(2).half(), "pts_backbone.x.num_batches_tracked": torch.tensor(3)})
    file = read_published(path, "unipad-lidar")
    assert file.weights[LIDAR].dtype == torch.float32
    assert file.weights["pts_backbone.x.num_batches_tracked"].dtype == torch.int64
    assert file.classes == PUBLISHED_CLASSES


def test_the_classes_that_a_file_names_count(tmp_path):
    assert (
        read_published(saved(tmp_path, {LIDAR: torch.ones(2)}, CLASSES=list(CLASSES)), "uvtr-lidar").classes == CLASSES
    )
    with pytest.raises(UserError, match=r"published\.pth: meta\.CLASSES: expected the 10 classes of nuScenes, found"):
        read_published(saved(tmp_path, {LIDAR: torch.ones(2)}, CLASSES=("car", "boat")), "uvtr-lidar")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_read(kind, tmp_path):
    keys = {"camera": CAMERA, "lidar": LIDAR}
    weights = {keys[sensor]: torch.ones(2) for sensor in KINDS[kind]}
    if kind.startswith("bevformer-"):
        weights["pts_bbox_head.bev_embedding.weight"] = torch.ones(2)
    assert read_published(saved(tmp_path, weights), kind).weights.keys() == weights.keys()


@pytest.mark.parametrize(
    ("weights", "kind", "message"),
    [
        ({LIDAR: 3.0}, "unipad-lidar", r"pts_middle_encoder\.conv_out\.1\.bias of its state_dict is a float, expected"),
        ({5: torch.ones(1)}, "unipad-lidar", r"5 of its state_dict is a Tensor, expected a tensor"),
        ({LIDAR: torch.tensor([1.0, float("nan")])}, "unipad-lidar", r"conv_out\.1\.bias .* not finite"),
        ({LIDAR: torch.ones(2, dtype=torch.complex64)}, "unipad-lidar", r"no plain tensor of real numbers"),
        ({LIDAR: torch.ones(2, 2).to_sparse()}, "unipad-lidar", r"no plain tensor of real numbers"),
        ({LIDAR: torch.ones(2, device="meta")}, "unipad-lidar", r"conv_out\.1\.bias .* no values \(device meta\)"),
        (
            {LIDAR: torch.ones(2).to(torch.float8_e4m3fn)},
            "unipad-lidar",
            r"is of torch\.float8_e4m3fn, expected float64",
        ),
        ({LIDAR: torch.ones(2, dtype=torch.int64)}, "unipad-lidar", r"is of torch\.int64, expected float64 or float32"),
        ({LIDAR: torch.ones(2, dtype=torch.bool)}, "unipad-lidar", r"is of torch\.bool, expected float64 or float32"),
        *(
            ({LIDAR: torch.ones(2), name: torch.tensor(1.0)}, "unipad-lidar", rf"{name} of its .* is a single number")
            for name in (
                "pts_bbox_head.transformer.decoder.layers.0.attentions.0.attn.in_proj_weight",
                "pts_bbox_head.cls_branches.0.6.bias",
                "pts_bbox_head.reg_branches.0.4.bias",
            )
        ),
        ({}, "unipad-lidar", r"expected a checkpoint with the key 'state_dict', found \['meta', 'state_dict'\]"),
        ({"encoder.x": torch.ones(2)}, "unipad-lidar", r"is a checkpoint of this project already, with encoder\.x"),
        (
            {CAMERA: torch.ones(2)},
            "unipad-lidar",
            r"expects the encoder of lidar, the file holds .* camera, the first key",
        ),
        ({CAMERA: torch.ones(2), LIDAR: torch.ones(2)}, "uvtr-camera", r"the file holds encoders of camera and lidar"),
        ({LIDAR: torch.ones(2)}, "unipad-fusion", r"expects encoders of camera and lidar, the file holds the enc"),
        (
            {"img_backbone.conv1.weight": torch.ones(2)},
            "uvtr-camera",
            r"img_backbone\.conv1\.weight is of a ResNet, and only a ConvNeXt can be converted",
        ),
    ],
)
def test_a_file_of_something_else_is_refused_in_one_line(weights, kind, message, tmp_path):
    with pytest.raises(UserError, match=message) as error:
        read_published(saved(tmp_path, weights), kind)
    assert str(error.value).startswith(str(tmp_path))
    assert "\n" not in str(error.value)


def test_files_that_are_no_checkpoints_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.pth"):
        read_published(tmp_path / "nowhere.pth", "unipad-lidar")
    (tmp_path / "text.pth").write_text("not what is expected")
    with pytest.raises(UserError, match=r"text\.pth"):
        read_published(tmp_path / "text.pth", "unipad-lidar")
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(UserError, match=r"list\.pth .*holds a list, expected a dict"):
        read_published(tmp_path / "list.pth", "unipad-lidar")
    torch.save({LIDAR: torch.ones(2)}, tmp_path / "bare.pth")
    with pytest.raises(UserError, match=r"bare\.pth: expected a checkpoint with the key 'state_dict', found \['pts_mi"):
        read_published(tmp_path / "bare.pth", "unipad-lidar")


def test_a_file_that_wants_to_run_something_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"refused to load .*published\.pth: it asks for `(posix|nt)\.system`"):
        read_published(saved(tmp_path, {LIDAR: Hostile()}), "unipad-lidar")
