"""The runs of a transfer study: pre-trainings, models that start from them, and what they are compared with."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mmengine.config import Config, ConfigDict

from .arguments import SCRATCH
from .encoder_study import EncoderStudy
from .recipe_parts import hooks_of, metric_names, scoring_metric
from .runs import StudyError
from .study_run import Run
from .validation_log import METRICS, SEGMENTATION_METRICS, segmentation_validations, validations

PRETRAINED = "pretrained"
"""The start that a model has where no other name is given."""
FROZEN, CONSTANT = "frozen", "constant"
"""What it stands beside: a model whose encoder stays as the baseline's starts, and boxes that see no sensor."""
REFERENCES = (CONSTANT, FROZEN)
DETECTION_METRIC, SEGMENTATION_METRIC = "PonderNuScenesMetric", "LidarSegMetric"

_NEVER = 2**31 - 1


@dataclass(frozen=True, kw_only=True)
class TransferStudy(EncoderStudy):
    """A comparison of models on pre-trained encoders with baselines from scratch.

    Models are detectors, and segmentors, whose recipes are scored by `LidarSegMetric`. A pre-training serves all
    fractions, fine-tuning seeds and models that have its recipe. With `pretrain_seeds`, every fine-tuning seed is
    paired with every one of them: a pair shares its labelled frames, which the fine-tuning seed chooses, and its random
    numbers, which both seeds choose, see `Run.training_seed`. So both sides have as many trainings.

    Beside each pair stand two references with the same labelled frames: a baseline whose encoder is frozen as it
    starts (random, or with the weights that the recipe's baseline names), trained as long, once for each fine-tuning
    seed, and for detectors the constant predictor, see `constant_scores`.

    Keys of `pretrained` and `pretrain_configs` are a model, for its start `PRETRAINED`, or `model:start`.

    Attributes:
        models: names of the models to compare, keys of `configs`.
        starts: names of the pre-trainings; a model has those that it has keys of.
        same_encoder: starts that have their encoder of another one, or `SCRATCH`, and changes of their own.
        frozen: models whose encoder stays frozen with every start, which is the protocol of a probe.
        own_fractions: shares of the labelled frames of models that have others.
        references: which of `REFERENCES` are run.

    Raises:
        StudyError: when a list is empty or has duplicates, a fraction is not in (0, 1], a model has no recipe or
            nothing to start from, a cell or a model that is named is not in the study, two pre-trainings would have one
            name, or seeds would be used twice.
    """

    models: tuple[str, ...]
    starts: tuple[str, ...] = (PRETRAINED,)
    same_encoder: Mapping[str, str] = field(default_factory=dict)
    frozen: tuple[str, ...] = ()
    own_fractions: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    references: tuple[str, ...] = REFERENCES

    def __post_init__(self) -> None:
        lists = {"models": self.models, "fractions": self.fractions, "seeds": self.seeds, "starts": self.starts}
        if self.pretrain_seeds:
            lists["pretrain-seeds"] = self.pretrain_seeds
        self.check_lists(lists | {f"fractions {model}": shares for model, shares in self.own_fractions.items()})
        self._check_names()
        self._check_starts()
        self.check_cells()
        self.check_pretrain_seeds()
        self.check_folders()
        self.check_changes()
        drawn = [Run("", 0, "", *seeds).training_seed for seeds in self.trainings]
        if len(set(drawn)) < len(drawn):
            raise StudyError(
                "--seeds, --pretrain-seeds: two pairs would have the same random numbers; expected seeds below 1000"
            )

    @property
    def recipes(self) -> tuple[str, ...]:
        """The models."""
        return self.models

    @property
    def trainings(self) -> tuple[tuple[int, int | None], ...]:
        """Every fine-tuning seed with every pre-training seed; fine-tuning seeds vary slowest."""
        return tuple((seed, p) for seed in self.seeds for p in self.pretrain_seeds or (None,))

    @property
    def pairs_all_seeds(self) -> bool:
        """Every fine-tuning seed is paired with every pre-training seed."""
        return True

    def fractions_of(self, recipe: str) -> tuple[float, ...]:
        """Return the shares of the labelled frames that a model is trained on."""
        return self.own_fractions.get(recipe, self.fractions)

    def starts_of(self, recipe: str) -> tuple[str, ...]:
        """Return the starts of a model."""
        return tuple(start for start in self.starts if self._has(recipe, start))

    def inits_of(self, recipe: str, fraction: float) -> tuple[str, ...]:
        """Return all starts of a model and share, and its frozen baseline; from scratch, a frozen model is that."""
        frozen = (FROZEN,) if FROZEN in self.references and recipe not in self.frozen else ()
        return (*super().inits_of(recipe, fraction), *frozen)

    def runs(self) -> list[Run]:
        """Return all trainings, see `StudyPlan.runs`; frozen baselines are trained once for each fine-tuning seed."""
        first = next(iter(self.pretrain_seeds), None)
        return [run for run in super().runs() if run.init != FROZEN or run.pretrain_seed == first]

    def source(self, run: Run) -> str:
        """Return the start that a run has its encoder of."""
        return self.same_encoder.get(run.init, run.init)

    def encoder_key(self, run: Run) -> str | None:
        """Return the model and start of a pre-trained run, None for the others."""
        start = self.source(run)
        return None if start in (SCRATCH, FROZEN) else key_of(run.recipe, start)

    def pretrain_seed(self, run: Run) -> int | None:
        """Return the pre-training seed of a run."""
        return run.pretrain_seed

    def pretraining_name(self, key: str) -> str:
        """Return the name of a pre-training: that of its recipe, with its start; models that share both share it."""
        _, _, start = key.partition(":")
        stem = self.pretrain_configs[key].stem
        return f"{stem}_{start}" if start else stem

    def result_of(self, work_dir: Path) -> dict | None:
        """Read the official scores of a training, see `validations`."""
        return validations(work_dir) or segmentation_validations(work_dir)

    def metric_of(self, config: Config, path: Path) -> ConfigDict:
        """Return the config of a recipe's official metric."""
        return scoring_metric(config, path, DETECTION_METRIC, SEGMENTATION_METRIC)

    def metrics_of(self, config: Config) -> tuple[str, ...]:
        """Return the names of the scores of a recipe that are compared."""
        return SEGMENTATION_METRICS if SEGMENTATION_METRIC in metric_names(config) else METRICS

    def start_of(self, run: Run, encoder: Path | None, config: Config) -> list[str]:
        """Return the options of a start; a frozen baseline starts as the baseline does."""
        start = super().start_of(run, encoder, config)
        if run.init == FROZEN or run.recipe in self.frozen:
            # A warm-up of the head that never ends.
            warm_ups = hooks_of(config, "UnfreezeEncoderHook")
            start += ["model.freeze_encoder=True", *(f"custom_hooks.{k}.after={_NEVER}" for k in warm_ups)]
        return start

    def protocol_settings(self, run: Run) -> dict[str, bool]:
        """Return that the encoder is frozen; frozen baselines are told from others by their start."""
        return {"frozen": True} if run.recipe in self.frozen else {}

    def rate_of(self, run: Run) -> str | None:
        """Return the key of the rate of a run's encoder; None where it is frozen, or as the recipe says."""
        return None if run.init == FROZEN or run.recipe in self.frozen else super().rate_of(run)

    def _has(self, model: str, start: str) -> bool:
        source = self.same_encoder.get(start, start)
        key = key_of(model, source)
        return source == SCRATCH or key in self.pretrained or key in self.pretrain_configs

    def _check_names(self) -> None:
        for model in self.models:
            if model not in self.configs:
                raise StudyError(f"no recipe for {model}: give --config {model}=PATH")
        for option, names in (("frozen", self.frozen), ("fractions", self.own_fractions)):
            for name in names:
                if name not in self.models:
                    raise StudyError(
                        f"--{option} {name}: the study has no such model, expected {', '.join(self.models)}"
                    )
        for start, source in self.same_encoder.items():
            if source != SCRATCH and (source not in self.starts or source in self.same_encoder):
                raise StudyError(f"--starts {start}={source}: expected {SCRATCH} or a start with an encoder of its own")
        for option, paths in (("pretrained", self.pretrained), ("pretrain-config", self.pretrain_configs)):
            for key, path in paths.items():
                start = key.partition(":")[2] or PRETRAINED
                # A recipe without a start is one for all starts.
                if start in self.same_encoder or (start not in self.starts and option == "pretrained"):
                    raise StudyError(f"--{option} {key}={path}: no start has its encoder of it")

    def _check_starts(self) -> None:
        for model in self.models:
            if not self.starts_of(model):
                key = key_of(model, self.starts[0])
                raise StudyError(
                    f"nothing to start {model} from: give --pretrained {key}=ENCODER, or --pretrain-config "
                    f"{key}=RECIPE to make one"
                )
        for start in self.starts:
            if not any(self._has(model, start) for model in self.models):
                raise StudyError(
                    f"nothing to start {start} from: give --pretrained or --pretrain-config MODEL:{start}=PATH"
                )


def key_of(model: str, start: str) -> str:
    """Return the key of a start of a model."""
    return model if start == PRETRAINED else f"{model}:{start}"
