from __future__ import annotations

import platform
import subprocess
import sys

import pytest

# Uses 48 MB several times, and prints how many pages Linux had to provide for the last use.
PROGRAM = """
import resource
from emulator.pipelines.core import keep_freed_memory
keep_freed_memory()
for _ in range(3):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    arrays = [bytes(1) * (16 << 20) for _ in range(3)]
    del arrays
    pages = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(pages)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries stay as they are")
def test_a_worker_uses_freed_memory_again() -> None:
    ran = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)  # noqa: S603 - our own code
    assert int(ran.stdout) < 100
