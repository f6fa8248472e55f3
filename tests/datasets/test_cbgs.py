"""Class-balanced resampling: mmdet3d's formula where it works, and what it does where that does not."""

import pickle
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from mmdet3d.datasets import CBGSDataset

from ponderv2.datasets import DETECTION_CLASSES, PonderCBGSDataset, PonderNuScenesDetDataset
from tests.factories.keyframe import INFO_NAME

# Labels of each frame, of three classes: class 0 everywhere, class 2 in one frame.
FRAMES = [[0], [0, 0, 1], [0, 1], [0], [0, 1, 2, 2], [0], [0], [0]]
THREE = DETECTION_CLASSES[:3]


@pytest.fixture
def open_dataset(frame_root: Path, tmp_path: Path):
    """A detection data set with the given labels in its frames."""

    def opened(labels: list[list[int]], classes: tuple[str, ...] = DETECTION_CLASSES) -> PonderNuScenesDetDataset:
        info = pickle.loads((frame_root / INFO_NAME).read_bytes())
        (frame,) = info["data_list"]
        instance = frame["instances"][0]
        info["data_list"] = [
            frame
            | {
                "token": f"frame {k}",
                "sample_idx": k,
                "timestamp": float(k),
                "instances": [instance | {"bbox_label": label, "bbox_label_3d": label} for label in of_frame],
            }
            for k, of_frame in enumerate(labels)
        ]
        (tmp_path / "infos.pkl").write_bytes(pickle.dumps(info))
        return PonderNuScenesDetDataset(
            data_root=str(frame_root),
            ann_file=str(tmp_path / "infos.pkl"),
            pipeline=[],
            metainfo={"classes": classes},
        )

    return opened


def shown(dataset: PonderNuScenesDetDataset, label: int) -> set[int]:
    return {k for k in range(len(dataset)) if label in dataset.get_cat_ids(k)}


def test_every_class_is_drawn_for_equally_often_from_the_frames_that_show_it(open_dataset):
    dataset = open_dataset(FRAMES, THREE)
    balanced = PonderCBGSDataset(dataset)
    # 8 + 3 + 1 frames show a class; a third of these for each.
    assert len(balanced) == 12
    assert balanced.ratio == 1.5
    for label in range(3):
        assert set(balanced.sample_indices[4 * label : 4 * label + 4]) <= shown(dataset, label)
    assert balanced[11]["token"] == "frame 4"
    assert balanced.get_data_info(11)["token"] == "frame 4"


def test_the_numbers_are_those_of_mmdet3d_where_that_works(open_dataset):
    dataset = open_dataset(FRAMES, THREE)
    theirs, ours = CBGSDataset(dataset), PonderCBGSDataset(dataset)
    assert len(theirs) == len(ours)
    # Over many draws each frame is as frequent with either.
    totals = []
    for draw in range(300):
        np.random.seed(draw)
        ours.seed = draw
        totals.append([Counter(part._get_sample_indices(dataset)) for part in (theirs, ours)])
    frequency = np.array([[[c[k] for k in range(8)] for c in pair] for pair in totals]).mean(axis=0)
    np.testing.assert_allclose(frequency[0], frequency[1], atol=0.35)
    assert frequency[1][4] > 4 > frequency[1][0]


def test_absent_classes_are_left_out_and_said(open_dataset, monkeypatch):
    said = []
    monkeypatch.setattr("ponderv2.datasets.cbgs.print_log", lambda message, **_: said.append(message))
    dataset = open_dataset([[0], [0, 1], [0]])
    with pytest.raises(ZeroDivisionError):
        CBGSDataset(dataset)
    balanced = PonderCBGSDataset(dataset)
    assert len(balanced) == 4
    assert set(balanced.sample_indices[2:]) == {1}
    assert "3 frames become 4 (1.33×), 2 for each of 2 classes; shown by frames before: car 3, truck 1" in said[0]
    assert "no frame shows ['trailer', 'bus'" in said[1]


def test_the_draw_depends_on_the_seed_alone(open_dataset):
    dataset = open_dataset(FRAMES, THREE)
    draws = []
    for global_seed in (1, 2):
        # As on two ranks with `diff_rank_seed`.
        np.random.seed(global_seed)
        draws.append(PonderCBGSDataset(dataset).sample_indices)
    assert draws[0] == draws[1]
    assert PonderCBGSDataset(dataset, seed=1).sample_indices != draws[0]


def test_drawing_leaves_the_global_generator_alone(open_dataset):
    dataset = open_dataset(FRAMES, THREE)
    np.random.seed(3)
    expected = np.random.rand()
    np.random.seed(3)
    PonderCBGSDataset(dataset)
    assert np.random.rand() == expected


def test_frames_without_boxes_are_not_drawn(open_dataset):
    balanced = PonderCBGSDataset(open_dataset([[], [0], []]))
    assert set(balanced.sample_indices) == {1}


def test_nothing_to_balance_is_an_error(open_dataset):
    with pytest.raises(ValueError, match=r"none of 2 frames shows any of \['car', "):
        PonderCBGSDataset(open_dataset([[], []]))


def test_it_is_built_from_a_config(open_dataset, frame_root, tmp_path):
    open_dataset(FRAMES)
    inner = dict(
        type=PonderNuScenesDetDataset, data_root=str(frame_root), ann_file=str(tmp_path / "infos.pkl"), pipeline=[]
    )
    balanced = PonderCBGSDataset(inner, lazy_init=True)
    balanced.full_init()
    assert balanced.metainfo["classes"] == list(DETECTION_CLASSES) or balanced.metainfo["classes"] == DETECTION_CLASSES
    assert len(balanced) == 12
