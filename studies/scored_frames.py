"""Key frames that are trained on and scored as well: what is scored on them tells nothing of other frames."""

from collections.abc import Collection
from functools import cache
from pathlib import Path

from mmengine.config import Config

from ponderv2.datasets import load_info_file

from .encoder_study import EncoderStudy
from .recipe_parts import info_files


def scored_in_training(study: EncoderStudy, made: Collection[str]) -> list[str]:
    """Say which trainings, and which pre-trainings before them, have frames that the trainings are scored on.

    Compared are the info files, whatever share of them is trained on; of encoders that are given nobody knows.

    Args:
        study: the study, whose recipes and data are there.
        made: names of the pre-trainings that the study makes.
    """

    @cache
    def frames(name: str) -> frozenset[str]:
        return frozenset(frame["token"] for frame in load_info_file(study.data_root / name)["data_list"])

    found = []
    for recipe in study.recipes:
        runs = [run for run in study.runs() if run.recipe == recipe]
        config, _ = study.config_of(runs[0])
        scored = frozenset().union(*map(frames, info_files(config.val_dataloader)))
        trained: dict[str | Path, Config] = {study.configs[recipe]: config}
        names = {study.encoder_name(run): None for run in runs}
        trained |= {f"the pre-training {name}": study.pretraining_config(name) for name in names if name in made}
        for where, of_training in trained.items():
            for name in info_files(of_training.train_dataloader):
                if shared := frames(name) & scored:
                    found.append(
                        f"{where} trains on {name}, which has {len(shared)} of the {len(scored)} key frames that "
                        f"{recipe} is scored on; expected none of them"
                    )
    return found
