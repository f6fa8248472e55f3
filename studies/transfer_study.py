"""The runs of a transfer study: pre-trainings, detectors that start from them, and what they are compared with."""

from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config, ConfigDict

from .arguments import SCRATCH
from .encoder_study import EncoderStudy
from .recipe_parts import detection_metric, hooks_of
from .runs import StudyError
from .validation_log import validations

PRETRAINED = "pretrained"
INITS = (SCRATCH, PRETRAINED)
"""What is compared."""

FROZEN, CONSTANT = "frozen", "constant"
"""What it stands beside: a detector whose encoder stays as the baseline's starts, and boxes that see no sensor."""

_NEVER = 2**31 - 1


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

    @property
    def recipe(self) -> str:
        return self.modality


@dataclass(frozen=True, kw_only=True)
class TransferStudy(EncoderStudy):
    """A comparison of pre-trained detectors with baselines from scratch.

    One pre-training serves all fractions and seeds of a modality. It uses all frames of the training split, without
    their labels. There are a pair of runs and two references for each modality, fraction and seed.

    The references have the same labelled frames: a baseline whose encoder is frozen as it starts (random, or with the
    weights that the recipe's baseline names), trained as long, and the constant predictor, see `constant_scores`.

    Attributes:
        modalities: modalities to compare, of `MODALITIES`; recipes and encoders are named by them.

    Raises:
        StudyError: when a list is empty or has duplicates, a fraction is not in (0, 1], or a modality has no recipe
            or nothing to start from.
    """

    modalities: tuple[str, ...]

    def __post_init__(self) -> None:
        self.check_lists({"modalities": self.modalities, "fractions": self.fractions, "seeds": self.seeds})
        for modality in self.modalities:
            if modality not in self.configs:
                raise StudyError(f"no detector recipe for {modality}: give --config {modality}=PATH")
            if modality not in self.pretrained and modality not in self.pretrain_configs:
                raise StudyError(
                    f"nothing to start {modality} from: give --pretrained {modality}=ENCODER, or "
                    f"--pretrain-config {modality}=RECIPE to make one"
                )

    @property
    def recipes(self) -> tuple[str, ...]:
        """The modalities."""
        return self.modalities

    def runs(self) -> list[DetectorRun]:
        """Return all trainings; seeds vary slowest, so that an interrupted study has whole pairs of all fractions."""
        return [
            DetectorRun(modality, fraction, init, seed)
            for seed in self.seeds
            for modality in self.modalities
            for fraction in self.fractions
            for init in (*INITS, FROZEN)
        ]

    def encoder_name(self, run: DetectorRun) -> str | None:
        """Return the modality of a pre-trained detector, None for the others."""
        return run.modality if run.init == PRETRAINED else None

    def result_of(self, work_dir: Path) -> dict | None:
        """Read the official scores of a training, see `validations`."""
        return validations(work_dir)

    def metric_of(self, config: Config, path: Path) -> ConfigDict:
        """Return the config of a recipe's official detection metric."""
        return detection_metric(config, path)

    def start_of(self, run: DetectorRun, encoder: Path | None, config: Config) -> list[str]:
        """Return the options of a start; a frozen encoder starts as the baseline's does."""
        start = super().start_of(run, encoder, config)
        if run.init == FROZEN:
            # A warm-up of the head that never ends.
            warm_ups = hooks_of(config, "UnfreezeEncoderHook")
            start += ["model.freeze_encoder=True", *(f"custom_hooks.{k}.after={_NEVER}" for k in warm_ups)]
        return start
