"""The money of one appeal, read off the chain's events and views."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from nodeagent.chain.decoding import decode_log
from nodeagent.chain.deployment import Deployment
from nodeagent.chain.doors import Doors
from nodeagent.chain.events import (
    Appealed,
    Assigned,
    CaseClosed,
    Claimed,
    EndedWithoutVerdict,
    Event,
    Forfeited,
    Resolved,
    Settled,
    Slashed,
    WrongReported,
)
from nodeagent.chain.rpc import Rpc
from nodeagent.client.cases import Case
from nodeagent.protocol.payout import member_pay, settle_fee
from nodeagent.protocol.settlement import SettledLeaf
from nodeagent.protocol.types import JobId, NodeId, Shard

BURNED = "0x000000000000000000000000000000000000dEaD"


@dataclass(frozen=True, slots=True)
class Money:
    """Payment-token units, but ``slashed`` and ``reward``, which are stake-token units. By node where a dict.

    :param judge_pay: what each judge that was paid earned out of the bond
    :param settling: what ``settler`` earned out of it for settling the case; node 0 is somebody without a node
    :param returned: assigned to the accuser out of what was forfeited and what judges did not earn
    :param refunded: assigned to the requester after that
    """

    bond: int
    judge_pay: dict[int, int]
    settler: int
    settling: int
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


@dataclass(frozen=True, slots=True)
class Purse:
    """What an operator and its node have, in the tokens' smallest units, wherever it is.

    :param payment: in the wallet, owed to the operator, and earned by the node, matured or not
    :param stake: in the wallet, staked, unbonding, and rewards not collected yet
    """

    payment: int
    stake: int


def purse_at(doors: Doors, node: NodeId, operator: str, block: int) -> Purse:
    """The purse after a block."""
    view = doors.registry.node_view(node, block)
    payment = doors.payment_token.balance_of(operator, block) + doors.market.owed_to(operator, block)
    payment += sum(doors.market.earnings_of(node, block))
    stake = doors.stake_token.balance_of(operator, block) + view["stake"] + view["unbonding"]
    stake += sum(doors.registry.reward_of(account, block) for account in (operator, view["key"]))
    return Purse(payment, int(stake))


def moves_of(
    node: NodeId, operator: str, events: Sequence[Event], pay_of: Callable[[SettledLeaf], int]
) -> dict[str, int]:
    """What came to an operator's purse and what left it, payment-token units by what for.

    :param pay_of: what the node was paid when that shard was settled
    """
    moves: Counter[str] = Counter()
    for event in events:
        match event:
            case Appealed() if event.accuser.lower() == operator.lower():
                moves["the bond"] -= event.bond
            case Assigned() if event.to.lower() == operator.lower():
                moves["came back by the case"] += event.amount
            case Claimed() if event.node == node:
                moves["claimed for having been right"] += event.amount
            case Forfeited() if event.node == node:
                moves["forfeited"] -= event.amount
            case Settled():
                moves["pay for other shards"] += sum(map(pay_of, event.shards))
                moves["fees for settling"] += event.fee if event.payee == node else 0
    return {what: amount for what, amount in moves.items() if amount}


def _judged(case: Case, judges: Sequence[NodeId], events: Sequence[Event]) -> tuple[dict[int, int], int]:
    """What each judge was paid, and who settled the case."""
    if case.settlement is None:
        return {}, 0
    slots = case.settlement.entry.paid_slots
    paid = {int(node): member_pay(case.terms, Shard(0)) for slot, node in enumerate(judges) if slots >> slot & 1}
    calls = (e for e in events if isinstance(e, Settled) and any(leaf.job == case.job for leaf in e.shards))
    return paid, next((int(call.payee) for call in calls), 0)


def money_of(
    job: JobId, case: Case, requester: str, events: Sequence[Event], judges: Sequence[NodeId] = (), fee_bps: int = 0
) -> Money:
    """What the case about a job's shard and its reports moved, from the events since it was posted.

    ``judges`` are the committee that settled the case, slot by slot; ``fee_bps`` the market's fee for settling.

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
    paid, settler = _judged(case, judges, events)
    return Money(
        bond=case.bond,
        judge_pay=paid,
        settler=settler,
        settling=settle_fee(max(paid.values(), default=0), len(paid), fee_bps),
        forfeited=dict(forfeited),
        returned=assigned[case.accuser.lower()],
        refunded=assigned[requester.lower()],
        burned=assigned[BURNED.lower()],
        claimed=dict(claimed),
        slashed=dict(slashed),
        reward=reward,
    )
