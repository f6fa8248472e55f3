"""A rank of the benchmark of info files: it does a step for each line that it is sent, and answers with its memory.

python -m benchmarks.infos_rank FOLDER {infos,database} {list,store}
"""

import gc
import json
import pickle
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from ponderv2.datasets import (
    GroundTruthDatabase,
    GroundTruthSampling,
    PonderNuScenesDetDataset,
    load_info_file,
)
from ponderv2.datasets.gt_tables import table_of

from .measure import resident_bytes

INFOS, DATABASE = "nuscenes_infos_train.pkl", "nuscenes_gt_database_train"


class ListedDataset(PonderNuScenesDetDataset):
    """The data set as mmengine has it: it loads and parses every key frame, and serialises them in its own memory."""

    def load_data_list(self) -> Sequence:
        frames = sorted(load_info_file(self.info_files[0])["data_list"], key=lambda frame: frame["timestamp"])
        return [self.parse_data_info(frame) for frame in frames]

    def full_init(self) -> None:
        super().full_init()
        self.data_bytes, self.data_address = self._serialize_data()

    def get_data_info(self, idx: int) -> dict:
        start = int(self.data_address[idx - 1]) if idx else 0
        return pickle.loads(memoryview(self.data_bytes[start : int(self.data_address[idx])]))

    def __len__(self) -> int:
        return len(self.data_address)


def open_infos(folder: Path, way: str) -> Callable[[], None]:
    """Open the data set; what is returned reads every key frame."""
    kind = ListedDataset if way == "list" else PonderNuScenesDetDataset
    dataset = kind(data_root=str(folder), ann_file=INFOS, pipeline=[])

    def read() -> None:
        for index in range(len(dataset)):
            dataset.get_data_info(index)

    return read


def open_database(folder: Path, way: str) -> Callable[[], None]:
    """Open the objects of ground-truth sampling; what is returned looks at all of them."""
    if way == "list":
        objects = GroundTruthDatabase(folder / DATABASE).objects
        tables = {name: table_of(entries, {}) for name, entries in objects.items()}
        del objects
    else:
        tables = GroundTruthSampling(data_root=str(folder), database=DATABASE).tables
    return lambda: [table.tobytes() for table in tables.values()]


def memory() -> dict[str, int]:
    """Return bytes of this process: `rss`, `pss`, and `peak`, the largest `rss` so far."""
    gc.collect()
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    sizes = {
        line.split(":")[0].lower(): int(line.split()[1]) * 1024 for line in lines if line.startswith(("Rss", "Pss:"))
    }
    return {"rss": sizes["rss"], "pss": sizes["pss"], "peak": resident_bytes()}


def main(folder: Path, part: str, way: str) -> None:
    """Answer three lines: as it is before, with the data set open, and with every frame read once."""
    answers = sys.stdout
    # The data set logs to standard output.
    sys.stdout = sys.stderr
    read: Callable[[], None] | None = None
    for step in ("before", "open", "read"):
        sys.stdin.readline()
        start = time.perf_counter()
        if step == "open":
            read = {"infos": open_infos, "database": open_database}[part](folder, way)
        elif read is not None:
            read()
        seconds = time.perf_counter() - start
        print(json.dumps({"seconds": seconds}), file=answers, flush=True)
        # All ranks are done with the step before any is measured.
        sys.stdin.readline()
        print(json.dumps(memory()), file=answers, flush=True)
    sys.stdin.readline()


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
