"""The official devkit's detection score of a submission file."""

from dataclasses import dataclass
from pathlib import Path

from nuscenes import NuScenes
from nuscenes.eval.common.data_classes import EvalBoxes
from nuscenes.eval.common.loaders import add_center_dist, filter_eval_boxes, load_gt, load_prediction
from nuscenes.eval.detection.data_classes import DetectionBox, DetectionConfig, DetectionMetrics
from nuscenes.eval.detection.evaluate import DetectionEval
from rich.box import MARKDOWN
from rich.table import Table

from ponderv2.datasets.splits import SPLITS, scenes_of
from ponderv2.errors import UserError

from .text_table import table_text

ERRORS = {"trans_err": "mATE", "scale_err": "mASE", "orient_err": "mAOE", "vel_err": "mAVE", "attr_err": "mAAE"}
"""The devkit's true-positive errors, and the names of their means over classes in papers."""


class SubmissionEval(DetectionEval):
    """The devkit's evaluation of a submission, which also accepts submissions without any box.

    The devkit's constructor raises "Invalid box type: None" when no sample has a box, because its filter takes the kind
    of boxes from the first one. There is nothing to filter then, and `evaluate` returns the official result: mAP 0, all
    errors 1, NDS 0. Everything else is the devkit's.

    Args:
        tables: tables of the data set.
        config: official settings.
        submission: file in the official format.
        split: official name of the split.
        partial: whether only the samples of the submission are scored, instead of every sample of the split.
    """

    def __init__(
        self, tables: NuScenes, config: DetectionConfig, submission: Path, split: str, partial: bool = False
    ) -> None:
        self.nusc, self.cfg, self.eval_set, self.verbose = tables, config, split, False
        found, self.meta = load_prediction(str(submission), config.max_boxes_per_sample, DetectionBox)
        truth = load_gt(tables, split, DetectionBox)
        if partial:
            truth.boxes = {token: truth[token] for token in found.sample_tokens}
        self.pred_boxes, self.gt_boxes = (self._in_range(boxes) for boxes in (found, truth))
        self.sample_tokens = self.gt_boxes.sample_tokens

    def _in_range(self, boxes: EvalBoxes) -> EvalBoxes:
        boxes = add_center_dist(self.nusc, boxes)
        return filter_eval_boxes(self.nusc, boxes, self.cfg.class_range) if boxes.all else boxes


@dataclass(frozen=True)
class DetectionScore:
    """The official result.

    Attributes:
        metrics: metrics of the devkit.
        truth: number of true boxes of each class.
    """

    metrics: DetectionMetrics
    truth: dict[str, int]

    def flat(self) -> dict[str, float]:
        """Return `NDS`, `mAP`, `mATE`, `mASE`, `mAOE`, `mAVE`, `mAAE`, `<class>_AP` of the devkit, and `mAP_occurring`.

        `mAP_occurring` is not official: it is the mean over the classes that have ground truth. The official mean
        counts an absent class as 0, which matters in small data sets only.
        """
        aps = {name: float(ap) for name, ap in self.metrics.mean_dist_aps.items()}
        occurring = [ap for name, ap in aps.items() if self.truth[name]]
        return {
            "NDS": self.metrics.nd_score,
            "mAP": self.metrics.mean_ap,
            **{ERRORS[name]: error for name, error in self.metrics.tp_errors.items()},
            "mAP_occurring": sum(occurring) / max(1, len(occurring)),
            **{f"{name}_AP": ap for name, ap in aps.items()},
        }

    def table(self) -> str:
        """Return a table with a row for each class: true boxes, AP by matching distance, mean AP, and errors at 2 m.

        "–" stands where the devkit defines no value, and for errors of classes without ground truth.
        """
        distances = list(self.metrics.cfg.dist_ths)
        columns = [f"AP {d:g} m" for d in distances] + ["AP"] + [name[1:] for name in ERRORS.values()]
        table = Table("class", "boxes", *columns, box=MARKDOWN)
        for name, ap in self.metrics.mean_dist_aps.items():
            count = self.truth[name]
            aps = [self.metrics.get_label_ap(name, d) for d in distances] + [ap]
            errors = [self.metrics.get_label_tp(name, error) if count else float("nan") for error in ERRORS]
            table.add_row(name, str(count), *(_number(v) for v in aps + errors))
        flat = self.flat()
        means = [_number(flat[key]) for key in ("mAP", *ERRORS.values())]
        table.add_row("mean", str(sum(self.truth.values())), *[""] * len(distances), *means)
        absent = [name for name, count in self.truth.items() if not count]
        note = f"\nno ground truth, counted as AP 0 and errors 1: {', '.join(absent)}" if absent else ""
        return f"{table_text(table)}\nNDS {flat['NDS']:.4f}  mAP {flat['mAP']:.4f}{note}"


def score_submission(
    tables: NuScenes, config: DetectionConfig, submission: Path, split: str, partial: bool = False
) -> DetectionScore:
    """Evaluate a submission file officially; arguments as in `SubmissionEval`."""
    evaluation = SubmissionEval(tables, config, submission, split, partial)
    metrics, _ = evaluation.evaluate()
    names = [box.detection_name for box in evaluation.gt_boxes.all]
    return DetectionScore(metrics, {name: names.count(name) for name in config.class_names})


def split_of(tables: NuScenes, tokens: list[str], info_file: Path) -> str:
    """Return the official split that holds the samples of an info file.

    Args:
        tables: tables of the data set.
        tokens: tokens of the samples.
        info_file: the info file, which errors name.

    Raises:
        ValueError: when a sample is not in the tables, or the samples are not all of one split.
    """
    scene_of = {sample["token"]: tables.get("scene", sample["scene_token"])["name"] for sample in tables.sample}
    unknown = [token for token in tokens if token not in scene_of]
    if unknown:
        raise UserError(
            f"{len(unknown)} of {len(tokens)} samples of {info_file} are not in the tables of {tables.version} at "
            f"{tables.dataroot}, the first {unknown[0]}; is data_root right?"
        )
    scenes = {scene_of[token] for token in tokens}
    for split in SPLITS[tables.version].values():
        if scenes <= scenes_of(split):
            return split
    raise UserError(
        f"{info_file} has samples of {len(scenes)} scenes that are not all of one split of "
        f"{tuple(SPLITS[tables.version].values())}; the official score needs just one split"
    )


def split_tokens(tables: NuScenes, split: str) -> set[str]:
    """Return the tokens of all samples of an official split."""
    members = scenes_of(split)
    return {s["token"] for s in tables.sample if tables.get("scene", s["scene_token"])["name"] in members}


def _number(value: float) -> str:
    return "–" if value != value else f"{value:.3f}"
