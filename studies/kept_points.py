"""Scores of a classifier of single points for the labelled frames of trainings, each computed once."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

from nuscenes import NuScenes

from ponderv2.datasets.splits import SPLITS
from ponderv2.engine import innermost_dataset, set_data_root
from ponderv2.registry import DATASETS

from .encoder_study import EncoderStudy
from .points_alone import FIT, score_points
from .quiet import messages_from
from .recipe_parts import dataset_at
from .runs import StudyError, read_json, write_json
from .study_run import Run

_LOWEST_SHOWN = 40
"""Messages of mmengine from errors on."""


def frames_of_run(study: EncoderStudy, run: Run) -> tuple[list[str], list[str]]:
    """Return the tokens of the labelled key frames of a training, and of the frames that it is scored on.

    Raises:
        StudyError: it has labels of a share of the points, and the classifier would have all of them.
    """
    config, key = study.config_of(run)
    set_data_root(config, str(study.data_root))
    parts = dataset_at(config, key, Path(config.filename)), innermost_dataset(config.val_dataloader)[1]
    with messages_from(_LOWEST_SHOWN):
        sets = [DATASETS.build(part | {"pipeline": []}) for part in parts]
    if getattr(sets[0], "label_fraction", None) is not None:
        raise StudyError(
            f"points alone: {config.filename} is trained with labels of a share of the points (fraction_by='points'), "
            "the classifier of points would have all labels of its frames; leave it out with --points-alone no"
        )
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
    """Score the classifier of points for each seed; what was scored before with the same frames is taken from a folder.

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
        parts = frames(seed)
        chosen = {name: _hash(tokens) for name, tokens in zip(("labelled", "scored"), parts, strict=True)}
        settings = {"data": identity, "fraction": fraction, "seed": seed, "fit": FIT, "frames": chosen}
        # Protocols may have other frames of the same share.
        path = folder / f"{fraction:g}_seed{seed}_{chosen['labelled'][:8]}_{chosen['scored'][:8]}.json"
        kept = read_json(path) if path.is_file() else None
        if kept is None or kept.get("settings") != settings:
            if nuscenes is None:
                nuscenes = _open(data_root)
            kept = {"settings": settings, "result": score_points(nuscenes, *parts, seed)}
            path.parent.mkdir(parents=True, exist_ok=True)
            write_json(path, kept)
        found.append(kept["result"])
    return found


def _hash(tokens: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(sorted(tokens)).encode()).hexdigest()


def _open(data_root: Path) -> NuScenes:
    there = [version for version in SPLITS if (data_root / version).is_dir() and "val" in SPLITS[version]]
    if not there:
        raise StudyError(f"--data-root {data_root} has no tables of a version with a validation split")
    return NuScenes(there[0], str(data_root), verbose=False)
