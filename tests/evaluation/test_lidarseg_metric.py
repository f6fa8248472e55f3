"""The metric of segmentation: ground truth scores 1 officially, and what cannot be scored is an error that says so."""

import json
import logging
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from nuscenes import NuScenes
from nuscenes.eval.lidarseg.evaluate import LidarSegEval
from nuscenes.eval.lidarseg.validate_submission import validate_submission

from ponderv2.datasets import LoadLidarSweeps, LoadPointLabels, PackSensorInputs, PonderNuScenesSegDataset
from ponderv2.errors import UserError
from ponderv2.evaluation import LidarSegMetric
from ponderv2.folder_lock import FolderInUseError
from tests.factories.lidarseg_tables import write_labeled_set

PIPELINE = [dict(type=LoadLidarSweeps), dict(type=LoadPointLabels, evaluation=True), dict(type=PackSensorInputs)]
INFOS = "nuscenes_infos_val.pkl"


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """Folder of a set with labels; do not write to it."""
    return write_labeled_set(tmp_path_factory.mktemp("lidarseg") / "set")


@pytest.fixture(scope="module")
def dataset(root) -> PonderNuScenesSegDataset:
    return PonderNuScenesSegDataset(str(root), INFOS, pipeline=PIPELINE, test_mode=True)


def predicted(dataset, guess: bool = False) -> list[dict]:
    """The samples as the evaluator hands them over, with the truth, or a guess, as the prediction."""
    samples = []
    for index in range(len(dataset)):
        sample = dataset[index]["data_samples"].to_dict()
        truth = sample["eval_ann_info"]["pts_semantic_mask"]
        rng = np.random.default_rng(index)
        found = torch.from_numpy(rng.choice([3, 10, 14], len(truth))) if guess else truth.clamp(min=0)
        samples.append(sample | {"pred_pts_seg": {"pts_semantic_mask": found}})
    return samples


def evaluate(metric: LidarSegMetric, dataset, samples: list[dict]) -> dict[str, float]:
    metric.dataset_meta = dataset.metainfo
    metric.process(None, samples)
    return metric.evaluate(len(samples))


def test_the_truth_scores_one_and_the_devkit_accepts_and_scores_it(root, dataset, tmp_path, caplog):
    metric = LidarSegMetric(str(root), INFOS, submission_dir=str(tmp_path))
    with caplog.at_level(logging.INFO):
        found = evaluate(metric, dataset, predicted(dataset))
    assert found["lidarseg/mIoU"] == found["lidarseg/official_mIoU"] == 1.0
    assert found["lidarseg/fwIoU"] == found["lidarseg/official_fwIoU"] == 1.0
    tables = NuScenes("v1.0-mini", str(root), verbose=False)
    validate_submission(tables, str(tmp_path / "results"), "mini_val")
    assert LidarSegEval(tables, str(tmp_path / "results"), "mini_val").evaluate()["miou"] == 1.0
    with zipfile.ZipFile(tmp_path / "lidarseg_submission.zip") as archive:
        assert "mini_val/submission.json" in archive.namelist()
        assert len(archive.namelist()) == 1 + len(dataset)
        archive.extractall(tmp_path / "again")
    validate_submission(tables, str(tmp_path / "again"), "mini_val")
    assert json.loads((tmp_path / "metrics_summary.json").read_text())["mIoU"] == 1.0
    meta = json.loads((tmp_path / "results/mini_val/submission.json").read_text())["meta"]
    assert [name for name, used in meta.items() if used] == ["use_lidar"]


def test_the_running_scores_of_any_prediction_are_the_official_ones(root, dataset, tmp_path):
    found = evaluate(LidarSegMetric(str(root), INFOS, submission_dir=str(tmp_path)), dataset, predicted(dataset, True))
    assert 0 < found["lidarseg/mIoU"] < 0.6
    assert found["lidarseg/mIoU"] == pytest.approx(found["lidarseg/official_mIoU"], rel=1e-6)
    assert found["lidarseg/fwIoU"] == pytest.approx(found["lidarseg/official_fwIoU"], rel=1e-6)


def test_samples_that_come_twice_count_once_and_ranges_part_the_points(dataset):
    samples = predicted(dataset, True)
    once = evaluate(LidarSegMetric(ranges=(10.0,)), dataset, samples)
    twice = evaluate(LidarSegMetric(ranges=(10.0,)), dataset, samples + samples[:2])
    assert once == twice
    assert {k for k in once if k.startswith("lidarseg/mIoU_")} == {"lidarseg/mIoU_0-10m", "lidarseg/mIoU_10m+"}
    for sample in samples:
        points = np.fromfile(sample["lidar_path"], np.float32).reshape(-1, 5)
        near = np.hypot(points[:, 0], points[:, 1]) < 10
        sample["pred_pts_seg"] = {
            "pts_semantic_mask": torch.where(
                torch.from_numpy(near), sample["eval_ann_info"]["pts_semantic_mask"].clamp(min=0), 0
            )
        }
    found = evaluate(LidarSegMetric(ranges=(10.0,)), dataset, samples)
    assert found["lidarseg/mIoU_0-10m"] == 1.0
    assert found["lidarseg/mIoU_10m+"] == 0.0


def test_what_is_kept_of_a_sample_does_not_grow_with_its_points(dataset):
    metric = LidarSegMetric()
    metric.dataset_meta = dataset.metainfo
    metric.process(None, predicted(dataset))
    assert all(matrices.nbytes == 3 * 16 * 16 * 4 for _, _, matrices in metric.results)


def test_a_submission_without_every_sample_is_refused_unless_it_is_partial(root, dataset, tmp_path):
    samples = predicted(dataset)[:-1]
    with pytest.raises(ValueError, match=r"1 of the 6 samples of mini_val have no prediction"):
        evaluate(LidarSegMetric(str(root), INFOS, submission_dir=str(tmp_path)), dataset, samples)
    metric = LidarSegMetric(str(root), INFOS, submission_dir=str(tmp_path), partial=True)
    assert evaluate(metric, dataset, samples)["lidarseg/official_mIoU"] == 1.0


def test_two_evaluations_do_not_write_into_one_folder(root, dataset, tmp_path):
    """The other process holds the lock of the folder as an evaluation does."""
    metric = LidarSegMetric(str(root), INFOS, submission_dir=str(tmp_path))
    program = (
        "import sys, pathlib; from ponderv2.folder_lock import folder_lock\n"
        "with folder_lock(pathlib.Path(sys.argv[1]), '.submission.lock', 'writing a submission', 'x'):\n"
        "    print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(
            FolderInUseError, match=r"is writing a submission in .*give another test_evaluator\.submission"
        ):
            evaluate(metric, dataset, predicted(dataset))
        assert not (tmp_path / "results").exists()
        other.stdin.close()
    assert evaluate(metric, dataset, predicted(dataset))["lidarseg/official_mIoU"] == 1.0
    assert not (tmp_path / ".submission.lock").exists()


def test_an_archive_is_replaced_by_a_whole_one_that_the_devkit_accepts(root, dataset, tmp_path, monkeypatch):
    evaluate(LidarSegMetric(str(root), INFOS, submission_dir=str(tmp_path)), dataset, predicted(dataset))
    archive = tmp_path / "lidarseg_submission.zip"
    before = archive.read_bytes()

    def refuses(*_):
        raise AssertionError("no")

    with monkeypatch.context() as patch:
        patch.setattr("ponderv2.evaluation.lidarseg_submission.validate_submission", refuses)
        with pytest.raises(ValueError, match=r"the devkit's check refuses the submission .*: no"):
            evaluate(LidarSegMetric(str(root), INFOS, submission_dir=str(tmp_path)), dataset, predicted(dataset, True))
    assert archive.read_bytes() == before
    read, left = Path.read_bytes, iter(range(3))

    def interrupted(path):
        if path.suffix == ".bin" and next(left, None) is None:
            raise KeyboardInterrupt
        return read(path)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", interrupted)
        with pytest.raises(KeyboardInterrupt):
            evaluate(LidarSegMetric(str(root), INFOS, submission_dir=str(tmp_path)), dataset, predicted(dataset))
    assert archive.read_bytes() == before
    (tmp_path / ".lidarseg_submission.zip.1.unfinished").write_bytes(b"of one that was killed")
    evaluate(LidarSegMetric(str(root), INFOS, submission_dir=str(tmp_path)), dataset, predicted(dataset))
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("name", ["v1.0-mini/lidarseg.json", "lidarseg/v1.0-mini"])
def test_a_submission_without_the_tables_of_lidarseg_is_refused_before_anything_is_predicted(
    name, root, dataset, tmp_path
):
    lacking = tmp_path / "set"
    shutil.copytree(root, lacking)
    (lacking / name).rename(tmp_path / "away")
    with pytest.raises(UserError, match=rf"{name} is missing: a submission is checked with the tables of"):
        LidarSegMetric(str(lacking), INFOS, submission_dir=str(tmp_path)).dataset_meta = dataset.metainfo


def test_a_part_of_a_split_is_refused_before_anything_is_predicted_and_names_the_option(root, tmp_path):
    part = PonderNuScenesSegDataset(str(root), INFOS, pipeline=PIPELINE, test_mode=True, load_interval=2)
    whole = {"submission_dir": str(tmp_path / "submission")}
    with pytest.raises(UserError, match=r"3 of the 6 samples of mini_val .*--cfg-options test_evaluator\.partial=True"):
        LidarSegMetric(str(root), INFOS, **whole).dataset_meta = part.metainfo
    LidarSegMetric(str(root), INFOS, partial=True, **whole).dataset_meta = part.metainfo
    LidarSegMetric(str(root), INFOS).dataset_meta = part.metainfo


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("token"), "a sample has no token"),
        (lambda s: s.pop("pred_pts_seg"), r"has no pred_pts_seg\.pts_semantic_mask"),
        (lambda s: s.pop("eval_ann_info"), r"has no labels to score by; its pipeline needs LoadPointLabels"),
        (lambda s: s["pred_pts_seg"].update(pts_semantic_mask=torch.zeros(5)), r"has 5 predictions for the \d+ points"),
        (lambda s: s["pred_pts_seg"]["pts_semantic_mask"].fill_(16), "prediction: expected 0 to 15, got 16 to 16"),
    ],
)
def test_samples_that_cannot_be_scored_are_errors(change, message, dataset):
    sample = predicted(dataset)[0]
    change(sample)
    with pytest.raises(ValueError, match=message):
        LidarSegMetric().process(None, [sample])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.update(token="elsewhere"), "sample elsewhere was predicted, but .* does not have it"),
        (lambda s: s.pop("lidar_token"), "has no lidar_token, by which files are named"),
    ],
)
def test_samples_that_cannot_be_submitted_are_errors(change, message, root, dataset, tmp_path):
    sample = predicted(dataset)[0]
    change(sample)
    with pytest.raises(ValueError, match=message):
        LidarSegMetric(str(root), INFOS, submission_dir=str(tmp_path)).process(None, [sample])


def test_arguments_that_do_not_fit_and_missing_files_are_refused_before_anything_is_predicted(root, tmp_path, dataset):
    with pytest.raises(ValueError, match="sensors: expected some of"):
        LidarSegMetric(sensors=("sonar",))
    with pytest.raises(ValueError, match="growing distances above 0 m"):
        LidarSegMetric(ranges=(40.0, 20.0))
    with pytest.raises(ValueError, match="submission_dir needs data_root and ann_file"):
        LidarSegMetric(submission_dir=str(tmp_path))
    with pytest.raises(ValueError, match=r"none\.pkl of LidarSegMetric does not exist"):
        LidarSegMetric(str(root), "none.pkl", submission_dir=str(tmp_path)).dataset_meta = dataset.metainfo
    with pytest.raises(ValueError, match=r"submission_dir is '{work_dir}/x', which tools/train\.py and tools/test\.py"):
        LidarSegMetric(str(root), INFOS, submission_dir="{work_dir}/x")
    (tmp_path / INFOS).write_bytes(b"")
    with pytest.raises(ValueError, match=r"v1\.0-mini/category\.json and 12 more tables are missing"):
        LidarSegMetric(str(tmp_path), INFOS, submission_dir=str(tmp_path)).dataset_meta = dataset.metainfo
