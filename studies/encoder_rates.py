"""A lower learning rate for the encoder than for the head."""

from pathlib import Path

from mmengine.config import Config

from .recipe_parts import type_name
from .runs import StudyError


def encoder_rate_options(config: Config, path: Path, rate: float) -> list[str]:
    """Return the changes to a recipe that give its encoder a share of the learning rate.

    One-cycle schedules become those that keep the ratios of parameter groups, see `GroupOneCycleLR`.

    Args:
        config: the recipe.
        path: its path, for the message.
        rate: learning rate of the encoder, as a share of the optimizer's.

    Raises:
        StudyError: the recipe has a rate for its encoder or parts of it, which would stay as they are.
    """
    keys = (config.optim_wrapper.get("paramwise_cfg") or {}).get("custom_keys") or {}
    own = [key for key in keys if key.startswith("encoder")]
    if own:
        raise StudyError(
            f"--encoder-rate {rate:g}: {path} has a learning rate for {own[0]} of its own; change it there"
        )
    schedulers = config.param_scheduler if isinstance(config.param_scheduler, list) else [config.param_scheduler]
    place = "param_scheduler.{}." if isinstance(config.param_scheduler, list) else "param_scheduler."
    cycles = [k for k, scheduler in enumerate(schedulers) if type_name(scheduler) == "OneCycleLR"]
    return [
        f"optim_wrapper.paramwise_cfg.custom_keys.encoder.lr_mult={rate:g}",
        *(f"{place.format(k)}type=ponderv2.engine.GroupOneCycleLR" for k in cycles),
    ]
