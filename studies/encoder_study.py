"""What all studies of encoders share: pre-trainings, trainings that start from them, and baselines from scratch."""

import hashlib
import json
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

from mmengine.config import Config, ConfigDict

from ponderv2.datasets import how_to_make_infos
from ponderv2.engine import load_config, parse_options

from .encoder_rates import encoder_rate_options
from .processes import launch
from .recipe_parts import dataset_at, info_files_of, text_hash, training_dataset_key
from .runs import TRUE_BOXES, Job, Launcher, StudyError, file_hash, run_jobs
from .study_plan import StudyPlan
from .study_run import Run
from .true_boxes import table_hashes

ENCODER = "encoder.safetensors"


@dataclass(frozen=True)
class PretrainingJob(Job):
    """A pre-training. It is finished where its encoder is the one of its result, by hash."""

    def finished(self) -> dict | None:
        """Return what `Job.finished` does.

        Raises:
            StudyError: as `Job.finished`, or the encoder is gone or another one.
        """
        done = super().finished()
        if done is not None and self.result(self.folder) != done["result"]:
            raise StudyError(
                f"{self.folder / ENCODER} is not the encoder that was made there ({done['result'].get('sha256')}); put "
                f"that one back, or remove {self.folder} to pre-train anew"
            )
        return done


@dataclass(frozen=True, kw_only=True)
class EncoderStudy(StudyPlan):
    """A plan with what runs it: the command of each training, its settings, and where its result is."""

    @abstractmethod
    def result_of(self, work_dir: Path) -> dict | None:
        """Read the scores of a training that has ended; None where there are none."""

    @abstractmethod
    def metric_of(self, config: Config, path: Path) -> ConfigDict:
        """Return the config of the metric of a recipe whose scores the study compares.

        Raises:
            StudyError: the recipe has none.
        """

    def run(self, parallel: int = 1, launcher: Launcher = launch) -> tuple[dict[Run, dict], dict[str, str]]:
        """Pre-train where needed, then train and evaluate everything that has no result yet.

        Args:
            parallel: number of processes at a time.
            launcher: function that runs a command.

        Returns:
            Metrics of the finished runs, and the last lines of output of the failed ones by name. A run whose
            pre-training failed counts as failed.

        Raises:
            StudyError: when `out` holds runs with other settings.
        """
        done, failures = self.run_trainings(parallel, launcher)
        return {run: found["result"] for run, found in done.items()}, failures

    def run_trainings(self, parallel: int = 1, launcher: Launcher = launch) -> tuple[dict[Run, dict], dict[str, str]]:
        """Do as `run` does; what is returned of finished runs has `settings`, `result` and `minutes`."""
        encoders = self.given()
        needed = [name for name in self.encoder_names() if name not in encoders]
        pretrained, failures = (
            run_jobs([self.pretraining(name) for name in needed], parallel, launcher) if needed else ({}, {})
        )
        encoders |= {name: self.encoder_of(name) for name in needed if f"pretrain/{name}" in pretrained}
        jobs = {}
        for run in self.runs():
            encoder = self.encoder_name(run)
            if encoder is not None and encoder not in encoders:
                failures[f"runs/{run.name}"] = f"  pre-training of {encoder} failed"
            else:
                jobs[run] = self.training(run, encoders.get(encoder))
        results, failed = run_jobs(list(jobs.values()), parallel, launcher)
        return {run: results[job.name] for run, job in jobs.items() if job.name in results}, failures | failed

    def pretraining(self, name: str) -> PretrainingJob:
        """Return the job of a pre-training."""
        (path, options), config = self.pretraining_recipe(name), self.pretraining_config(name)
        settings = {"recipe": path.name, "recipe_sha256": text_hash(config)} | self.data_hashes(config)
        settings |= self._processes()
        return PretrainingJob(self._pretrain_folder(name), self._command(path, options), settings, _exported_encoder)

    def pretraining_config(self, name: str) -> Config:
        """Return the recipe of a pre-training with its options."""
        return _load(*self.pretraining_recipe(name))

    def encoder_of(self, name: str) -> Path:
        """Return the file that runs start from: the one that is given, or that is made first."""
        return self.given().get(name, self._pretrain_folder(name) / ENCODER)

    def encoder_for(self, run: Run) -> Path | None:
        """Return the file that a run starts from; None for one that starts from none."""
        name = self.encoder_name(run)
        return None if name is None else self.encoder_of(name)

    def training(self, run: Run, encoder: Path | None) -> Job:
        """Return the job of one training and of evaluating it at the end.

        Args:
            run: the training.
            encoder: encoder that it starts from; not read for those that start from none.

        Raises:
            StudyError: when the recipe does not start from a checkpoint, or data are missing.
        """
        path = self.configs[run.recipe]
        config = _load(path, self.run_options(run))
        if not isinstance(config.model.get("init_cfg"), Mapping):
            raise StudyError(
                f"{path}: model.init_cfg is {config.model.get('init_cfg')}, expected dict(checkpoint=...): the study "
                "compares starting from a checkpoint with model.init_cfg=None"
            )
        key = self.dataset_key or training_dataset_key(config, path)
        options = self._all_options(run, encoder, config, key)
        settings = {
            "recipe": path.name,
            "recipe_sha256": text_hash(config),
            "dataset_key": key,
            "fraction": run.fraction,
            "seed": run.seed,
            "init": run.init,
            "checkpoint_sha256": None if self.encoder_name(run) is None else file_hash(encoder),
        } | self.data_hashes(config)
        settings |= self._processes() | self.protocol_settings(run) | self.true_boxes
        if run.pretrain_seed is not None:
            settings["training_seed"] = run.training_seed
        return Job(self.out / "runs" / run.name, self._command(path, options), settings, self.result_of)

    def run_options(self, run: Run) -> tuple[str, ...]:
        """Return the changes to the recipe of a run, but for its labels, seed and start."""
        options = (*self.options, *self.of_recipe.get(run.recipe, ()), *self.of_start.get(run.init, ()))
        rate = self.encoder_rate(run)
        if rate is None:
            return options
        return (*options, *_rate_options(self.configs[run.recipe], options, rate))

    def config_to_train(self, run: Run, encoder: Path | None) -> Config:
        """Return the recipe of a run as its training gets it; `encoder` as in `training`."""
        config, key = self.config_of(run)
        options = parse_options(self._all_options(run, encoder, config, key))
        return load_config(self.configs[run.recipe], self.data_root, options)

    def config_of(self, run: Run) -> tuple[Config, str]:
        """Return the recipe of a run with its labelled frames chosen, and the key of its training data set."""
        path = self.configs[run.recipe]
        config = _load(path, self.run_options(run))
        key = self.dataset_key or training_dataset_key(config, path)
        dataset_at(config, key, path)
        config.merge_from_dict(parse_options(self._options_of(run, key)))
        return config, key

    def start_of(self, run: Run, encoder: Path | None, config: Config) -> list[str]:
        """Return the options by which a run starts from an encoder, or as the baseline that the recipe names."""
        if self.encoder_name(run) is not None:
            return [f"model.init_cfg.checkpoint={encoder}"]
        return [f"{k}={v}" for k, v in config.get("scratch", {"model.init_cfg": None}).items()]

    def protocol_settings(self, run: Run) -> dict[str, bool]:
        """Return what `start_of` changes beside the start, as settings; nothing for a run that it does not change."""
        return {}

    def data_hashes(self, config: Config) -> dict[str, str]:
        """Return the hashes of the info files of a recipe, by which data that changed are recognised.

        Raises:
            StudyError: an info file is missing.
        """
        missing = self.missing_info_files(config)
        if missing:
            raise StudyError(f"--data-root {self.data_root} has no {missing[0]}; {how_to_make_infos(self.data_root)}")
        return {name: file_hash(self.data_root / name) for name in info_files_of(config)}

    @cached_property
    def true_boxes(self) -> dict[str, str]:
        """The hash of the tables of the true boxes as a setting of what is scored by them; nothing without tables."""
        tables = table_hashes(self.data_root)
        return {TRUE_BOXES: hashlib.sha256(json.dumps(tables).encode()).hexdigest()} if tables else {}

    def missing_info_files(self, config: Config) -> list[str]:
        """Return the info files of a recipe that the folder of the data does not have."""
        return [name for name in info_files_of(config) if not (self.data_root / name).is_file()]

    def _processes(self) -> dict[str, int]:
        """Return the number of GPUs as a setting, as it changes the batch; nothing for one, the number of most runs."""
        return {"gpus": self.gpus} if self.gpus > 1 else {}

    def _all_options(self, run: Run, encoder: Path | None, config: Config, key: str) -> list[str]:
        return [*self._options_of(run, key), *self.start_of(run, encoder, config)]

    def _options_of(self, run: Run, key: str) -> list[str]:
        return [
            *self.run_options(run),
            f"{key}.fraction={run.fraction}",
            f"{key}.fraction_seed={run.seed}",
            f"randomness.seed={run.training_seed}",
        ]

    def _command(self, recipe: Path, options: Sequence[str]) -> tuple[str, ...]:
        """Return the command without the interpreter."""
        command = (str(self.train_tool), str(recipe), "--data-root", str(self.data_root))
        if self.gpus > 1:
            torchrun = ("-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={self.gpus}")
            command = (*torchrun, *command, "--launcher", "pytorch")
        return (*command, "--cfg-options", *options) if options else command

    def _pretrain_folder(self, name: str) -> Path:
        return self.out / "pretrain" / name


@cache
def _rate_options(path: Path, options: tuple[str, ...], rate: float) -> list[str]:
    return encoder_rate_options(_load(path, options), path, rate)


def _exported_encoder(work_dir: Path) -> dict | None:
    path = work_dir / ENCODER
    return {"sha256": file_hash(path)} if path.is_file() else None


def _load(path: Path, options: Sequence[str]) -> Config:
    return load_config(path, options=parse_options(options))
