"""A progress bar that is seen to live while a long piece of work is under way."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tqdm import tqdm


@contextmanager
def progress_bar(total: int, description: str, unit: str, initial: int = 0, seconds: float = 5.0) -> Iterator[tqdm]:
    """Open a tqdm bar whose elapsed time is printed anew every few seconds, also between two updates.

    tqdm prints a bar when something is finished. Where that takes a minute, nobody can tell whether the program works.

    Args:
        total: number of pieces of work.
        description: text before the bar.
        unit: name of a piece.
        initial: number of pieces that were finished before.
        seconds: time between two prints.
    """
    closed = threading.Event()
    with tqdm(total=total, initial=initial, desc=description, unit=unit) as bar:

        def refresh() -> None:
            while not closed.wait(seconds):
                bar.refresh()

        thread = threading.Thread(target=refresh, daemon=True)
        thread.start()
        try:
            yield bar
        finally:
            closed.set()
            thread.join()
