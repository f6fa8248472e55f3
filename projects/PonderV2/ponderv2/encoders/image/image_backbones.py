"""ConvNeXt and ResNet for images with hidden blocks, built from transformers' own modules."""

from collections.abc import Sequence

from torch import Tensor, nn

from ponderv2.encoders.image.masked_backbone import MaskedBackbone, hidden_at, set_zero
from ponderv2.encoders.image.pretrained_backbone import load_pretrained
from ponderv2.encoders.image.weight_names import convnext_name, resnet_name
from ponderv2.registry import MODELS
from ponderv2.shapes import Bool, Float

# (depths, channels): ConvNeXt paper (arXiv 2201.03545) §3.
CONVNEXT_SIZES = {
    "tiny": ((3, 3, 9, 3), (96, 192, 384, 768)),
    "small": ((3, 3, 27, 3), (96, 192, 384, 768)),
    "base": ((3, 3, 27, 3), (128, 256, 512, 1024)),
    "large": ((3, 3, 27, 3), (192, 384, 768, 1536)),
}
# ResNet paper (arXiv 1512.03385) table 1.
RESNET_DEPTHS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
RESNET_CHANNELS = (256, 512, 1024, 2048)

# Hub ids of supervised ImageNet-1k weights, to be given as `weights`.
IMAGENET_WEIGHTS = {
    "convnext-tiny": "facebook/convnext-tiny-224",
    "convnext-small": "facebook/convnext-small-224",
    "convnext-base": "facebook/convnext-base-224",
    "convnext-large": "facebook/convnext-large-224",
    "resnet-50": "microsoft/resnet-50",
    "resnet-101": "microsoft/resnet-101",
}


@MODELS.register_module()
class PonderConvNeXt(MaskedBackbone):
    """A ConvNeXt with a LayerNorm on each returned map, the camera backbone of UniPAD and PonderV2-outdoor.

    Published pre-training starts from a ConvNeXt-small that SparK trained without labels on ImageNet-1k, with stem and
    stage 0 frozen, drop path growing linearly over the blocks to 0.2 and layer scale 1e-6. See `MaskedBackbone` for
    masks, freezing and checkpointing.

    A map that no neck reads leaves its norm without a gradient: leave its stage out of `out_indices`.

    Args:
        size: "tiny", "small", "base" or "large".
        out_indices: stages whose maps are returned.
        frozen_stages: number of frozen stages, see `MaskedBackbone`; 1 freezes the stem and stage 0.
        drop_path_rate: rate at which the last block is dropped.
        layer_scale: initial factor of every block's branch.
        grad_checkpointing: True to recompute each block in the backward pass.
        weights: local folder or file of weights, in transformers' names or those of the original code ("official
            style"), or a hub id such as those of `IMAGENET_WEIGHTS`; None is random. `init_weights` loads them, so that
            evaluation needs none. Norms of returned maps may be missing in the file and then start as identity.
        depths: number of blocks of each stage, in place of `size`; given with `channels` or not at all.
        channels: width of each stage, in place of `size`.

    Raises:
        ValueError: when the size is unknown or only one of `depths` and `channels` is given.
    """

    def __init__(
        self,
        size: str = "small",
        out_indices: Sequence[int] = (0, 1, 2, 3),
        frozen_stages: int = 1,
        drop_path_rate: float = 0.2,
        layer_scale: float = 1e-6,
        grad_checkpointing: bool = False,
        weights: str | None = None,
        depths: Sequence[int] | None = None,
        channels: Sequence[int] | None = None,
    ) -> None:
        if size not in CONVNEXT_SIZES:
            raise ValueError(f"ConvNeXt has sizes {', '.join(CONVNEXT_SIZES)}, not {size!r}")
        depths, channels = _depths_and_channels(depths, channels, CONVNEXT_SIZES[size])
        super().__init__(channels, out_indices, frozen_stages, grad_checkpointing)
        # Not at the top: it takes a second, and LiDAR models do without.
        from transformers import ConvNextBackbone, ConvNextConfig

        config = ConvNextConfig(
            num_stages=len(depths),
            depths=list(depths),
            hidden_sizes=list(channels),
            drop_path_rate=drop_path_rate,
            layer_scale_init_value=layer_scale,
            out_features=[f"stage{i + 1}" for i in self.out_indices],
        )
        built = ConvNextBackbone(config)
        # Only the plain modules are kept: a nested PreTrainedModel has an `init_weights` of its own, which
        # mmengine's recursive one would call on top of loaded weights, and its stages carry hooks that
        # cannot be pickled.
        self.stem = built.embeddings
        self.stages = nn.ModuleList(
            nn.ModuleDict(
                {
                    "downsampling_layer": nn.ModuleList(stage.downsampling_layer.children()),
                    "layers": nn.ModuleList(stage.layers.children()),
                }
            )
            for stage in built.encoder.stages[: self.out_indices[-1] + 1]
        )
        for i in self.out_indices:
            self.norms[str(i)] = built.hidden_states_norms[f"stage{i + 1}"]
        # With transformers' bias of zero, padding (zeros) reaches the stem's LayerNorm without any variance,
        # which then multiplies gradients by a thousand. torch's own initial bias does not.
        patch = self.stem.patch_embeddings
        bound = patch.weight[0].numel() ** -0.5
        nn.init.uniform_(patch.bias, -bound, bound)
        self.weights = weights
        self._ready()

    def init_weights(self) -> None:
        """Load `weights`, if there are any; mmengine calls it when a training starts.

        Raises:
            FileNotFoundError, UserError: as `load_pretrained`.
        """
        if self.weights is not None:
            load_pretrained(self, self.weights, convnext_name, optional=("norms.",))

    def _first_center(self, stride: int) -> float:
        # Kernels as wide as their strides: cells tile the image.
        return (stride - 1) / 2

    def _stem(self, images: Tensor, visible: Tensor | None) -> Tensor:
        x = self.stem(images)
        return set_zero(x, hidden_at(visible, x))

    def _stage(self, stage: nn.Module, x: Tensor, visible: Tensor | None) -> Tensor:
        # LayerNorm, then a patch convolution; both give hidden positions their bias.
        for module in stage["downsampling_layer"]:
            x = module(x)
            x = set_zero(x, hidden_at(visible, x))
        hidden = hidden_at(visible, x)
        for layer in stage["layers"]:
            x = self._run(layer, x, hidden)
        return x

    def _layer(self, layer: nn.Module, x: Tensor, hidden: Tensor | None) -> Tensor:
        # Inside a block only the depth-wise 7x7 looks around, and it is the first to read x.
        return set_zero(layer(x), hidden)


@MODELS.register_module()
class PonderResNet(MaskedBackbone):
    """A ResNet of bottlenecks with the stride on the 3×3 ("v1.5"). See `MaskedBackbone` for masks and the rest.

    Args:
        depth: number of layers, 50 or 101.
        out_indices: stages whose maps are returned.
        frozen_stages: number of frozen stages, see `MaskedBackbone`; 1 freezes the stem and stage 0.
        norm_eval: True to keep BatchNorm at its running statistics in training. Otherwise statistics under a mask
            are those of visible positions only.
        grad_checkpointing: True to recompute each bottleneck in the backward pass.
        weights: local folder or file of weights, or a hub id such as those of `IMAGENET_WEIGHTS`; None is random.
            `init_weights` loads them.
        depths: number of bottlenecks of each stage, in place of `depth`; given with `channels` or not at all.
        channels: width of each stage, in place of `depth`.
        stem_channels: width of the stem.

    Raises:
        ValueError: when the depth is unknown, only one of `depths` and `channels` is given, or checkpointing is on
            without `norm_eval`, which would count every batch twice.
    """

    def __init__(
        self,
        depth: int = 50,
        out_indices: Sequence[int] = (0, 1, 2, 3),
        frozen_stages: int = 1,
        norm_eval: bool = True,
        grad_checkpointing: bool = False,
        weights: str | None = None,
        depths: Sequence[int] | None = None,
        channels: Sequence[int] | None = None,
        stem_channels: int = 64,
    ) -> None:
        if depth not in RESNET_DEPTHS:
            raise ValueError(f"ResNet has depths {', '.join(map(str, RESNET_DEPTHS))}, not {depth}")
        if grad_checkpointing and not norm_eval:
            raise ValueError(
                "grad_checkpointing runs each layer twice, so BatchNorm would update its running statistics "
                "twice: use it with norm_eval=True"
            )
        depths, channels = _depths_and_channels(depths, channels, (RESNET_DEPTHS[depth], RESNET_CHANNELS))
        super().__init__(channels, out_indices, frozen_stages, grad_checkpointing)
        self.norm_eval = norm_eval
        from transformers import ResNetBackbone, ResNetConfig

        config = ResNetConfig(embedding_size=stem_channels, hidden_sizes=list(channels), depths=list(depths))
        built = ResNetBackbone(config)
        self.stem = built.embedder
        self.stages = nn.ModuleList(
            nn.ModuleDict({"layers": nn.ModuleList(stage.layers.children())})
            for stage in built.encoder.stages[: self.out_indices[-1] + 1]
        )
        self.weights = weights
        self._ready()

    def init_weights(self) -> None:
        """Load `weights`, if there are any; mmengine calls it when a training starts.

        Raises:
            FileNotFoundError, UserError: as `load_pretrained`.
        """
        if self.weights is not None:
            load_pretrained(self, self.weights, resnet_name)

    def train(self, mode: bool = True) -> "PonderResNet":
        """Set the mode; frozen parts and, with `norm_eval`, every BatchNorm stay in eval mode."""
        super().train(mode)
        if self.norm_eval:
            for module in self.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()
        return self

    def _first_center(self, stride: int) -> float:
        # Odd kernels with padding, every one of which is centered on the first cell before it.
        return 0.0

    def _stem(self, images: Tensor, visible: Tensor | None) -> Tensor:
        x = _convolve(self.stem.embedder, images, visible)
        # After a ReLU zeros do not change a maximum, so hidden cells are as good as absent for the pooling.
        x = self.stem.pooler(set_zero(x, hidden_at(visible, x)))
        return set_zero(x, hidden_at(visible, x))

    def _stage(self, stage: nn.Module, x: Tensor, visible: Tensor | None) -> Tensor:
        for layer in stage["layers"]:
            x = self._run(layer, x, visible)
        return x

    def _layer(self, layer: nn.Module, x: Tensor, visible: Tensor | None) -> Tensor:
        reduce, look_around, expand = layer.layer
        y = _convolve(reduce, x, visible)
        # Batch norm and ReLU have given hidden positions a value that the 3x3 would read.
        y = _convolve(look_around, set_zero(y, hidden_at(visible, y)), visible)
        y = _convolve(expand, y, visible)
        shortcut = x if isinstance(layer.shortcut, nn.Identity) else _convolve(layer.shortcut, x, visible)
        y = layer.activation(y + shortcut)
        return set_zero(y, hidden_at(visible, y))


def visible_batch_norm(
    norm: nn.Module, x: Float[Tensor, "n c h w"], hidden: Bool[Tensor, "n 1 h w"] | None
) -> Float[Tensor, "n c h w"]:
    """Apply a batch norm whose batch statistics, when it takes any, are those of visible positions.

    Hidden positions come out as zeros where statistics are taken, and without meaning otherwise.
    """
    if hidden is None or not norm.training:
        return norm(x)
    visible = ~hidden.squeeze(1)
    cells = x.permute(0, 2, 3, 1)
    values = norm(cells[visible][:, :, None, None])[:, :, 0, 0]
    full = values.new_zeros(cells.shape).index_put((visible,), values)
    return full.permute(0, 3, 1, 2)


def _convolve(block: nn.Module, x: Tensor, visible: Tensor | None) -> Tensor:
    """Run convolution, batch norm and, except in a shortcut, activation of one block of transformers' ResNet."""
    x = block.convolution(x)
    x = visible_batch_norm(block.normalization, x, hidden_at(visible, x))
    return block.activation(x) if hasattr(block, "activation") else x


def _depths_and_channels(
    depths: Sequence[int] | None,
    channels: Sequence[int] | None,
    table: tuple[tuple[int, ...], tuple[int, ...]],
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    if depths is None and channels is None:
        return table
    if depths is None or channels is None or len(depths) != len(channels):
        raise ValueError(f"depths and channels come together, one of each a stage; got {depths} and {channels}")
    return tuple(depths), tuple(channels)
