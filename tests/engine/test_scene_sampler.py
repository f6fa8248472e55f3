"""Whole scenes for each process, and an evaluation in two processes that is that of one."""

import logging
import multiprocessing
import os
from pathlib import Path

import pytest
import torch
from mmengine.dataset import DefaultSampler, pseudo_collate
from torch import distributed
from torch.utils.data import DataLoader

from ponderv2.engine import SceneSampler
from ponderv2.engine.scene_sampler import split_scenes
from ponderv2.errors import UserError
from ponderv2.evaluation import PonderNuScenesMetric
from tests.factories.temporal import scenes_dataset, temporal_detector, write_scenes


def test_processes_take_successive_scenes_about_equally():
    scenes = [name for name, count in zip("abcde", (4, 1, 3, 2, 2), strict=True) for _ in range(count)]
    for parts in (1, 2, 3, 8):
        shares = split_scenes(scenes, parts)
        assert len(shares) == parts
        assert [k for share in shares for k in share] == list(range(12))
        for name in "abcde":
            assert len({r for r, share in enumerate(shares) for k in share if scenes[k] == name}) == 1
    assert list(map(len, split_scenes(scenes, 2))) == [5, 7]
    assert split_scenes(["a"] * 3, 2) in ([[0, 1, 2], []], [[], [0, 1, 2]])


@pytest.mark.parametrize("scenes", [["a", "b", "a"], ["a", ""]])
def test_frames_whose_scene_is_not_known_or_torn_apart_are_refused(scenes):
    with pytest.raises(UserError, match="follow each other"):
        split_scenes(scenes, 2)
    with pytest.raises(UserError, match="list does not tell the scenes"):
        SceneSampler([1, 2])


def _evaluate(root: Path, sampler: type, shuffled: bool) -> tuple[dict[str, float], dict[str, torch.Tensor]]:
    """Evaluate five frames of two scenes: the truth, moved by what the model predicts, so that the score tells."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    dataset, truth = scenes_dataset(root).get_subset(list(range(5))), scenes_dataset(root, test_mode=False)
    model = temporal_detector()
    metric = PonderNuScenesMetric(data_root=str(root), ann_file="nuscenes_infos_val.pkl", partial=True)
    metric.dataset_meta = dataset.metainfo
    arguments = dict(shuffle=False) if shuffled else {}
    for batch in DataLoader(dataset, sampler=sampler(dataset, **arguments), collate_fn=pseudo_collate):
        (sample,) = model(**model.data_preprocessor(batch), mode="predict")
        moved = sample.pred_instances_3d.bboxes_3d.tensor
        annotated = truth.get_data_info(sample.sample_idx)["ann_info"]
        boxes, labels = annotated["gt_bboxes_3d"].clone(), torch.as_tensor(annotated["gt_labels_3d"])
        boxes.tensor = boxes.tensor.nan_to_num(0.0)
        boxes.tensor[:, :2] += moved[:, :2].mean(dim=0) / 10
        found = {"bboxes_3d": boxes, "scores_3d": torch.full((len(labels),), 0.5), "labels_3d": labels}
        metric.process(None, [{"token": sample.token, "pred_instances_3d": found}])
        _PREDICTED[sample.token] = moved
    return metric.evaluate(len(dataset)), _PREDICTED


_PREDICTED: dict[str, torch.Tensor] = {}


def _process(rank: int, folder: Path, root: Path, queue: multiprocessing.Queue, sampler: type) -> None:
    # mmengine collects results through files in the working directory.
    os.chdir(folder)
    logging.disable()
    distributed.init_process_group("gloo", init_method=f"file://{folder}/group", rank=rank, world_size=2)
    scores, predicted = _evaluate(root, sampler, sampler is DefaultSampler)
    queue.put((rank, scores, {token: boxes.tolist() for token, boxes in predicted.items()}))
    distributed.barrier()
    distributed.destroy_process_group()


def _in_two_processes(folder: Path, root: Path, sampler: type) -> tuple[dict, list[dict]]:
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    processes = [context.Process(target=_process, args=(r, folder, root, queue, sampler)) for r in range(2)]
    for process in processes:
        process.start()
    try:
        answers = sorted((queue.get(timeout=100) for _ in processes), key=lambda answer: answer[0])
    finally:
        for process in processes:
            process.join(10)
            process.kill()
    assert answers[0][1] == answers[1][1]
    return answers[0][1], [answer[2] for answer in answers]


@pytest.mark.skipif(torch.cuda.is_available(), reason="the processes are forked and share a CPU")
def test_two_processes_predict_and_score_five_frames_as_one_does(tmp_path):
    root = write_scenes(tmp_path / "scenes")
    _PREDICTED.clear()
    scores, predicted = _evaluate(root, SceneSampler, False)
    alone = {token: boxes.tolist() for token, boxes in predicted.items()}
    _PREDICTED.clear()
    assert len(alone) == 5
    assert 0 < scores["nuscenes/NDS"] < 1
    folder = tmp_path / "scenewise"
    folder.mkdir()
    together, parts = _in_two_processes(folder, root, SceneSampler)
    assert sorted(map(len, parts)) == [2, 3]
    assert parts[0] | parts[1] == alone
    assert together == scores
    # mmengine's sampler deals the frames out in turn, one of them twice: none is dropped, but others come before each.
    folder = tmp_path / "in_turn"
    folder.mkdir()
    dealt, parts = _in_two_processes(folder, root, DefaultSampler)
    assert set(parts[0]) | set(parts[1]) == set(alone)
    assert dealt != scores
