"""The money of one appeal, read off the chain's events and views."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nodeagent.chain.decoding import decode_log
from nodeagent.chain.deployment import Deployment
from nodeagent.chain.events import Assigned, Claimed, Event, Forfeited, Slashed
from nodeagent.chain.rpc import Rpc
from nodeagent.client.cases import Case

BURNED = "0x000000000000000000000000000000000000dEaD"


@dataclass(frozen=True, slots=True)
class Money:
    """Payment-token units, but ``slashed`` and ``reward``, which are stake-token units. By node where a dict.

    :param returned: assigned to the accuser out of what was forfeited and what judges did not earn
    :param refunded: assigned to the requester after that
    """

    bond: int
    forfeited: dict[int, int]
    returned: int
    refunded: int
    burned: int
    claimed: dict[int, int]
    slashed: dict[int, int]
    reward: int

    def as_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


def events_since(rpc: Rpc, deployment: Deployment, block: int) -> list[Event]:
    """Every event of the contracts from a block on, in order."""
    query = {"address": deployment.addresses, "fromBlock": hex(block), "toBlock": "latest"}
    found = [decode_log(log) for log in rpc.call("eth_getLogs", [query])]
    return sorted((e for e in found if e is not None), key=lambda e: (e.at.block, e.at.index))


def money_of(case: Case, requester: str, events: Sequence[Event]) -> Money:
    """What the case and its reports moved, from the events since it was posted."""
    forfeited: Counter[int] = Counter()
    claimed: Counter[int] = Counter()
    slashed: Counter[int] = Counter()
    assigned: Counter[str] = Counter()
    reward = 0
    wrong = {int(w.node) for w in case.wrong}
    for event in events:
        match event:
            case Forfeited():
                forfeited[int(event.node)] += event.amount
            case Claimed() if event.shard == case.shard and event.job != case.job:
                claimed[int(event.node)] += event.amount
            case Slashed() if int(event.node) in wrong and event.reporter.lower() == case.accuser.lower():
                slashed[int(event.node)] += event.amount
                reward += event.reward
            case Assigned():
                assigned[event.to.lower()] += event.amount
            case _:
                pass
    return Money(
        bond=case.bond,
        forfeited=dict(forfeited),
        returned=assigned[case.accuser.lower()],
        refunded=assigned[requester.lower()],
        burned=assigned[BURNED.lower()],
        claimed=dict(claimed),
        slashed=dict(slashed),
        reward=reward,
    )
