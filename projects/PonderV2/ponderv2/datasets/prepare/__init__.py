"""From a data set's official tables to info files, and from those to a ground-truth database."""

from .gt_database_writer import create_gt_database
from .infos import InfoSettings, create_info_files
from .nuscenes_tables import PreparationError, open_tables
from .prepare_nuscenes import prepare_nuscenes

__all__ = [
    "InfoSettings",
    "PreparationError",
    "create_gt_database",
    "create_info_files",
    "open_tables",
    "prepare_nuscenes",
]
