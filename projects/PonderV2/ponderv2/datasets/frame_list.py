"""Parsed key frames as a list that holds none of them: each is decoded and parsed when it is asked for."""

import copy
from collections.abc import Callable, Sequence

import numpy as np

from ponderv2.shapes import Int

from .frame_store import FrameStore, InstanceColumns


class FrameList(Sequence):
    """Key frames of one or more stores, in an order of their own.

    Args:
        stores: where the frames lie.
        parse: function that makes of an entry, which has the name of its file as `info_file`, what the list gives.
        rows: places of the frames, counted through all stores; None takes every frame in the order of time.
    """

    def __init__(
        self, stores: Sequence[FrameStore], parse: Callable[[dict], dict], rows: Int[np.ndarray, "n"] | None = None
    ) -> None:
        self.stores, self.parse = tuple(stores), parse
        self._starts = np.cumsum([0, *map(len, self.stores)])
        if rows is None:
            rows = np.argsort(np.concatenate([store.timestamps for store in self.stores]), kind="stable")
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int | slice) -> "dict | FrameList":
        if isinstance(index, slice):
            return FrameList(self.stores, self.parse, self.rows[index])
        return self.parse(self.entry(index))

    def entry(self, index: int) -> dict:
        """Decode a frame without parsing it; `info_file` is the name of the file that it is from."""
        store, place = self._locate(index)
        return store.frame(place) | {"info_file": store.path.name}

    def __deepcopy__(self, memo: dict) -> "FrameList":
        # A bound method is copied with what it is bound to: the copy of the data set, when that is being copied.
        return FrameList(self.stores, copy.deepcopy(self.parse, memo), self.rows)

    def take(self, indices: Sequence[int]) -> "FrameList":
        """Return the list of the frames at some places of this one."""
        return FrameList(self.stores, self.parse, self.rows[np.asarray(indices, dtype=np.int64)])

    def parsed_by(self, parse: Callable[[dict], dict]) -> "FrameList":
        """Return the same frames with another function that parses them."""
        return FrameList(self.stores, parse, self.rows)

    @property
    def total(self) -> int:
        """The number of frames in the stores."""
        return int(self._starts[-1])

    @property
    def holds_all(self) -> bool:
        """Whether every frame of the stores is in the list."""
        return len(np.unique(self.rows)) == self.total

    def tokens(self) -> list[str]:
        """Return the token of each frame, empty where it has none."""
        return self._texts([store.tokens for store in self.stores])

    def scene_tokens(self) -> list[str]:
        """Return the token of the scene of each frame, empty where it has none."""
        return self._texts([store.scene_tokens for store in self.stores])

    def earlier_in_scene(self, index: int, count: int) -> list[dict]:
        """Decode and parse up to `count` frames before one in its scene and file, the oldest first.

        They need not be in the list.

        Raises:
            InfoFileError: the file does not tell which scene a frame is of.
        """
        store, place = self._locate(index)
        places = store.earlier_in_scene(place, count)
        return [self.parse(store.frame(earlier) | {"info_file": store.path.name}) for earlier in places]

    def first_of_each_layout(self) -> list[int]:
        """Return the index of the first frame with each set of keys, in the order of the list."""
        offsets = np.cumsum([0, *(int(store.layouts.max(initial=-1)) + 1 for store in self.stores)])
        layouts = np.concatenate([store.layouts + offset for store, offset in zip(self.stores, offsets, strict=False)])
        return sorted(np.unique(layouts[self.rows], return_index=True)[1].tolist())

    def instances(self, index: int) -> InstanceColumns:
        """Return the columns of the objects of a frame."""
        store, place = self._locate(index)
        return store.instances(place)

    def all_instances(self) -> InstanceColumns:
        """Return the columns of the objects of all frames of the list, in the order of the stores."""
        chosen = np.zeros(self.total, dtype=bool)
        chosen[self.rows] = True
        parts = []
        for store, start in zip(self.stores, self._starts, strict=False):
            kept = np.repeat(chosen[start : start + len(store)], store.instances_per_frame())
            every = store.instances()
            parts.append((every.labels[kept], every.lidar_points[kept], every.valid[kept]))
        return InstanceColumns(*map(np.concatenate, zip(*parts, strict=True)))

    def _locate(self, index: int) -> tuple[FrameStore, int]:
        row = int(self.rows[index])
        number = int(np.searchsorted(self._starts, row, side="right")) - 1
        return self.stores[number], row - int(self._starts[number])

    def _texts(self, columns: list[np.ndarray]) -> list[str]:
        return np.concatenate(columns)[self.rows].astype(str).tolist()
