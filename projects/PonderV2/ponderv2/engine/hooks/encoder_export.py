"""The encoder for others, written when training ends."""

from pathlib import Path

from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from ponderv2.checkpoints import export_encoder
from ponderv2.registry import HOOKS


@HOOKS.register_module()
class EncoderExportHook(Hook):
    """Writes the encoder of the trained model to `work_dir/encoder.safetensors` at the end of training.

    Args:
        filename: inside the work dir.
    """

    def __init__(self, filename: str = "encoder.safetensors") -> None:
        self.filename = filename

    @master_only
    def after_train(self, runner: Runner) -> None:
        path = Path(runner.work_dir) / self.filename
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        digest = export_encoder(model.encoder, path, runner.cfg.pretty_text)
        MMLogger.get_current_instance().info("encoder written to %s, sha256 %s", path, digest[:16])
