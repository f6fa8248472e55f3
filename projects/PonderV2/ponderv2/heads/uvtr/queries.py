"""What the decoder starts from: learned features and places, the same for every sample."""

import torch
from torch import Tensor, nn

from ponderv2.shapes import Float

from .uvtr_decoder import REFERENCE_EPS


class EmbeddedQueries(nn.Module):
    """A learned place feature and content; the reference is read off the place (Deformable DETR, DETR3D).

    Of UVTR's plain head, which the camera ablation uses.
    """

    def __init__(self, num_queries: int, channels: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(num_queries, 2 * channels)
        self.reference = nn.Linear(channels, 3)
        nn.init.xavier_uniform_(self.reference.weight)
        nn.init.zeros_(self.reference.bias)

    def forward(self) -> tuple[Float[Tensor, "q c"], Float[Tensor, "q c"], Float[Tensor, "q 3"]]:
        """Content, place feature, and reference as logits of fractions of the range."""
        position, content = self.embedding.weight.chunk(2, dim=1)
        return content, position, self.reference(position)


class ReferenceQueries(nn.Module):
    """Learned references, evenly spread at first; everything else follows from them (Anchor DETR, PETR).

    Of UVTR's denoising head: such queries can start anywhere, so noisy copies of boxes can join them. What is
    learned are logits. The published code learns fractions and cuts them to [0, 1], where one that has left the
    range never gets a gradient again.
    """

    def __init__(self, num_queries: int, channels: int) -> None:
        super().__init__()
        self.references = nn.Embedding(num_queries, 3)
        with torch.no_grad():
            self.references.weight.copy_(torch.logit(torch.rand(num_queries, 3), eps=REFERENCE_EPS))
        self.position = nn.Sequential(nn.Linear(3, channels), nn.ReLU(inplace=True), nn.Linear(channels, channels))

    def forward(self) -> tuple[Float[Tensor, "q c"], Float[Tensor, "q c"], Float[Tensor, "q 3"]]:
        """Content (zeros), place feature, and reference as logits of fractions of the range."""
        return self._from_logits(self.references.weight)

    def at(
        self, references: Float[Tensor, "*q 3"]
    ) -> tuple[Float[Tensor, "*q c"], Float[Tensor, "*q c"], Float[Tensor, "*q 3"]]:
        """The same for queries at given fractions of the range."""
        return self._from_logits(torch.logit(references, eps=REFERENCE_EPS))

    def _from_logits(
        self, logits: Float[Tensor, "*q 3"]
    ) -> tuple[Float[Tensor, "*q c"], Float[Tensor, "*q c"], Float[Tensor, "*q 3"]]:
        position = self.position(logits)
        return torch.zeros_like(position), position, logits
