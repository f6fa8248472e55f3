"""An interrupted preparation goes on where it was; what is finished is left alone."""

import json
import os
import pickle
from pathlib import Path

import pytest

from ponderv2.datasets import load_info_file
from ponderv2.datasets.info_file import read_plain_pickle
from ponderv2.datasets.prepare import InfoSettings, PreparationError, create_gt_database, create_info_files
from ponderv2.datasets.prepare.frames import SceneFrames
from ponderv2.datasets.prepare.parts import run_in_parts, write_atomically


class Squares:
    """A job that fails on some tasks, and counts its calls."""

    def __init__(self, failing: tuple[int, ...] = ()) -> None:
        self.failing, self.calls = failing, []

    def __call__(self, task: int) -> int:
        self.calls.append(task)
        if task in self.failing:
            raise PreparationError(f"no square of {task}")
        return task * task


TASKS = {f"task {k}": k for k in (3, 1, 2)}


@pytest.mark.parametrize("workers", [1, 2])
def test_parts_come_in_the_order_of_the_tasks(tmp_path, workers):
    parts = run_in_parts(Squares(), TASKS, tmp_path / "parts", workers, "squares")
    assert [read_plain_pickle(part) for part in parts] == [9, 1, 4]


def test_what_was_finished_before_an_interruption_is_not_done_again(tmp_path):
    with pytest.raises(PreparationError, match="no square of 2"):
        run_in_parts(Squares(failing=(2,)), TASKS, tmp_path, 1, "squares")
    again = Squares()
    parts = run_in_parts(again, TASKS, tmp_path, 1, "squares")
    assert again.calls == [2]
    assert [read_plain_pickle(part) for part in parts] == [9, 1, 4]


def test_an_error_in_a_worker_reaches_the_caller(tmp_path):
    with pytest.raises(PreparationError, match="no square of 1"):
        run_in_parts(Squares(failing=(1,)), TASKS, tmp_path, 2, "squares")


def test_an_interrupted_write_leaves_nothing_under_the_name(tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "file", b"content")
    assert not (tmp_path / "file").exists()


def test_a_part_that_is_not_plain_data_is_refused(tmp_path):
    (tmp_path / "part.pkl").write_bytes(pickle.dumps(Path("/")))
    with pytest.raises(pickle.UnpicklingError, match="pathlib"):
        read_plain_pickle(tmp_path / "part.pkl")


def test_info_files_are_the_same_after_an_interruption_and_with_workers(tables, tmp_path, monkeypatch):
    whole = create_info_files(tables, tmp_path / "whole", InfoSettings())
    make = SceneFrames.__call__

    def fails_on_the_second(self, scene):
        if scene["name"] == "scene-0553":
            raise PreparationError("interrupted")
        return make(self, scene)

    monkeypatch.setattr(SceneFrames, "__call__", fails_on_the_second)
    with pytest.raises(PreparationError, match="interrupted"):
        create_info_files(tables, tmp_path / "resumed", InfoSettings())
    assert not (tmp_path / "resumed" / "nuscenes_infos_train.pkl").exists()

    monkeypatch.setattr(SceneFrames, "__call__", make)
    resumed = create_info_files(tables, tmp_path / "resumed", InfoSettings(), workers=2)
    for split, path in whole.items():
        assert load_info_file(resumed[split]) == load_info_file(path)
    assert sorted(p.name for p in (tmp_path / "resumed").iterdir()) == [
        "nuscenes_infos_train.pkl",
        "nuscenes_infos_val.pkl",
        "prepared.json",
    ]


def test_finished_outputs_are_recognised(tables, tables_root, tmp_path, monkeypatch, capsys):
    files = create_info_files(tables, tmp_path, InfoSettings())
    create_gt_database(files["train"], tables_root, tmp_path)
    capsys.readouterr()

    def refuse(*_):
        raise AssertionError("a scene was made again")

    monkeypatch.setattr("ponderv2.datasets.prepare.infos.run_in_parts", refuse)
    monkeypatch.setattr("ponderv2.datasets.prepare.gt_database_writer.run_in_parts", refuse)
    assert create_info_files(tables, tmp_path, InfoSettings()) == files
    create_gt_database(files["train"], tables_root, tmp_path)
    assert capsys.readouterr().out.count("is finished") == 3


def test_outputs_made_with_other_settings_are_replaced_only_when_asked(tables, tmp_path):
    files = create_info_files(tables, tmp_path, InfoSettings(lidar_sweeps=2))
    with pytest.raises(PreparationError, match=r"nuscenes_infos_train\.pkl was made .* --overwrite"):
        create_info_files(tables, tmp_path, InfoSettings(lidar_sweeps=3))
    create_info_files(tables, tmp_path, InfoSettings(lidar_sweeps=3), overwrite=True)
    assert len(load_info_file(files["train"])["data_list"][2]["lidar_sweeps"]) == 3
    assert json.loads((tmp_path / "prepared.json").read_text())["nuscenes_infos_train.pkl"]["lidar_sweeps"] == 3


def test_a_file_of_another_tool_is_not_overwritten(tables, tmp_path):
    (tmp_path / "nuscenes_infos_train.pkl").write_bytes(b"precious")
    with pytest.raises(PreparationError, match=r"nuscenes_infos_train\.pkl was made by another tool"):
        create_info_files(tables, tmp_path, InfoSettings())
    assert (tmp_path / "nuscenes_infos_train.pkl").read_bytes() == b"precious"


def test_a_new_info_file_asks_for_a_new_database(tables, tables_root, tmp_path):
    files = create_info_files(tables, tmp_path, InfoSettings(lidar_sweeps=2))
    create_gt_database(files["train"], tables_root, tmp_path)
    create_info_files(tables, tmp_path, InfoSettings(lidar_sweeps=3), overwrite=True)
    with pytest.raises(PreparationError, match=r"nuscenes_gt_database_train was .*\(infos\.lidar_sweeps 2, now 3\)"):
        create_gt_database(files["train"], tables_root, tmp_path)
