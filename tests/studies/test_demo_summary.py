"""The summary of the demo: every number beside that of knowing nothing, and only what was done."""

import json

import pytest

from ponderv2.command_line import run_tool
from studies.demo_summary import add_arguments, run, summarize

METRICS = {"abs_rel": 0.176, "guess_abs_rel": 0.512, "rmse": 5.1, "psnr": 17.75, "guess_psnr": 13.2}
PROBE = [{"encoder": "scratch", "val": 0.637}, {"encoder": "work/encoder.safetensors", "val": 0.7494}]
DETECTION = {"nd_score": 0.3147, "mean_ap": 0.1121, "truth": {"car": 40, "bus": 2}}


@pytest.fixture
def work_dir(tmp_path):
    (tmp_path / "render").mkdir()
    (tmp_path / "render" / "metrics.json").write_text(json.dumps(METRICS))
    (tmp_path / "render" / "panel_0000.png").touch()
    return tmp_path


def add_streets(work_dir):
    (work_dir / "probe.json").write_text(json.dumps(PROBE))
    (work_dir / "detection" / "test").mkdir(parents=True)
    (work_dir / "detection" / "test" / "metrics_summary.json").write_text(json.dumps(DETECTION))
    (work_dir / "constant.json").write_text(json.dumps({"mAP": 0.081, "NDS": 0.3462}))
    (work_dir / "boxes").mkdir()
    (work_dir / "boxes" / "boxes_0000.png").touch()


def test_every_number_stands_beside_that_of_knowing_nothing(work_dir):
    add_streets(work_dir)
    lines = summarize(work_dir)
    text = " ".join(lines.split())
    for number, guess in (("17.6%", "51.2%"), ("17.8 dB", "13.2 dB"), ("0.749", "0.637")):
        assert text.index(number) < text.index(guess)
    assert text.index("11.2 mAP and 31.5 NDS") < text.index("without any picture, have 8.1 mAP and 34.6 NDS")
    assert "42 boxes to find" in text
    assert "says nothing of pre-training" in text
    assert "tools/transfer_study.py" in text
    assert [line.strip() for line in lines.splitlines() if line.endswith(".png")] == [
        str(work_dir / "render" / "panel_0000.png"),
        str(work_dir / "boxes" / "boxes_0000.png"),
    ]
    assert max(map(len, (line for line in lines.splitlines() if not line.endswith(".png")))) <= 100


def test_what_was_not_done_is_not_described(work_dir):
    text = summarize(work_dir)
    assert "Depth" in text
    assert "Probe" not in text
    assert "Boxes" not in text


def test_a_folder_without_results_is_named(tmp_path, capsys):
    assert run_tool("", add_arguments, run, [str(tmp_path)]) == 2
    assert str(tmp_path / "render" / "metrics.json") in capsys.readouterr().err


def test_a_probe_of_other_encoders_is_refused(work_dir, capsys):
    (work_dir / "probe.json").write_text(json.dumps(PROBE[:1]))
    assert run_tool("", add_arguments, run, [str(work_dir)]) == 2
    assert "probe.json" in capsys.readouterr().err
