"""The runs of a segmentation study: protocols of the field, from scratch and from pre-trained encoders."""

from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config, ConfigDict

from .arguments import FINETUNE
from .encoder_study import EncoderStudy
from .recipe_parts import scoring_metric
from .runs import StudyError
from .study_run import Run
from .validation_log import segmentation_validations

METRIC = "mIoU"


@dataclass(frozen=True, kw_only=True)
class SegmentationStudy(EncoderStudy):
    """A comparison of segmentors on pre-trained encoders with segmentors on random ones.

    With one pre-training seed, one pre-training of each arm serves all protocols, fractions and seeds. With as many as
    seeds, each seed has a pre-training of its own, and deviations hold how much pre-trainings differ as well. An arm
    that is given as a file serves all seeds. `pretrain_seeds` are none, one for all runs, or one for each of `seeds`,
    in the same order.

    Attributes:
        protocols: protocols to compare, of `PROTOCOLS`; recipes are named by them.
        arms: names of the pre-trainings that are compared with scratch.
        probe_fractions: shares of the labelled frames of the probes; `fractions` are those of fine-tuning.

    Raises:
        StudyError: when a list is empty or has duplicates, a fraction is not in (0, 1], an arm has nothing to start
            from, a cell of an arm is not in the study, pre-training seeds are given and nothing is pre-trained, or
            their number fits neither one for all nor one for each.
    """

    protocols: tuple[str, ...]
    arms: tuple[str, ...]
    probe_fractions: tuple[float, ...] = (1.0,)

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
        for arm in self.arms:
            if arm not in self.pretrained and arm not in self.pretrain_configs:
                raise StudyError(
                    f"nothing to start {arm} from: give --pretrained {arm}=ENCODER, or --pretrain-config {arm}=RECIPE"
                )
        self.check_cells()
        self.check_pretrain_seeds()
        self.check_folders()
        self.check_changes()

    @property
    def recipes(self) -> tuple[str, ...]:
        """The protocols."""
        return self.protocols

    def starts_of(self, recipe: str) -> tuple[str, ...]:
        """Return the arms, which are those of all protocols."""
        return self.arms

    def fractions_of(self, recipe: str) -> tuple[float, ...]:
        """Return the shares of the labelled frames that a protocol is trained on."""
        return self.fractions if recipe == FINETUNE else self.probe_fractions

    def pretrain_seed(self, run: Run) -> int | None:
        """Return the pre-training seed of a run's seed."""
        seeds = self.pretrain_seeds
        return seeds[self.seeds.index(run.seed)] if len(seeds) > 1 else next(iter(seeds), None)

    def result_of(self, work_dir: Path) -> dict | None:
        """Read the scores of a training, from 0 to 1: mIoU, fwIoU, accuracy and IoU by class, see `validations`."""
        return segmentation_validations(work_dir)

    def metric_of(self, config: Config, path: Path) -> ConfigDict:
        """Return the config of a recipe's metric of segmentation."""
        return scoring_metric(config, path, "LidarSegMetric")
