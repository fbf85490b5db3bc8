"""The error tree. What a caller does depends only on the branch an error sits on.

::

    QuorateError                 every error this package raises on purpose
    ├── Transient                try again later: a source is down, a node lags, a transaction was replaced
    │   └── (content, chain: timeouts, missing blocks, nonce races)
    ├── JobFault                 this job, task or payload is at fault; the process is healthy
    │   └── (content: too large, malformed; runtimes: refused models and inputs)
    └── Fatal                    a person must act: wrong chain, wrong key, missing tool, broken configuration

Messages are one sentence that names what was expected and found; ``hint`` says what to do next.
"""

from __future__ import annotations


class QuorateError(Exception):
    """Base of every deliberate error. ``hint`` is the next step for a person, if there is one."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class Transient(QuorateError):
    """May succeed when tried again; never a reason to give up a job or a stake."""


class JobFault(QuorateError):
    """The job, its payload or its parameters are at fault."""


class Fatal(QuorateError):
    """Cannot go on without a person."""
