"""Labels that a pre-training sees and a run that starts from it lacks: such a run has more than its share."""

from dataclasses import dataclass

from mmengine.config import Config, ConfigDict
from torch.utils.data import Dataset

from ponderv2.datasets import PonderNuScenesSegDataset
from ponderv2.engine import innermost_dataset, set_data_root
from ponderv2.registry import DATASETS

from .encoder_study import EncoderStudy
from .recipe_parts import dataset_at
from .study_run import Run


@dataclass(frozen=True)
class Labels:
    """The labels of points that a training sees.

    Attributes:
        frames: tokens of the key frames with labels.
        share: `fraction` and `seed` of the choice of their points; None where every point has its label.
    """

    frames: frozenset[str]
    share: tuple[float, int] | None = None

    def beyond(self, other: "Labels") -> int:
        """Return the number of key frames with labels that the other lacks."""
        if other.share is None:
            return len(self.frames - other.frames)
        # Shares of points with one seed lie inside each other.
        inside = self.share is not None and self.share[1] == other.share[1] and self.share[0] <= other.share[0]
        return len(self.frames - other.frames if inside else self.frames)


def labels_of(dataset: Dataset) -> Labels | None:
    """Return the labels of points of a training set; None for a set without any, whatever boxes it has."""
    if not isinstance(dataset, PonderNuScenesSegDataset):
        return None
    share = dataset.label_fraction
    return Labels(frozenset(dataset.labeled_tokens()), None if share is None else (share["fraction"], share["seed"]))


def label_excess(study: EncoderStudy, name: str, known: dict[tuple, Labels | None]) -> str | None:
    """Say which runs have fewer labels than the pre-training that they start from, and what to do; None if none has.

    Compared are labels of points: detectors, which have boxes, are not.

    Args:
        study: the study, whose recipes and data are there.
        name: name of a pre-training that the study makes.
        known: labels of runs that were looked up before, by recipe, fraction and seed; it takes those that are new.
    """
    config = study.pretraining_config(name)
    path, _ = study.pretraining_recipe(name)
    seen = _labels_at(study, config, innermost_dataset(config.train_dataloader)[1])
    if seen is None:
        return None
    found: list[tuple[Run, int]] = []
    for run in (run for run in study.runs() if study.encoder_name(run) == name):
        key = (run.recipe, run.fraction, run.seed)
        if key not in known:
            of_run, place = study.config_of(run)
            known[key] = _labels_at(study, of_run, dataset_at(of_run, place, study.configs[run.recipe]))
        own = known[key]
        if own is not None and (beyond := seen.beyond(own)):
            found.append((run, beyond))
    if not found:
        return None
    run, count = found[0]
    more = f", and so on for {len(found) - 1} more runs" if found[1:] else ""
    own = (
        "compare it with tools/segmentation_study.py, where each seed may have a pre-training with its frames"
        if study.pairs_all_seeds
        else f"give each seed a pre-training with its frames, --pretrain-seeds {' '.join(map(str, study.seeds))} "
        f'--pretrain-options "{run.init}:train_dataloader.dataset.fraction_seed={{seed}}"'
    )
    return (
        f"{path}: the pre-training {name} sees labels of {count} key frames that {run.recipe} with {run.fraction:g} of "
        f"the labels and seed {run.seed} does not have{more}; try it with its own share alone, --cells "
        f"{run.init}={run.recipe}:FRACTION, and {own}"
    )


def _labels_at(study: EncoderStudy, config: Config, part: ConfigDict) -> Labels | None:
    set_data_root(config, str(study.data_root))
    return labels_of(DATASETS.build(part | {"pipeline": []}))
