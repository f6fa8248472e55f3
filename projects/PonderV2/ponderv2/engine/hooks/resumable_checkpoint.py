"""Checkpoints that a kill at any moment leaves one of."""

from collections import deque

from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner

from ponderv2.registry import HOOKS


@HOOKS.register_module()
class SafeCheckpointHook(CheckpointHook):
    """mmengine's hook, which deletes an earlier checkpoint when the new one and `last_checkpoint` are written.

    mmengine deletes it before: with `max_keep_ckpts=1`, a kill while the new one is written leaves none to resume from.
    Arguments are those of `CheckpointHook`. `BuildingRunner` takes this hook for each of mmengine's.
    """

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        if self.max_keep_ckpts <= 0:
            super()._save_checkpoint_with_step(runner, step, meta)
            return
        most, self.keep_ckpt_ids = self.max_keep_ckpts, deque(self.keep_ckpt_ids)
        # mmengine deletes where there are as many.
        self.max_keep_ckpts = most + 1
        try:
            super()._save_checkpoint_with_step(runner, step, meta)
        finally:
            self.max_keep_ckpts = most
        while len(self.keep_ckpt_ids) > most:
            earlier = self.file_backend.join_path(self.out_dir, self.filename_tmpl.format(self.keep_ckpt_ids.popleft()))
            if is_main_process() and self.file_backend.isfile(earlier):
                self.file_backend.remove(earlier)
        runner.message_hub.update_info("keep_ckpt_ids", list(self.keep_ckpt_ids))
