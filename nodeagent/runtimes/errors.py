"""What can go wrong around a runtime. What can go wrong *inside* a task is a status, not an error.

::

    Transient
    └── Pass               no answer on this machine (too slow, out of memory, not installed)
    JobFault
    ├── EncodingFault      bytes that are not tensor encoding 1
    ├── ModelFault         a model that cannot be an answerable question here
    └── InputFault         an inputs file that cannot be read as the shard's tasks
    Fatal
    ├── ToolMissing        Node or npm absent or too old
    ├── InstallFailed      npm could not bring the runtime
    ├── NoJail             no wall around untrusted work holds on this machine (jail.walls)
    └── RuntimeDamaged     installed files or their results differ from what this release expects
"""

from __future__ import annotations

from nodeagent.errors import Fatal, JobFault, Transient


class Pass(Transient):
    """This machine has no answer for the shard. ``reason`` is one short phrase for the log."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"no answer from this machine: {reason}")
        self.reason = reason


class EncodingFault(JobFault):
    """Result bytes that break tensor encoding 1."""


class ModelFault(JobFault):
    """The model breaks the rules or its manifest; becomes status MODEL_REFUSED."""


class InputFault(JobFault):
    """The inputs file breaks the rules or its manifest; becomes status INPUT_REFUSED."""


class ToolMissing(Fatal):
    """A program the runtime needs is absent or too old."""


class InstallFailed(Fatal):
    """The runtime's files could not be fetched or stored."""


class RuntimeDamaged(Fatal):
    """The installed runtime is not the one this release was tested with."""
