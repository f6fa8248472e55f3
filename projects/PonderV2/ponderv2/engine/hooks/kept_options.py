"""The settings of converted weights, carried on into the checkpoints of a training that starts from them."""

from collections.abc import Sequence

from mmengine.hooks import Hook
from mmengine.runner import Runner


class KeptOptionsHook(Hook):
    """Writes settings, as `key=value`, into `meta.options` of every checkpoint, where converted files have theirs.

    Args:
        options: the settings; without any, checkpoints stay as they are.
    """

    def __init__(self, options: Sequence[str]) -> None:
        self.options = list(options)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        if self.options:
            checkpoint["meta"]["options"] = self.options
