"""Predicted labels in the format of a nuScenes-lidarseg submission, and the devkit's own check and score of it."""

import json
import zipfile
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

import numpy as np
from nuscenes import NuScenes
from nuscenes.eval.lidarseg.evaluate import LidarSegEval
from nuscenes.eval.lidarseg.utils import ConfusionMatrix, LidarsegClassMapper
from nuscenes.eval.lidarseg.validate_submission import validate_submission

from ponderv2.atomic_files import replacing
from ponderv2.datasets.splits import scenes_of
from ponderv2.errors import UserError
from ponderv2.shapes import Int

from .submission import SENSORS

RESULTS, ARCHIVE = "results", "lidarseg_submission.zip"


class LidarSegSubmission:
    """The folder of a submission: `lidarseg/<split>/<lidar token>_lidarseg.bin` and `<split>/submission.json`.

    Labels are written as they come, so that none are kept in memory.

    Args:
        folder: folder that takes `results/` and `lidarseg_submission.zip`.
        split: official name of the split.
        sensors: sensors that the model uses, some of `SENSORS`.
    """

    def __init__(self, folder: Path, split: str, sensors: Collection[str]) -> None:
        self.folder, self.split = folder, split
        self.results = folder / RESULTS
        self.labels = self.results / "lidarseg" / split
        self.labels.mkdir(parents=True, exist_ok=True)
        meta = {"meta": {f"use_{sensor}": sensor in sensors for sensor in SENSORS}}
        self.description = self.results / split / "submission.json"
        self.description.parent.mkdir(parents=True, exist_ok=True)
        self.description.write_text(json.dumps(meta, indent=2) + "\n")

    def write(self, lidar_token: str, predictions: Int[np.ndarray, "p"]) -> None:
        """Write the predicted classes 0 to 15 of all points of a sweep, in the order of its file, as 1 to 16."""
        (predictions + 1).astype(np.uint8).tofile(self.path(lidar_token))

    def path(self, lidar_token: str) -> Path:
        """Return the file of a sweep."""
        return self.labels / f"{lidar_token}_lidarseg.bin"

    def zip(self, lidar_tokens: Iterable[str]) -> Path:
        """Write the file for the evaluation server, of these sweeps alone; equal labels give equal bytes.

        An earlier file stays until the new one is whole.
        """
        path = self.folder / ARCHIVE
        with replacing(path) as unfinished, zipfile.ZipFile(unfinished, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in [self.description, *(self.path(token) for token in sorted(lidar_tokens))]:
                entry = zipfile.ZipInfo(str(file.relative_to(self.results)))
                archive.writestr(entry, file.read_bytes(), zipfile.ZIP_DEFLATED)
        return path


class SampleSegEval(LidarSegEval):
    """The devkit's evaluation of a submission, of given samples instead of every scene of the official split.

    The devkit stops when the tables lack a scene of the split, as smaller data sets do. Everything else is its own.

    Args:
        tables: tables of the data set.
        results: folder of the submission.
        split: official name of the split.
        sample_tokens: tokens of the samples that are scored.
    """

    def __init__(self, tables: NuScenes, results: Path, split: str, sample_tokens: Sequence[str]) -> None:
        self.nusc, self.results_folder, self.eval_set, self.verbose = tables, str(results), split, False
        self.mapper = LidarsegClassMapper(tables)
        self.ignore_idx = self.mapper.ignore_class["index"]
        self.id2name = {index: name for name, index in self.mapper.coarse_name_2_coarse_idx_mapping.items()}
        self.num_classes = len(self.id2name)
        self.global_cm = ConfusionMatrix(self.num_classes, self.ignore_idx)
        self.sample_tokens = list(sample_tokens)


def has_whole_split(tables: NuScenes, split: str) -> bool:
    """Tell whether the tables have every scene of an official split, as the devkit's check asks for."""
    return scenes_of(split) <= {scene["name"] for scene in tables.scene}


def check_submission(tables: NuScenes, results: Path, split: str) -> None:
    """Run the devkit's own check of a submission, for which the tables need every scene of the split.

    Raises:
        UserError: the check refuses the submission; the message is the devkit's.
    """
    try:
        validate_submission(tables, str(results), split)
    except AssertionError as error:
        raise UserError(f"the devkit's check refuses the submission {results}: {error}") from error
