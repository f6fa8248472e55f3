"""Fine-tuning that begins with the head."""

from collections.abc import Sequence

from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from ponderv2.models import VolumeDetector
from ponderv2.registry import HOOKS


@HOOKS.register_module()
class UnfreezeEncoderHook(Hook):
    """Trains the head of a `VolumeDetector(freeze_encoder=True)` alone first, and everything from an iteration on.

    The gradients of a head that knows nothing yet distort pre-trained features (Kumar et al. 2022, "linear probing,
    then fine-tuning"); and a head on kept volumes costs a fraction of a step. The state follows from the
    iteration that begins, so it is right also after resuming.

    Args:
        after: iterations of the head alone.

    Raises:
        ValueError: before training, when the encoder is not frozen, or when the model is trained on several
            processes: they would not share the gradients of what was frozen when they were joined. Train the head in
            a run of its own there, and go on from its checkpoint with `load_from`.
    """

    def __init__(self, after: int) -> None:
        if after < 1:
            raise ValueError(f"after: expected a number of iterations, at least 1, got {after}")
        self.after = after

    def before_train(self, runner: Runner) -> None:
        if is_model_wrapper(runner.model):
            raise ValueError(
                f"UnfreezeEncoderHook: {type(runner.model).__name__} shares no gradients of what is unfrozen later; "
                "train the head in a run of its own, then everything with load_from=its checkpoint"
            )
        if not isinstance(runner.model, VolumeDetector) or not runner.model.freeze_encoder:
            raise ValueError("UnfreezeEncoderHook: expected a VolumeDetector with freeze_encoder=True")

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Sequence | dict | None = None) -> None:
        if runner.iter >= self.after and runner.model.freeze_encoder:
            runner.model.unfreeze_encoder()
            MMLogger.get_current_instance().info("the encoder is trained from iteration %d on", runner.iter + 1)
