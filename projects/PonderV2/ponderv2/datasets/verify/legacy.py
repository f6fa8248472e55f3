"""Info files of mmdet3d before 1.0, which are recognised and explained."""

import json
from pathlib import Path

import numpy as np

from ponderv2.datasets.info_file import InfoFileError, load_info_file, read_plain_pickle
from ponderv2.errors import UserError

from .box_checks import VEHICLES


class UnusableInput(UserError):
    """The input cannot be checked at all; the message says why and what to do."""


class LegacyInfoFile(UnusableInput):
    """The info file is of the generation before mmdet3d 1.0."""


def load_for_checks(path: Path) -> dict:
    """Read `{metainfo, data_list}` from an info file.

    Raises:
        LegacyInfoFile: the file has the keys `infos` and `gt_boxes`; the message says what such files are.
        UnusableInput: the file is missing, damaged, of another format or without key frames.
    """
    try:
        info = load_info_file(path)
    except FileNotFoundError as error:
        raise UnusableInput(f"info file {path} does not exist") from error
    except InfoFileError as error:
        # Damaged files have a cause; a file that could be read, but is laid out differently, has none.
        content = None if error.__cause__ else _plain_content(path)
        if isinstance(content, dict) and isinstance(content.get("infos"), list):
            raise LegacyInfoFile(legacy_words(path, content["infos"])) from error
        raise UnusableInput(str(error)) from error
    if not info["data_list"]:
        raise UnusableInput(f"info file {path} has no key frames")
    return info


def _plain_content(path: Path) -> object:
    if path.suffix == ".json":
        return json.loads(path.read_text())
    return read_plain_pickle(path)


def legacy_words(path: Path, infos: list[dict]) -> str:
    """Say what an old info file is, by its layout and by the sizes of its vehicles, and what to do."""
    lines = [
        f"{path} is an info file of the generation before mmdet3d 1.0: keys 'infos' and 'metadata', "
        f"{len(infos)} key frames, boxes as arrays under 'gt_boxes'.",
        _box_convention(infos),
        "What breaks: read as mmdet3d 1.x boxes, the old convention trains well and looks right in mAP, but every box "
        "has width and length swapped and yaw clockwise from -y. The sign of it is mASE near 0.71 and mAOE near 1.5, "
        "and an NDS that is 5 to 7 points too low. PonderV2 and mmdet3d 1.x do not read this layout.",
        "What to do: make the info files anew from the tables, `python tools/create_data.py --root DIR --version "
        "v1.0-trainval --out DIR`; do not convert them, for old files may also hold wrong camera matrices.",
    ]
    return "\n".join(lines)


def _box_convention(infos: list[dict]) -> str:
    ratios = []
    for info in infos[:200]:
        boxes = np.asarray(info.get("gt_boxes", np.zeros((0, 7))), dtype=np.float64)
        names = info.get("gt_names", [])
        if boxes.ndim == 2 and boxes.shape[1] >= 5 and len(names) == len(boxes):
            ratios += [box[3] / max(box[4], 1e-6) for box, name in zip(boxes, names, strict=True) if name in VEHICLES]
    if not ratios:
        return "It has no vehicles, so the order of box sizes cannot be told; the old order is width, length, height."
    ratio = float(np.median(ratios))
    seen = f"the fourth number of a box is {ratio:.2f} times the fifth (median of {len(ratios)} vehicles)"
    if ratio < 1:
        return f"Its boxes are of the old convention, width first (w, l, h) and yaw clockwise: {seen}."
    return (
        f"Its boxes have length first (l, w, h): {seen}. That is a release candidate of mmdet3d 1.0, "
        "with new boxes in the old layout."
    )
