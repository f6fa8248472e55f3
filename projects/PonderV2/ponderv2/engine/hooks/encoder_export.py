"""The encoder for others, written when training ends."""

from pathlib import Path

from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.hooks import EMAHook, Hook
from mmengine.logging import MMLogger
from mmengine.runner import Runner
from torch import nn

from ponderv2.checkpoints import config_to_data, export_encoder
from ponderv2.engine.unwrapping import unwrapped
from ponderv2.registry import HOOKS

from .cost import cost_of


@HOOKS.register_module()
class EncoderExportHook(Hook):
    """Writes the encoder of the trained model to `work_dir/encoder.safetensors` at the end of training.

    Where an `EMAHook` averages weights, they are the averages, as in checkpoints. `ponderv2.load_encoder` makes the
    encoder again from this file alone. Whether the recipe can be stored in it is checked before training starts.

    Args:
        filename: name of the file inside the work dir.
    """

    def __init__(self, filename: str = "encoder.safetensors") -> None:
        self.filename = filename

    def before_train(self, runner: Runner) -> None:
        """Refuse a recipe whose encoder could not be exported.

        Raises:
            ValueError: naming the entry of `model.encoder` or `model.data_preprocessor` that a file cannot hold.
        """
        config_to_data(runner.cfg.model.encoder, "encoder", "EncoderExportHook: model.encoder")
        config_to_data(_preprocessor(runner.cfg), "preprocessor", "EncoderExportHook: model.data_preprocessor")

    def after_train(self, runner: Runner) -> None:
        """Write the file, with what the training cost where a `CostHook` knows that, and log its hash."""
        cost = cost_of(runner)
        if not is_main_process():
            return
        path = Path(runner.work_dir) / self.filename
        digest = export_encoder(
            _exported_encoder(runner),
            path,
            runner.cfg.model.encoder,
            _preprocessor(runner.cfg),
            recipe=runner.cfg.pretty_text,
            name=Path(runner.cfg.filename or "").stem,
            cost=cost,
        )
        MMLogger.get_current_instance().info("encoder written to %s, sha256 %s", path, digest[:16])


def _exported_encoder(runner: Runner) -> nn.Module:
    """Return the encoder whose weights are those of a checkpoint: the average where an `EMAHook` makes one."""
    for hook in runner.hooks:
        if isinstance(hook, EMAHook):
            return hook.ema_model.module.encoder
    model = unwrapped(runner.model)
    return model.encoder


def _preprocessor(config: Config) -> dict:
    # mmengine takes the preprocessor of the recipe's top level where the model has none.
    return config.model.get("data_preprocessor") or config.get("data_preprocessor")
