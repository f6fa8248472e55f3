"""BEVFormer's decoder in UVTR's head: it reads the plane at the references, respects masks, and learns."""

import pytest
import torch

from ponderv2.errors import UserError
from ponderv2.heads.uvtr.deformable_layer import DeformableDecoderLayer
from ponderv2.structures import FeatureVolume, VoxelGrid
from tests.factories.uvtr import CHANNELS, DENOISING, FORMS, head_of, target_of, total, volume_of

PLANE = VoxelGrid((-16, -12, -3, 16, 12, 3), (8, 6, 1))


def _plane(batch: int = 1) -> FeatureVolume:
    return FeatureVolume(torch.randn(batch, CHANNELS, *PLANE.shape), PLANE)


def _layer() -> DeformableDecoderLayer:
    return DeformableDecoderLayer(CHANNELS, CHANNELS, num_heads=2, ffn_channels=16, dropout=0.0).eval()


def test_a_query_reads_the_cell_that_its_reference_lies_in():
    layer = _layer()
    cross = layer.layer.cross_attn
    torch.nn.init.zeros_(cross.sampling_offsets.bias)
    volume = FeatureVolume(torch.zeros(1, CHANNELS, *PLANE.shape), PLANE)
    volume.data.requires_grad_()
    center = PLANE.centers()[0, 4, 1]
    references = PLANE.to_fraction(center).logit()[None, None]
    content, position = torch.randn(1, 1, CHANNELS), torch.randn(1, 1, CHANNELS)
    (slope,) = torch.autograd.grad(layer(content, position, references, volume).square().sum(), volume.data)
    touched = slope[0].abs().sum(dim=0)
    assert touched[0, 4, 1] > 0
    touched[0, 4, 1] = 0
    assert touched.max() < 1e-5


@torch.no_grad()
def test_a_query_does_not_see_what_the_mask_hides():
    layer, volume = _layer(), _plane(2)
    content, position, references = torch.randn(2, 5, CHANNELS), torch.randn(2, 5, CHANNELS), torch.randn(2, 5, 3)
    mask = torch.ones(2, 5, 5, dtype=torch.bool)
    # Of the second sample alone, the first query is hidden from the last.
    mask[1, 4, 0] = False
    before = layer(content, position, references, volume, mask)
    torch.testing.assert_close(layer(content, position, references, volume, torch.ones_like(mask))[0], before[0])
    content[:, 0] += 1.0
    changed = (layer(content, position, references, volume, mask) - before).abs().amax(dim=2) > 1e-5
    assert changed[0].all()
    assert changed[1].tolist() == [True, True, True, True, False]


@pytest.mark.parametrize("form", FORMS)
def test_a_head_of_such_layers_trains_in_both_forms_and_every_parameter_gets_a_gradient(form):
    head = head_of(cross_attention="deformable", num_layers=3, dropout=0.0, **FORMS[form]).train()
    losses = head.loss(_plane(2), [target_of(3), target_of(2, seed=1)])
    assert any("dn_" in name for name in losses) == (FORMS[form] is DENOISING)
    total(losses).backward()
    missing = [n for n, p in head.named_parameters() if p.grad is None or not p.grad.isfinite().all()]
    assert missing == []
    (found, _) = head.eval().predict(_plane(2))
    assert found.bboxes_3d.tensor.isfinite().all()


def test_a_volume_with_height_or_with_other_channels_is_refused():
    with pytest.raises(UserError, match="volumes of one cell in height, and this one has 3"):
        head_of(cross_attention="deformable")(volume_of())
    with pytest.raises(ValueError, match=r"expects those of the volume, 8, got 16"):
        head_of(cross_attention="deformable", channels=16)
    with pytest.raises(ValueError, match="cross_attention: expected 'sample' or 'deformable', got 'nearest'"):
        head_of(cross_attention="nearest")
