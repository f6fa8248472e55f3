"""The learned queries that the decoder starts from, the same for every sample."""

import torch
from torch import Tensor, nn

from ponderv2.shapes import Float

from .uvtr_decoder import REFERENCE_EPS


class EmbeddedQueries(nn.Module):
    """Queries with a learned positional embedding and learned content (Deformable DETR, DETR3D).

    A linear layer predicts the reference of a query from its positional embedding. UVTR's plain head, which the camera
    ablation uses, starts from such queries.

    Args:
        num_queries: how many queries there are.
        channels: channels of content and positional embedding.
    """

    def __init__(self, num_queries: int, channels: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(num_queries, 2 * channels)
        self.reference = nn.Linear(channels, 3)
        nn.init.xavier_uniform_(self.reference.weight)
        nn.init.zeros_(self.reference.bias)

    def forward(self) -> tuple[Float[Tensor, "q c"], Float[Tensor, "q c"], Float[Tensor, "q 3"]]:
        """Return contents, positional embeddings, and references as logits of fractions of the range."""
        position, content = self.embedding.weight.chunk(2, dim=1)
        return content, position, self.reference(position)


class ReferenceQueries(nn.Module):
    """Queries with a learned reference, which everything else about them is computed from (Anchor DETR, PETR).

    References are uniform in the range at first. UVTR's denoising head starts from such queries, because they can be
    made at any point, so that noisy copies of boxes can join them. References are learned as logits. The published
    code learns fractions and clamps them to [0, 1], where one that has left the range never gets a gradient again.

    Args:
        num_queries: how many queries there are.
        channels: channels of content and positional embedding.
    """

    def __init__(self, num_queries: int, channels: int) -> None:
        super().__init__()
        self.references = nn.Embedding(num_queries, 3)
        with torch.no_grad():
            self.references.weight.copy_(torch.logit(torch.rand(num_queries, 3), eps=REFERENCE_EPS))
        self.position = nn.Sequential(nn.Linear(3, channels), nn.ReLU(inplace=True), nn.Linear(channels, channels))

    def forward(self) -> tuple[Float[Tensor, "q c"], Float[Tensor, "q c"], Float[Tensor, "q 3"]]:
        """Return contents (zeros), positional embeddings, and references as logits of fractions of the range."""
        return self._from_logits(self.references.weight)

    def at(
        self, references: Float[Tensor, "*q 3"]
    ) -> tuple[Float[Tensor, "*q c"], Float[Tensor, "*q c"], Float[Tensor, "*q 3"]]:
        """Return the same for queries whose references are given as fractions of the range."""
        return self._from_logits(torch.logit(references, eps=REFERENCE_EPS))

    def _from_logits(
        self, logits: Float[Tensor, "*q 3"]
    ) -> tuple[Float[Tensor, "*q c"], Float[Tensor, "*q c"], Float[Tensor, "*q 3"]]:
        position = self.position(logits)
        return torch.zeros_like(position), position, logits
