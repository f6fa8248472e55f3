"""Putting test-time augmentation into a recipe."""

import copy

from mmengine.config import Config

from ponderv2.errors import UserError


def with_tta(config: Config) -> Config:
    """Return a copy of a recipe that tests with its `tta_pipeline` and with its model wrapped in its `tta_model`.

    The model is wrapped when testing starts, after its weights are loaded, so their names in checkpoints stay the same.

    Args:
        config: the recipe.

    Raises:
        ValueError: when the recipe has no `tta_model` or no `tta_pipeline`, see `configs/_base_/tta_detection.py`
            and `tta_segmentation.py`.
    """
    missing = [key for key in ("tta_model", "tta_pipeline") if key not in config]
    if missing:
        kind = config.get("model", {}).get("type", "")
        segments = (kind if isinstance(kind, str) else kind.__name__).endswith("Segmentor")
        raise UserError(
            f"--tta: {config.filename or 'the recipe'} has no {' and no '.join(missing)}; add "
            f"_base_/tta_{'segmentation' if segments else 'detection'}.py to its bases and see there for what a recipe "
            "sets"
        )
    config = copy.deepcopy(config)
    config.test_dataloader.dataset.pipeline = config.tta_pipeline
    # A name, not the class: mmengine dumps the recipe when it starts, and can only dump classes that came from a file.
    hook = dict(type="mmengine.PrepareTTAHook", tta_cfg=config.tta_model)
    config.custom_hooks = [*config.get("custom_hooks", []), hook]
    return config
