"""Checkpoints that a kill at any moment leaves one of."""

from collections import deque
from pathlib import Path

from mmengine.dist import is_main_process
from mmengine.fileio import BaseStorageBackend
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner

from ponderv2.checkpoints import INTERRUPTED
from ponderv2.errors import UserError
from ponderv2.registry import HOOKS


@HOOKS.register_module()
class SafeCheckpointHook(CheckpointHook):
    """mmengine's hook, which deletes an earlier checkpoint when the new one and `last_checkpoint` are written.

    mmengine deletes it before: with `max_keep_ckpts=1`, a kill or full disk while the new one is written leaves none to
    resume from. So it is with the best one so far. Here there has to be room for one more than are kept. A checkpoint
    takes the place of that which a signal left, too.

    What is deleted lies in the folder of the checkpoints and is a file. The names of earlier ones come from the
    checkpoint that a training is resumed from, which may be a copy, or of anyone.

    Arguments are those of `CheckpointHook`. `BuildingRunner` takes this hook for each of mmengine's.
    """

    def before_train(self, runner: Runner) -> None:
        """Begin as mmengine's hook, and forget earlier checkpoints that are not this training's to delete."""
        kept = runner.message_hub.runtime_info.get("keep_ckpt_ids")
        if kept is not None:
            numbers = [step for step in kept if type(step) is int] if isinstance(kept, list) else []
            runner.message_hub.update_info("keep_ckpt_ids", numbers)
        super().before_train(runner)
        if hasattr(self, "best_ckpt_path"):
            self.best_ckpt_path = self._own_best(self.best_ckpt_path)
        elif hasattr(self, "best_ckpt_path_dict"):
            self.best_ckpt_path_dict = {key: self._own_best(path) for key, path in self.best_ckpt_path_dict.items()}

    def _own_best(self, earlier: object) -> str | None:
        """Return the name of an earlier best checkpoint, None where it is no such file of this training."""
        if not isinstance(earlier, str):
            return None
        folder, _, name = earlier.rpartition("/")
        ours = str(self.out_dir).rstrip("/")
        same = folder == ours if "://" in ours else Path(folder).resolve() == Path(ours).resolve()
        return earlier if same and name.startswith("best_") and self.file_backend.isfile(earlier) else None

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        self._save_before_removing(runner, step, meta)
        if is_main_process():
            Path(runner.work_dir, INTERRUPTED).unlink(missing_ok=True)

    def _save_before_removing(self, runner: Runner, step: int, meta: dict) -> None:
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

    def _save_best_checkpoint(self, runner: Runner, metrics: dict) -> None:
        backend = self.file_backend
        self.file_backend = later = _RemovesLater(backend)
        try:
            super()._save_best_checkpoint(runner, metrics)
        finally:
            self.file_backend = backend
        # A validation that is repeated writes the same one.
        best = {getattr(self, "best_ckpt_path", None), *getattr(self, "best_ckpt_path_dict", {}).values()}
        for path in later.removed:
            if path not in best:
                backend.remove(path)


class _RemovesLater:
    """A file backend that notes which files it is to remove, and leaves them."""

    def __init__(self, backend: BaseStorageBackend) -> None:
        self._backend = backend
        self.removed: list[str] = []

    def __getattr__(self, name: str) -> object:
        return getattr(self._backend, name)

    def remove(self, path: str) -> None:
        self.removed.append(path)

    def rmtree(self, path: str) -> None:
        raise UserError(f"{path} is a folder, which no best checkpoint is here; it is not deleted")
