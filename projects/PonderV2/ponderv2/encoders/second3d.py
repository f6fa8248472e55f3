"""SECOND's dense backbone and neck, which run on each level of height by itself.

Kernels are one cell high, so that levels never mix: the (1, 3, 3) convolutions of the published code are 2-D
convolutions over all levels of all samples.
"""

from collections.abc import Sequence

from mmcv.cnn import ConvModule, build_norm_layer
from mmengine.model import BaseModule
from torch import Tensor, nn

from ponderv2.registry import MODELS
from ponderv2.shapes import Float

PUBLISHED_NORM = dict(type="BN2d", eps=1e-3, momentum=0.01)


@MODELS.register_module()
class SECOND3D(BaseModule):
    """Runs parallel branches of convolutions at several resolutions of the plane, all on the same input (UVTR).

    Args:
        in_channels: channels of the volume.
        channels: channels of each branch, published (128, 256, 512).
        strides: stride of the first convolution of each branch, in the plane alone; published (1, 2, 4).
        blocks: number of further convolutions of each branch, published 5.
        norm_cfg: norm of `[B * Z, C, Y, X]`, in mmcv's terms; published batch norm, over samples and levels alike.

    Raises:
        ValueError: when `channels`, `strides` and `blocks` have different lengths.
    """

    def __init__(
        self,
        in_channels: int,
        channels: Sequence[int] = (128, 256, 512),
        strides: Sequence[int] = (1, 2, 4),
        blocks: Sequence[int] = (5, 5, 5),
        norm_cfg: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if not len(channels) == len(strides) == len(blocks):
            raise ValueError(
                "channels, strides and blocks: expected one number a branch each, "
                f"got {tuple(channels)}, {tuple(strides)} and {tuple(blocks)}"
            )
        norm_cfg = norm_cfg or PUBLISHED_NORM
        self.branches = nn.ModuleList()
        for width, stride, count in zip(channels, strides, blocks, strict=True):
            convs = [ConvModule(in_channels, width, 3, stride, 1, bias=False, norm_cfg=norm_cfg)]
            convs += [ConvModule(width, width, 3, 1, 1, bias=False, norm_cfg=norm_cfg) for _ in range(count)]
            self.branches.append(nn.Sequential(*convs))

    def forward(self, volume: Float[Tensor, "b c z y x"]) -> tuple[Tensor, ...]:
        """Compute a map `[B * Z, C, Y / stride, X / stride]` for each branch, its sizes rounded up."""
        planes = volume.transpose(1, 2).flatten(0, 1)
        return tuple(branch(planes) for branch in self.branches)


@MODELS.register_module()
class SECOND3DFPN(BaseModule):
    """Brings the branches to one resolution and width and adds them (UVTR; SECOND concatenates).

    Args:
        in_channels: channels of each branch, published (128, 256, 512).
        channels: channels of the volume, published 256.
        strides: stride of each branch, published (1, 2, 4).
        norm_cfg: norm, as in `SECOND3D`.
    """

    def __init__(
        self,
        in_channels: Sequence[int] = (128, 256, 512),
        channels: int = 256,
        strides: Sequence[int] = (1, 2, 4),
        norm_cfg: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        norm_cfg = norm_cfg or PUBLISHED_NORM
        self.channels = channels
        self.lateral = nn.ModuleList()
        for width, stride in zip(in_channels, strides, strict=True):
            if stride == 1:
                conv = nn.Conv2d(width, channels, 1, bias=False)
            else:
                conv = nn.ConvTranspose2d(width, channels, stride, stride, bias=False)
            self.lateral.append(
                nn.Sequential(conv, build_norm_layer(dict(norm_cfg), channels)[1], nn.ReLU(inplace=True))
            )

    def forward(self, maps: tuple[Tensor, ...], levels: int) -> Float[Tensor, "b c z y x"]:
        """Compute the volume from maps `[B * levels, C, Y / stride, X / stride]`.

        Args:
            maps: one map for each branch.
            levels: number of levels of height.

        Raises:
            ValueError: when there is not one map for each branch, or their strides do not make their sizes equal.
        """
        if len(maps) != len(self.lateral):
            raise ValueError(f"SECOND3DFPN: expected {len(self.lateral)} maps, got {len(maps)}")
        raised = [lateral(m) for lateral, m in zip(self.lateral, maps, strict=True)]
        sizes = [tuple(m.shape[-2:]) for m in raised]
        if len(set(sizes)) > 1:
            raise ValueError(
                f"SECOND3DFPN: branches end with different (y, x) sizes {sizes}; the volume's must be whole "
                "multiples of the largest stride"
            )
        return sum(raised[1:], raised[0]).unflatten(0, (-1, levels)).transpose(1, 2)
