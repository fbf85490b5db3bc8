"""Calls that are sent once, if at all: the chain is asked first, and their gas is weighed."""

from __future__ import annotations

from dataclasses import dataclass, field

import structlog

from nodeagent.chain.abi import as_revert
from nodeagent.chain.doors import Call
from nodeagent.chain.errors import Reverted, RpcError
from nodeagent.worker.hands import ENDED, Hands

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Sender:
    """``tip`` in wei per gas. What is refused, not worth its gas or ended without effect is asked about again in the
    next epoch.

    One operator's nodes see the same things to do. The one of rank 0 does them at once, every other one ``stagger``
    blocks after the one before it, if they are still to be done then.
    """

    hands: Hands
    tip: int = 0
    stagger: int = 2
    base_fee: int = 0
    _block: int = 0
    _epoch: int = -1
    _asked: set[str] = field(default_factory=set)
    _seen: dict[str, int] = field(default_factory=dict)  # block in which a call was first thought of

    def turn(self, block: int, base_fee: int) -> None:
        """Tells the time."""
        self._block, self.base_fee = block, base_fee
        length = self.hands.deployment.epoch_blocks
        if block // length != self._epoch:
            self._epoch = block // length
            self._asked.clear()
            self._seen = {key: seen for key, seen in self._seen.items() if seen >= block - 2 * length}

    def waits(self, key: str, rank: int) -> bool:
        """Whether a call of this key is left to nodes of lower ranks for now."""
        return rank > 0 and self._block < self._seen.setdefault(key, self._block) + rank * self.stagger

    def open(self, key: str, rank: int = 0) -> bool:
        """Whether a call of this key may be sent now."""
        known = self.hands.outbox.get(key)
        return key not in self._asked and (known is None or known.state in ENDED) and not self.waits(key, rank)

    def send(
        self, key: str, call: Call, worth: int | None = None, *, deadline: int | None = None, rank: int = 0
    ) -> bool:
        """Sends a call unless its key was used. ``worth`` is what it brings in wei, and the most that its gas may cost;
        None sends it whatever it costs. ``deadline`` is the last block in which it is of use.

        Whether it went to the outbox. Raises Transient faults of the endpoint.
        """
        if not self.open(key, rank):
            return False
        self._asked.add(key)
        try:
            gas = self._gas(call)
        except Reverted as fault:
            log.info("call_refused", call=key, reason=str(fault))
            return False
        cost = gas * self.price
        if worth is not None and worth <= cost:
            log.info("call_not_worth_its_gas", call=key, worth=worth, cost=cost)
            return False
        self.hands.submit(key, call, deadline, None if worth is None else worth // gas)
        return True

    @property
    def price(self) -> int:
        """Wei per gas at the head."""
        return self.base_fee + self.tip

    def _gas(self, call: Call) -> int:
        request = {"from": self.hands.outbox.address, "to": call.to, "data": "0x" + call.data.hex()}
        answer = self.hands.rpc.batch([("eth_estimateGas", [request])])[0]
        if isinstance(answer, RpcError):
            raise as_revert(answer, call.what)
        return int(answer, 16)
