"""What a training costs: time, data time, memory, and at the end hours of its devices."""

import json
import resource
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from mmengine.dist import all_reduce, get_world_size, is_main_process
from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from mmengine.runner import Runner

from ponderv2.atomic_files import write_atomically
from ponderv2.registry import HOOKS

COST = "cost"
"""Key of the cost so far in the message hub, which checkpoints hold, so that a resumed training goes on counting."""


@HOOKS.register_module()
class CostHook(Hook):
    """Logs samples a second and the peak of memory with the losses, and at the end what the whole training cost.

    mmengine logs seconds an iteration (`time`) and of waiting for data (`data_time`) itself. The record at the end is
    in the log, in `cost.json` of the work dir and, where the recipe exports its encoder, in the header of that file:

    - `seconds_per_iteration`, `data_seconds`: mean over iterations; the second is the part that waits for data. The
      first of each start, which also starts workers and looks for fast convolutions, is left out, and so are those that
      follow a validation or a checkpoint.
    - `samples_per_second`: of all processes together.
    - `peak_memory_gib`: of the process that used most; on a GPU what tensors took, on a CPU the whole process.
    - `gpu_hours` or `cpu_hours`: wall-clock time from the first step of each start on, validation included, times the
      processes of that start; building the model and the data set is not in it. On a CPU a process may use several
      cores, and has others that load data.
    - `iterations`; `processes` and `device` of the last start.

    A training that is resumed adds to what its checkpoint had; what was lost since that checkpoint is not in it.

    Args:
        clock: returns the present time in seconds.
    """

    # Before hooks that write checkpoints or export the encoder.
    priority = "HIGH"

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self.clock = clock

    def before_train(self, runner: Runner) -> None:
        hub = runner.message_hub
        self._before = dict(hub.get_info(COST)) if COST in hub.runtime_info else dict(_NOTHING)
        # Checkpoints of before this was counted a start; there has been no release since.
        self._before.setdefault("process_seconds", self._before.get("wall", 0.0) * get_world_size())
        self._now = dict(_NOTHING)
        self._start = self._last = self._ready = self.clock()
        self._leave_out = True

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Sequence | dict | None = None) -> None:
        self._ready = self.clock()

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Sequence | dict | None = None, outputs: dict | None = None
    ) -> None:
        now, count = self.clock(), _batch_size(runner, data_batch) * get_world_size()
        self._now["iterations"] += 1
        self._now["process_seconds"] = (now - self._start) * get_world_size()
        if not self._leave_out:
            self._now["timed"] += 1
            self._now["seconds"] += now - self._last
            self._now["data"] += self._ready - self._last
            self._now["samples"] += count
            runner.message_hub.update_scalar("train/samples_per_second", count / max(now - self._last, 1e-9))
        runner.message_hub.update_scalar("train/peak_memory_gib", peak_memory())
        self._leave_out, self._last = False, now
        runner.message_hub.update_info(COST, self._total())

    def after_val(self, runner: Runner) -> None:
        self._leave_out = True

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        self._leave_out = True

    def after_train(self, runner: Runner) -> None:
        """Log the cost of the training, and write it into the work dir."""
        self._now["process_seconds"] = (self.clock() - self._start) * get_world_size()
        record = self.record(runner)
        if is_main_process():
            MMLogger.get_current_instance().info("cost: %s", json.dumps(record))
            write_atomically(Path(runner.work_dir) / "cost.json", (json.dumps(record, indent=1) + "\n").encode())

    def record(self, runner: Runner) -> dict[str, float | int | str]:
        """Return the cost so far, see the class; all processes have to call it together."""
        total = self._total()
        peak = torch.tensor([max(peak_memory(), total["peak"])], dtype=torch.float64)
        if torch.cuda.is_available():
            peak = peak.cuda()
        all_reduce(peak, op="max")
        runner.message_hub.update_info(COST, total)
        per = {"seconds_per_iteration": "seconds", "data_seconds": "data"}
        means = {name: round(total[key] / max(total["timed"], 1), 4) for name, key in per.items()}
        kind = "gpu" if torch.cuda.is_available() else "cpu"
        return means | {
            "samples_per_second": round(total["samples"] / total["seconds"], 4) if total["seconds"] else 0.0,
            "peak_memory_gib": round(peak.item(), 3),
            f"{kind}_hours": round(total["process_seconds"] / 3600, 5),
            "iterations": total["iterations"],
            "processes": get_world_size(),
            "device": torch.cuda.get_device_name() if kind == "gpu" else "cpu",
        }

    def _total(self) -> dict[str, float]:
        total = {key: self._before[key] + value for key, value in self._now.items()}
        return total | {"peak": max(self._before["peak"], peak_memory())}


_NOTHING = {"iterations": 0, "timed": 0, "seconds": 0.0, "data": 0.0, "samples": 0, "process_seconds": 0.0, "peak": 0.0}


def cost_of(runner: Runner) -> dict | None:
    """Return the cost of the training of a runner for the header of its encoder; None without a `CostHook`.

    All processes have to call it together.
    """
    hook = next((hook for hook in runner.hooks if isinstance(hook, CostHook)), None)
    return None if hook is None else hook.record(runner)


def peak_memory() -> float:
    """Return the most memory that was used so far, GiB: by tensors on a GPU, else by this process."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**30
    # In KiB on Linux.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def _batch_size(runner: Runner, batch: Sequence | dict | None) -> int:
    samples = batch.get("data_samples") if isinstance(batch, dict) else None
    return len(samples) if samples is not None else runner.train_dataloader.batch_size or 1
