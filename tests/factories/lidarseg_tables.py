"""Tables of four scenes with labels of points, both scenes of mini_val among them, which the devkit asks for."""

import json
from pathlib import Path

import numpy as np

from ponderv2.datasets.lidarseg_classes import LIDARSEG_CATEGORIES
from ponderv2.datasets.prepare import InfoSettings, create_info_files, open_tables
from tests.factories.nuscenes_tables import write_lidarseg, write_tables

SCENES = ("scene-0553", "scene-0061", "scene-0103", "scene-0916")
NOISE, CAR, ROAD, WALL = 0, 17, 24, 28


def write_labeled_tables(root: Path) -> Path:
    """Write the tables, recordings and labels; a label depends on height and intensity. Returns `root`."""
    write_tables(root, scenes=SCENES)
    write_lidarseg(root)
    folder = root / "v1.0-mini"
    # The devkit's mapping wants all of its categories.
    known = {c["name"]: c for c in json.loads((folder / "category.json").read_text())}
    categories = [known.get(name, {"token": name, "name": name}) for name in LIDARSEG_CATEGORIES]
    (folder / "category.json").write_text(json.dumps([c | {"index": k} for k, c in enumerate(categories)]))
    recordings = {r["token"]: r["filename"] for r in json.loads((folder / "sample_data.json").read_text())}
    for record in json.loads((folder / "lidarseg.json").read_text()):
        points = np.fromfile(root / recordings[record["sample_data_token"]], np.float32).reshape(-1, 5)
        height, intensity = points[:, 2], points[:, 3]
        labels = np.select([height < -1.5, intensity < 100, intensity < 230], [ROAD, CAR, WALL], NOISE)
        labels.astype(np.uint8).tofile(root / record["filename"])
    return root


def write_labeled_set(root: Path) -> Path:
    """Write the tables and their info files; returns `root`."""
    write_labeled_tables(root)
    create_info_files(open_tables(root, "v1.0-mini"), root, InfoSettings(lidar_sweeps=0))
    return root
