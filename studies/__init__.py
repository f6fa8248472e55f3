"""Does pre-training help? Detectors from pre-trained encoders against scratch twins, over label fractions and seeds.

`python tools/transfer_study.py --help` is the command.
"""

from .transfer_report import Summary, rows_of, summarise
from .runs import Job, StudyError, run_jobs
from .transfer_study import DetectorRun, TransferStudy

__all__ = [
    "DetectorRun",
    "Job",
    "StudyError",
    "Summary",
    "TransferStudy",
    "rows_of",
    "run_jobs",
    "summarise",
]
