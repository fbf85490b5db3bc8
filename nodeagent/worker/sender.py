"""Calls that are sent once, if at all: the chain is asked first, and their gas is weighed."""

from __future__ import annotations

from dataclasses import dataclass, field

import structlog

from nodeagent.chain.abi import as_revert
from nodeagent.chain.doors import Call
from nodeagent.chain.errors import Reverted, RpcError
from nodeagent.protocol.types import Epoch
from nodeagent.worker.hands import Hands

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Sender:
    """``tip`` in wei per gas. What is refused, or not worth its gas, is asked about again in the next epoch."""

    hands: Hands
    tip: int = 0
    base_fee: int = 0
    _epoch: int = -1
    _asked: set[str] = field(default_factory=set)

    def turn(self, now: Epoch, base_fee: int) -> bool:
        """Tells the time. Whether a new epoch began."""
        self.base_fee = base_fee
        if now == self._epoch:
            return False
        self._epoch = now
        self._asked.clear()
        return True

    def open(self, key: str) -> bool:
        """Whether a call of this key may still be sent."""
        return key not in self._asked and self.hands.outbox.get(key) is None

    def send(self, key: str, call: Call, worth: int | None = None) -> bool:
        """Sends a call unless its key was used. ``worth`` is what it brings in wei; None sends it whatever it costs.

        Whether it went to the outbox. Raises Transient faults of the endpoint.
        """
        if not self.open(key):
            return False
        self._asked.add(key)
        try:
            gas = self._gas(call)
        except Reverted as fault:
            log.info("call_refused", call=key, reason=str(fault))
            return False
        cost = gas * (self.base_fee + self.tip)
        if worth is not None and worth <= cost:
            log.info("call_not_worth_its_gas", call=key, worth=worth, cost=cost)
            return False
        self.hands.submit(key, call, None)
        return True

    def _gas(self, call: Call) -> int:
        request = {"from": self.hands.outbox.address, "to": call.to, "data": "0x" + call.data.hex()}
        answer = self.hands.rpc.batch([("eth_estimateGas", [request])])[0]
        if isinstance(answer, RpcError):
            raise as_revert(answer, call.what)
        return int(answer, 16)
