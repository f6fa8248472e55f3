"""The runs of a transfer study: pre-trainings, detectors that start from them, and what they are compared with."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mmengine.config import Config

from ponderv2.datasets import how_to_make_infos
from ponderv2.engine import load_config, parse_options

from .processes import launch
from .recipe_parts import dataset_at, hooks_of, info_files, training_dataset_key
from .runs import Job, Launcher, StudyError, file_hash, run_jobs
from .validation_log import validations

INITS = ("scratch", "pretrained")
"""What is compared."""

FROZEN, CONSTANT = "frozen", "constant"
"""What it stands beside: a detector whose encoder stays as the baseline's starts, and boxes that see no sensor."""

ENCODER = "encoder.safetensors"
_NEVER = 2**31 - 1
_text_hashes: dict[str, str] = {}


@dataclass(frozen=True)
class DetectorRun:
    """One detector of the study.

    Attributes:
        modality: its sensors, one of `MODALITIES`.
        fraction: share of the labelled frames that it is trained on.
        init: its start, one of `INITS`, `FROZEN` or `CONSTANT`.
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

    Both stand beside two references for the same labelled frames: a baseline whose encoder is frozen as it starts
    (random, or with the weights that the recipe's baseline names), trained as long, and the
    constant predictor, see `constant_scores`.

    Attributes:
        train_tool: path of tools/train.py.
        data_root: folder of the data.
        out: folder of the study.
        modalities: modalities to compare, of `MODALITIES`.
        fractions: shares of the labelled frames, see `ponderv2.datasets.choose_fraction`; frames are chosen with the
            seed of the run.
        seeds: seeds of the runs. There are a pair of runs and two references for each modality, fraction and seed.
        configs: detector recipe of each modality, whose `model.init_cfg` names a checkpoint.
        pretrained: exported encoder or checkpoint of each modality; modalities without one are pre-trained first.
        pretrain_configs: pre-training recipe of each modality.
        options: changes to the detector recipes, as `key=value`.
        pretrain_options: changes to the pre-training recipes.
        dataset_key: key of the data set with `fraction` in a detector recipe; None takes the innermost data set of
            `train_dataloader`, inside wrappers such as class-balanced sampling.
        gpus: number of GPUs of one training; torchrun starts it when there are several.

    Raises:
        StudyError: when a list is empty or has duplicates, a fraction is not in (0, 1], or a modality has no recipe
            or nothing to start from.
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

    def detector_runs(self) -> list[DetectorRun]:
        """Return all trainings; seeds vary slowest, so that an interrupted study has whole pairs of all fractions."""
        return [
            DetectorRun(modality, fraction, init, seed)
            for seed in self.seeds
            for modality in self.modalities
            for fraction in self.fractions
            for init in (*INITS, FROZEN)
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
        encoders |= {m: self.encoder_of(m) for m in needed if f"pretrain/{m}" in pretrained}
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
        path, config = self.pretrain_configs[modality], self.pretraining_config(modality)
        settings = {"recipe": path.name, "recipe_sha256": _text_hash(config)} | self.data_hashes(config)
        return Job(
            self._pretrain_folder(modality), self._command(path, self.pretrain_options), settings, _exported_encoder
        )

    def pretraining_config(self, modality: str) -> Config:
        """Return the recipe of pre-training one modality, with its options."""
        return _load(self.pretrain_configs[modality], self.pretrain_options)

    def encoder_of(self, modality: str) -> Path:
        """Return the file that pre-trained detectors start from: the one that is given, or that is made first."""
        return self.pretrained.get(modality, self._pretrain_folder(modality) / ENCODER)

    def detector(self, run: DetectorRun, encoder: Path | None) -> Job:
        """Return the job of training one detector and of evaluating it at the end.

        Args:
            run: the detector.
            encoder: encoder that a pre-trained detector starts from; not read for the others.

        Raises:
            StudyError: when the recipe does not start from a checkpoint, or data are missing.
        """
        path = self.configs[run.modality]
        config = _load(path, self.options)
        if not isinstance(config.model.get("init_cfg"), Mapping):
            raise StudyError(
                f"{path}: model.init_cfg is {config.model.get('init_cfg')}, expected dict(checkpoint=...): the study "
                "compares starting from a checkpoint with model.init_cfg=None"
            )
        key = self.dataset_key or training_dataset_key(config, path)
        options = self._all_options(run, encoder, config, key)
        settings = {
            "recipe": path.name,
            "recipe_sha256": _text_hash(config),
            "dataset_key": key,
            "fraction": run.fraction,
            "seed": run.seed,
            "init": run.init,
            "checkpoint_sha256": file_hash(encoder) if run.init == "pretrained" else None,
        } | self.data_hashes(config)
        return Job(self.out / "runs" / run.name, self._command(path, options), settings, validations)

    def config_to_train(self, run: DetectorRun, encoder: Path | None) -> Config:
        """Return the recipe of a run as its training gets it; `encoder` as in `detector`."""
        path = self.configs[run.modality]
        config, key = self.config_of(run)
        return load_config(path, self.data_root, parse_options(self._all_options(run, encoder, config, key)))

    def config_of(self, run: DetectorRun) -> tuple[Config, str]:
        """Return the recipe of a run with its labelled frames chosen, and the key of its training data set."""
        path = self.configs[run.modality]
        config = _load(path, self.options)
        key = self.dataset_key or training_dataset_key(config, path)
        dataset_at(config, key, path)
        config.merge_from_dict(parse_options(self._options_of(run, key)))
        return config, key

    def _all_options(self, run: DetectorRun, encoder: Path | None, config: Config, key: str) -> list[str]:
        if run.init == "pretrained":
            start = [f"model.init_cfg.checkpoint={encoder}"]
        else:
            start = [f"{k}={v}" for k, v in config.get("scratch", {"model.init_cfg": None}).items()]
        if run.init == FROZEN:
            # A warm-up of the head that never ends.
            warm_ups = hooks_of(config, "UnfreezeEncoderHook")
            start += ["model.freeze_encoder=True", *(f"custom_hooks.{k}.after={_NEVER}" for k in warm_ups)]
        return [*self._options_of(run, key), *start]

    def _options_of(self, run: DetectorRun, key: str) -> list[str]:
        return [
            *self.options,
            f"{key}.fraction={run.fraction}",
            f"{key}.fraction_seed={run.seed}",
            f"randomness.seed={run.seed}",
        ]

    def _command(self, recipe: Path, options: Sequence[str]) -> tuple[str, ...]:
        """Return the command without the interpreter."""
        command = (str(self.train_tool), str(recipe), "--data-root", str(self.data_root))
        if self.gpus > 1:
            torchrun = ("-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={self.gpus}")
            command = (*torchrun, *command, "--launcher", "pytorch")
        return (*command, "--cfg-options", *options) if options else command

    def _pretrain_folder(self, modality: str) -> Path:
        return self.out / "pretrain" / modality

    def data_hashes(self, config: Config) -> dict[str, str]:
        """Return the hashes of the info files of a recipe, by which data that changed are recognised.

        Raises:
            StudyError: an info file is missing.
        """
        missing = self.missing_info_files(config)
        if missing:
            raise StudyError(f"--data-root {self.data_root} has no {missing[0]}; {how_to_make_infos(self.data_root)}")
        return {name: file_hash(self.data_root / name) for name in _info_files(config)}

    def missing_info_files(self, config: Config) -> list[str]:
        """Return the info files of a recipe that the folder of the data does not have."""
        return [name for name in _info_files(config) if not (self.data_root / name).is_file()]


def _exported_encoder(work_dir: Path) -> dict | None:
    path = work_dir / ENCODER
    return {"sha256": file_hash(path)} if path.is_file() else None


def _load(path: Path, options: Sequence[str]) -> Config:
    return load_config(path, options=parse_options(options))


def _text_hash(config: Config) -> str:
    # Formatting a recipe takes a second, and a study asks for its hash with every run.
    content = repr(config.to_dict())
    if content not in _text_hashes:
        _text_hashes[content] = hashlib.sha256(config.pretty_text.encode()).hexdigest()
    return _text_hashes[content]


def _info_files(config: Config) -> list[str]:
    return sorted({name for loader in (config.train_dataloader, config.val_dataloader) for name in info_files(loader)})
