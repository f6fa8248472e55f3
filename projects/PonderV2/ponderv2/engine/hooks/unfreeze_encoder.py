"""Unfreezing the encoder after a warm-up of the head."""

from collections.abc import Sequence

from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from ponderv2.errors import UserError
from ponderv2.models import FinetunedModel
from ponderv2.registry import HOOKS


@HOOKS.register_module()
class UnfreezeEncoderHook(Hook):
    """Unfreezes the encoder of a `VolumeDetector(freeze_encoder=True)` after a warm-up of the head.

    During the warm-up the head is trained alone: gradients of an untrained head would distort pre-trained features
    (Kumar et al. 2022, "linear probing, then fine-tuning"), and with `cache_volumes` its steps cost a fraction of a
    full one. This hook derives the state from the number of the iteration that begins, so it is also correct after
    resuming.

    Args:
        after: number of iterations of the warm-up.

    Raises:
        ValueError: when `after` is below 1; before training, when the encoder is not frozen, when the optimizer lacks
            some of its parameters, which would then never be trained, or when several processes train the model,
            because DistributedDataParallel would not reduce the gradients of parameters that were frozen when it was
            built. Train the head in a run of its own there, and then everything with `load_from` set to its checkpoint.
    """

    def __init__(self, after: int) -> None:
        if after < 1:
            raise ValueError(f"after: expected a number of iterations, at least 1, got {after}")
        self.after = after

    def before_train(self, runner: Runner) -> None:
        if is_model_wrapper(runner.model):
            raise UserError(
                f"UnfreezeEncoderHook: {type(runner.model).__name__} reduces no gradients of parameters that are "
                "unfrozen later; train the head in a run of its own, then all with load_from set to its checkpoint"
            )
        if not isinstance(runner.model, FinetunedModel) or not runner.model.freeze_encoder:
            raise UserError("UnfreezeEncoderHook: expected a detector or segmentor with freeze_encoder=True")
        held = {id(parameter) for group in runner.optim_wrapper.param_groups for parameter in group["params"]}
        joining = runner.model.joining_parameters
        missing = sum(id(parameter) not in held for parameter in joining)
        if missing:
            raise UserError(
                f"UnfreezeEncoderHook: the optimizer lacks {missing} of {len(joining)} parameters of the encoder, "
                "which would never be trained; set optim_wrapper.constructor to CheckedOptimWrapperConstructor"
            )

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Sequence | dict | None = None) -> None:
        if runner.iter >= self.after and runner.model.freeze_encoder:
            runner.model.unfreeze_encoder()
            MMLogger.get_current_instance().info("the encoder is trained from iteration %d on", runner.iter + 1)
