"""Classes of rays, from the semantic features that were rendered along them."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ponderv2.errors import UserError
from ponderv2.shapes import Float

from .linear_after_rendering import linear_after_rendering
from .text_embeddings import CLIP_TEMPLATE, class_embeddings


class RenderedClasses(nn.Module):
    """Makes logits of K classes from rendered semantic features (PonderV2's "semantic" variant).

    A linear layer gives the logits themselves; or, with a text model, an embedding that is compared with those of the
    classes' names: logits are cosines divided by a temperature. What is linear may come after rendering, see
    `SDFField`; its bias counts as much as light has come together on the ray, as it would if it were added at every
    sample.

    The embeddings of the names are computed here once and stay as they are. No checkpoint holds them: whoever loads
    the model needs the folder as well.

    Args:
        in_channels: channels of the rendered features.
        classes: names of the classes, in the order of their labels.
        text_model: folder of a CLIP model, see `class_embeddings`; None learns the logits without text.
        temperature: what cosines are divided by; published 0.01.
        template: prompt, see `class_embeddings`.

    Raises:
        UserError: there are less than two classes, two of the same name, or the temperature is not above 0; or the text
            model cannot be read.
    """

    def __init__(
        self,
        in_channels: int,
        classes: Sequence[str],
        text_model: str | None = None,
        temperature: float = 0.01,
        template: str = CLIP_TEMPLATE,
    ) -> None:
        super().__init__()
        self.classes = tuple(classes)
        if isinstance(classes, str) or len(self.classes) < 2 or len(set(self.classes)) < len(self.classes):
            raise UserError(f"classes: expected at least two different names, got {classes!r}")
        if not temperature > 0:
            raise UserError(f"temperature: expected a number above 0, got {temperature}")
        self.temperature = temperature
        text = None if text_model is None else class_embeddings(text_model, self.classes, template)
        self.register_buffer("text", text, persistent=False)
        self.decoder = nn.Linear(in_channels, len(self.classes) if text is None else text.shape[1])

    def forward(self, features: Float[Tensor, "*r c"], opacity: Float[Tensor, "*r"]) -> Float[Tensor, "*r k"]:
        """Compute the logits of rays, in float32 whatever autocast is on around it.

        Args:
            features: rendered semantic features.
            opacity: sum of the rendering weights of each ray.
        """
        with torch.autocast(features.device.type, enabled=False):
            decoded = linear_after_rendering(self.decoder, features, opacity)
            if self.text is None:
                return decoded
            return F.normalize(decoded, dim=-1) @ self.text.t() / self.temperature
