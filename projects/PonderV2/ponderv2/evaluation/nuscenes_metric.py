"""nuScenes' official detection score as a metric of mmengine."""

import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger
from nuscenes.eval.detection.config import config_factory

from ponderv2.datasets import load_info_file
from ponderv2.datasets.prepare.nuscenes_tables import SPLITS, open_tables
from ponderv2.registry import METRICS

from .nuscenes_score import score_submission, split_of, split_tokens
from .submission import SENSORS, Detections, read_detections, submission_boxes

_TEST = "v1.0-test"
SUBMISSION = "results_nusc.json"


@METRICS.register_module()
class PonderNuScenesMetric(BaseMetric):
    """`NDS`, `mAP`, `mATE`, … of `pred_instances_3d`, computed by nuScenes' own devkit (`detection_cvpr_2019`).

    The boxes become a submission file, and that file is what is scored. The version and with it the official split
    come from the info file: mini, trainval, or test, for which the submission is written and nothing is scored. Keys
    are under the prefix "nuscenes", see `DetectionScore.flat`; `save_best="nuscenes/NDS"` works. A table a class goes
    to the log.

    Samples that come twice, as in padded distributed evaluation, count once.

    Args:
        data_root: folder of the tables (`v1.0-…/`) and the info file.
        ann_file: info file of the evaluated data set, relative to `data_root`.
        sensors: what the model uses, declared in the submission: of "camera", "lidar", "radar", "map", "external".
        submission_dir: folder that keeps `results_nusc.json` and the devkit's `metrics_summary.json`; None keeps
            neither. v1.0-test needs it.
        partial: score only the samples that were predicted, to look at a model on part of a split. Such numbers are
            not the official ones, and a warning says so.
        collect_device, prefix: of mmengine's `BaseMetric`.

    Raises:
        ValueError: at the first sample: the version is unknown, or v1.0-test has no `submission_dir`; a prediction
            cannot be scored (see `read_detections`) or is of a sample that the info file lacks. At the end: samples of
            the split have no prediction.
        InfoFileError, PreparationError: info file or tables are missing or damaged.
    """

    default_prefix = "nuscenes"

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
        super().__init__(collect_device=collect_device, prefix=prefix)
        unknown = [sensor for sensor in sensors if sensor not in SENSORS]
        if unknown or not sensors:
            raise ValueError(f"PonderNuScenesMetric: sensors: expected some of {SENSORS}, got {tuple(sensors)}")
        self.data_root = Path(data_root)
        self.info_file = self.data_root / ann_file
        self.meta = {f"use_{sensor}": sensor in sensors for sensor in SENSORS}
        self.submission_dir = None if submission_dir is None else Path(submission_dir)
        self.partial = partial
        self.config = config_factory("detection_cvpr_2019")
        self._frames: dict[str, dict] | None = None
        self._version = ""

    def process(self, data_batch: dict | None, data_samples: Sequence[dict]) -> None:
        """Keep the checked boxes of each sample."""
        frames = self._read_frames()
        for sample in data_samples:
            found = read_detections(sample, len(self._classes()))
            if found.token not in frames:
                raise ValueError(f"sample {found.token} was predicted, but {self.info_file} does not have it")
            self.results.append(found)

    def evaluate(self, size: int) -> dict[str, float]:
        """As mmengine's, but without cutting the collected results to `size`.

        mmengine cuts because padded samples are at the end when ranks are interleaved; with a contiguous sampler real
        ones are. Here samples that came twice are recognised by their token.
        """
        return super().evaluate(sys.maxsize)

    def compute_metrics(self, results: list[Detections]) -> dict[str, float]:
        """Write the submission, and score it where there is ground truth."""
        frames, logger = self._read_frames(), MMLogger.get_current_instance()
        found = {}
        for detections in results:
            found.setdefault(detections.token, detections)
        if self._version == _TEST:
            self._check_complete(found, set(frames), "test")
            logger.info("submission of %d samples written to %s", len(found), self._write(found, self.submission_dir))
            return {}
        tables = open_tables(self.data_root, self._version)
        split = split_of(tables, list(frames), self.info_file)
        if not self.partial:
            self._check_complete(found, split_tokens(tables, split), split)
        elif len(found) < len(split_tokens(tables, split)):
            logger.warning("scored are %d samples of %s only: these are not official numbers", len(found), split)
        with tempfile.TemporaryDirectory() as scratch:
            submission = self._write(found, self.submission_dir or Path(scratch))
            score = score_submission(tables, self.config, submission, split, self.partial)
        if self.submission_dir is not None:
            summary = score.metrics.serialize() | {"meta": self.meta, "truth": score.truth, "split": split}
            (self.submission_dir / "metrics_summary.json").write_text(json.dumps(summary, indent=2) + "\n")
        logger.info("nuScenes detection, %s, %d samples\n%s", split, len(found), score.table())
        return score.flat()

    def _write(self, found: dict[str, Detections], folder: Path) -> Path:
        boxes = {
            token: submission_boxes(detections, self._read_frames()[token], self._classes(), self.config)
            for token, detections in found.items()
        }
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / SUBMISSION
        path.write_text(json.dumps({"meta": self.meta, "results": boxes}))
        return path

    def _check_complete(self, found: dict[str, Detections], wanted: set[str], split: str) -> None:
        missing = sorted(wanted - set(found))
        if missing:
            raise ValueError(
                f"{len(missing)} of the {len(wanted)} samples of {split} have no prediction, the first {missing[0]}: "
                "the official score needs every sample. Evaluate the whole split (load_interval=1, fraction=1.0, the "
                f"evaluated data set's ann_file the one of the metric, {self.info_file.name}), or set partial=True "
                "for numbers that are not official"
            )

    def _classes(self) -> tuple[str, ...]:
        classes = tuple((self.dataset_meta or {}).get("classes", ()))
        unknown = [name for name in classes if name not in self.config.class_range]
        if unknown or not classes:
            raise ValueError(
                f"PonderNuScenesMetric: the data set's classes are {classes}, expected names out of "
                f"{tuple(self.config.class_range)}"
            )
        return classes

    def _read_frames(self) -> dict[str, dict]:
        """Poses of the info file's key frames by token; read at the first sample, so that errors come early."""
        if self._frames is None:
            info = load_info_file(self.info_file)
            self._version = info["metainfo"].get("version")
            if self._version not in SPLITS:
                raise ValueError(
                    f"info file {self.info_file}: metainfo.version is {self._version!r}, expected one of "
                    f"{sorted(SPLITS)}"
                )
            if self._version == _TEST and self.submission_dir is None:
                raise ValueError(
                    f"{self.info_file} is of {_TEST}, whose boxes are not public: set submission_dir to get the file "
                    "for the evaluation server"
                )
            self._frames = {
                frame["token"]: {"lidar_points": frame["lidar_points"], "ego2global": frame["ego2global"]}
                for frame in info["data_list"]
            }
        return self._frames
