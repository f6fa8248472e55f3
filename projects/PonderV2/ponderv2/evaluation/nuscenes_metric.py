"""nuScenes' official detection score as a metric of mmengine."""

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

from mmengine.logging import MMLogger
from nuscenes.eval.detection.config import config_factory

from ponderv2.datasets import FramesByToken
from ponderv2.datasets.info_file import InfoFileError
from ponderv2.datasets.prepare.nuscenes_tables import open_tables
from ponderv2.errors import UserError
from ponderv2.registry import METRICS

from .nuscenes_score import score_submission, split_of, split_tokens
from .split_metric import TEST_VERSION, SplitMetric
from .submission import SENSORS, Detections, read_detections, submission_boxes

SUBMISSION = "results_nusc.json"


@METRICS.register_module()
class PonderNuScenesMetric(SplitMetric):
    """Scores `pred_instances_3d` with nuScenes' own devkit (`detection_cvpr_2019`): `NDS`, `mAP`, `mATE` and others.

    The boxes are written to a submission file, and the devkit scores that file. The info file says which version the
    data are, and its samples which official split. Of v1.0-test the submission is written and nothing is scored. Keys
    have the prefix "nuscenes", see `DetectionScore.flat`; `save_best="nuscenes/NDS"` works. A table with a row for each
    class goes to the log.

    Samples that are predicted twice, as in padded distributed evaluation, count once.

    Once it is told the data set, as mmengine does when it builds the loop and before anything is trained, the metric
    checks that the info file and all tables are there.

    Args:
        data_root: folder of the tables (`v1.0-…/`) and of the info file.
        ann_file: info file of the evaluated data set, relative to `data_root`.
        sensors: sensors that the model uses, which the submission declares: some of "camera", "lidar", "radar", "map",
            "external".
        submission_dir: folder in which `results_nusc.json` and the devkit's `metrics_summary.json` are kept; None keeps
            neither. v1.0-test needs it.
        partial: whether only the samples that were predicted are scored, to evaluate a model on part of a split. Such
            numbers are not official, and a warning says so.
        collect_device: device on which ranks collect results, see mmengine's `BaseMetric`.
        prefix: prefix of the keys, see mmengine's `BaseMetric`.

    Raises:
        ValueError: at the first sample, when the version is unknown, v1.0-test has no `submission_dir`, or a prediction
            cannot be scored (see `read_detections`) or is of a sample that the info file does not have. At the end,
            when samples of the split have no prediction.
        UserError: when it is told a data set whose info file or tables are missing; the message names the files.
        InfoFileError: when the info file is damaged.
        PreparationError: when the tables do not fit together.
    """

    default_prefix = "nuscenes"
    needs_tables = "the official score needs all tables"

    def __init__(
        self,
        data_root: str,
        ann_file: str,
        sensors: tuple[str, ...] = ("lidar",),
        submission_dir: str | None = None,
        partial: bool = False,
        collect_device: str = "cpu",
        prefix: str | None = None,
    ) -> None:
        super().__init__(data_root, ann_file, sensors, submission_dir, partial, collect_device, prefix)
        self.meta = {f"use_{sensor}": sensor in sensors for sensor in SENSORS}
        self.config = config_factory("detection_cvpr_2019")

    def reads_tables_of(self, version: str | None) -> bool:
        """Whether the tables of a version of nuScenes are needed; of v1.0-test nothing is scored."""
        return super().reads_tables_of(version) and version != TEST_VERSION

    def check_frames(self, frames: FramesByToken) -> None:
        """Check what boxes of a submission need of key frames, at the first sample instead of after the last."""
        if self._version == TEST_VERSION and self.submission_dir is None:
            raise UserError(
                f"{self.info_file} is of {TEST_VERSION}, whose boxes are not public: set submission_dir to get the "
                "file for the evaluation server"
            )
        for frame in map(frames.store.frame, frames.store.first_of_each_layout()):
            missing = [key for key in ("lidar_points", "ego2global") if key not in frame]
            if missing:
                raise InfoFileError(f"info file {self.info_file}, key frame {frame['token']}: {missing} are missing")

    def process(self, data_batch: dict | None, data_samples: Sequence[dict]) -> None:
        """Check the boxes of each sample and keep them."""
        frames = self.frames()
        for sample in data_samples:
            detections = read_detections(sample, len(self._classes()))
            if detections.token not in frames:
                raise UserError(f"sample {detections.token} was predicted, but {self.info_file} does not have it")
            self.results.append(detections)

    def compute_metrics(self, results: list[Detections]) -> dict[str, float]:
        """Write the submission, and score it unless it is of v1.0-test, whose ground truth is not public."""
        frames, logger = self.frames(), MMLogger.get_current_instance()
        by_token: dict[str, Detections] = {}
        for detections in results:
            by_token.setdefault(detections.token, detections)
        # The devkit takes boxes of equal scores in the order of samples, which hangs on the number of processes.
        by_token = {token: by_token[token] for token in frames if token in by_token}
        if self._version == TEST_VERSION:
            self._check_complete(by_token, set(frames), "test")
            logger.info(
                "submission of %d samples written to %s", len(by_token), self._write(by_token, self.submission_dir)
            )
            return {}
        tables = open_tables(self.data_root, self._version, camera_sweeps=False)
        split = split_of(tables, list(frames), self.info_file)
        if not self.partial:
            self._check_complete(by_token, split_tokens(tables, split), split)
        elif len(by_token) < len(split_tokens(tables, split)):
            logger.warning("scored are %d samples of %s only: these are not official numbers", len(by_token), split)
        with tempfile.TemporaryDirectory() as scratch:
            submission = self._write(by_token, self.submission_dir or Path(scratch))
            score = score_submission(tables, self.config, submission, split, self.partial)
        if self.submission_dir is not None:
            summary = score.metrics.serialize() | {"meta": self.meta, "truth": score.truth, "split": split}
            (self.submission_dir / "metrics_summary.json").write_text(json.dumps(summary, indent=2) + "\n")
        logger.info("nuScenes detection, %s, %d samples\n%s", split, len(by_token), score.table())
        return score.flat()

    def _write(self, by_token: dict[str, Detections], folder: Path) -> Path:
        boxes = {
            token: submission_boxes(detections, self.frames()[token], self._classes(), self.config)
            for token, detections in by_token.items()
        }
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / SUBMISSION
        path.write_text(json.dumps({"meta": self.meta, "results": boxes}))
        return path

    def _check_complete(self, by_token: dict[str, Detections], expected: set[str], split: str) -> None:
        missing = sorted(expected - set(by_token))
        if missing:
            raise UserError(
                f"{len(missing)} of the {len(expected)} samples of {split} have no prediction, the first {missing[0]}: "
                "the official score needs every sample. Evaluate the whole split (load_interval=1, fraction=1.0, the "
                f"evaluated data set's ann_file the one of the metric, {self.info_file.name}), or set partial=True "
                "for numbers that are not official"
            )

    def _classes(self) -> tuple[str, ...]:
        classes = tuple((self.dataset_meta or {}).get("classes", ()))
        unknown = [name for name in classes if name not in self.config.class_range]
        if unknown or not classes:
            raise UserError(
                f"PonderNuScenesMetric: the data set's classes are {classes}, expected names out of "
                f"{tuple(self.config.class_range)}"
            )
        return classes
