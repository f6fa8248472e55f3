"""Vision transformers as teachers: every family from a folder, where their cells lie, and what is refused."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from ponderv2.errors import UserError
from ponderv2.registry import MODELS
from ponderv2.teachers import ConsensusImageBranch, VisionTransformerTeacher
from tests.factories.image_teachers import vision_folder

FAMILIES = ("dinov2", "dinov2_with_registers", "dinov3_vit", "siglip_vision_model", "clip_vision_model")


@pytest.mark.parametrize("family", FAMILIES)
def test_a_map_has_the_tokens_of_the_patches_row_by_row(tmp_path, family):
    teacher = VisionTransformerTeacher(vision_folder(tmp_path, family))
    assert (teacher.channels, teacher.stride) == (16, 4)
    torch.manual_seed(0)
    picture = torch.rand(1, 3, 20, 28)
    with torch.no_grad():
        found = teacher(picture)
        assert found.shape == (1, 16, 5, 7)
        network = teacher.network
        options = {"interpolate_pos_encoding": True} if family.startswith(("siglip", "clip")) else {}
        tokens = network.model(pixel_values=(picture - network.mean) / network.std, **options).last_hidden_state
    extra = {"dinov2": 1, "dinov2_with_registers": 4, "dinov3_vit": 3, "siglip_vision_model": 0, "clip_vision_model": 1}
    assert tokens.shape[1] == 35 + extra[family]
    torch.testing.assert_close(found[0, :, 2, 3], tokens[0, extra[family] + 2 * 7 + 3])


def test_a_stride_of_two_patches_halves_the_picture_and_odd_sizes_are_filled_up(tmp_path):
    folder = vision_folder(tmp_path, "dinov2")
    teacher = VisionTransformerTeacher(folder, stride=8)
    with torch.no_grad():
        assert teacher(torch.rand(2, 3, 33, 48)).shape == (2, 16, 5, 6)
        smooth = torch.rand(1, 3, 4, 4).repeat_interleave(16, 2).repeat_interleave(16, 3)
        halved = VisionTransformerTeacher(folder)(smooth[..., ::2, ::2])
        assert (teacher(smooth) - halved).abs().mean() < 0.2 * halved.std()
    assert teacher.fingerprint != VisionTransformerTeacher(folder).fingerprint


def test_colors_are_normed_as_the_folder_says(tmp_path):
    folder = vision_folder(tmp_path, "dinov2")
    (folder / "preprocessor_config.json").write_text(json.dumps({"image_mean": [0.1] * 3, "image_std": [0.2] * 3}))
    teacher = VisionTransformerTeacher(folder)
    torch.testing.assert_close(teacher.network.mean.flatten(), torch.full((3,), 0.1))
    (folder / "preprocessor_config.json").write_text(json.dumps({"image_mean": [0.1] * 2, "image_std": [0.2] * 3}))
    with pytest.raises(UserError, match="expected three numbers each"):
        VisionTransformerTeacher(folder)


def test_a_student_leaves_out_what_its_maps_do_not_use(tmp_path):
    folder = str(vision_folder(tmp_path, "clip_vision_model"))
    teacher = dict(type=VisionTransformerTeacher, name=folder)
    branch = MODELS.build(dict(type=ConsensusImageBranch, teacher=teacher, channels=4))
    fixed = {name for name, parameter in branch.student.named_parameters() if not parameter.requires_grad}
    assert fixed == {f"network.model.vision_model.post_layernorm.{name}" for name in ("weight", "bias")} or fixed == {
        f"network.model.post_layernorm.{name}" for name in ("weight", "bias")
    }


def test_wrong_input_is_one_clear_error(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match="teacher nowhere/none: neither a folder"):
        VisionTransformerTeacher("nowhere/none")
    folder = vision_folder(tmp_path, "dinov2")
    with pytest.raises(UserError, match="stride: expected a whole number of pixels of at least 1, got 0"):
        VisionTransformerTeacher(folder, stride=0)
    weights = load_file(folder / "model.safetensors")
    name = sorted(weights)[-1]
    save_file({k: v for k, v in weights.items() if k != name}, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match="its file lacks 1 tensors of Dinov2Model"):
        VisionTransformerTeacher(folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "bert", "architectures": None}))
    with pytest.raises(UserError, match="its config says 'bert'"):
        VisionTransformerTeacher(folder)
