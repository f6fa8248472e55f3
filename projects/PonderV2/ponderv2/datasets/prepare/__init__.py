"""From a data set's official tables to info files and a database of objects to paste, and checks of what they say.

`checking` needs no tables: it reads any info file of mmdet3d's v2 format.
"""

from ponderv2.datasets.gt_database import PasteDatabase

from .infos import InfoSettings, create_info_files
from .create_gt_database import create_paste_database
from .nuscenes_tables import PreparationError, open_tables

__all__ = [
    "InfoSettings",
    "PasteDatabase",
    "PreparationError",
    "create_info_files",
    "create_paste_database",
    "open_tables",
]
