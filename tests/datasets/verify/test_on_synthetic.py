"""The synthetic data set from tables to a clean report, and the same faults found in it as in factory tables."""

import copy
from pathlib import Path

import pytest

from ponderv2.datasets import GroundTruthDatabase, PonderNuScenesDetDataset, load_info_file
from ponderv2.datasets.prepare import (
    InfoSettings,
    create_gt_database,
    create_info_files,
    open_tables,
)
from ponderv2.datasets.verify import Result
from synthetic_nuscenes import Recording, make_dataset
from tests.datasets.verify.wrong_conventions import (
    bottom_center,
    failed,
    findings_of,
    invert_lidar2cam,
    negate_yaw,
    swap_width_and_length,
    sweeps_for_the_published_formula,
)


@pytest.fixture(scope="session")
def synthetic_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a synthetic scene with its info file and ground-truth database; do not write to it."""
    root = tmp_path_factory.mktemp("synthetic_set") / "set"
    make_dataset(root, 1, Recording(seed=23, keyframes=3, width=160, height=90), workers=0, progress=False)
    files = create_info_files(open_tables(root, "v1.0-mini"), root, InfoSettings())
    create_gt_database(files["train"], root, root)
    return root


def test_every_check_passes_on_the_synthetic_set(synthetic_set):
    findings = findings_of(synthetic_set / "nuscenes_infos_train.pkl", synthetic_set)
    assert {name: f.evidence for name, f in findings.items() if f.result is not Result.PASS} == {}


WRONG = [
    (negate_yaw, {"box yaw": "yaw negated (clockwise)", "heading and velocity": "yaw negated"}),
    (swap_width_and_length, {"box size order": "length and width are swapped (w, l, h)"}),
    (
        invert_lidar2cam,
        dict.fromkeys(
            ("lidar2cam", "lidar2cam and poses", "boxes in images", "LiDAR on image edges"), "lidar2cam inverted"
        ),
    ),
    (
        sweeps_for_the_published_formula,
        {"sweep matrix and poses": "made for p @ R - t", "sweeps while turning": "moved by mmdet3d's p @ R - t"},
    ),
    (bottom_center, {"box centre": "z is that of the bottom, not of the centre"}),
]


@pytest.mark.parametrize(("change", "words"), WRONG, ids=[change.__name__ for change, _ in WRONG])
def test_a_wrong_convention_shows_on_the_synthetic_set(changed, synthetic_set, change, words):
    info = copy.deepcopy(load_info_file(synthetic_set / "nuscenes_infos_train.pkl"))
    findings = findings_of(changed(change, info), synthetic_set)
    assert failed(findings) == set(words)
    for name, word in words.items():
        assert word in findings[name].evidence


def test_the_synthetic_set_is_ready_to_train_on(synthetic_set):
    dataset = PonderNuScenesDetDataset(data_root=str(synthetic_set), ann_file="nuscenes_infos_train.pkl", pipeline=[])
    assert len(dataset) == 3
    assert dataset.metainfo["version"] == "v1.0-mini"
    frame = dataset.get_data_info(2)
    assert len(frame["ann_info"]["gt_bboxes_3d"]) > 5
    assert Path(frame["images"]["CAM_BACK"]["img_path"]).is_file()
    assert len(frame["can_bus"]) == 18
    assert frame["can_bus_measured"]
    assert frame["pts_semantic_mask_path"].endswith("_lidarseg.bin")
    database = GroundTruthDatabase(synthetic_set / "nuscenes_gt_database_train")
    assert sum(map(len, database.objects.values())) > 20
