"""Parts of published state dicts, converted by themselves."""

from torch import Tensor

from ponderv2.checkpoints.published.published_layouts import change_layouts
from ponderv2.checkpoints.published.published_names import rename


def converted(published: dict[str, Tensor], part: str, fusion: bool = False) -> dict[str, Tensor]:
    """Weights of a part of a model, as `encoder.img_neck`, by their names within it."""
    names = {key: rename(key, fusion) for key in published}
    weights = change_layouts({names[key]: value for key, value in published.items() if names[key] is not None})
    return {k.removeprefix(f"{part}."): value for k, value in weights.items() if k.startswith(f"{part}.")}
