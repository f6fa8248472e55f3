"""The runs of a transfer study: pre-trainings, detectors that start from them, and baselines from scratch."""

import argparse
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mmengine.config import Config, ConfigDict, DictAction

from ponderv2.engine import innermost_dataset, load_config

from .runs import Job, Launcher, StudyError, file_hash, launch, run_jobs

MODALITIES = ("camera", "lidar", "fusion")
INITS = ("scratch", "pretrained")
METRICS = ("NDS", "mAP")
ENCODER = "encoder.safetensors"
_PREFIX = "nuscenes/"


@dataclass(frozen=True)
class DetectorRun:
    """One detector of the study.

    Attributes:
        modality: its sensors, one of `MODALITIES`.
        fraction: share of the labelled frames that it is trained on.
        init: its start, one of `INITS`.
        seed: seed of the choice of frames and of the training.
    """

    modality: str
    fraction: float
    init: str
    seed: int

    @property
    def name(self) -> str:
        return f"{self.modality}_{self.fraction:g}_{self.init}_seed{self.seed}"


@dataclass(frozen=True)
class TransferStudy:
    """A comparison of pre-trained detectors with baselines from scratch.

    A pre-trained detector and the baseline of the same seed are trained on the same labelled frames with the same
    random numbers; they differ in `model.init_cfg` alone. One pre-training serves all fractions and seeds of a
    modality. It uses all frames of the training split, without their labels.

    Attributes:
        train_tool: path of tools/train.py.
        data_root: folder of the data.
        out: folder of the study.
        modalities: modalities to compare, of `MODALITIES`.
        fractions: shares of the labelled frames, see `ponderv2.datasets.choose_fraction`; frames are chosen with the
            seed of the run.
        seeds: seeds of the runs. There is a pair of runs for each modality, fraction and seed.
        configs: detector recipe of each modality, whose `model.init_cfg` names a checkpoint.
        pretrained: exported encoder or checkpoint of each modality; modalities without one are pre-trained first.
        pretrain_configs: pre-training recipe of each modality.
        options: changes to the detector recipes, as `key=value`.
        pretrain_options: changes to the pre-training recipes.
        dataset_key: key of the data set with `fraction` in a detector recipe; None takes the innermost data set of
            `train_dataloader`, inside wrappers such as class-balanced sampling.
        gpus: number of GPUs of one training; torchrun starts it when there are several.

    Raises:
        StudyError: when a list is empty or has duplicates, a fraction is not in (0, 1], or recipes or encoders are
            missing.
    """

    train_tool: Path
    data_root: Path
    out: Path
    modalities: tuple[str, ...]
    fractions: tuple[float, ...]
    seeds: tuple[int, ...]
    configs: Mapping[str, Path]
    pretrained: Mapping[str, Path] = field(default_factory=dict)
    pretrain_configs: Mapping[str, Path] = field(default_factory=dict)
    options: tuple[str, ...] = ()
    pretrain_options: tuple[str, ...] = ()
    dataset_key: str | None = None
    gpus: int = 1

    def __post_init__(self) -> None:
        for values, name in ((self.modalities, "modalities"), (self.fractions, "fractions"), (self.seeds, "seeds")):
            if not values or len(set(values)) != len(values):
                raise StudyError(f"--{name}: expected different values, at least one, got {list(values)}")
        wrong = [fraction for fraction in self.fractions if not 0 < fraction <= 1]
        if wrong:
            raise StudyError(f"--fractions: expected shares in (0, 1], got {wrong[0]}")
        for modality in self.modalities:
            if modality not in self.configs:
                raise StudyError(f"no detector recipe for {modality}: give --config {modality}=PATH")
            if modality not in self.pretrained and modality not in self.pretrain_configs:
                raise StudyError(
                    f"nothing to start {modality} from: give --pretrained {modality}=ENCODER, or "
                    f"--pretrain-config {modality}=RECIPE to make one"
                )
        missing = [str(path) for path in self.pretrained.values() if not path.is_file()]
        if missing:
            raise StudyError(f"--pretrained: {missing[0]} does not exist")

    def detector_runs(self) -> list[DetectorRun]:
        """Return all runs; seeds vary slowest, so that an interrupted study has complete pairs of all fractions."""
        return [
            DetectorRun(modality, fraction, init, seed)
            for seed in self.seeds
            for modality in self.modalities
            for fraction in self.fractions
            for init in INITS
        ]

    def run(self, parallel: int = 1, launcher: Launcher = launch) -> tuple[dict[DetectorRun, dict], dict[str, str]]:
        """Pre-train where needed, then train and evaluate every detector that has no result yet.

        Args:
            parallel: number of processes at a time.
            launcher: function that runs a command.

        Returns:
            Metrics of the finished runs, and the last lines of output of the failed ones by name. A run whose
            pre-training failed counts as failed.

        Raises:
            StudyError: when `out` holds runs with other settings.
        """
        needed = [m for m in self.modalities if m not in self.pretrained]
        pretrained, failures = (
            run_jobs([self.pretraining(m) for m in needed], parallel, launcher) if needed else ({}, {})
        )
        encoders = dict(self.pretrained)
        encoders |= {m: self._pretrain_folder(m) / ENCODER for m in needed if f"pretrain/{m}" in pretrained}
        jobs = {}
        for run in self.detector_runs():
            if run.init == "pretrained" and run.modality not in encoders:
                failures[f"runs/{run.name}"] = f"  pre-training of {run.modality} failed"
            else:
                jobs[run] = self.detector(run, encoders.get(run.modality))
        results, failed = run_jobs(list(jobs.values()), parallel, launcher)
        done = {run: results[job.name]["result"] for run, job in jobs.items() if job.name in results}
        return done, failures | failed

    def pretraining(self, modality: str) -> Job:
        """Return the job of pre-training one modality."""
        path = self.pretrain_configs[modality]
        config = _load(path, self.pretrain_options)
        settings = {"recipe": path.name, "recipe_sha256": _text_hash(config)} | self._data(config)
        return Job(
            self._pretrain_folder(modality), self._command(path, self.pretrain_options), settings, _exported_encoder
        )

    def detector(self, run: DetectorRun, encoder: Path | None) -> Job:
        """Return the job of training one detector and of evaluating it at the end.

        Args:
            run: the detector.
            encoder: encoder that a pre-trained detector starts from; not read for a baseline.

        Raises:
            StudyError: when the recipe does not start from a checkpoint, or data are missing.
        """
        path = self.configs[run.modality]
        config = _load(path, self.options)
        key = self.dataset_key or _dataset_key(config, path)
        if not isinstance(config.model.get("init_cfg"), Mapping):
            raise StudyError(
                f"{path}: model.init_cfg is {config.model.get('init_cfg')}, expected dict(checkpoint=...): the study "
                "compares starting from a checkpoint with model.init_cfg=None"
            )
        if run.init == "pretrained":
            start = [f"model.init_cfg.checkpoint={encoder}"]
        else:
            start = [f"{k}={v}" for k, v in config.get("scratch", {"model.init_cfg": None}).items()]
        options = [
            *self.options,
            f"{key}.fraction={run.fraction}",
            f"{key}.fraction_seed={run.seed}",
            f"randomness.seed={run.seed}",
            *start,
        ]
        settings = {
            "recipe": path.name,
            "recipe_sha256": _text_hash(config),
            "dataset_key": key,
            "fraction": run.fraction,
            "seed": run.seed,
            "init": run.init,
            "checkpoint_sha256": file_hash(encoder) if run.init == "pretrained" else None,
        } | self._data(config)
        return Job(self.out / "runs" / run.name, self._command(path, options), settings, validations)

    def _command(self, recipe: Path, options: Sequence[str]) -> tuple[str, ...]:
        """Return the command without the interpreter."""
        command = (str(self.train_tool), str(recipe), "--data-root", str(self.data_root))
        if self.gpus > 1:
            torchrun = ("-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={self.gpus}")
            command = (*torchrun, *command, "--launcher", "pytorch")
        return (*command, "--cfg-options", *options) if options else command

    def _pretrain_folder(self, modality: str) -> Path:
        return self.out / "pretrain" / modality

    def _data(self, config: Config) -> dict:
        """Return the hashes of the info files, by which data that changed are recognised."""
        loaders = (config.train_dataloader, config.val_dataloader)
        names = sorted({name for loader in loaders for name in _ann_files(loader)})
        missing = [name for name in names if not (self.data_root / name).is_file()]
        if missing:
            raise StudyError(f"--data-root {self.data_root} has no {missing[0]}; make it with tools/create_data.py")
        return {name: file_hash(self.data_root / name) for name in names}


def validations(work_dir: Path) -> dict | None:
    """Return the official score of the last validation of a training, and under "earlier" the scores before it.

    The keys of earlier scores are the last training step that was logged before, because mmengine logs validations of
    training by iterations with the step 0. The result is None when there is no validation since the training was last
    started, because it has not ended then. Of two validations at the same step, before and after resuming, the later
    one counts.

    Args:
        work_dir: work dir of the training.
    """
    logs = sorted(work_dir.glob("*/vis_data/scalars.json"))
    if not logs:
        return None
    by_step: dict[str, dict] = {}
    for log in logs:
        step, last = 0, None
        for line in map(json.loads, filter(str.strip, log.read_text().splitlines())):
            step = line.get("iter", step)
            if all(_PREFIX + name in line for name in METRICS):
                last = str(step)
                by_step[last] = {k.removeprefix(_PREFIX): v for k, v in line.items() if k.startswith(_PREFIX)}
    if last is None:
        return None
    score = by_step.pop(last)
    return score | ({"earlier": by_step} if by_step else {})


def _exported_encoder(work_dir: Path) -> dict | None:
    path = work_dir / ENCODER
    return {"sha256": file_hash(path)} if path.is_file() else None


def _load(path: Path, options: Sequence[str]) -> Config:
    return load_config(path, options=parse_options(options))


def parse_options(options: Sequence[str]) -> dict:
    """Parse `key=value` texts as tools/train.py does.

    Raises:
        StudyError: when a text has no "=".
    """
    wrong = [option for option in options if "=" not in option]
    if wrong:
        raise StudyError(f"--cfg-options: expected key=value, got {wrong[0]!r}")
    parser = argparse.ArgumentParser()
    parser.add_argument("--options", nargs="*", action=DictAction, default={})
    return parser.parse_args(["--options", *options]).options if options else {}


def _text_hash(config: Config) -> str:
    return hashlib.sha256(config.pretty_text.encode()).hexdigest()


def _dataset_key(config: Config, path: Path) -> str:
    """Return the key of the training data set, whose fraction the study sets."""
    key, dataset = innermost_dataset(config.train_dataloader)
    if "ann_file" not in dataset:
        raise StudyError(f"{path}: train_dataloader.{key} has no ann_file; say where the data set is: --dataset-key")
    return f"train_dataloader.{key}"


def _ann_files(loader: ConfigDict) -> list[str]:
    files = innermost_dataset(loader)[1].ann_file
    return [files] if isinstance(files, str) else list(files)
