"""The check of a machine with a GPU, run with a CPU in the place of the GPU; and where there is none."""

import argparse
import json
import math
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from benchmarks.gpu_check import check, gpu_tests, levels, mmcv_cases, parts, precision_runs, spconv_cases, torch_cases
from benchmarks.gpu_check.agreement import Case, compare, relative_error
from benchmarks.gpu_check.parts import Part, all_parts, full_size_recipes
from benchmarks.gpu_check.random_batch import random_batch
from benchmarks.gpu_check.random_weights import start_at_random
from benchmarks.gpu_check.recipe_step import recipe_step
from benchmarks.gpu_check.report import markdown
from ponderv2.engine import innermost_dataset, load_config
from ponderv2.errors import UserError
from ponderv2.registry import MODELS
from tests.factories.processes import wait_for

CASES = [case for module in (torch_cases, mmcv_cases, spconv_cases) for case in module.cases()]


@pytest.mark.skipif(torch.cuda.is_available(), reason="for machines without a GPU")
def test_a_machine_without_a_gpu_is_told_so_at_once(repository, tmp_path):
    files = [f"--json={tmp_path}/found.json", f"--markdown={tmp_path}/found.md"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "tools/gpu_check.py", *files], cwd=repository, capture_output=True, text=True, timeout=120
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    # Seconds of the processor: other work on the machine does not count.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 20
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"no device: torch {torch.__version__} (CUDA {torch.version.cuda}) finds no GPU")
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["device"] is None
    assert found["versions"]["torch"].startswith(torch.__version__.split("+")[0])
    assert "no device" in (tmp_path / "found.md").read_text()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_cpu_agrees_with_itself_and_has_outputs_and_gradients(case):
    row = compare(case, "cpu")
    assert row["passed"]
    assert row["output_error"] == pytest.approx(0, abs=1e-6)
    assert 0 < row["output_norm"] < math.inf
    assert 0 < row["gradient_norm"] < math.inf


def test_a_module_that_differs_elsewhere_fails_with_the_name_of_what_differs():
    class Drifting(nn.Linear):
        """Differs in its copy, as on another device."""

        def __deepcopy__(self, memo):
            other = nn.Linear(3, 3)
            other.load_state_dict(self.state_dict())
            with torch.no_grad():
                other.weight[0, 0] += 1
            return other

    def make():
        return Drifting(3, 3), {"x": torch.randn(5, 3, requires_grad=True)}

    row = compare(Case("drifting", make, lambda module, given: {"y": module(given["x"])}), "cpu")
    assert not row["passed"]
    assert (row["worst_output"], row["worst_gradient"]) == ("y", "x")
    assert relative_error(torch.ones(2), torch.tensor([1.0, math.nan])) == math.inf


def test_parts_go_from_right_to_fast_and_take_every_recipe_that_is_trained(repository):
    kinds = [part.kind for part in all_parts()]
    assert sorted(kinds, key=parts.KINDS.index) == kinds
    assert set(kinds) == set(parts.KINDS)
    names = {path.stem for path in full_size_recipes()}
    found = {path.stem for name in ("pretrain", "detection") for path in (repository / "configs" / name).glob("*.py")}
    assert found - names == {name for name in found if name.endswith("_test")}
    steps = {part.subject: part.level for part in all_parts() if part.kind == "step"}
    assert steps["pretrain/ponderv2_camera_convnext_s_vs0p1_4xb1_12e_nuscenes"] == "mmcv"
    assert steps["pretrain/ponderv2_lidar_unet_vs0p1_4xb4_24e_nuscenes"] == "spconv"


def test_every_file_with_a_gpu_test_has_a_level(repository):
    files = gpu_tests.marked_files()
    assert "tests/lifting/test_splat.py" in files["torch"]
    assert "tests/lifting/test_deformable.py" in files["mmcv"]
    assert "tests/compat/test_spconv_cpu.py" in files["spconv"]
    assert "tests/models/test_host_synchronizations.py" in files["mmcv"]
    marked = [p for p in (repository / "tests").rglob("test_*.py") if "pytest.mark.gpu" in p.read_text()]
    assert sum(map(len, files.values())) == len(marked)


@pytest.mark.skipif(torch.cuda.is_available(), reason="the tests are skipped where there is no GPU")
def test_marked_tests_are_run_and_counted():
    found = gpu_tests.run_marked("torch", 300)
    assert found["passed"]
    assert found["tests"] == found["skipped"] > 0
    assert found["failures"] == []


def test_bfloat16_stays_near_float32_and_what_does_not_fails():
    found = precision_runs.compare_precisions(precision_runs.rendered_scene, "cpu", steps=6)
    assert found["passed"]
    assert [len(losses) for losses in found["losses"].values()] == [6, 6]
    assert found["losses"]["float32"][-1] < found["losses"]["float32"][0]
    assert found["losses"]["float32"] != found["losses"]["bfloat16"]

    def broken(device):
        layer = nn.Linear(2, 1)
        return layer, lambda: layer(torch.ones(1, 2)).sum() * (math.nan if torch.is_autocast_enabled("cpu") else 1)

    assert not precision_runs.compare_precisions(broken, "cpu", steps=2)["passed"]


def test_a_camera_model_trains_in_both_precisions():
    found = precision_runs.compare_precisions(precision_runs.camera_model, "cpu", steps=2)
    assert all(math.isfinite(loss) for losses in found["losses"].values() for loss in losses)


@pytest.mark.parametrize("recipe", ["ponderv2_camera_synthetic", "uvtr_lidar_synthetic"])
def test_a_recipe_takes_steps_on_a_random_batch(repository, recipe):
    options = {"model.encoder.grid.size": (36, 36, 4)}
    if "lidar" in recipe:
        options = {"model.encoder.grid.size": (48, 48, 4), "model.encoder.voxel_size": (0.28125, 0.28125, 0.25)}
    path = repository / "configs" / "tiny" / f"{recipe}.py"
    found = recipe_step(path, "cpu", image_size=(96, 160), options=options, repeats=1)
    assert found["passed"]
    assert found["recipe"] == recipe
    assert found["seconds"] > 0
    assert found["peak_bytes"] > 0
    assert "loss" in found["losses"]


@pytest.mark.parametrize("path", full_size_recipes(), ids=lambda path: path.stem)
def test_a_random_batch_has_what_the_pipeline_of_the_recipe_loads(path):
    config = load_config(path)
    batch = random_batch(config, image_size=(90, 160))
    wanted = {"rig"} if "unet" not in path.stem else set()
    if "camera" in path.stem or "fusion" in path.stem:
        wanted |= {"img"}
    if "lidar" in path.stem or "fusion" in path.stem:
        wanted |= {"points"}
    if path.parent.name == "pretrain":
        wanted |= {"rays"}
    if path.stem.startswith("bevformer_") and "static" not in path.stem:
        wanted |= {"img", "history", "can_bus"}
    assert wanted <= set(batch["inputs"]) | ({"rig"} if path.stem.startswith("uvtr_lidar") else set())
    assert all(len(values) == config.train_dataloader.batch_size for values in batch["inputs"].values())
    has_boxes = ["gt_instances_3d" in sample for sample in batch["data_samples"]]
    assert all(has_boxes) == (path.parent.name == "detection")


TINY = sorted((Path(__file__).parents[2] / "configs" / "tiny").glob("*.py"))


@pytest.mark.parametrize("path", TINY, ids=lambda path: path.stem)
def test_a_random_batch_has_what_the_model_of_a_tiny_recipe_needs(path):
    config = load_config(path)
    dataset = innermost_dataset(config.train_dataloader)[1]
    inputs, (sample, *_) = random_batch(config, image_size=(90, 160)).values()
    assert len(inputs["history"][0].frames if "history" in inputs else ()) == dataset.get("history", 0)
    steps = {step["type"].__name__: step for step in dataset.pipeline}
    if "LoadPointLabels" in steps:
        assert len(sample.gt_pts_seg.pts_semantic_mask) == len(inputs["points"][0])
    for kind in ("SampleCameraRays", "SampleLidarRays"):
        step = steps.get(kind)
        found = {} if step is None else {"rgb": "color", "semantic": "semantic", "intensity": "intensity"}
        for field, key in found.items():
            assert (getattr(inputs["rays"][0], field) is not None) == step.get(key, key == "color"), field
    if "keyframe" in path.stem:
        assert inputs["rig"][0].padded_size == (22, 40)


def test_cameras_of_a_random_batch_are_those_of_resized_images():
    config = load_config(next(path for path in TINY if path.stem == "ponderv2_camera_keyframe"))
    inputs = random_batch(config, image_size=(900, 1600))["inputs"]
    assert inputs["img"][0].shape[-2:] == (225, 400)
    assert inputs["rig"][0].cam2img[:, 0, 0].tolist() == pytest.approx([1266 / 4] * 6)


def test_history_without_images_is_one_line():
    config = load_config(next(path for path in TINY if path.stem == "uvtr_lidar_synthetic"))
    config.train_dataloader.dataset.history = 1
    with pytest.raises(UserError, match="history: the pipeline does not load images"):
        random_batch(config)


def test_teachers_from_a_hub_get_random_weights_of_their_size(repository):
    path = repository / "configs" / "pretrain" / "ponderv2_lidar_minkunet_distil_vs0p1_4xb4_24e_nuscenes.py"
    config = load_config(path)
    start_at_random(config)
    teacher = MODELS.build(config.model.image_branch.teacher)
    assert (teacher.channels, teacher.stride, teacher.patch) == (384, 28, 14)
    # DINOv2-S has 22 million.
    assert sum(p.numel() for p in teacher.parameters()) == pytest.approx(22e6, rel=0.02)
    unknown = load_config(path, options={"model.image_branch.teacher.name": "somebody/else"})
    with pytest.raises(UserError, match="expected a folder or one of dinov2-small"):
        start_at_random(unknown)


@pytest.fixture
def given(tmp_path):
    def make(**changes):
        defaults = dict(device="cpu", json=tmp_path / "found.json", markdown=tmp_path / "found.md", minutes=10)
        return argparse.Namespace(**defaults | dict(levels=levels.LEVELS, kinds=parts.KINDS) | changes)

    return make


def test_what_is_missing_is_named_and_skipped(given, monkeypatch):
    monkeypatch.setattr(check, "missing", lambda level: ["spconv"] if level == "spconv" else [])
    monkeypatch.setattr(
        check, "_in_own_process", lambda part, device, seconds: {"state": "passed", "found": {"rows": []}}
    )
    arguments = given(kinds=("agreement",))
    assert check.run(arguments) == 0
    result = json.loads(arguments.json.read_text())
    assert [part["state"] for part in result["parts"]] == ["passed", "passed", "skipped"]
    assert result["parts"][2]["reason"] == "not installed: spconv"
    assert "Level spconv was skipped; not installed: spconv." in arguments.markdown.read_text()


def test_each_part_has_a_process_of_its_own_so_one_that_fails_is_told_and_the_others_go_on(given, monkeypatch, capsys):
    own = [Part("agreement", "no_such_level", "torch"), Part("agreement", "torch", "torch")]
    monkeypatch.setattr(check, "all_parts", lambda: own)
    arguments = given(levels=("torch",))
    assert check.run(arguments) == 1
    failed, passed = json.loads(arguments.json.read_text())["parts"]
    assert failed["state"] == "failed"
    assert "no_such_level_cases" in failed["reason"]
    assert passed["state"] == "passed"
    assert {row["name"] for row in passed["found"]["rows"]} == {case.name for case in torch_cases.cases()}
    assert "| pull lift | 0.0e+00 (≤ 0.001)" in arguments.markdown.read_text()
    told = capsys.readouterr().out
    assert "failed: agreement no_such_level" in told
    assert "agreement torch: passed" in told


def test_a_part_that_hangs_has_failed_and_is_ended_with_all_that_it_started(given, monkeypatch, tmp_path, capsys):
    hangs = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]])"
    inner = f"import os, time; open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    run = check._output_of
    monkeypatch.setattr(check, "_output_of", lambda _, *rest: run([sys.executable, "-c", hangs, inner], *rest))
    monkeypatch.setattr(check, "PART_SECONDS", dict.fromkeys(parts.KINDS, 4.0))
    monkeypatch.setattr(check, "all_parts", lambda: [Part("agreement", "torch", "torch")])
    arguments = given()
    assert check.run(arguments) == 1
    (part,) = json.loads(arguments.json.read_text())["parts"]
    assert (part["state"], part["reason"]) == ("failed", "ended after 4 s, the limit of a part")
    assert capsys.readouterr().out.splitlines()[-1] == "failed: agreement torch; 0 of 1 parts skipped"
    wait_for(lambda: not _runs(Path("/proc", (tmp_path / "pid").read_text(), "status")))


def _runs(status: Path) -> bool:
    """Whether a process is there that is no zombie, which waits for its parent to look."""
    try:
        return "State:\tZ" not in status.read_text()
    except OSError:
        return False


@pytest.mark.skipif(torch.cuda.is_available(), reason="for machines whose GPU torch does not find")
@pytest.mark.parametrize(("cards", "code"), [([], 0), (["/dev/nvidia0"], 1)])
def test_a_card_that_torch_does_not_find_is_no_machine_without_a_gpu(given, monkeypatch, capsys, cards, code):
    monkeypatch.setattr(check, "cards_of_the_machine", lambda: cards)
    assert check.run(given(device=None)) == code
    told = capsys.readouterr().out
    assert told.startswith(f"no device: torch {torch.__version__} (CUDA {torch.version.cuda}) finds no GPU")
    assert all(card in told for card in cards)


def test_cards_are_those_that_the_driver_lists(monkeypatch, tmp_path):
    monkeypatch.setattr(check, "Path", lambda *_: tmp_path)
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'GPU 0: NVIDIA A100 (UUID: x)'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert check.cards_of_the_machine() == ["GPU 0: NVIDIA A100 (UUID: x)"]
    tool.write_text("#!/bin/sh\nexit 9\n")
    assert check.cards_of_the_machine() == []
    (tmp_path / "nvidia0").touch()
    assert check.cards_of_the_machine() == [str(tmp_path / "nvidia0")]


def test_nothing_is_begun_when_the_time_is_over(given, capsys):
    arguments = given(minutes=0.05)
    assert check.run(arguments) == 0
    result = json.loads(arguments.json.read_text())
    assert {part["state"] for part in result["parts"]} == {"skipped"}
    assert {part["reason"] for part in result["parts"]} == {"no time left"}
    number = len(all_parts())
    assert capsys.readouterr().out.endswith(f"everything that was run passed; {number} of {number} parts skipped\n")


def test_a_level_lacks_what_the_levels_before_it_lack(monkeypatch):
    # The light build of mmcv has no operators.
    monkeypatch.setattr(levels, "_is_installed", lambda module: module not in ("mmcv._ext", "cumm"))
    assert levels.missing("torch") == []
    assert levels.missing("mmcv") == ["mmcv._ext"]
    assert levels.missing("spconv") == ["mmcv._ext", "cumm"]


def test_what_is_installed_is_found_without_importing_it():
    program = (
        "import sys; from benchmarks.gpu_check.levels import missing; print(missing('spconv')); "
        "assert not {'mmcv', 'spconv', 'torch'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "[]\n"


def test_a_device_that_is_not_there_is_one_line(given):
    with pytest.raises(UserError, match="--device cuda:77"):
        check.run(given(device="cuda:77"))


def test_a_report_has_a_table_for_each_kind_of_part():
    found = {
        "agreement": {"rows": [dict(zip(ROW, ("lift", 1e-5, 2e-4, 1e-3, 1e-2, True), strict=True))]},
        "tests": {"tests": 4, "skipped": 1, "failures": ["tests.a.test_b"]},
        "precision": {"losses": {"float32": [3.0, 2.0], "bfloat16": [3.0, 2.1]}, "difference": 0.05},
        "step": {"batch_size": 2, "seconds": 0.5, "peak_bytes": 2**31, "host_syncs": ["a:1", "b:2"]},
        "benchmark": {"seconds": {"ours": 0.1}, "peak_bytes": {"ours": 5_000_000}},
    }
    result = {
        "device": {"name": "A100", "memory_bytes": 80 * 2**30, "capability": "8.0", "cuda": "12.8", "cudnn": 9},
        "python": "3.11",
        "versions": {"torch": "2.8.0"},
        "missing": {},
        "parts": [{"kind": kind, "subject": "s", "state": "passed", "found": f} for kind, f in found.items()],
    }
    text = markdown(result)
    assert "A100; 80 GiB, capability 8.0; CUDA 12.8, cuDNN 9" in text
    for row in (
        "| lift | 1.0e-05 (≤ 0.001) | 2.0e-04 (≤ 0.01) | passed |",
        "| s | 4 | 1 | tests.a.test_b | passed |",
        "| s, bfloat16 | 3 | 2.1 | 2.1 | 2.1 | 5.0 % | passed |",
        "| `s` | 2 | 0.500 | 2.0 | 2 | passed |",
        "| s: ours | 0.1000 | 5 | passed |",
    ):
        assert row in text.splitlines()


ROW = ("name", "output_error", "gradient_error", "tolerance", "gradient_tolerance", "passed")


def test_make_has_the_check(repository: Path):
    assert "tools/gpu_check.py" in (repository / "Makefile").read_text().split("gpu-check:\n")[1].split("\n\n")[0]
