"""Scores of a classifier of single points for the labelled frames of trainings, each computed once."""

from collections.abc import Callable, Sequence
from pathlib import Path

from nuscenes import NuScenes

from ponderv2.datasets.splits import SPLITS
from ponderv2.engine import innermost_dataset, set_data_root
from ponderv2.registry import DATASETS

from .encoder_study import EncoderStudy, Run
from .points_alone import FIT, score_points
from .quiet import messages_from
from .recipe_parts import dataset_at
from .runs import StudyError, read_json, write_json

_LOWEST_SHOWN = 40
"""Messages of mmengine from errors on."""


def frames_of_run(study: EncoderStudy, run: Run) -> tuple[list[str], list[str]]:
    """Return the tokens of the labelled key frames of a training, and of the frames that it is scored on."""
    config, key = study.config_of(run)
    set_data_root(config, str(study.data_root))
    parts = dataset_at(config, key, Path(config.filename)), innermost_dataset(config.val_dataloader)[1]
    with messages_from(_LOWEST_SHOWN):
        sets = [DATASETS.build(part | {"pipeline": []}) for part in parts]
    labelled, scored = ([frames.get_data_info(k)["token"] for k in range(len(frames))] for frames in sets)
    return labelled, scored


def kept_point_scores(
    folder: Path,
    data_root: Path,
    identity: dict,
    fraction: float,
    seeds: Sequence[int],
    frames: Callable[[int], tuple[list[str], list[str]]],
) -> list[dict]:
    """Score the classifier of points for each seed; what was scored before is taken from a folder.

    Args:
        folder: folder of the scores.
        data_root: folder of the data.
        identity: what tells these data from others, see `data_identity`.
        fraction: share of the labelled frames.
        seeds: seeds of the choice of frames and of the fit.
        frames: function of a seed that returns the tokens of the labelled key frames and of those that are scored.

    Raises:
        StudyError: the data have no tables of a validation split, or no labels of points.
    """
    found = []
    nuscenes = None
    for seed in seeds:
        path = folder / f"{fraction:g}_seed{seed}.json"
        settings = {"data": identity, "fraction": fraction, "seed": seed, "fit": FIT}
        kept = read_json(path) if path.is_file() else None
        if kept is None or kept.get("settings") != settings:
            if nuscenes is None:
                nuscenes = _open(data_root)
            kept = {"settings": settings, "result": score_points(nuscenes, *frames(seed), seed)}
            path.parent.mkdir(parents=True, exist_ok=True)
            write_json(path, kept)
        found.append(kept["result"])
    return found


def _open(data_root: Path) -> NuScenes:
    there = [version for version in SPLITS if (data_root / version).is_dir() and "val" in SPLITS[version]]
    if not there:
        raise StudyError(f"--data-root {data_root} has no tables of a version with a validation split")
    return NuScenes(there[0], str(data_root), verbose=False)
