"""Studies of what pre-training contributes.

A transfer study (`tools/transfer_study.py`) compares detectors that start from pre-trained encoders with baselines from
scratch, over shares of the labels and seeds, beside a frozen random encoder and a constant predictor. A linear probe
(`tools/linear_probe.py`) compares encoders without any training.
"""

from .runs import Job, StudyError, run_jobs
from .transfer_report import Summary, rows_of, summarize
from .transfer_study import DetectorRun, TransferStudy

__all__ = [
    "DetectorRun",
    "Job",
    "StudyError",
    "Summary",
    "TransferStudy",
    "rows_of",
    "run_jobs",
    "summarize",
]
