"""An index of described places: vectors in a file of FAISS, and beside it where each place is and what described it."""

import hashlib
import importlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import ModuleType

import numpy as np

from ponderv2.atomic_files import replacing, write_atomically
from ponderv2.errors import UserError
from ponderv2.shapes import Float, Int

from .descriptor_settings import MODALITIES, DescriptorSettings
from .place_projection import Projection
from .place_records import PlaceRecord, records_from_json, records_to_json

FORMAT = "ponderv2.places.v1"
VECTORS_FILE, NOTE_FILE = "places.faiss", "places.json"
_FLAT_HEADER = 45
"""Bytes of a file of FAISS's flat inner-product index before its vectors."""


@dataclass(frozen=True)
class Describer:
    """What made descriptors; vectors of two of them cannot be compared.

    Attributes:
        settings: how features are pooled.
        encoder: hash of the weights of the model, or name of the key points' source.
        projection: hash of the fitted projection; empty where there is none.
        channels: which features were pooled.
    """

    settings: DescriptorSettings
    encoder: str
    projection: str = ""
    channels: str = "image"


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
        own, found = vars(self.describer), vars(other.describer)
        for name, value in own.items():
            if found[name] != value:
                told = (value, found[name])
                if name == "settings":
                    key = next(k for k, v in vars(value).items() if vars(found[name])[k] != v)
                    name, told = key, (vars(value)[key], vars(found["settings"])[key])
                raise UserError(
                    f"{where}: its descriptors cannot be compared with the index: {name} is {_short(told[1])} instead "
                    f"of {_short(told[0])}"
                )

    def save(self, folder: Path) -> None:
        """Write the index into a folder: `places.faiss` and `places.json`, which holds the hash of the other.

        Raises:
            OSError: a file cannot be written.
        """
        folder.mkdir(parents=True, exist_ok=True)
        vectors = folder / VECTORS_FILE
        with replacing(vectors) as unfinished:
            faiss_module().write_index(self._flat, str(unfinished))
        describer = vars(self.describer) | {"settings": self.describer.settings.to_json()}
        note = {
            "format": FORMAT,
            "modality": self.modality,
            "describer": describer,
            "vectors_sha256": hashlib.sha256(vectors.read_bytes()).hexdigest(),
            "dimensions": int(self.vectors.shape[1]),
            "places": records_to_json(self.records),
        }
        write_atomically(folder / NOTE_FILE, (json.dumps(note, indent=1, allow_nan=False) + "\n").encode())

    @staticmethod
    def load(folder: Path) -> "PlaceIndex":
        """Read an index. Nothing is unpickled, and FAISS reads a file whose length and kind fit alone.

        Raises:
            UserError: a file is missing, damaged or of another format, or the two do not belong together.
        """
        note_path, path = folder / NOTE_FILE, folder / VECTORS_FILE
        missing = [part.name for part in (note_path, path) if not part.is_file()]
        if missing:
            raise UserError(f"index {folder}: has no {missing[0]}; tools/build_retrieval_index.py makes one")
        note = _read_note(note_path)
        records = records_from_json(note["places"], f"{note_path}: places")
        content, dimensions = path.read_bytes(), note["dimensions"]
        # FAISS makes whatever kind of index a file asks for, with whatever sizes: it gets to see this one alone.
        expected = _FLAT_HEADER + 4 * len(records) * dimensions
        if content[:4] != b"IxFI" or len(content) != expected:
            raise UserError(f"{path}: expected a flat index of {len(records)} vectors of {dimensions} numbers")
        if hashlib.sha256(content).hexdigest() != note["vectors_sha256"]:
            raise UserError(f"{path}: is not the file that {NOTE_FILE} was written with; make the index again")
        index = faiss_module().read_index(str(path))
        if (index.ntotal, index.d) != (len(records), dimensions):
            raise UserError(f"{path}: expected {len(records)} vectors of {dimensions} numbers")
        vectors = index.reconstruct_n(0, index.ntotal)
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
    wrong = [name for name, kind in kinds.items() if not isinstance(note.get(name), kind)]
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
