"""Pausing Python's garbage collection."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Switch the search for cycles off while a block makes many objects that stay.

    Plain data and freshly imported modules have few cycles, and going through millions of new objects takes long.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
