"""What the processes of a training tell each other beside it: that they live, and where in the training they are."""

import json
import os
import socket
import threading
import time
from collections.abc import Callable

from torch.distributed import Store

_PHASES = ("loads data", "takes a step", "validates", "writes a checkpoint")
LOADS, STEPS, VALIDATES, WRITES = _PHASES


class RankWatch:
    """Publishes where this process is every few seconds, from a thread, and reads the same of the others.

    A process that was killed, or whose machine is gone, publishes nothing new; one that hangs does, but stays where it
    is. So each process knows which one it waits for, whatever the collectives of its backend tell.

    Args:
        store: store that the processes share, such as that of their process group.
        rank: number of this process.
        world_size: number of processes.
        beat: seconds between two signs of life.
        stalled_after: seconds in one step, or in loading one batch, after which that is told, once a stall.
        tell: gets a line about a stall.
    """

    def __init__(
        self,
        store: Store,
        rank: int,
        world_size: int,
        beat: float,
        stalled_after: float,
        tell: Callable[[str], object],
    ) -> None:
        self.store, self.rank, self.world_size = store, rank, world_size
        self.beat, self.stalled_after, self.tell = beat, stalled_after, tell
        self.store_error: Exception | None = None
        self._place = (0, LOADS, time.monotonic())
        self._beats = 0
        # Of the others: what they published last, and when it came.
        self._seen: dict[int, tuple[dict, float]] = {}
        self._told: tuple | None = None
        self._stop = threading.Event()
        self._publish()
        self._thread = threading.Thread(target=self._run, name="rank watch", daemon=True)
        self._thread.start()

    def at(self, iteration: int, phase: str) -> None:
        """Note where this process is from now on; costs nothing, the thread publishes it."""
        self._place = (iteration, phase, time.monotonic())

    def close(self) -> None:
        """End the thread."""
        self._stop.set()
        self._thread.join(timeout=2 * self.beat)

    def missing(self) -> list[str]:
        """Describe the processes that are gone, or else those that are behind this one; waits for a few beats.

        Returns:
            A text for each, such as "rank 3 (host node7, process 4242): lost, last seen in iteration 12, where it loads
            data"; none when all live and none is behind.
        """
        # What a process has said before its end is read up to a beat after it.
        asked = time.monotonic() + 2 * self.beat
        end = asked + 4 * self.beat + 1
        while time.monotonic() < end and self.store_error is None and self._silent_since(asked):
            time.sleep(self.beat / 4)
        if self.store_error is not None and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True" and self.rank:
            return [self._describe(0, "lost, with the store of all processes, which it held")]
        lost = self._silent_since(asked)
        if lost:
            return [self._describe(rank, "lost") for rank in lost]
        return [self._describe(rank, "late") for rank in self._behind()]

    def _silent_since(self, moment: float) -> list[int]:
        others = (rank for rank in range(self.world_size) if rank != self.rank)
        return [rank for rank in others if rank not in self._seen or self._seen[rank][1] < moment]

    def _behind(self) -> list[int]:
        here = (self._place[0], _PHASES.index(self._place[1]))
        there = {r: (seen["iteration"], _PHASES.index(seen["phase"])) for r, (seen, _) in sorted(self._seen.items())}
        return [rank for rank, place in there.items() if place < here]

    def _describe(self, rank: int, state: str) -> str:
        if rank not in self._seen:
            return f"rank {rank}: {state}, never heard of"
        seen, _ = self._seen[rank]
        return (
            f"rank {rank} (host {seen['host']}, process {seen['process']}): {state}, last seen in iteration "
            f"{seen['iteration'] + 1}, where it {seen['phase']} for {seen['seconds']:.0f} s"
        )

    def _run(self) -> None:
        while not self._stop.wait(self.beat):
            try:
                self._publish()
                self._read()
            except Exception as error:
                # Torch's stores raise several types, without a common one. Whoever held this one is gone, or this
                # process is about to end.
                self.store_error = error
                return
            self._look_for_stall()

    def _publish(self) -> None:
        iteration, phase, since = self._place
        self._beats += 1
        content = {
            "beat": self._beats,
            "iteration": iteration,
            "phase": phase,
            "seconds": time.monotonic() - since,
            "host": socket.gethostname(),
            "process": os.getpid(),
        }
        self.store.set(_key(self.rank), json.dumps(content))

    def _read(self) -> None:
        for rank in range(self.world_size):
            # Reading a key that is not there would wait for it.
            if rank == self.rank or not self.store.check([_key(rank)]):
                continue
            content, before = json.loads(self.store.get(_key(rank))), self._seen.get(rank)
            if before is None or before[0]["beat"] != content["beat"]:
                self._seen[rank] = (content, time.monotonic())

    def _look_for_stall(self) -> None:
        iteration, phase, since = place = self._place
        seconds = time.monotonic() - since
        if seconds < self.stalled_after or self._told == place or phase not in (LOADS, STEPS):
            return
        self._told = place
        silent = self._silent_since(time.monotonic() - max(self.stalled_after, 4 * self.beat))
        named = [self._describe(rank, "silent") for rank in silent] or [
            self._describe(r, "late") for r in self._behind()
        ]
        self.tell(
            f"rank {self.rank} {phase} for {seconds:.0f} s now, in iteration {iteration + 1}; "
            + ("; ".join(named) or "no other process is behind")
        )


def _key(rank: int) -> str:
    return f"ponderv2/rank/{rank}"
