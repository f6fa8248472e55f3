"""Does an info file mean what its keys say? Each convention is tried against the points, images and poses themselves.

`check_info_file` runs every check on a bounded number of key frames and gives one `Finding` a convention.
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
