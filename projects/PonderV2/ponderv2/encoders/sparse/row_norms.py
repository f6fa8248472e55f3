"""Norms of the rows of sparse tensors; they need no sparse convolution."""

from mmcv.cnn import build_norm_layer
from torch import Tensor, nn
from torch.nn import functional as F


class SparseBatchNorm(nn.BatchNorm1d):
    """Normalizes over the rows of a sparse tensor, whatever samples and places they come from.

    A single row has no variance, and no rows have no mean: then the running statistics are used, where
    `nn.BatchNorm1d` would raise.
    """

    def forward(self, rows: Tensor) -> Tensor:
        """Normalize rows `[V, C]`."""
        if self.training and len(rows) < 2:
            return F.batch_norm(rows, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        return super().forward(rows)


PUBLISHED_NORM = dict(type=SparseBatchNorm, eps=1e-3, momentum=0.01)
"""The norm of UVTR's sparse encoders."""


def row_norm(channels: int, norm_cfg: dict | None = None) -> nn.Module:
    """Build a norm of rows `[V, channels]`; `norm_cfg` is in mmcv's terms, None is the published batch norm."""
    return build_norm_layer(dict(norm_cfg or PUBLISHED_NORM), channels)[1]
