"""The runs of a segmentation study: protocols of the field, from scratch and from pre-trained encoders."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mmengine.config import Config, ConfigDict

from .arguments import FINETUNE, SCRATCH
from .encoder_study import EncoderStudy
from .recipe_parts import scoring_metric
from .runs import StudyError
from .validation_log import validations

METRIC = "mIoU"
_PREFIX = "lidarseg/"
_IOU = "_IoU"


@dataclass(frozen=True)
class SegmentorRun:
    """One segmentor of the study.

    Attributes:
        protocol: how it is trained, one of `PROTOCOLS`.
        fraction: share of the labelled frames that it is trained on.
        init: its start, `SCRATCH` or the name of a pre-training.
        seed: seed of the choice of frames and of the training.
    """

    protocol: str
    fraction: float
    init: str
    seed: int

    @property
    def name(self) -> str:
        return f"{self.protocol}_{self.fraction:g}_{self.init}_seed{self.seed}"

    @property
    def recipe(self) -> str:
        return self.protocol


@dataclass(frozen=True, kw_only=True)
class SegmentationStudy(EncoderStudy):
    """A comparison of segmentors on pre-trained encoders with segmentors on random ones.

    With one pre-training seed, one pre-training of each arm serves all protocols, fractions and seeds. With as many as
    seeds, each seed has a pre-training of its own, and deviations hold how much pre-trainings differ as well. An arm
    that is given as a file serves all seeds.

    Attributes:
        protocols: protocols to compare, of `PROTOCOLS`; recipes are named by them.
        arms: names of the pre-trainings that are compared with scratch.
        probe_fractions: shares of the labelled frames of the probes; `fractions` are those of fine-tuning.
        pretrain_seeds: seeds of the pre-trainings: none for those of their recipes, one for all runs, or one for each
            of `seeds`, in the same order.
        of_protocol: further changes to the recipe of a protocol.
        of_arm: further changes to the pre-training recipe of an arm. "{seed}" stands for the pre-training seed.
        cells: protocols and shares that an arm is tried with; arms that it does not name are tried with all.

    Raises:
        StudyError: when a list is empty or has duplicates, a fraction is not in (0, 1], an arm has nothing to start
            from, a cell of an arm is not in the study, pre-training seeds are given and nothing is pre-trained, or
            their number fits neither one for all nor one for each.
    """

    protocols: tuple[str, ...]
    arms: tuple[str, ...]
    probe_fractions: tuple[float, ...] = (1.0,)
    pretrain_seeds: tuple[int, ...] = ()
    of_protocol: Mapping[str, Sequence[str]] = field(default_factory=dict)
    of_arm: Mapping[str, Sequence[str]] = field(default_factory=dict)
    cells: Mapping[str, Sequence[tuple[str, float]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        lists = {"protocols": self.protocols, "fractions": self.fractions, "seeds": self.seeds}
        lists["probe-fractions"] = self.probe_fractions
        if self.pretrain_seeds:
            lists["pretrain-seeds"] = self.pretrain_seeds
        self.check_lists(lists)
        for protocol in self.protocols:
            if protocol not in self.configs:
                raise StudyError(f"no recipe for {protocol}: give --config {protocol}=PATH")
        if len(self.pretrain_seeds) not in (0, 1, len(self.seeds)):
            raise StudyError(
                f"--pretrain-seeds: expected one for all seeds or one for each of the {len(self.seeds)}, got "
                f"{list(self.pretrain_seeds)}"
            )
        if self.pretrain_seeds and self.pretrained.keys() >= set(self.arms):
            raise StudyError("--pretrain-seeds: every start is a file of --pretrained; nothing is pre-trained here")
        for arm in self.arms:
            if arm not in self.pretrained and arm not in self.pretrain_configs:
                raise StudyError(
                    f"nothing to start {arm} from: give --pretrained {arm}=ENCODER, or --pretrain-config {arm}=RECIPE"
                )

        for arm, cells in self.cells.items():
            for protocol, fraction in cells:
                if (
                    arm not in self.arms
                    or protocol not in self.protocols
                    or fraction not in self.fractions_of(protocol)
                ):
                    raise StudyError(f"--cells {arm}={protocol}:{fraction:g}: the study has no such arm and cell")

    @property
    def recipes(self) -> tuple[str, ...]:
        """The protocols."""
        return self.protocols

    def fractions_of(self, protocol: str) -> tuple[float, ...]:
        """Return the shares of the labelled frames that a protocol is trained on."""
        return self.fractions if protocol == FINETUNE else self.probe_fractions

    def arms_of(self, protocol: str, fraction: float) -> tuple[str, ...]:
        """Return the arms that are tried with a protocol and share."""
        return tuple(arm for arm in self.arms if arm not in self.cells or (protocol, fraction) in self.cells[arm])

    def runs(self) -> list[SegmentorRun]:
        """Return all trainings; seeds vary slowest, so that an interrupted study has whole pairs of all protocols."""
        return [
            SegmentorRun(protocol, fraction, init, seed)
            for seed in self.seeds
            for protocol in self.protocols
            for fraction in self.fractions_of(protocol)
            for init in (SCRATCH, *self.arms_of(protocol, fraction))
        ]

    def encoder_name(self, run: SegmentorRun) -> str | None:
        """Return the arm of a run, with the seed of its pre-training where one is given; None from scratch."""
        if run.init == SCRATCH:
            return None
        seeded = self.pretrain_seeds and run.init not in self.pretrained
        return f"{run.init}_seed{self._pretrain_seed(run)}" if seeded else run.init

    def pretraining_recipe(self, name: str) -> tuple[Path, tuple[str, ...]]:
        """Return the recipe of a pre-training, and the changes to it, its seed among them."""
        run = next(run for run in self.runs() if self.encoder_name(run) == name)
        options = (*self.pretrain_options, *self.of_arm.get(run.init, ()))
        if not self.pretrain_seeds:
            return self.pretrain_configs[run.init], options
        seed = self._pretrain_seed(run)
        options = tuple(option.replace("{seed}", str(seed)) for option in options)
        return self.pretrain_configs[run.init], (*options, f"randomness.seed={seed}")

    def recipe_options(self, recipe: str) -> tuple[str, ...]:
        """Return the changes to the recipe of a protocol."""
        return (*self.options, *self.of_protocol.get(recipe, ()))

    def result_of(self, work_dir: Path) -> dict | None:
        """Read the scores of a training, from 0 to 1: mIoU, fwIoU, accuracy and IoU by class, see `validations`."""
        return validations(work_dir, _PREFIX, (METRIC,))

    def metric_of(self, config: Config, path: Path) -> ConfigDict:
        """Return the config of a recipe's metric of segmentation."""
        return scoring_metric(config, path, "LidarSegMetric")

    def _pretrain_seed(self, run: SegmentorRun) -> int:
        seeds = self.pretrain_seeds
        return seeds[self.seeds.index(run.seed)] if len(seeds) > 1 else seeds[0]


def class_ious(result: Mapping[str, float]) -> dict[str, float]:
    """Return the IoU of each class of a result, by name of the class; classes without any are left out."""
    return {k.removesuffix(_IOU): v for k, v in result.items() if k.endswith(_IOU) and k not in ("mIoU", "fwIoU")}
