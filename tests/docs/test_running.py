"""The commands of docs/running.md are complete: each is understood, and each start was made by a command above it."""

import argparse
import inspect
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from mmengine.config import Config

from ponderv2.checkpoints import export_encoder
from ponderv2.datasets import LIDARSEG_CLASSES
from ponderv2.engine import load_config, parse_options
from ponderv2.registry import MODELS
from studies.transfer_command import study_of
from synthetic_nuscenes.output.benchmarks import BENCHMARKS
from tests.docs.test_readme import SHORTER, blocks
from tests.factories.tool_scripts import load_tool

REPOSITORY = Path(__file__).parents[2]
TEXT = (REPOSITORY / "docs" / "running.md").read_text()
COMMANDS = [line for block in blocks(TEXT, "bash") for line in block.replace("\\\n", " ").splitlines()]


class Route:
    """A folder in which every command leaves empty files under the names of what it would make."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes = 1
        self.configs: list[tuple] = []

    def make(self, *names: str | Path) -> None:
        for name in names:
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()

    def expect(self, name: str | Path, line: str) -> None:
        assert (self.folder / name).exists(), f"{name} is not made by any command above\n{line}"

    def run(self, line: str) -> None:
        program, *words = shlex.split(line.removeprefix("env -C stock "))
        self.processes = 1
        if "/.mim/" in line:
            self._stock(words, line)
            return
        if program == ".venv/bin/torchrun":
            assert words[0] == "--nproc-per-node"
            self.processes, words = int(words[1]), words[2:]
            assert "--launcher pytorch" in line
        elif program != ".venv/bin/python":
            self._other(program, words)
            return
        tool = Path(words[0]).stem
        parser = argparse.ArgumentParser(allow_abbrev=False)
        load_tool(REPOSITORY, tool).add_arguments(parser)
        getattr(self, tool)(parser.parse_args(words[1:]), line)

    def _other(self, program: str, words: list[str]) -> None:
        if program == "mkdir":
            for name in words[1:]:
                (self.folder / name).mkdir(parents=True, exist_ok=True)
        elif program == "ln":
            (self.folder / words[-1]).mkdir(parents=True, exist_ok=True)
        elif program.endswith("gdown"):
            self.make(words[words.index("-O") + 1])
        else:
            assert (program, words) == (".venv/bin/pip", ["install", "gdown"])

    def _stock(self, words: list[str], line: str) -> None:
        """A tool of mmdet3d in a folder of its own: its preparation, or a config that starts from an encoder."""
        assert line.startswith("env -C stock ")
        tool = next(word for word in words if word.endswith(".py"))
        assert (REPOSITORY / tool).is_file(), line
        if tool.endswith("create_data.py"):
            self.make("stock/data/nuscenes/nuscenes_infos_train.pkl")
            return
        self.expect("stock/data/nuscenes/nuscenes_infos_train.pkl", line)
        recipe = next(word for word in words if word.startswith("configs/"))
        config = Config.fromfile(REPOSITORY / recipe)
        is_baseline = "--cfg-options" in words
        if is_baseline:
            config.merge_from_dict(parse_options(words[words.index("--cfg-options") + 1 :]))
        model = config.model
        starts = [part.get("init_cfg") or {} for part in (model, model.get("backbone", {}), model.get("neck", {}))]
        checkpoints = {start["checkpoint"] for start in starts if "checkpoint" in start}
        files = {name for name in checkpoints if "://" not in name}
        assert len(files) == (0 if is_baseline else 1), line
        assert ("--work-dir" in words) == is_baseline, line
        for name in files:
            self.expect(name, line)

    def export_to_mmdet3d(self, given: argparse.Namespace, line: str) -> None:
        self.expect(given.encoder, line)
        self.make(given.out)

    def _read(self, given: argparse.Namespace, line: str) -> object:
        config = load_config(
            given.config, given.data_root, parse_options(given.cfg_options), getattr(given, "scratch", False)
        )
        self.configs.append((line, config, self.processes))
        return config

    def make_synthetic_nuscenes(self, given: argparse.Namespace, line: str) -> None:
        assert given.benchmark in BENCHMARKS
        given.out.mkdir(parents=True)

    def create_data(self, given: argparse.Namespace, line: str) -> None:
        splits = ("test",) if given.version == "v1.0-test" else ("train", "val")
        self.make(*(given.root / f"nuscenes_infos_{split}.pkl" for split in splits))
        if given.image_crops:
            self.make(given.root / "nuscenes_gt_database_train/index.pkl")

    def gpu_check(self, given: argparse.Namespace, line: str) -> None:
        self.make(*(file for file in (given.json, given.markdown) if file))

    def check_data(self, given: argparse.Namespace, line: str) -> None:
        self.expect(given.infos, line)

    def train(self, given: argparse.Namespace, line: str) -> None:
        config = self._read(given, line)
        train = config.train_dataloader.dataset
        train = train.get("dataset", train)
        infos = [train.ann_file] if isinstance(train.ann_file, str) else train.ann_file
        for name in infos:
            self.expect(Path(train.data_root, name), line)
        if "GroundTruthSampling" in str(train.pipeline):
            self.expect(Path(train.data_root, "nuscenes_gt_database_train/index.pkl"), line)
        start = config.model.get("init_cfg")
        encoder = config.model.encoder
        weights = encoder.get("camera", encoder).get("img_backbone", {}).get("weights")
        if start is not None:
            self.expect(start.checkpoint, line)
        # A hub id is nobody's file; what is a path has to be there.
        elif weights is not None and weights.count("/") > 1:
            self.expect(weights, line)
        work_dir = given.work_dir or Path("work_dirs") / (given.config.stem + ("_scratch" if given.scratch else ""))
        if given.resume:
            self.expect(work_dir / "last_checkpoint", line)
        self.make(work_dir / "last_checkpoint")
        if "EncoderExportHook" in str(config.get("custom_hooks")):
            self.make(work_dir / "encoder.safetensors")
        if folder := (config.val_evaluator or {}).get("submission_dir"):
            self.make(Path(folder.replace("{work_dir}", str(work_dir)), "results_nusc.json"))

    def velocity_errors(self, given: argparse.Namespace, line: str) -> None:
        assert len(given.submissions) == 2
        for path in (*given.submissions, given.data_root / given.ann_file):
            self.expect(path, line)

    def merge_checkpoints(self, given: argparse.Namespace, line: str) -> None:
        for source in (given.camera, given.lidar):
            self.expect(source if source.suffix else source / "last_checkpoint", line)
        # What is merged, is what the recipe, or its baseline, starts from.
        config = load_config(given.config)
        starts = {config.model.init_cfg.checkpoint, config.scratch.get("model.init_cfg.checkpoint")}
        assert str(given.out) in starts or given.config.parent.name == "tiny"
        assert str(given.camera).endswith("_scratch") == str(given.lidar).endswith("_scratch")
        self.make(given.out)

    def test(self, given: argparse.Namespace, line: str) -> None:
        config = self._read(given, line)
        self.expect(given.checkpoint / "last_checkpoint", line)
        dataset = config.test_dataloader.dataset
        self.expect(Path(dataset.data_root, dataset.ann_file), line)
        assert not given.tta or "tta_pipeline" in config
        if "submission_dir" in config.test_evaluator:
            name = "lidarseg_submission.zip" if "lidarseg" in given.config.stem else "results_nusc.json"
            folder = config.test_evaluator.submission_dir.replace("{work_dir}", f"work_dirs/{given.config.stem}")
            self.make(Path(folder, name))

    def segmentation_study(self, given: argparse.Namespace, line: str) -> None:
        for protocol, path in given.config:
            assert protocol in path.stem or protocol == "finetune"
            assert Path(path).is_file(), path
        for _, path in given.pretrained:
            self.expect(path, line)
        self.make(given.json)

    def transfer_study(self, given: argparse.Namespace, line: str) -> None:
        study = study_of(given, REPOSITORY)
        for model in study.models:
            assert Path(study.configs[model]).is_file(), model
            self.expect(study.data_root / "nuscenes_infos_train.pkl", line)
        files = study.given()
        for name in study.encoder_names():
            if name in files:
                self.expect(files[name], line)
            else:
                assert study.pretraining_recipe(name)[0].is_file(), name
                self.make(study.encoder_of(name))
        self.make(given.json or given.out / "study.json")

    def render(self, given: argparse.Namespace, line: str) -> None:
        self._read(given, line)
        self.expect(given.checkpoint / "last_checkpoint", line)

    def export_encoder(self, given: argparse.Namespace, line: str) -> None:
        self._read(given, line)
        self.expect(given.checkpoint / "last_checkpoint", line)
        self.make(given.out or given.checkpoint / "encoder.safetensors")


@pytest.fixture(scope="module")
def route(tmp_path_factory: pytest.TempPathFactory) -> Route:
    """The route after all commands; it asserts that each is understood and finds what it starts from."""
    folder = tmp_path_factory.mktemp("route")
    for name in ("tools", "configs"):
        (folder / name).symlink_to(REPOSITORY / name)
    walked = Route(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for line in COMMANDS:
            walked.run(line)
    return walked


def test_each_command_is_understood_and_starts_from_what_one_above_it_makes(route):
    assert (route.folder / "work_dirs/submission/results_nusc.json").is_file()
    assert (route.folder / "work_dirs/submission_synthetic/results_nusc.json").is_file()
    assert any("velocity_errors.py" in line for line in COMMANDS)
    assert "```sh\n" not in TEXT
    archives = [str(path.relative_to(route.folder)) for path in route.folder.rglob("lidarseg_submission.zip")]
    assert any("_test" in name for name in archives)
    assert any("synthetic" in name for name in archives)
    # Every published detector and segmentor is on the way, and so is its baseline or its test recipe.
    trained = {Path(word).stem for line in COMMANDS if "tools/train.py" in line for word in shlex.split(line)}
    for folder in ("detection", "segmentation"):
        assert {path.stem for path in (REPOSITORY / "configs" / folder).glob("*.py")} <= trained


def test_the_batch_is_the_one_that_the_rate_is_for_or_both_are_scaled(route):
    trainings = [entry for entry in route.configs if "tools/train.py" in entry[0] and "auto_scale_lr" in entry[1]]
    assert len(trainings) > 15
    for line, config, processes in trainings:
        batch = processes * config.train_dataloader.batch_size
        assert config.auto_scale_lr.enable == (batch != config.auto_scale_lr.base_batch_size), line
    assert any(config.auto_scale_lr.enable for _, config, _ in trainings)


def test_what_it_says_on_the_way_is_so():
    names = re.findall(r"`([\w.…/*-]+\.py)`", TEXT)
    assert all((REPOSITORY / name).is_file() for name in names if not name.startswith("…"))
    config = load_config(REPOSITORY / "configs/detection/uvtr_fusion_convnext_s_vs0p075_4xb2_20e_nuscenes.py")
    for option in re.findall(r"`--cfg-options ([\w.]+)=", TEXT) + re.findall(r"\(in a fusion recipe `([\w.]+)=", TEXT):
        part = config
        if option.startswith("model.encoder.img_backbone"):
            continue
        for name in option.split("."):
            part = part[name]


def test_each_setting_of_segmentation_is_one_of_its_recipes_and_their_models_are_built_with_it():
    table = TEXT[TEXT.index("| setting | what it does |") :].split("\n\n")[0]
    changes = [
        change for line in table.splitlines()[2:] for change in re.findall(r"`([\w.]+=\S+?)`", line.split("|")[1])
    ]
    assert len(changes) > 15
    recipe = REPOSITORY / "configs/segmentation/lidarseg_unet_vs0p05_4xb3_50e_nuscenes.py"
    config = load_config(recipe, options=parse_options(changes))
    loss = MODELS.build(config.model.head).losses
    assert loss.class_weights == (1,) * len(LIDARSEG_CLASSES)
    (order,) = re.findall(r"`LIDARSEG_CLASSES`: ([^|]+) \|", table)
    assert tuple(order.split(", ")) == LIDARSEG_CLASSES
    for part in (config.test_evaluator, config.train_dataloader.dataset):
        assert set(part) - {"type"} <= _arguments(part.type)


def test_an_encoder_of_segmentation_gives_features_of_points(tmp_path, monkeypatch):
    (snippet,) = blocks(TEXT, "python")
    config = load_config(REPOSITORY / "configs/tiny/ponderv2_lidar_unet_synthetic.py")
    monkeypatch.chdir(tmp_path)
    encoder = MODELS.build(config.model.encoder)
    file = Path("work_dirs/ponderv2_lidar_unet_synthetic/encoder.safetensors")
    file.parent.mkdir(parents=True)
    export_encoder(encoder, file, config.model.encoder, config.model.data_preprocessor)
    namespace: dict = {}
    exec(snippet, namespace)
    assert namespace["features"].shape == (5000, 32)
    assert namespace["places"].found.float().mean() > 0.9


def _arguments(kind: type) -> set[str]:
    """Names of the arguments of a class and of those that it hands them on to."""
    return {name for part in kind.__mro__ for name in inspect.signature(part.__init__).parameters}


@pytest.mark.slow
def test_the_route_on_the_cpu_runs(tmp_path):
    for name in ("tools", "configs"):
        (tmp_path / name).symlink_to(REPOSITORY / name)
    section = TEXT[TEXT.index("\n## The same route on two CPU cores") :]
    lines = [line for block in blocks(section, "bash")[:2] for line in block.replace("\\\n", " ").splitlines()]
    assert len(lines) == 24
    # Studies have tests of their own; a short one would say nothing of this one.
    lines = [line for line in lines if "segmentation_study.py" not in line]
    for line in lines:
        done = subprocess.run(shorter(line), cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, f"{line}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    shown = "head from work_dirs/merged_synthetic.pth"
    assert shown in "".join(p.read_text() for p in (tmp_path / "work_dirs/uvtr_fusion_synthetic").glob("*/*.log"))
    assert (tmp_path / "work_dirs/submission_synthetic/results_nusc.json").is_file()


def shorter(line: str) -> list[str]:
    """A command on a small data set, with coarse volumes and two steps; the last of two equal options counts."""
    python, *words = shlex.split(line)
    assert python == ".venv/bin/python"
    tool, recipe = Path(words[0]).stem, next((word for word in words if word.startswith("configs/")), "")
    if "--benchmark" in words:
        at = words.index("--benchmark")
        del words[at : at + 2]
    own: list[str] = []
    if "--cfg-options" in words:
        at = words.index("--cfg-options")
        own, words = words[at + 1 :], words[:at]
    if tool in ("make_synthetic_nuscenes", "create_data", "check_data"):
        more = [word for word in SHORTER[tool] if word != "--no-paste-database"]
        return [sys.executable, *words, *more]
    if tool == "merge_checkpoints":
        return [sys.executable, *words]
    size, voxel = "size=(36,36,4)", "voxel_size=(0.375,0.375,0.25)"
    if "fusion" in recipe:
        options = [f"model.encoder.{part}.grid.{size}" for part in ("camera", "lidar")] + [
            f"model.encoder.lidar.{voxel}"
        ]
    else:
        options = [f"model.encoder.grid.{size}"] + [f"model.encoder.{voxel}"] * ("lidar" in recipe)
    if tool == "train":
        steps = ("train_cfg.max_iters", "train_cfg.val_interval", "default_hooks.checkpoint.interval")
        options += [f"{name}=2" for name in steps]
    if tool == "render":
        words += ["--samples", "1", "--stride", "4"]
    return [sys.executable, *words, "--cfg-options", *options, *own]
