"""The field of signed distance, colour and semantic features: small perceptrons conditioned on a feature volume.

The normal is the gradient of the signed distance in space. It is computed in closed form: a reverse sweep
through the perceptron with ordinary operations gives the derivatives by position and by feature, and the
second is multiplied by the spatial derivative of the feature (`gather_gradient`). So training needs a single backward
pass, and normals exist under `no_grad`, autocast, checkpointing and `torch.compile` alike.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ponderv2.shapes import Float
from ponderv2.structures import FeatureVolume

from ._trilinear import (
    flatten_cells,
    gather,
    gather_gradient,
    precision_of,
    refuse_gradients,
    trilinear,
    trilinear_index,
)
from .chunking import apply_in_chunks, restore_order

SOFTPLUS_BETA = 100.0
KEPT_CHUNKS = 4
"""Up to so many chunks are one on a CPU: keeping their values is faster than computing them again, and affordable."""


@dataclass(frozen=True)
class FieldOutput:
    """The values of a field at points. Lengths are scene units (metres × scene scale).

    Attributes:
        sdf: signed distance, positive in free space.
        normal: spatial gradient of the signed distance, not normalised.
        rgb: colour in [0, 1]; None without a colour network.
        semantic: features that say what is there, at least 0; None without a semantic network.
        features: features that are compared with those of images, at least 0; None without a feature network.
    """

    sdf: Float[Tensor, "b q"]
    normal: Float[Tensor, "b q 3"]
    rgb: Float[Tensor, "b q 3"] | None
    semantic: Float[Tensor, "b q k"] | None = None
    features: Float[Tensor, "b q c"] | None = None


class ConditionedMLP(nn.Module):
    """The published decoder perceptron: a condition is added before each layer.

    `x = W_p p`; then `num_layers` times `x = W_l (x + C_l c)`, with the activation after each layer but the
    last. Plain `nn.Linear` initialisation, no positional encoding, as in UniPAD's code. With hidden width 16
    the SDF network (condition 32, 6 layers, 17 outputs) has 4,881 parameters, the colour network 4,451.

    Args:
        condition_channels: size of the condition.
        out_channels: size of the output.
        num_layers: number L of layers.
        hidden_channels: width of the hidden layers.
        activation: "softplus" (β = 100) or "relu".

    Raises:
        ValueError: for another activation.
    """

    def __init__(
        self,
        condition_channels: int,
        out_channels: int,
        num_layers: int,
        hidden_channels: int = 16,
        activation: str = "softplus",
    ) -> None:
        super().__init__()
        if activation not in ("softplus", "relu"):
            raise ValueError(f"activation: expected 'softplus' or 'relu', got {activation!r}")
        self.activation = activation
        self.point_proj = nn.Linear(3, hidden_channels)
        # The projections of all layers as one product.
        self.condition_proj = nn.Linear(condition_channels, hidden_channels * num_layers)
        sizes = [hidden_channels] * (num_layers - 1) + [out_channels]
        self.layers = nn.ModuleList(nn.Linear(hidden_channels, size) for size in sizes)

    def forward(self, points: Float[Tensor, "*p 3"], condition: Float[Tensor, "*p c"]) -> Float[Tensor, "*p o"]:
        """Compute the outputs for points (scene units) and their conditions."""
        output, _ = self._sweep(points.flatten(0, -2), condition.flatten(0, -2), self._folded())
        return output.unflatten(0, points.shape[:-1])

    def with_gradient(
        self, points: Float[Tensor, "p 3"], condition: Float[Tensor, "p c"]
    ) -> tuple[Float[Tensor, "p o"], Float[Tensor, "p 3"], Float[Tensor, "p c"]]:
        """Compute the outputs, and the derivatives of output 0 by point and by condition.

        All three can be differentiated by the parameters and the condition with one backward pass.
        """
        by_condition, by_point, _ = folded = self._folded()
        output, pre_activations = self._sweep(points, condition, folded)
        if not pre_activations:
            return output, by_point[:, 0].expand_as(points), by_condition[0][:, 0].expand_as(condition)
        # By the input of the layer above, and all that the condition adds there.
        grad, condition_grad = self.layers[-1].weight[0], by_condition[-1][:, 0]
        for place in reversed(range(1, len(pre_activations))):
            grad = grad * self._slope(pre_activations[place])
            condition_grad = torch.addmm(condition_grad, grad, by_condition[place].t())
            grad = grad @ self.layers[place].weight
        grad = grad * self._slope(pre_activations[0])
        return output, grad @ by_point.t(), torch.addmm(condition_grad, grad, by_condition[0].t())

    def _folded(self) -> tuple[list[Tensor], Tensor, list[Tensor]]:
        """Multiply what comes before each layer into it: `W (x + C c + d) + b` is `W x + (W C) c + (W d + b)`.

        Returns:
            The transposed matrix by which each layer takes the condition, `[C, O]`; the one by which the first takes
            the points, `[3, O]`; and the bias of each layer, `[O]`.
        """
        width = self.layers[0].in_features
        projections = zip(self.condition_proj.weight.split(width), self.condition_proj.bias.split(width), strict=True)
        by_condition, biases = [], []
        for layer, (weight, bias) in zip(self.layers, projections, strict=True):
            if not by_condition:
                bias = bias + self.point_proj.bias
            by_condition.append(weight.t() @ layer.weight.t())
            biases.append(torch.addmv(layer.bias, layer.weight, bias))
        return by_condition, self.point_proj.weight.t() @ self.layers[0].weight.t(), biases

    def _sweep(
        self, points: Tensor, condition: Tensor, folded: tuple[list[Tensor], Tensor, list[Tensor]]
    ) -> tuple[Tensor, list[Tensor]]:
        by_condition, by_point, biases = folded
        y = torch.addmm(torch.addmm(biases[0], condition, by_condition[0]), points, by_point)
        pre_activations = []
        for layer, by_c, bias in zip(self.layers[1:], by_condition[1:], biases[1:], strict=True):
            pre_activations.append(y)
            x = F.softplus(y, beta=SOFTPLUS_BETA) if self.activation == "softplus" else F.relu(y)
            y = torch.addmm(torch.addmm(bias, condition, by_c), x, layer.weight.t())
        return y, pre_activations

    def _slope(self, y: Tensor) -> Tensor:
        return torch.sigmoid(SOFTPLUS_BETA * y) if self.activation == "softplus" else (y > 0).to(y.dtype)


class SDFField(nn.Module):
    """Computes signed distance, normal and colour of points in a feature volume (UniPAD §3.2; PonderV2 Eq. 5–6).

    With semantic layers also features that say what is there, `hidden_channels` of them, from where no direction is
    known: the class of a thing does not depend on where it is seen from. A linear layer makes logits or an embedding of
    them after rendering. That is the same as to render what it would make of every sample, at a fraction of the memory:
    PonderV2 renders 512 channels a sample, which its last layer makes of 16. A feature network does the same for
    features of images (ConDense), which do not depend on the direction either.

    Args:
        feature_channels: channels of the volume, published 32.
        hidden_channels: width of both perceptrons; published code 16, paper 32 (accuracy hardly differs).
        geometry_channels: size of the geometry feature given to the colour network.
        sdf_layers: layers of the signed-distance network, published 6.
        color_layers: layers of the colour network, published 4; 0 builds none, so that it has no idle parameters.
        semantic_layers: layers of the semantic network before the one after rendering, published 3; 0 builds none.
        feature_layers: layers of the feature network before the one after rendering; 0 builds none.
        features_shape_geometry: whether the gradient of the features reaches the signed distance by way of the normal
            and the geometry feature that the feature network is given.
        chunk_size: number of points that the perceptrons take at a time on a CPU, see `apply_in_chunks`, unless there
            are at most `KEPT_CHUNKS` times as many; sixteen times as many elsewhere, where it is the number of kernels
            that costs. None takes all at once.
    """

    def __init__(
        self,
        feature_channels: int = 32,
        hidden_channels: int = 16,
        geometry_channels: int = 16,
        sdf_layers: int = 6,
        color_layers: int = 4,
        chunk_size: int | None = 16384,
        semantic_layers: int = 0,
        feature_layers: int = 0,
        features_shape_geometry: bool = False,
    ) -> None:
        super().__init__()
        self.chunk_size = chunk_size
        self.features_shape_geometry = features_shape_geometry
        self.sdf_mlp = ConditionedMLP(feature_channels, 1 + geometry_channels, sdf_layers, hidden_channels)
        self.color_mlp = None
        if color_layers > 0:
            condition = 3 + feature_channels + 3 + geometry_channels  # direction, feature, normal, geometry
            self.color_mlp = ConditionedMLP(condition, 3, color_layers, hidden_channels, activation="relu")
        condition = feature_channels + 3 + geometry_channels  # feature, normal, geometry
        self.semantic_mlp = self.feature_mlp = None
        if semantic_layers > 0:
            self.semantic_mlp = ConditionedMLP(
                condition, hidden_channels, semantic_layers, hidden_channels, activation="relu"
            )
        if feature_layers > 0:
            self.feature_mlp = ConditionedMLP(
                condition, hidden_channels, feature_layers, hidden_channels, activation="relu"
            )

    def sdf(self, volume: FeatureVolume, points: Float[Tensor, "b q 3"]) -> Float[Tensor, "b q"]:
        """Compute the signed distances alone (scene units) of points in metres, as samplers need them for proposals.

        They are computed in the precision of points and volume, single at least, whatever autocast is on around them:
        in half precision, points a few centimeters apart would be the same one.

        Raises:
            NotImplementedError: when a gradient for the points is asked for.
        """
        refuse_gradients(points, "points")
        points = points.to(precision_of(volume.data, points))
        with torch.autocast(points.device.type, enabled=False):
            features = trilinear(volume.data, volume.grid.to_index(points)).flatten(0, 1)
            scaled = (points * volume.grid.scene_scale).flatten(0, 1)
            (sdf,) = apply_in_chunks(self._distance, self.sdf_mlp, self._chunk_size(scaled), scaled, features)
        return sdf.unflatten(0, points.shape[:2])

    def forward(
        self, volume: FeatureVolume, points: Float[Tensor, "b q 3"], directions: Float[Tensor, "b q 3"]
    ) -> FieldOutput:
        """Compute all that the renderer needs, at points in metres that are seen along unit directions.

        Signed distances and normals are computed in the precision of points and volume, single at least, whatever
        autocast is on around them; colours and semantic features as autocast says.

        Raises:
            NotImplementedError: when a gradient for the points is asked for.
        """
        refuse_gradients(points, "points")
        grid, device = volume.grid, points.device
        points, directions = (x.to(precision_of(volume.data, points)) for x in (points, directions))
        with torch.autocast(device.type, enabled=False):
            # By cell, not by ray: neighbours then read the same rows.
            index, order = trilinear_index(volume.data.shape, grid.to_index(points)).sorted()
            scaled = (points * grid.scene_scale).flatten(0, 1).index_select(0, order)
            cells = flatten_cells(volume.data.to(points.dtype))
            features = gather(cells, index)
            geometry, by_point, by_feature = apply_in_chunks(
                self.sdf_mlp.with_gradient, self.sdf_mlp, self._chunk_size(scaled), scaled, features
            )
            # The index changes by `index_scale` a metre, that is by `index_scale / scene_scale` a scene unit.
            index_scale, _ = grid.index_map(device, points.dtype)
            normal = by_point + gather_gradient(cells, index, by_feature) * (index_scale / grid.scene_scale)
        outputs = [geometry[:, :1], normal]
        condition = (features, normal, geometry[:, 1:])
        if self.color_mlp is not None:
            rows = (scaled, directions.flatten(0, 1).index_select(0, order), *condition)
            outputs += apply_in_chunks(self._color, self.color_mlp, self._chunk_size(scaled), *rows)
        if self.semantic_mlp is not None:
            outputs += apply_in_chunks(self._semantic, self.semantic_mlp, self._chunk_size(scaled), scaled, *condition)
        if self.feature_mlp is not None:
            if not self.features_shape_geometry:
                condition = (features, normal.detach(), geometry[:, 1:].detach())
            outputs += apply_in_chunks(self._features, self.feature_mlp, self._chunk_size(scaled), scaled, *condition)
        widths = [values.shape[1] for values in outputs]
        outputs = restore_order(torch.cat(outputs, dim=-1), order).unflatten(0, points.shape[:2])
        sdf, normal, *rest = outputs.split(widths, dim=-1)
        rgb = rest.pop(0) if self.color_mlp is not None else None
        semantic = rest.pop(0) if self.semantic_mlp is not None else None
        image_features = rest.pop(0) if self.feature_mlp is not None else None
        return FieldOutput(sdf[..., 0], normal, rgb, semantic, image_features)

    def _chunk_size(self, points: Tensor) -> int | None:
        if self.chunk_size is None:
            return None
        if points.device.type != "cpu":
            return 16 * self.chunk_size
        return None if len(points) <= KEPT_CHUNKS * self.chunk_size else self.chunk_size

    def _distance(self, scaled: Tensor, features: Tensor) -> tuple[Tensor]:
        return (self.sdf_mlp(scaled, features)[:, 0].to(scaled.dtype),)

    def _color(self, scaled: Tensor, directions: Tensor, *condition: Tensor) -> tuple[Tensor]:
        color = self.color_mlp(scaled, torch.cat([directions, *condition], dim=-1))
        return (torch.sigmoid(color.to(scaled.dtype)),)

    def _semantic(self, scaled: Tensor, *condition: Tensor) -> tuple[Tensor]:
        return (F.relu(self.semantic_mlp(scaled, torch.cat(condition, dim=-1)).to(scaled.dtype)),)

    def _features(self, scaled: Tensor, *condition: Tensor) -> tuple[Tensor]:
        return (F.relu(self.feature_mlp(scaled, torch.cat(condition, dim=-1)).to(scaled.dtype)),)
