"""The money of one appeal, read off the chain's events and views."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nodeagent.chain.decoding import decode_log
from nodeagent.chain.deployment import Deployment
from nodeagent.chain.events import (
    Assigned,
    CaseClosed,
    Claimed,
    EndedWithoutVerdict,
    Event,
    Forfeited,
    Resolved,
    Slashed,
    WrongReported,
)
from nodeagent.chain.rpc import Rpc
from nodeagent.client.cases import Case
from nodeagent.protocol.types import JobId

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


def money_of(job: JobId, case: Case, requester: str, events: Sequence[Event]) -> Money:
    """What the case about a job's shard and its reports moved, from the events since it was posted.

    Other cases may move money of the same parties at the same time: only what came in the transactions of this one
    counts.
    """
    own = {
        event.at.tx
        for event in events
        if isinstance(event, Resolved | EndedWithoutVerdict | WrongReported | CaseClosed)
        and (event.job, event.shard) == (job, case.shard)
    }
    forfeited: Counter[int] = Counter()
    claimed: Counter[int] = Counter()
    slashed: Counter[int] = Counter()
    assigned: Counter[str] = Counter()
    reward = 0
    for event in events:
        match event:
            case Claimed() if (event.job, event.shard) == (job, case.shard):
                claimed[int(event.node)] += event.amount
            case _ if event.at.tx not in own:
                pass
            case Forfeited():
                forfeited[int(event.node)] += event.amount
            case Slashed():
                slashed[int(event.node)] += event.amount
                reward += event.reward if event.reporter.lower() == case.accuser.lower() else 0
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
