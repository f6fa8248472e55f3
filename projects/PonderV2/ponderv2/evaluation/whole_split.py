"""Whether a data set has all samples of an official split, which is known before any of them is predicted."""

import json
from collections.abc import Collection
from pathlib import Path

from ponderv2.datasets.splits import SPLITS, scenes_of
from ponderv2.errors import UserError


def check_whole_split(tokens: Collection[str], data_root: Path, version: str) -> None:
    """Check that no sample of a split is missing, of the split that the first known sample is of.

    Two tables are read, `scene.json` and `sample.json`, and not the others, which take minutes.

    Args:
        tokens: tokens of the samples that are evaluated.
        data_root: folder of the tables (`v1.0-…/`).
        version: version of the tables, one of `SPLITS`.

    Raises:
        UserError: samples of the split are missing.
    """
    scenes, samples = (json.loads((data_root / version / f"{name}.json").read_text()) for name in ("scene", "sample"))
    names = {scene["token"]: scene["name"] for scene in scenes}
    given = set(tokens)
    for split in SPLITS[version].values():
        members = scenes_of(split)
        expected = [sample["token"] for sample in samples if names.get(sample["scene_token"]) in members]
        missing = [token for token in expected if token not in given]
        if missing and len(missing) < len(expected):
            raise incomplete_split(missing, len(expected), split)


def incomplete_split(missing: list[str], count: int, split: str) -> UserError:
    """Return the error of a submission that lacks samples of a split of `count` samples."""
    return UserError(
        f"{len(missing)} of the {count} samples of {split} have no prediction, the first {missing[0]}: a submission "
        "needs every sample. Evaluate the whole split, or give --cfg-options test_evaluator.partial=True for numbers "
        "that are not official"
    )
