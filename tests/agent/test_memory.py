"""Memory that was freed is kept for the next block."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys, threading
from nodeagent.memory import keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()
def work():
    for _ in range(100):
        blocks = [bytearray(1 << 20) for _ in range(4)]
        del blocks
begun = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
thread = threading.Thread(target=work)
thread.start()
thread.join()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - begun)
"""


def faults(how: str) -> int:
    return int(subprocess.run([sys.executable, "-c", PROGRAM, how], check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc alone can be told")
def test_keep_freed_memory__blocks_come_and_go__their_pages_are_not_asked_for_anew() -> None:
    kept, usual = faults("keep"), faults("as usual")
    assert kept < 3_000, "four blocks have 1,024 pages"
    assert usual > 5 * kept
