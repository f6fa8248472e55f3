"""Blind baselines: what is reached on a data set with little or no looking, beside what a trained detector reaches."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .arguments import ALL_LABELS, CONSTANT_PART, POINTS, RANDOM_FROZEN, SCRATCH
from .baseline_report import (
    add_to_baselines,
    data_identity,
    detector_entry,
    detector_part,
    read_baselines,
    table_of,
)
from .first_step import build_first_step
from .kept_points import frames_of_run, kept_point_scores
from .named_starts import paths_of_names
from .points_alone import points_entry
from .processes import launch
from .quiet import messages_from
from .runs import Launcher, file_hash, run_jobs
from .study_run import Run
from .transfer_constants import constant_scores
from .transfer_study import CONSTANT, FROZEN, PRETRAINED, TransferStudy

_LOWEST_SHOWN = 40
"""Messages of mmengine from errors on."""


@dataclass(frozen=True)
class BlindBaselines:
    """The baselines of one data set.

    Attributes:
        root: folder of the repository, with tools/ and configs/.
        data_root: folder of the data.
        out: folder of the runs, where what was interrupted goes on.
        modalities: sensors of the detectors, "camera" and "lidar".
        fraction: share of the labelled frames that the constant predictor and the classifier of points get.
        frozen_fractions: shares that the heads on frozen random encoders get.
        seeds: seeds of the choices of frames and of the trainings.
        head_steps: steps in which the head alone is trained.
        full_steps: steps after them: of everything in a detector that is trained, of the head where it is frozen.
        options: changes to the detector recipes, as `key=value`.
        configs: detector recipes with a warm-up of the head, by sensor; default those of CenterPoint's head.
        pretrained: encoders that everything trained starts from, by sensor; sensors without one start from scratch.
    """

    root: Path
    data_root: Path
    out: Path
    modalities: tuple[str, ...]
    fraction: float
    frozen_fractions: tuple[float, ...]
    seeds: tuple[int, ...]
    head_steps: int
    full_steps: int
    options: tuple[str, ...] = ()
    configs: Mapping[str, Path] = field(default_factory=dict)
    pretrained: Mapping[str, Path] = field(default_factory=dict)

    def study(self, modalities: Sequence[str], fractions: Sequence[float]) -> TransferStudy:
        """Return a transfer study whose baselines these are.

        Raises:
            StudyError: a list is empty or has duplicates.
        """
        tiny = self.root / "configs" / "tiny"
        return TransferStudy(
            train_tool=self.root / "tools" / "train.py",
            data_root=self.data_root,
            out=self.out,
            models=tuple(modalities),
            fractions=tuple(fractions),
            seeds=self.seeds,
            configs={m: tiny / f"center_{m}_synthetic_head_first.py" for m in modalities} | dict(self.configs),
            pretrained=self.pretrained,
            pretrain_configs={m: tiny / f"ponderv2_{m}_synthetic.py" for m in modalities},
            options=(*self._schedule(), *self.options),
        )

    def _schedule(self) -> list[str]:
        """Return the changes that give the recipes these numbers of steps; they are scored once, at the end."""
        head, total = self.head_steps, self.head_steps + self.full_steps
        return [
            f"train_cfg.max_iters={total}",
            f"train_cfg.val_interval={total}",
            f"param_scheduler.0.total_steps={head}",
            f"param_scheduler.0.end={head}",
            f"param_scheduler.1.total_steps={self.full_steps}",
            f"param_scheduler.1.begin={head}",
            f"param_scheduler.1.end={total}",
            f"custom_hooks.0.after={head}",
        ]

    def frames(self, fraction: float, seed: int) -> tuple[list[str], list[str]]:
        """Return the tokens of the labelled key frames of a share, and of the frames that are scored."""
        study = self.study(self.modalities[:1], (fraction,))
        return frames_of_run(study, Run(self.modalities[0], fraction, CONSTANT, seed))


def run_baselines(given: argparse.Namespace, root: Path, launcher: Launcher = launch) -> int:
    """Run the baselines of a command line, merge them into the JSON file, and print a table.

    Args:
        given: arguments of tools/blind_baselines.py.
        root: folder of the repository, with tools/ and configs/.
        launcher: function that runs a command.

    Returns:
        The exit code: 0 done, 1 some training failed.

    Raises:
        UserError: the baselines cannot be run; no training has started then.
    """
    baselines = BlindBaselines(
        root=root,
        data_root=given.data_root,
        out=given.out,
        modalities=tuple(given.modalities),
        fraction=given.fraction,
        frozen_fractions=tuple(given.frozen_fractions),
        seeds=tuple(given.seeds),
        head_steps=given.head_steps,
        full_steps=given.full_steps,
        options=tuple(given.cfg_options),
        configs=paths_of_names("--config", "--modalities", given.config, given.modalities),
        pretrained=paths_of_names("--pretrained", "--modalities", given.pretrained, given.modalities),
    )
    identity = data_identity(given.data_root)
    content = read_baselines(given.json, identity)
    _check(baselines, given.only)
    steps = {
        CONSTANT_PART: lambda: (_constant(baselines), {}),
        POINTS: lambda: (_points(baselines, identity), {}),
        RANDOM_FROZEN: lambda: _detectors(baselines, RANDOM_FROZEN, launcher),
        ALL_LABELS: lambda: _detectors(baselines, ALL_LABELS, launcher),
    }
    failures: dict[str, str] = {}
    for part, step in steps.items():
        if part in given.only:
            entry, failed = step()
            failures |= failed
            # Each part at once: what comes later may be interrupted. Other runs may write into the file meanwhile.
            content = add_to_baselines(given.json, identity, part, entry)
    print(f"\n{table_of(content)}\n")
    print(f"written: {given.json}")
    if failures:
        print(f"failed: {', '.join(sorted(failures))}; start again to repeat them")
    return 1 if failures else 0


def _runs_of(baselines: BlindBaselines, part: str) -> list[Run]:
    """Return the trainings of a part; what is trained on all labels starts from an encoder where one is given."""
    return [
        Run(modality, fraction, _start(baselines, part, modality), seed)
        for seed in baselines.seeds
        for modality in baselines.modalities
        for fraction in _fractions(baselines, part)
    ]


def _fractions(baselines: BlindBaselines, part: str) -> tuple[float, ...]:
    return (1.0,) if part == ALL_LABELS else baselines.frozen_fractions


def _start(baselines: BlindBaselines, part: str, modality: str) -> str:
    if part == RANDOM_FROZEN:
        return FROZEN
    return PRETRAINED if modality in baselines.pretrained else SCRATCH


def _check(baselines: BlindBaselines, parts: Sequence[str]) -> None:
    """Build what the first step of each training that has no result needs."""
    for part in (RANDOM_FROZEN, ALL_LABELS):
        if part not in parts:
            continue
        runs = _runs_of(baselines, part)
        study = baselines.study(baselines.modalities, _fractions(baselines, part))
        waiting = [run for run in runs if study.training(run, study.encoder_for(run)).finished() is None]
        for modality in baselines.modalities:
            first = next((run for run in waiting if run.recipe == modality), None)
            if first is not None:
                config = study.config_to_train(first, study.encoder_for(first))
                with messages_from(_LOWEST_SHOWN):
                    build_first_step(config, study.configs[modality])


def _constant(baselines: BlindBaselines) -> dict:
    fractions = tuple(dict.fromkeys((baselines.fraction, 1.0)))
    modality = baselines.modalities[0]
    found = constant_scores(baselines.study((modality,), fractions))
    entries = []
    for fraction in fractions:
        scores = [found[Run(modality, fraction, CONSTANT, seed)] for seed in baselines.seeds]
        spreads = {"place_spread": [score["place_spread"] for score in scores]}
        entries.append(detector_entry(scores, baselines.seeds) | spreads | _counts(baselines, fraction))
    return entries[0] | ({"with_all_labels": entries[1]} if len(entries) > 1 else {})


def _detectors(baselines: BlindBaselines, part: str, launcher: Launcher) -> tuple[dict, dict[str, str]]:
    runs = _runs_of(baselines, part)
    study = baselines.study(baselines.modalities, _fractions(baselines, part))
    jobs = {run: study.training(run, study.encoder_for(run)) for run in runs}
    results, failures = run_jobs(list(jobs.values()), 1, launcher)
    done = {run: results[job.name] for run, job in jobs.items() if job.name in results}
    entries: dict[tuple[str, float], dict] = {}
    for modality, fraction in dict.fromkeys((run.recipe, run.fraction) for run in runs):
        start = _start(baselines, part, modality)
        found = [done.get(Run(modality, fraction, start, seed)) for seed in baselines.seeds]
        if not any(found):
            continue
        about = {
            "recipe": study.configs[modality].name,
            "start": start,
            "steps": {"head": baselines.head_steps, "then": baselines.full_steps},
            "minutes": [run and run["minutes"] for run in found],
            "options": list(baselines.options),
        }
        if start == PRETRAINED:
            about["encoder_sha256"] = file_hash(baselines.pretrained[modality])
        scores = [run and run["result"] for run in found]
        entries[modality, fraction] = detector_entry(scores, baselines.seeds) | _counts(baselines, fraction) | about
    return detector_part(entries), failures


def _counts(baselines: BlindBaselines, fraction: float) -> dict:
    labelled, scored = baselines.frames(fraction, baselines.seeds[0])
    return {"fraction": fraction, "labelled_frames": len(labelled), "scored_frames": len(scored)}


def _points(baselines: BlindBaselines, identity: dict) -> dict:
    """Score the classifier of points for each seed; what was scored before is taken from the folder of the runs."""
    found = kept_point_scores(
        baselines.out / POINTS,
        baselines.data_root,
        identity,
        baselines.fraction,
        baselines.seeds,
        lambda seed: baselines.frames(baselines.fraction, seed),
    )
    return points_entry(found, baselines.fraction, baselines.seeds)
