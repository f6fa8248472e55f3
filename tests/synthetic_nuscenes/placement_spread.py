"""Where objects stand around the ego car over many drives, and what boxes score that see no sensor.

    python -m tests.synthetic_nuscenes.placement_spread [--drives 60] [--seed 0]

renders nothing and prints, for each class, the mean number within its range, the share of frames with none, the 90th
percentile, the highest share of drives with one in a cell of bearing and range, the share of cells where it never is,
and what the constant predictor scores that is fitted to a tenth of the frames.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy import ndarray
from nuscenes.eval.common.config import config_factory
from nuscenes.eval.common.data_classes import EvalBoxes
from nuscenes.eval.common.utils import center_distance
from nuscenes.eval.detection.algo import accumulate, calc_ap, calc_tp
from nuscenes.eval.detection.constants import TP_METRICS
from nuscenes.eval.detection.data_classes import DetectionBox, DetectionMetricDataList, DetectionMetrics

from ponderv2.evaluation.submission import attribute_of
from studies.constant_predictor import LabelledFrame, fit_constant
from synthetic_nuscenes.build import plan_scene
from synthetic_nuscenes.objects.catalogue import DETECTION_NAMES
from synthetic_nuscenes.output.recording import KEY_FRAME_GAP, scene_times
from synthetic_nuscenes.sensors.rig import lidar_to_ego
from synthetic_nuscenes.traffic.actors import Placement, Plan, heights
from synthetic_nuscenes.world import pose_matrices

OFFICIAL = config_factory("detection_cvpr_2019")
BEARINGS, RING = 12, 10.0
"""Number of cells around the ego car, and their depth (m)."""


@dataclass(frozen=True)
class Frame:
    """A `Frame` holds the boxes of one key frame in the LiDAR frame."""

    boxes: ndarray
    """`[n, 9]` as in `LabelledFrame`."""
    labels: ndarray
    attributes: tuple[str, ...]


def plan_drive(seed: int, scene: int, keyframes: int) -> Plan:
    """Return the plan that the world of a scene is built from."""
    _, plan = plan_scene(seed, scene, *scene_times(keyframes))
    return plan


def frames(plan: Plan, keyframes: int) -> list[Frame]:
    """Return the key frames of a drive; velocities are differences between neighboring key frames, as the devkit's."""
    near = plan.nearby
    return [_frame(plan, near, k * KEY_FRAME_GAP, keyframes) for k in range(keyframes)]


def _frame(plan: Plan, near: Sequence[Placement], time: float, keyframes: int) -> Frame:
    x, y, yaw = plan.ego.at(np.array([time])).T
    pose = pose_matrices(np.stack([x, y, 0 * x], axis=1), yaw, 0 * x, 0 * x)[0] @ lidar_to_ego()
    to_lidar = np.linalg.inv(pose)
    turn = np.arctan2(to_lidar[1, 0], to_lidar[0, 0])
    moments = np.clip([time - KEY_FRAME_GAP, time, time + KEY_FRAME_GAP], 0.0, KEY_FRAME_GAP * (keyframes - 1))
    boxes, labels, attributes = [], [], []
    for placement in near:
        before, now, after = placement.motion.at(moments)
        center = (
            to_lidar[:3, :3] @ [now[0], now[1], heights(placement.ground, moments[1:2])[0] + placement.size[2] / 2]
            + to_lidar[:3, 3]
        )
        velocity = to_lidar[:2, :2] @ (after[:2] - before[:2]) / max(moments[2] - moments[0], 1e-6)
        boxes.append([*center, *placement.size, now[2] + turn, *velocity])
        labels.append(DETECTION_NAMES.index(placement.kind.detection_name))
        attributes.append(placement.attribute(time))
    return Frame(np.array(boxes).reshape(-1, 9), np.array(labels, dtype=np.int64), tuple(attributes))


def cell_shares(drives: Sequence[Sequence[Frame]]) -> ndarray:
    """Return the share of drives with a class in each cell, `[classes, bearings, rings]`; NaN out of reach."""
    rings = int(max(OFFICIAL.class_range.values()) / RING)
    seen = np.zeros((len(drives), len(DETECTION_NAMES), BEARINGS, rings), dtype=bool)
    for number, drive in enumerate(drives):
        for frame in drive:
            away = np.hypot(frame.boxes[:, 0], frame.boxes[:, 1])
            bearing = np.arctan2(frame.boxes[:, 1], frame.boxes[:, 0]) % (2 * np.pi)
            inside = away < RING * rings
            sector = (bearing[inside] / (2 * np.pi) * BEARINGS).astype(int) % BEARINGS
            seen[number, frame.labels[inside], sector, (away[inside] / RING).astype(int)] = True
    shares = seen.mean(axis=0)
    for label, name in enumerate(DETECTION_NAMES):
        shares[label, :, int(OFFICIAL.class_range[name] / RING) :] = np.nan
    return shares


def blind_scores(labelled: Sequence[Frame], scored: Sequence[Frame]) -> DetectionMetrics:
    """Fit the constant predictor to labelled frames and score it in others by the devkit's rules."""
    constant = fit_constant([LabelledFrame(f.boxes, f.labels) for f in labelled], DETECTION_NAMES)
    truth, predicted = EvalBoxes(), EvalBoxes()
    attributes = [
        attribute_of(DETECTION_NAMES[label], float(np.hypot(*box[7:])))
        for box, label in zip(constant.boxes, constant.labels)
    ]
    for number, frame in enumerate(scored):
        token = str(number)
        truth.add_boxes(token, _devkit_boxes(token, frame.boxes, frame.labels, frame.attributes, None))
        boxes = _devkit_boxes(token, constant.boxes, constant.labels, attributes, constant.scores)
        predicted.add_boxes(token, boxes)
    metrics, data = DetectionMetrics(OFFICIAL), DetectionMetricDataList()
    for name in OFFICIAL.class_names:
        for threshold in OFFICIAL.dist_ths:
            found = accumulate(truth, predicted, name, center_distance, threshold)
            data.set(name, threshold, found)
            metrics.add_label_ap(name, threshold, calc_ap(found, OFFICIAL.min_recall, OFFICIAL.min_precision))
        for metric in TP_METRICS:
            unknown = (name == "traffic_cone" and metric in ("attr_err", "vel_err", "orient_err")) or (
                name == "barrier" and metric in ("attr_err", "vel_err")
            )
            found = data[name, OFFICIAL.dist_th_tp]
            metrics.add_label_tp(name, metric, np.nan if unknown else calc_tp(found, OFFICIAL.min_recall, metric))
    metrics.recalls = {name: float(data[name, OFFICIAL.dist_th_tp].max_recall) for name in OFFICIAL.class_names}
    return metrics


def _devkit_boxes(
    token: str, boxes: ndarray, labels: ndarray, attributes: Sequence[str], scores: ndarray | None
) -> list[DetectionBox]:
    """Return the boxes within the range of their class."""
    found = []
    for k, (box, label) in enumerate(zip(boxes, labels)):
        name = DETECTION_NAMES[label]
        if np.hypot(box[0], box[1]) < OFFICIAL.class_range[name]:
            found.append(
                DetectionBox(
                    token,
                    tuple(box[:3]),
                    (box[4], box[3], box[5]),
                    (np.cos(box[6] / 2), 0.0, 0.0, np.sin(box[6] / 2)),
                    tuple(box[7:]),
                    tuple(box[:3]),
                    1,
                    name,
                    -1.0 if scores is None else float(scores[k]),
                    attributes[k],
                )
            )
    return found


def main() -> None:
    """Print the table and the scores."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--drives", type=int, default=60)
    parser.add_argument("--keyframes", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    drives = [frames(plan_drive(given.seed, k, given.keyframes), given.keyframes) for k in range(given.drives)]
    shares = cell_shares(drives)
    every = [frame for drive in drives for frame in drive]
    near = np.array([len(frame.labels) for frame in every])
    # A tenth of the frames of 100 drives for training are 40: one of each of the first drives.
    train = round(given.drives * 0.6)
    metrics = blind_scores(
        [drive[k % given.keyframes] for k, drive in enumerate(drives[:train])],
        [frame for drive in drives[train:] for frame in drive],
    )
    print(f"{'class':22} {'mean':>6} {'none':>5} {'p90':>4} {'cell':>5} {'zero':>5} {'AP':>5} {'recall':>6}  errors")
    for label, name in enumerate(DETECTION_NAMES):
        reach = OFFICIAL.class_range[name]
        count = np.array([((f.labels == label) & (np.hypot(*f.boxes[:, :2].T) < reach)).sum() for f in every])
        inside = shares[label][np.isfinite(shares[label])]
        errors = " ".join(f"{metrics.get_label_tp(name, m):.2f}" for m in TP_METRICS)
        spread = f"{inside.max():5.2f} {(inside == 0).mean():5.2f}"
        found = f"{100 * metrics.mean_dist_aps[name]:5.2f} {metrics.recalls[name]:6.2f}"
        numbers = f"{count.mean():6.2f} {(count == 0).mean():5.2f} {np.percentile(count, 90):4.0f}"
        print(f"{name:22} {numbers} {spread} {found}  {errors}")
    print(f"actors near: mean {near.mean():.0f}, most {near.max()}")
    print(f"constant predictor: mAP {100 * metrics.mean_ap:.2f}, NDS {100 * metrics.nd_score:.2f}", metrics.tp_errors)


if __name__ == "__main__":
    main()
