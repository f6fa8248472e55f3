"""Names of files in an info file lead into the folders of its data set, whatever the file says."""

import os
from collections.abc import Mapping

from .info_file import InfoFileError


def check_places(info: Mapping, data_root: str, prefixes: Mapping[str, str], where: str) -> None:
    """Refuse a key frame that names a file outside of the data set: info files are not trusted.

    Links inside of the folder may lead anywhere, as people lay data sets out with them.

    Args:
        info: parsed key frame, whose names of files are joined with the folders.
        data_root: folder of the data set.
        prefixes: folders by sensor, `data_prefix` of the data set; also one elsewhere is the recipe's choice.
        where: the file and the key frame, for the message.

    Raises:
        InfoFileError: a name leads elsewhere, as "../../home/key" or "/etc/passwd" do; the message names its key.
    """
    for key, sensor, name in _names(info):
        place = os.path.abspath(name)
        folders = [os.path.abspath(folder) for folder in (data_root, prefixes.get(sensor) or data_root)]
        if not any(place.startswith(folder.rstrip("/") + "/") for folder in folders):
            raise InfoFileError(
                f"{where}: {key} leads to {place}, out of the data set's folder {folders[0]}; expected the name of a "
                "file in it"
            )


def _names(info: Mapping) -> list[tuple[str, str, str]]:
    """Return the key, the sensor and the value of every name of a file in a key frame."""
    names = [("lidar_points.lidar_path", "pts", info["lidar_points"]["lidar_path"])]
    names += [(f"images.{c}.img_path", c, v["img_path"]) for c, v in info["images"].items() if "img_path" in v]
    for k, sweep in enumerate(info.get("lidar_sweeps", [])):
        names.append((f"lidar_sweeps[{k}].lidar_points.lidar_path", "sweeps", sweep["lidar_points"]["lidar_path"]))
    return names
