"""A recipe with test-time augmentation instead of plain testing."""

import copy

from mmengine.config import Config


def with_tta(config: Config) -> Config:
    """The recipe with its `tta_pipeline` as the test pipeline and its model wrapped in its `tta_model` for testing.

    The model is wrapped when testing starts, after the weights were loaded, so checkpoints keep their names.

    Args:
        config: is not changed.

    Raises:
        ValueError: the recipe lacks one of the two; see `configs/_base_/tta_detection.py`.
    """
    missing = [key for key in ("tta_model", "tta_pipeline") if key not in config]
    if missing:
        raise ValueError(
            f"--tta: {config.filename or 'the recipe'} has no {' and no '.join(missing)}; add "
            "_base_/tta_detection.py to its bases and see there for what a recipe sets"
        )
    config = copy.deepcopy(config)
    config.test_dataloader.dataset.pipeline = config.tta_pipeline
    # By name: mmengine writes the recipe down when it starts, and can only write classes that came from a file.
    hook = dict(type="mmengine.PrepareTTAHook", tta_cfg=config.tta_model)
    config.custom_hooks = [*config.get("custom_hooks", []), hook]
    return config
