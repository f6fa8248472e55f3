"""The plan of a study of encoders: which trainings there are, and which encoders they start from."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .arguments import SCRATCH
from .runs import StudyError
from .study_run import Run

SEED = "{seed}"
"""Stands for the pre-training seed in changes to pre-trainings, and in paths of encoders."""
_SHARED = (
    *("train_dataloader", "val_dataloader", "val_evaluator", "val_cfg"),
    *("test_dataloader", "test_evaluator", "test_cfg", "randomness"),
)
"""Parts of a recipe that are the same of both of a pair."""


@dataclass(frozen=True, kw_only=True)
class StudyPlan(ABC):
    """A comparison of trainings with labels that differ in the encoder that they start from.

    A training and its baseline get the same labelled frames and the same random numbers; they differ in
    `model.init_cfg` alone, and in what the study changes for one start. Pre-trainings use all frames of the training
    split.

    Attributes:
        train_tool: path of tools/train.py.
        data_root: folder of the data.
        out: folder of the study.
        fractions: shares of the labelled frames, see `ponderv2.datasets.choose_fraction`; frames are chosen with the
            seed of the run.
        seeds: seeds of the runs.
        pretrain_seeds: seeds of the pre-trainings; none for those of their recipes.
        configs: recipes of the trainings by name, whose `model.init_cfg` names a checkpoint.
        pretrained: exported encoders or checkpoints by key, see `encoder_key`; "{seed}" in a path stands for the
            pre-training seed. Those that are missing are made first.
        pretrain_configs: pre-training recipes by key.
        options: changes to the recipes of the trainings, as `key=value`.
        of_recipe: further changes to the recipe of a name.
        of_start: further changes to the trainings from a start.
        pretrain_options: changes to the pre-training recipes.
        of_pretraining: further changes to the pre-training recipe of a start. "{seed}" stands for its seed.
        encoder_rates: learning rate of the encoder as a share of the head's, by start or recipe; "" for all others.
        cells: recipes and shares that a start is tried with; starts that it does not name are tried with all.
        dataset_key: key of the data set with `fraction` in a recipe; None takes the innermost data set of
            `train_dataloader`, inside wrappers such as class-balanced sampling.
        gpus: number of GPUs of one training; torchrun starts it when there are several.
    """

    train_tool: Path
    data_root: Path
    out: Path
    fractions: tuple[float, ...]
    seeds: tuple[int, ...]
    pretrain_seeds: tuple[int, ...] = ()
    configs: Mapping[str, Path]
    pretrained: Mapping[str, Path] = field(default_factory=dict)
    pretrain_configs: Mapping[str, Path] = field(default_factory=dict)
    options: tuple[str, ...] = ()
    of_recipe: Mapping[str, Sequence[str]] = field(default_factory=dict)
    of_start: Mapping[str, Sequence[str]] = field(default_factory=dict)
    pretrain_options: tuple[str, ...] = ()
    of_pretraining: Mapping[str, Sequence[str]] = field(default_factory=dict)
    encoder_rates: Mapping[str, float] = field(default_factory=dict)
    cells: Mapping[str, Sequence[tuple[str, float]]] = field(default_factory=dict)
    dataset_key: str | None = None
    gpus: int = 1

    @property
    @abstractmethod
    def recipes(self) -> tuple[str, ...]:
        """Names of the recipes that are trained, keys of `configs`."""

    @abstractmethod
    def starts_of(self, recipe: str) -> tuple[str, ...]:
        """Return the pre-trainings that are compared with scratch, of all shares of a recipe."""

    @abstractmethod
    def pretrain_seed(self, run: Run) -> int | None:
        """Return the seed of the pre-training that a run starts from; None where a study has none."""

    @property
    def trainings(self) -> tuple[tuple[int, int | None], ...]:
        """Seeds of the trainings of each side of a comparison: that of the run, and of its pre-training."""
        return tuple((seed, None) for seed in self.seeds)

    @property
    def pairs_all_seeds(self) -> bool:
        """Whether every fine-tuning seed is paired with every pre-training seed."""
        return False

    def fractions_of(self, recipe: str) -> tuple[float, ...]:
        """Return the shares of the labelled frames that a recipe is trained on."""
        return self.fractions

    def tried(self, recipe: str, fraction: float) -> tuple[str, ...]:
        """Return the pre-trainings that are tried with a recipe and share."""
        starts = self.starts_of(recipe)
        return tuple(s for s in starts if s not in self.cells or (recipe, fraction) in self.cells[s])

    def inits_of(self, recipe: str, fraction: float) -> tuple[str, ...]:
        """Return all starts of a recipe and share."""
        return (SCRATCH, *self.tried(recipe, fraction))

    def runs(self) -> list[Run]:
        """Return all trainings; seeds vary slowest, so that an interrupted study has whole pairs of all fractions."""
        return [
            Run(recipe, fraction, init, *seeds)
            for seeds in self.trainings
            for recipe in self.recipes
            for fraction in self.fractions_of(recipe)
            for init in self.inits_of(recipe, fraction)
        ]

    def check_lists(self, lists: Mapping[str, Sequence]) -> None:
        """Check that the lists of the command line, by option, have different values, and that shares are shares.

        Raises:
            StudyError: a list is empty or has duplicates, or a fraction is not in (0, 1].
        """
        for name, values in lists.items():
            if not values or len(set(values)) != len(values):
                raise StudyError(f"--{name}: expected different values, at least one, got {list(values)}")
        wrong = [fraction for fraction in self.fractions if not 0 < fraction <= 1]
        if wrong:
            raise StudyError(f"--fractions: expected shares in (0, 1], got {wrong[0]}")

    def check_cells(self) -> None:
        """Check that the study has every cell that a start is tried with.

        Raises:
            StudyError: it has no such start or cell.
        """
        for start, cells in self.cells.items():
            for recipe, fraction in cells:
                known = recipe in self.recipes and start in self.starts_of(recipe)
                if not known or fraction not in self.fractions_of(recipe):
                    raise StudyError(f"--cells {start}={recipe}:{fraction:g}: the study has no such start and cell")

    def check_folders(self) -> None:
        """Check that every training has a folder, and every encoder a name, of its own.

        Raises:
            StudyError: shares are too close to have folders of their own, or two encoders have one name.
        """
        shares: dict[str, Run] = {}
        encoders: dict[str, tuple[str, Path]] = {}
        for run in self.runs():
            other = shares.setdefault(run.name, run)
            if other != run:
                raise StudyError(f"--fractions: {other.fraction} and {run.fraction} would both be {run.name}")
            key = self.encoder_key(run)
            if key is not None:
                source = (key, self.pretrained[key]) if key in self.pretrained else ("", self.pretrain_configs[key])
                name = self.encoder_name(run)
                if encoders.setdefault(name, source) != source:
                    raise StudyError(
                        f"{key}={source[1]}: {encoders[name][1]} would be called {name} as well; name one of the files "
                        "otherwise"
                    )

    def check_changes(self) -> None:
        """Check that changes of single starts leave the comparison alone, and that every change has an effect.

        Raises:
            StudyError: a start has data, scores or random numbers of its own; or a change is one of nothing.
        """
        for start, options in self.of_start.items():
            for option in options:
                if option.partition("=")[0].partition(".")[0] in _SHARED:
                    raise StudyError(
                        f"--cfg-options {start}:{option}: expected changes to model or schedule; both of a pair have "
                        "the same data, scores and random numbers"
                    )
        runs = self.runs()
        made = {self.source(run) for run in runs if self.encoder_key(run) not in (None, *self.pretrained)}
        for name in self.of_pretraining:
            if name not in made:
                raise StudyError(
                    f"--pretrain-options {name}:...: {name} has no pre-training of its own here, expected one of "
                    f"{', '.join(sorted(made)) or 'none'}"
                )
        used = {self.rate_of(run) for run in runs}
        for name in self.encoder_rates:
            if name not in used:
                raise StudyError(
                    f"--encoder-rate {name or 'of all'}: no encoder is trained with it; frozen ones have none, and the "
                    "rate of a start counts before that of a model"
                )

    def check_pretrain_seeds(self) -> None:
        """Check that pre-training seeds decide something.

        Raises:
            StudyError: they are given, and every start is one file; or a path asks for them, and none is given.
        """
        for key, path in self.pretrained.items():
            if SEED in str(path) and not self.pretrain_seeds:
                raise StudyError(
                    f"--pretrained {key}={path}: {SEED} stands for a pre-training seed; expected --pretrain-seeds"
                )
        keys = {self.encoder_key(run) for run in self.runs()} - {None}
        if self.pretrain_seeds and all(key in self.pretrained and not self.is_seeded(key) for key in keys):
            raise StudyError(
                "--pretrain-seeds: every start is a file of --pretrained, nothing is pre-trained here; expected a "
                "pre-training, or {seed} in the path of a file for each seed"
            )

    def encoder_key(self, run: Run) -> str | None:
        """Return the key of a run's encoder in `pretrained` or `pretrain_configs`; None for one without."""
        return None if run.init == SCRATCH else run.init

    def source(self, run: Run) -> str:
        """Return the name of the start that a run has its encoder of."""
        return run.init

    def is_seeded(self, key: str) -> bool:
        """Tell whether each pre-training seed has an encoder of its own."""
        return bool(self.pretrain_seeds) and (key not in self.pretrained or SEED in str(self.pretrained[key]))

    def pretraining_name(self, key: str) -> str:
        """Return the name of a pre-training, without its seed."""
        return key

    def encoder_name(self, run: Run) -> str | None:
        """Return the name of the encoder that a run starts from, with its seed; None for one that starts from none."""
        key = self.encoder_key(run)
        if key is None:
            return None
        name = key if key in self.pretrained else self.pretraining_name(key)
        return f"{name}_seed{self.pretrain_seed(run)}" if self.is_seeded(key) else name

    def encoder_names(self) -> list[str]:
        """Return the names of all encoders that runs start from."""
        names = [self.encoder_name(run) for run in self.runs()]
        return list(dict.fromkeys(name for name in names if name is not None))

    def first_from(self, name: str) -> Run:
        """Return the first run that starts from an encoder."""
        return next(run for run in self.runs() if self.encoder_name(run) == name)

    def given(self) -> dict[str, Path]:
        """Return the files that are given, by the names of the encoders."""
        files = {}
        for run in self.runs():
            if (key := self.encoder_key(run)) in self.pretrained:
                path = str(self.pretrained[key])
                seed = str(self.pretrain_seed(run)) if self.is_seeded(key) else SEED
                files[self.encoder_name(run)] = Path(path.replace(SEED, seed))
        return files

    def first_runs(self, recipe: str) -> list[Run]:
        """Return a run of each start of a recipe, with its least labels and the first seed."""
        runs = sorted((run for run in self.runs() if run.recipe == recipe), key=lambda run: run.fraction)
        first: dict[str, Run] = {}
        for run in runs:
            first.setdefault(run.init, run)
        return list(first.values())

    def pretraining_recipe(self, name: str) -> tuple[Path, tuple[str, ...]]:
        """Return the recipe of a pre-training, and the changes to it, its seed among them."""
        run = self.first_from(name)
        key = self.encoder_key(run)
        options = (*self.pretrain_options, *self.of_pretraining.get(self.source(run), ()))
        if not self.is_seeded(key):
            return self.pretrain_configs[key], options
        seed = str(self.pretrain_seed(run))
        options = tuple(option.replace(SEED, seed) for option in options)
        return self.pretrain_configs[key], (*options, f"randomness.seed={seed}")

    def encoder_rate(self, run: Run) -> float | None:
        """Return the learning rate of a run's encoder as a share of its head's; None for what the recipe says."""
        name = self.rate_of(run)
        return None if name is None else self.encoder_rates[name]

    def rate_of(self, run: Run) -> str | None:
        """Return the key in `encoder_rates` of a run's rate; None for what the recipe says."""
        return next((name for name in (run.init, run.recipe, "") if name in self.encoder_rates), None)

    def changes_of(self, start: str) -> list[str]:
        """Return what a study changes for one start alone, in words."""
        rate = self.encoder_rates.get(start)
        return [*self.of_start.get(start, ()), *([] if rate is None else [f"encoder rate {rate:g}"])]
