"""An index of described places: vectors in a file of FAISS, and beside it where each place is and what described it."""

import hashlib
import importlib
import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import ModuleType

import numpy as np

from ponderv2.atomic_files import write_atomically
from ponderv2.errors import UserError
from ponderv2.shapes import Float, Int

from .descriptor_settings import MODALITIES, Describer, DescriptorSettings
from .place_projection import Projection
from .place_records import PlaceRecord, records_from_json, records_to_json

FORMAT = "ponderv2.places.v1"
VECTORS_FILE, NOTE_FILE = "places.faiss", "places.json"
_FLAT_HEADER = struct.Struct("<4siqqqBiQ")
"""Of a file of FAISS's flat inner-product index before its vectors: kind, dimensions, number, two constants, whether it
is trained, metric, and how many numbers follow."""


@dataclass(frozen=True)
class PlaceIndex:
    """Described places.

    Attributes:
        vectors: descriptors of length one, float32.
        records: where and when each was recorded.
        modality: what they describe: "lidar" or "image".
        describer: what made them.
    """

    vectors: Float[np.ndarray, "n d"]
    records: Sequence[PlaceRecord]
    modality: str
    describer: Describer

    def search(
        self, queries: Float[np.ndarray, "q d"], count: int
    ) -> tuple[Float[np.ndarray, "q k"], Int[np.ndarray, "q k"]]:
        """Find the places whose descriptors have the largest cosines with those of queries.

        Args:
            queries: descriptors of length one.
            count: number of places for each, all where there are fewer.

        Returns:
            Cosines, the largest first, and the numbers of the places.
        """
        return self._flat.search(np.ascontiguousarray(queries, np.float32), min(count, len(self.records)))

    @cached_property
    def _flat(self) -> object:
        index = faiss_module().IndexFlatIP(self.vectors.shape[1])
        index.add(np.ascontiguousarray(self.vectors, np.float32))
        return index

    def row_of(self, token: str) -> int | None:
        """Return the number of the place with a token; None where there is none."""
        return next((k for k, record in enumerate(self.records) if record.token == token), None)

    def projected(self, projection: Projection) -> "PlaceIndex":
        """Return the index with projected descriptors."""
        describer = replace(self.describer, projection=projection.fingerprint)
        return replace(self, vectors=projection(self.vectors, self.modality), describer=describer)

    def check_comparable(self, other: "PlaceIndex", where: str) -> None:
        """Refuse another index whose descriptors cannot be compared with those of this one.

        Raises:
            UserError: they were made otherwise; `where` names the other one.
        """
        own, found = self.describer.told(), other.describer.told()
        own["length"], found["length"] = self.vectors.shape[1], other.vectors.shape[1]
        for name, value in own.items():
            if found[name] != value:
                raise UserError(
                    f"{where}: its descriptors cannot be compared with the index: {name} is {_short(found[name])} "
                    f"instead of {_short(value)}"
                )

    def save(self, folder: Path) -> None:
        """Write the index into a folder: `places.faiss` and `places.json`, which holds the hash of the other.

        Raises:
            UserError: there are no places, or numbers that are not finite.
            OSError: a file cannot be written.
        """
        if not len(self.records):
            raise UserError(f"index {folder}: there is no place to write")
        finite = np.isfinite(self.vectors).all(axis=1)
        if not finite.all():
            token = self.records[int(finite.argmin())].token
            raise UserError(f"index {folder}: the descriptor of key frame {token} has numbers that are not finite")
        folder.mkdir(parents=True, exist_ok=True)
        content = faiss_module().serialize_index(self._flat).tobytes()
        write_atomically(folder / VECTORS_FILE, content)
        describer = vars(self.describer) | {"settings": self.describer.settings.to_json()}
        note = {
            "format": FORMAT,
            "modality": self.modality,
            "describer": describer,
            "vectors_sha256": hashlib.sha256(content).hexdigest(),
            "dimensions": int(self.vectors.shape[1]),
            "places": records_to_json(self.records),
        }
        write_atomically(folder / NOTE_FILE, (json.dumps(note, indent=1, allow_nan=False) + "\n").encode())

    @staticmethod
    def load(folder: Path) -> "PlaceIndex":
        """Read an index. Nothing is unpickled, and FAISS does not see the file: it would take any size from it.

        Raises:
            UserError: a file is missing, damaged or of another format, or the two do not belong together.
        """
        note_path, path = folder / NOTE_FILE, folder / VECTORS_FILE
        missing = [part.name for part in (note_path, path) if not part.is_file()]
        if missing:
            raise UserError(f"index {folder}: has no {missing[0]}; tools/build_retrieval_index.py makes one")
        note = _read_note(note_path)
        records = records_from_json(note["places"], f"{note_path}: places")
        if not records:
            raise UserError(f"{note_path}: places: expected at least one")
        content, dimensions = path.read_bytes(), note["dimensions"]
        if len(content) != _FLAT_HEADER.size + 4 * len(records) * dimensions or not content.startswith(
            _FLAT_HEADER.pack(b"IxFI", dimensions, len(records), 1 << 20, 1 << 20, 1, 0, len(records) * dimensions)
        ):
            raise UserError(f"{path}: expected a flat index of {len(records)} vectors of {dimensions} numbers")
        if hashlib.sha256(content).hexdigest() != note["vectors_sha256"]:
            raise UserError(f"{path}: is not the file that {NOTE_FILE} was written with; make the index again")
        vectors = np.frombuffer(content, "<f4", offset=_FLAT_HEADER.size).reshape(len(records), dimensions)
        if not np.isfinite(vectors).all():
            raise UserError(f"{path}: holds numbers that are not finite")
        return PlaceIndex(vectors, records, note["modality"], _describer_of(note["describer"], note_path))


def _read_note(path: Path) -> dict:
    try:
        note = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: expected JSON, {error}") from error
    found = note.get("format") if isinstance(note, dict) else None
    if found != FORMAT:
        raise UserError(f"{path}: expected format {FORMAT}, found {found}")
    kinds = {"modality": str, "describer": dict, "vectors_sha256": str, "dimensions": int, "places": list}
    wrong = [name for name, kind in kinds.items() if type(note.get(name)) is not kind]
    if wrong:
        raise UserError(f"{path}: {wrong[0]}: expected a {kinds[wrong[0]].__name__}, got {note.get(wrong[0])!r}")
    if note["modality"] not in MODALITIES:
        raise UserError(f"{path}: modality: expected one of {list(MODALITIES)}, got {note['modality']!r}")
    if note["dimensions"] < 1:
        raise UserError(f"{path}: dimensions: expected at least 1, got {note['dimensions']}")
    return note


def _describer_of(content: dict, path: Path) -> Describer:
    names = {"settings", "encoder", "projection", "channels"}
    if set(content) != names or not all(isinstance(content[name], str) for name in names - {"settings"}):
        raise UserError(f"{path}: describer: expected the keys {sorted(names)}")
    settings = DescriptorSettings.from_json(content["settings"], f"{path}: describer.settings")
    return Describer(**content | {"settings": settings})


def faiss_module() -> ModuleType:
    """Import FAISS, which is an extra of this package.

    Raises:
        UserError: it is not installed.
    """
    try:
        return importlib.import_module("faiss")
    except ImportError as error:
        raise UserError(
            "retrieval needs FAISS, which is not installed: pip install faiss-cpu, or ponderv2[retrieval]"
        ) from error


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 24 else f"{text[:12]}…"
