"""What the README says is so: its Python runs, its commands run, its links lead somewhere."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from ponderv2.checkpoints import export_encoder
from ponderv2.engine import load_config
from ponderv2.registry import MODELS
from synthetic_nuscenes.output.benchmarks import BENCHMARKS

ENCODER = Path("work_dirs/demo/encoder.safetensors")
# What makes a command short enough for a test; the last of two equal options counts.
SHORTER = {
    "make_synthetic_nuscenes": ["--scenes", "2", "--keyframes", "2", "--image-size", "96x54"],
    "train": [
        "--cfg-options",
        "train_cfg.max_iters=2",
        "train_cfg.val_interval=2",
        "default_hooks.checkpoint.interval=2",
        "model.encoder.grid.size=(36,36,4)",
    ],
    "test": ["--cfg-options", "model.encoder.grid.size=(36,36,4)"],
    "render": ["--samples", "1", "--stride", "4", "--cfg-options", "model.encoder.grid.size=(36,36,4)"],
    "create_data": ["--workers", "1", "--no-paste-database"],
    "check_data": ["--frames", "1"],
}


@pytest.fixture
def readme(repository: Path) -> str:
    return (repository / "README.md").read_text()


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


def test_it_fits_into_120_lines(readme):
    assert len(readme.splitlines()) <= 120


def test_its_links_and_pictures_exist(readme, repository):
    links = re.findall(r"\]\((?!https?://)([^)#]+)", readme)
    assert len(links) > 8
    assert [link for link in links if not (repository / link).exists()] == []


def test_a_volume_is_rendered_in_ten_lines(readme):
    snippet = blocks(readme, "python")[0]
    assert len([line for line in snippet.splitlines() if line.strip()]) <= 11
    namespace: dict = {}
    exec(snippet, namespace)
    assert namespace["seen"].depth.shape == (1, 1024)
    assert (namespace["seen"].depth > 0).all()


def test_an_encoder_is_loaded_in_six_lines(readme, repository, tmp_path, monkeypatch):
    snippet = blocks(readme, "python")[1]
    assert len([line for line in snippet.splitlines() if line.strip()]) <= 6
    config = load_config(repository / "configs/tiny/ponderv2_camera_synthetic.py")
    monkeypatch.chdir(tmp_path)
    encoder = MODELS.build(config.model.encoder)
    export_encoder(encoder, ENCODER, config.model.encoder, config.model.data_preprocessor)
    namespace: dict = {}
    exec(snippet, namespace)
    assert namespace["volume"].data.shape[1:] == (32, 8, 108, 108)


def test_its_commands_run_one_after_another(readme, repository, tmp_path):
    """Everything but the two make targets, on a small data set, in a folder of its own."""
    for name in ("tools", "configs"):
        (tmp_path / name).symlink_to(repository / name)
    commands = [line for block in blocks(readme, "bash") for line in block.splitlines()]
    assert [line for line in commands if line.startswith("make")] == ["make test", "make demo"]
    commands = [line for line in commands if not line.startswith("make")]
    assert len(commands) >= 7
    for line in commands:
        python, *arguments = shlex.split(line)
        assert python == ".venv/bin/python"
        if "--benchmark" in arguments:
            at = arguments.index("--benchmark")
            assert arguments[at + 1] in BENCHMARKS
            del arguments[at : at + 2]
        arguments += SHORTER[Path(arguments[0]).stem]
        done = subprocess.run([sys.executable, *arguments], cwd=tmp_path, capture_output=True, text=True)
        # Random boxes of two steps fail no check; a check of data fails with 1, which this data must not.
        assert done.returncode == 0, f"{line}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    assert (tmp_path / "work_dirs/ponderv2_camera_synthetic/encoder.safetensors").is_file()
    assert list((tmp_path / "work_dirs/pictures").glob("*.png"))
