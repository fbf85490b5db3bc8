"""The first program in the cell: ``python -m nodeagent.runtimes.jail.inside <orders>``.

It has read nothing of a stranger's yet. It takes its limits, gives up root, the file system and most system calls, for
itself and whatever it starts, and then becomes the program it was started for.
"""

from __future__ import annotations

import importlib
import os
import resource
import signal
import sys
from contextlib import suppress

from . import landlock, seccomp
from .cell import Limits, Orders
from .system import drop_root, prctl

_DIE_WITH_PARENT = 1
STACK_BYTES = 8 << 20


def confine(orders: Orders) -> None:
    """Build the walls that a process builds from inside. Raises OSError; what was not built then is not needed."""
    limit(orders.limits)
    os.nice(orders.limits.niceness)
    if orders.root:
        drop_root(orders.uid)
    if orders.landlock is None and not orders.seccomp:
        return
    prctl(_DIE_WITH_PARENT, signal.SIGKILL)  # after the change of user, which forgets it
    if orders.landlock is not None and (orders.required or landlock.version() >= landlock.MIN_VERSION):
        landlock.restrict(orders.landlock)
    if orders.seccomp:
        seccomp.install(orders.signals)


def limit(limits: Limits) -> None:
    """Set resource limits, never above those there are."""
    wanted = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_CPU: limits.cpu_s,
        resource.RLIMIT_DATA: limits.data_bytes,
        resource.RLIMIT_FSIZE: limits.file_bytes,
        resource.RLIMIT_NOFILE: limits.files,
        resource.RLIMIT_NPROC: limits.processes,
        resource.RLIMIT_STACK: STACK_BYTES,
    }
    for kind, value in wanted.items():
        _, hard = resource.getrlimit(kind)
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        with suppress(ValueError):  # macOS knows some only by name
            resource.setrlimit(kind, (value, value))


def main() -> int:
    """Confine this process and go on as the program in the orders."""
    orders = Orders.decode(sys.argv[1])
    confine(orders)
    first, *rest = orders.program
    if first == "-m":
        sys.argv = rest
        return int(importlib.import_module(rest[0]).main() or 0)
    os.execvp(first, orders.program)  # noqa: S606


if __name__ == "__main__":
    sys.exit(main())
