"""What can go wrong between this process and the chain.

::

    Transient
    ├── RpcUnreachable    no answer, a broken one or an HTTP failure after every retry
    ├── RpcBehind         the endpoint does not have that block yet
    ├── RpcGarbled        the endpoint sent what cannot be an answer
    └── RpcError          the endpoint answered with an error that is not a revert
    JobFault
    └── Reverted          the contract refused the call; carries the error's name and fields
    Fatal
    ├── WrongChain        the endpoint serves another chain than the deployment record names
    ├── BadEndpoint       what was given as its address is no URL of one
    └── BadDeployment     the record is unreadable or its code is not at its addresses
"""

from __future__ import annotations

from typing import Any

from nodeagent.errors import Fatal, JobFault, Transient


class RpcUnreachable(Transient):
    """No usable answer came from the endpoint, retries included."""


class RpcBehind(Transient):
    """The endpoint lacks a block that another answer promised."""


class RpcError(Transient):
    """A JSON-RPC error object. ``data`` holds revert data where the endpoint sent any."""

    def __init__(self, method: str, code: int, message: str, data: bytes | None = None) -> None:
        super().__init__(f"{method} failed with {code}: {message}")
        self.method, self.code, self.text, self.data = method, code, message, data

    @property
    def reverted(self) -> bool:
        """Whether the EVM refused the call, as opposed to the endpoint."""
        return self.data is not None or self.code == 3 or "revert" in self.text.lower()


class RpcGarbled(Transient):
    """The endpoint answered with something that is not of the form it must have."""


class Reverted(JobFault):
    """A contract refused the call. ``name`` is the error's name, ``fields`` its arguments by name."""

    def __init__(self, name: str, fields: dict[str, Any], *, what: str = "call") -> None:
        shown = ", ".join(f"{key}={_show(value)}" for key, value in fields.items())
        super().__init__(f"{what} reverted: {name}({shown})")
        self.name, self.fields, self.what = name, fields, what


class WrongChain(Fatal):
    """The endpoint serves another chain than expected."""


class BadEndpoint(Fatal):
    """What was given as the endpoint's address is not an http or https URL."""


class BadDeployment(Fatal):
    """The deployment record cannot be used."""


def _show(value: Any) -> str:
    return "0x" + value.hex() if isinstance(value, (bytes, bytearray)) else str(value)
