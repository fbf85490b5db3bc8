"""What every door to a contract has: reads at a block, calldata to send, a call tried before it is sent.

A read raises Reverted when the contract refuses, RpcError or RpcUnreachable when the endpoint does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nodeagent.chain.abi import Abi, as_revert, load_abi
from nodeagent.chain.errors import RpcError
from nodeagent.chain.rpc import BlockId, RpcLike, hex_block, to_bytes


@dataclass(frozen=True, slots=True)
class Call:
    """A transaction somebody may send. ``what`` is a word for logs, such as ``settle``; ``value`` is wei."""

    to: str
    data: bytes
    what: str
    value: int = 0


@dataclass(frozen=True, slots=True)
class Receipt:
    """``IJobMarket.Receipt``: ties a shard to the settlement that holds it."""

    attempt: int
    paid_slots: int
    result_root: bytes
    path: tuple[bytes, ...]

    def as_tuple(self) -> tuple[int, int, bytes, list[bytes]]:
        return self.attempt, self.paid_slots, self.result_root, list(self.path)


class Door:
    """One contract at one address."""

    contract = ""

    def __init__(self, rpc: RpcLike, address: str, abi: Abi | None = None) -> None:
        self.rpc, self.address = rpc, address
        self.abi = abi or load_abi(self.contract)

    def read(self, function: str, *args: Any, block: BlockId = "latest", sender: str | None = None) -> Any:
        """The decoded return value of a view. Structs come as dicts by field name."""
        return self.read_many([(function, args)], block=block, sender=sender)[0]

    def read_many(
        self, calls: Sequence[tuple[str, Sequence[Any]]], *, block: BlockId = "latest", sender: str | None = None
    ) -> list[Any]:
        """Several views in one round trip, at one block. The first refusal is raised."""
        asked = [("eth_call", [self._request(f, args, sender), hex_block(block)]) for f, args in calls]
        out = []
        for (function, _), answer in zip(calls, self.rpc.batch(asked), strict=True):
            if isinstance(answer, RpcError):
                raise as_revert(answer, f"{self.contract}.{function}")
            out.append(self.abi.decode(function, to_bytes(answer)))
        return out

    def call(self, function: str, *args: Any) -> Call:
        """Calldata to send."""
        return Call(self.address, self.abi.encode(function, *args), function.split("(")[0])

    def _request(self, function: str, args: Sequence[Any], sender: str | None) -> dict[str, str]:
        request = {"to": self.address, "data": "0x" + self.abi.encode(function, *args).hex()}
        return {**request, "from": sender} if sender else request


def simulate(rpc: RpcLike, call: Call, sender: str, block: BlockId = "latest") -> bytes:
    """Return data of ``call`` as if sent now. Raises Reverted with the contract's error."""
    request = {"from": sender, "to": call.to, "data": "0x" + call.data.hex(), "value": hex(call.value)}
    answer = rpc.batch([("eth_call", [request, hex_block(block)])])[0]
    if isinstance(answer, RpcError):
        raise as_revert(answer, call.what)
    return to_bytes(answer)
