"""Segmentation scores as a metric of mmengine: from a running confusion matrix, and by nuScenes' devkit."""

import json
from collections.abc import Sequence
from contextlib import ExitStack

import numpy as np
from mmengine.dist import is_main_process
from mmengine.logging import MMLogger

from ponderv2.atomic_files import remove_unfinished
from ponderv2.datasets.data_files import read_point_file
from ponderv2.datasets.lidarseg_classes import LIDARSEG_CLASSES
from ponderv2.datasets.prepare.nuscenes_tables import open_tables
from ponderv2.datasets.splits import SPLITS, scenes_of
from ponderv2.errors import UserError
from ponderv2.folder_lock import folder_lock
from ponderv2.registry import METRICS
from ponderv2.shapes import Int

from .lidarseg_submission import LidarSegSubmission, SampleSegEval, check_submission, has_whole_split
from .nuscenes_score import split_tokens
from .segmentation_score import SegmentationScore, confusion_matrix, range_names, score_table
from .split_metric import TEST_VERSION, SplitMetric
from .whole_split import check_whole_split, incomplete_split


@METRICS.register_module()
class LidarSegMetric(SplitMetric):
    """Scores `pred_pts_seg` by the points of the key frame's file: `mIoU`, `fwIoU`, `accuracy` and `<class>_IoU`.

    Kept of a sample is its confusion matrix in ranges of distance, a few kilobytes, so that a whole split can be
    validated while training. Keys have the prefix "lidarseg"; `save_best="lidarseg/mIoU"` works. A table of classes and
    ranges goes to the log. Samples that are predicted twice, as in padded distributed evaluation, count once.

    With `submission_dir` the labels are also written as a submission, checked by the devkit, zipped and, where labels
    are public, scored by it: `official_mIoU`, `official_fwIoU`. One evaluation at a time writes into the folder.

    Args:
        data_root: folder of the tables (`v1.0-…/`) and of the info file; for a submission.
        ann_file: info file of the evaluated data set, relative to `data_root`; for a submission.
        ranges: distances from the sensor in the plane, metres, that part the ranges.
        submission_dir: folder that takes `results/`, `lidarseg_submission.zip` and `metrics_summary.json`. The tools
            put their work dir in the place of "{work_dir}".
        sensors: sensors that the model uses, which the submission declares: some of `SENSORS`.
        partial: whether a submission may lack samples of the split, for numbers that are not official.
        collect_device: device on which ranks collect results, see mmengine's `BaseMetric`.
        prefix: prefix of the keys, see mmengine's `BaseMetric`.

    Raises:
        UserError: arguments do not fit; when it is told a data set, the tables of a submission are missing, those of
            nuScenes-lidarseg too; a sample has no prediction, labels or token, or not one prediction for each point; at
            the end, samples of the split have no prediction or the devkit refuses the submission.
        FolderInUseError: another evaluation writes into `submission_dir`.
    """

    default_prefix = "lidarseg"
    needs_tables = "a submission is checked with the tables"

    def __init__(
        self,
        data_root: str | None = None,
        ann_file: str | None = None,
        ranges: Sequence[float] = (20.0, 40.0),
        submission_dir: str | None = None,
        sensors: tuple[str, ...] = ("lidar",),
        partial: bool = False,
        collect_device: str = "cpu",
        prefix: str | None = None,
    ) -> None:
        super().__init__(data_root, ann_file, sensors, submission_dir, partial, collect_device, prefix)
        if list(ranges) != sorted(set(ranges)) or any(limit <= 0 for limit in ranges):
            raise UserError(f"LidarSegMetric: ranges: expected growing distances above 0 m, got {tuple(ranges)}")
        if submission_dir is not None and (data_root is None or ann_file is None):
            raise UserError("LidarSegMetric: submission_dir needs data_root and ann_file")
        self.ranges = tuple(ranges)
        if "{work_dir}" in str(submission_dir):
            raise UserError(
                f"LidarSegMetric: submission_dir is {submission_dir!r}, which tools/train.py and tools/test.py "
                "complete; expected the path of a folder"
            )
        self._submission: LidarSegSubmission | None = None
        self._lock = ExitStack()

    @property
    def reads_files(self) -> bool:
        """Whether the info file and the tables are needed: for a submission."""
        return self.submission_dir is not None

    def check_tokens(self, tokens: Sequence[str] | None, version: str | None) -> None:
        """Refuse a part of a split before any of it is predicted."""
        if tokens is not None and not self.partial and self.reads_tables_of(version):
            check_whole_split(tokens, self.data_root, version)

    def process(self, data_batch: dict | None, data_samples: Sequence[dict]) -> None:
        """Count the points of each sample and, for a submission, write their labels."""
        for sample in data_samples:
            predictions = _predictions(sample)
            if self.submission_dir is not None:
                self._write(sample, predictions)
            labels = _labels(sample)
            if labels is None:
                if self.submission_dir is None or self._version != TEST_VERSION:
                    raise UserError(
                        f"LidarSegMetric: sample {sample['token']} has no labels to score by; its pipeline needs "
                        "LoadPointLabels(evaluation=True)"
                    )
                matrices = None
            elif len(labels) != len(predictions):
                raise UserError(
                    f"LidarSegMetric: sample {sample['token']} has {len(predictions)} predictions for the "
                    f"{len(labels)} points of its file; does the pipeline begin the inverse map (LoadPointLabels with "
                    "evaluation=True)?"
                )
            else:
                matrices = self._matrices(sample, labels, predictions)
            self.results.append((sample["token"], sample.get("lidar_token"), matrices))

    def compute_metrics(self, results: list[tuple]) -> dict[str, float]:
        """Sum the confusion matrices, and finish the submission if there is one."""
        logger = MMLogger.get_current_instance()
        by_token = {token: (lidar_token, matrices) for token, lidar_token, matrices in results}
        metrics: dict[str, float] = {}
        known = [matrices for _, matrices in by_token.values() if matrices is not None]
        if known:
            by_range = np.sum(known, axis=0, dtype=np.int64)
            scores = {"all": SegmentationScore(by_range.sum(axis=0), LIDARSEG_CLASSES)}
            names = range_names(self.ranges)
            scores |= {n: SegmentationScore(m, LIDARSEG_CLASSES) for n, m in zip(names, by_range, strict=True)}
            metrics = scores["all"].flat()
            metrics |= {f"mIoU_{name}": scores[name].miou for name in names if scores[name].points.any()}
            logger.info(
                "nuScenes-lidarseg, %d sweeps\n%s\nmIoU %.4f  fwIoU %.4f",
                len(by_token),
                score_table(scores),
                scores["all"].miou,
                scores["all"].fwiou,
            )
        if self.submission_dir is not None:
            with self._lock:
                metrics |= self._finish({token: lidar_token for token, (lidar_token, _) in by_token.items()})
            (self.submission_dir / "metrics_summary.json").write_text(json.dumps(metrics, indent=2) + "\n")
        return metrics

    def _check_files(self, version: str | None) -> None:
        super()._check_files(version)
        if not self.reads_tables_of(version):
            return
        # The devkit's check has its classes from the one and lists the other, also for v1.0-test without any labels.
        for path in (self.data_root / version / "lidarseg.json", self.data_root / "lidarseg" / version):
            if not path.exists():
                raise UserError(
                    f"{path} is missing: {self.needs_tables} of nuScenes-lidarseg {version}; unpack nuScenes-lidarseg "
                    "into the data set's folder, or set submission_dir=None"
                )

    def _matrices(
        self, sample: dict, labels: Int[np.ndarray, "n"], predictions: Int[np.ndarray, "n"]
    ) -> Int[np.ndarray, "r k k"]:
        count = len(LIDARSEG_CLASSES)
        part = np.zeros(len(labels), dtype=np.int64)
        if self.ranges:
            xy = read_point_file(sample["lidar_path"])[:, :2].astype(np.float64)
            # A point that is not finite is far away.
            distance = np.nan_to_num(np.hypot(xy[:, 0], xy[:, 1]), nan=np.inf, posinf=np.inf)
            part = np.searchsorted(self.ranges, distance, side="right")
        matrices = [
            confusion_matrix(labels[part == k], predictions[part == k], count) for k in range(len(self.ranges) + 1)
        ]
        return np.stack(matrices).astype(np.int32)

    def _write(self, sample: dict, predictions: Int[np.ndarray, "n"]) -> None:
        split = self._split_of(sample)
        if self._submission is None:
            # The processes of one evaluation write into the folder together.
            if is_main_process():
                option = "test_evaluator.submission_dir"
                lock = folder_lock(self.submission_dir, ".submission.lock", "writing a submission", option)
                self._lock.enter_context(lock)
                remove_unfinished(self.submission_dir)
            self._submission = LidarSegSubmission(self.submission_dir, split, self.sensors)
        if self._submission.split != split:
            raise UserError(
                f"sample {sample['token']} is of {split}, others of {self._submission.split}; a submission is of one "
                "split"
            )
        if not sample.get("lidar_token"):
            raise UserError(f"LidarSegMetric: sample {sample['token']} has no lidar_token, by which files are named")
        self._submission.write(sample["lidar_token"], predictions)

    def _split_of(self, sample: dict) -> str:
        frames = self.frames()
        if sample["token"] not in frames:
            raise UserError(f"sample {sample['token']} was predicted, but {self.info_file} does not have it")
        scene = frames[sample["token"]].get("scene_name")
        for split in SPLITS[self._version].values():
            if scene in scenes_of(split):
                return split
        raise UserError(
            f"{self.info_file}: the scene {scene} of sample {sample['token']} is in no split of {self._version}"
        )

    def _finish(self, lidar_tokens: dict[str, str]) -> dict[str, float]:
        """Zip, check and score the submission."""
        logger, submission = MMLogger.get_current_instance(), self._submission
        tables = open_tables(self.data_root, self._version, camera_sweeps=False)
        expected = split_tokens(tables, submission.split)
        missing = sorted(expected - set(lidar_tokens))
        if missing and not self.partial:
            raise incomplete_split(missing, len(expected), submission.split)
        if missing:
            logger.warning("a submission without %d samples of %s: it is not official", len(missing), submission.split)
        elif not has_whole_split(tables, submission.split):
            logger.warning("the tables lack scenes of %s, so the devkit cannot check the submission", submission.split)
        else:
            check_submission(tables, submission.results, submission.split)
            logger.info("the devkit accepts the submission %s", submission.results)
        logger.info("for the evaluation server: %s", submission.zip(lidar_tokens.values()))
        if not getattr(tables, "lidarseg", None) or self._version == TEST_VERSION:
            return {}
        found = SampleSegEval(tables, submission.results, submission.split, sorted(lidar_tokens)).evaluate()
        return {"official_mIoU": found["miou"], "official_fwIoU": found["freq_weighted_iou"]}


def _predictions(sample: dict) -> Int[np.ndarray, "n"]:
    if not isinstance(sample.get("token"), str):
        raise UserError("LidarSegMetric: a sample has no token; is it among the meta_keys of PackSensorInputs?")
    found = sample.get("pred_pts_seg")
    if found is None or "pts_semantic_mask" not in found:
        raise UserError(f"LidarSegMetric: sample {sample['token']} has no pred_pts_seg.pts_semantic_mask")
    return np.asarray(found["pts_semantic_mask"].detach().cpu()).astype(np.int64)


def _labels(sample: dict) -> Int[np.ndarray, "n"] | None:
    labels = (sample.get("eval_ann_info") or {}).get("pts_semantic_mask")
    return None if labels is None else np.asarray(labels).astype(np.int64)
