"""The allocator setting: large blocks are kept, so pages are not faulted in again and again."""

import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource, sys
import torch
from ponderv2.engine.allocator import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
torch.set_num_threads(1)
# Until the heap has found its shape, a few blocks may still come from new pages.
for _ in range(20):
    torch.ones(16_000_000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    torch.ones(16_000_000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def _faults(mode: str) -> int:
    done = subprocess.run([sys.executable, "-c", FAULTS, mode], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's allocator")
def test_large_tensors_reuse_their_pages():
    assert _faults("keep") < 0.2 * _faults("default")
