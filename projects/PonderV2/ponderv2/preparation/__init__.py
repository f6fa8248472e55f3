"""From a data set's official tables to info files and a database of objects to paste, and checks of what they say.

`checking` needs no tables: it reads any info file of mmdet3d's v2 format.
"""

from ponderv2.datasets.paste_database import PasteDatabase

from .infos import InfoSettings, create_info_files
from .paste_database import create_paste_database
from .tables import PreparationError, open_tables

__all__ = [
    "InfoSettings",
    "PasteDatabase",
    "PreparationError",
    "create_info_files",
    "create_paste_database",
    "open_tables",
]
