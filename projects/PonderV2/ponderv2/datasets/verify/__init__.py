"""Checks of an info file: each convention is compared with the points, images and poses that the file names.

`check_info_file` runs every check on a bounded number of key frames and returns one `Finding` for each convention.
A *reading* is one interpretation of the numbers of a file: the documented one, or one of its usual alternatives.
"""

from .check import check_info_file, exit_code, print_findings
from .finding import Finding, Result
from .legacy import LegacyInfoFile, UnusableInput

__all__ = [
    "Finding",
    "LegacyInfoFile",
    "Result",
    "UnusableInput",
    "check_info_file",
    "exit_code",
    "print_findings",
]
