"""The decoder layer of BEVFormer: queries attend to each other and sample the volume seen from above."""

import torch
from mmcv.ops import MultiScaleDeformableAttention
from mmdet.models.layers import DeformableDetrTransformerDecoderLayer
from torch import Tensor, nn

from ponderv2.errors import UserError
from ponderv2.shapes import Bool, Float
from ponderv2.structures import FeatureVolume, constant


class DeformableDecoderLayer(nn.Module):
    """mmdet's decoder layer of Deformable DETR on a volume of one cell in height, as in BEVFormer §3.6.

    Each query samples the plane at four points of each head, around its reference seen from above.

    Args:
        in_channels: channels of the volume; those of the queries.
        channels: channels of the queries.
        num_heads: heads of both attentions; published 8.
        ffn_channels: hidden channels of the feed-forward net; published 512.
        dropout: probability of dropout; published 0.1.

    Raises:
        ValueError: when the volume has other channels than the queries.
    """

    def __init__(self, in_channels: int, channels: int, num_heads: int, ffn_channels: int, dropout: float) -> None:
        super().__init__()
        if in_channels != channels:
            raise ValueError(
                f"channels: deformable attention expects those of the volume, {in_channels}, got {channels}"
            )
        drop = dict(type="Dropout", drop_prob=dropout)
        self.num_heads = num_heads
        self.layer = DeformableDetrTransformerDecoderLayer(
            self_attn_cfg=dict(embed_dims=channels, num_heads=num_heads, attn_drop=dropout, dropout_layer=drop),
            cross_attn_cfg=dict(embed_dims=channels, num_heads=num_heads, num_levels=1, num_points=4, dropout=dropout),
            ffn_cfg=dict(
                embed_dims=channels,
                feedforward_channels=ffn_channels,
                ffn_drop=dropout,
                act_cfg=dict(type="ReLU", inplace=True),
            ),
        )
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)
        for module in self.modules():
            if isinstance(module, MultiScaleDeformableAttention):
                module.init_weights()

    def forward(
        self,
        content: Float[Tensor, "b q c"],
        position: Float[Tensor, "b q c"],
        references: Float[Tensor, "b q 3"],
        volume: FeatureVolume,
        attn_mask: Bool[Tensor, "b q q"] | None = None,
    ) -> Float[Tensor, "b q c"]:
        """Return the new content of the queries; arguments as in `UVTRDecoder.forward`.

        Raises:
            UserError: when the volume is higher than one cell.
        """
        nz, ny, nx = volume.grid.shape
        if nz != 1:
            raise UserError(
                f"UVTRHead: cross_attention='deformable' reads volumes of one cell in height, and this one has {nz}"
            )
        if attn_mask is not None:
            # torch's own attention wants the others, and a mask for each head.
            attn_mask = ~attn_mask.expand(len(content), -1, -1).repeat_interleave(self.num_heads, dim=0)
        return self.layer(
            content,
            value=volume.data.flatten(2).transpose(1, 2),
            query_pos=position,
            self_attn_mask=attn_mask,
            # Fractions of the range are those of the map: its cells tile it.
            reference_points=references[:, :, None, :2].sigmoid(),
            spatial_shapes=constant((ny, nx), content.device, torch.long)[None],
            level_start_index=constant((0,), content.device, torch.long),
        )
