"""Everything that is made of a data set before a training."""

from pathlib import Path

from ponderv2.datasets.frame_store import build_frame_store
from ponderv2.datasets.gt_tables import GroundTruthTables

from .gt_database_writer import create_gt_database
from .infos import InfoSettings, create_info_files
from .nuscenes_tables import open_tables
from .preparation_lock import preparation_lock


def prepare_nuscenes(
    root: Path,
    version: str,
    out: Path,
    lidar_sweeps: int = 10,
    camera_sweeps: int = 0,
    workers: int = 1,
    overwrite: bool = False,
    gt_database: bool = True,
    image_crops: bool = False,
) -> list[Path]:
    """Make the info files of a data set and, where it has a training split, the ground-truth database.

    Args:
        root: folder of the data set.
        version: version of its tables, such as "v1.0-trainval".
        out: folder of the outputs.
        lidar_sweeps: largest number of earlier LiDAR sweeps of a key frame.
        camera_sweeps: largest number of earlier images of a camera and key frame.
        workers: number of processes.
        overwrite: whether all outputs are made anew, whatever is there.
        gt_database: whether there is a ground-truth database.
        image_crops: whether it has pictures of the objects, too.

    Returns:
        Paths of the outputs.

    Raises:
        PreparationError: the data set cannot be prepared, outputs made from something else are in the way, or another
            process is at work in the folder.
    """
    with preparation_lock(out):
        tables = open_tables(root, version, camera_sweeps=camera_sweeps > 0)
        files = create_info_files(tables, out, InfoSettings(lidar_sweeps, camera_sweeps), workers, overwrite)
        # They take gigabytes, and the database is made without them.
        del tables
        outputs = list(files.values())
        for path in outputs:
            # Else the first training would do it.
            build_frame_store(path)
        if "train" in files and gt_database:
            # The published database has the key frame and nine sweeps, as the detectors have.
            sweeps = min(lidar_sweeps, 9)
            outputs.append(create_gt_database(files["train"], root, out, sweeps, workers, overwrite, image_crops))
            GroundTruthTables(outputs[-1])
    return outputs
