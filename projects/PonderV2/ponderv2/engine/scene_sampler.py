"""Sampling for evaluation in the order of time: a process has whole scenes."""

from collections.abc import Iterator, Sequence, Sized
from itertools import groupby

from mmengine.dist import get_dist_info
from mmengine.registry import DATA_SAMPLERS
from torch.utils.data import Sampler

from ponderv2.errors import UserError


@DATA_SAMPLERS.register_module()
class SceneSampler(Sampler):
    """Gives each process whole scenes, one after another, and no frame twice.

    Scenes are blocks of frames that follow each other in the data set. Processes take successive scenes, about equally
    many frames each; some may have none. Nothing is padded, so that metrics see each sample once. mmengine's sampler
    deals frames out in turn, and none would follow the one before it.

    Args:
        dataset: data set with `scene_tokens()`, sorted so that the frames of a scene follow each other in time.
        seed: not used; there is nothing to draw.

    Raises:
        UserError: when the data set does not tell its scenes, or a scene's frames do not follow each other.
    """

    def __init__(self, dataset: Sized, seed: int | None = None) -> None:
        rank, world_size = get_dist_info()
        if not hasattr(dataset, "scene_tokens"):
            raise UserError(f"SceneSampler: {type(dataset).__name__} does not tell the scenes of its frames")
        self.indices = split_scenes(dataset.scene_tokens(), world_size)[rank]

    def __iter__(self) -> Iterator[int]:
        return iter(self.indices)

    def __len__(self) -> int:
        """Return the number of frames of this process."""
        return len(self.indices)

    def set_epoch(self, epoch: int) -> None:
        """Do nothing: every epoch is the same."""


def split_scenes(scene_tokens: Sequence[str], parts: int) -> list[list[int]]:
    """Split frames into successive parts of whole scenes.

    A scene goes to the part in which its middle would be if all frames were shared out equally.

    Args:
        scene_tokens: scene of each frame.
        parts: number of parts, of which some may stay empty.

    Raises:
        UserError: a frame has no scene, or frames of a scene do not follow each other.
    """
    scenes = [(token, [k for k, _ in block]) for token, block in groupby(enumerate(scene_tokens), key=lambda e: e[1])]
    names = [token for token, _ in scenes]
    if "" in names or len(set(names)) < len(names):
        raise UserError(
            "SceneSampler: frames of a scene must have its token and follow each other; make the info file with "
            "tools/create_data.py"
        )
    shares: list[list[int]] = [[] for _ in range(parts)]
    for _, frames in scenes:
        middle = (frames[0] + frames[-1] + 1) / 2
        shares[min(int(middle * parts / len(scene_tokens)), parts - 1)] += frames
    return shares
