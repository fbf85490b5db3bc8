"""Appeals of one job's shards: what the chain's events say of each case. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from nodeagent.chain.door import Receipt
from nodeagent.chain.events import (
    Appealed,
    At,
    CaseClosed,
    CasePosted,
    Claimed,
    EndedWithoutVerdict,
    Event,
    Resolved,
    Revealed,
    Settled,
    WrongReported,
)
from nodeagent.protocol.epochs import case_status, shard_status
from nodeagent.protocol.leaves import parse_leaves
from nodeagent.protocol.settlement import SettledLeaf, settlement_tree
from nodeagent.protocol.types import VOID, Epoch, JobId, JobTerms, Malformed, NodeId, Shard, ShardStatus

ONLY = Shard(0)  # a case is a job of one shard


@dataclass(frozen=True, slots=True)
class Answer:
    """One node's opened answer to one shard."""

    node: NodeId
    epoch: int
    shard: int
    root: bytes
    manifest: bytes  # sha256 of the node's batch manifest


@dataclass(frozen=True, slots=True)
class Settlement:
    """A settled shard, with all the shards of its settle call (for its path) in their order.

    :param settler: the node that earned the fee; VOID where it went to the account that sent the call
    """

    entry: SettledLeaf
    root: bytes
    epoch: int
    peers: tuple[SettledLeaf, ...]
    at: At
    settler: NodeId = VOID

    def receipt(self) -> Receipt:
        """The shard's path. Raises Malformed if the leaves do not have the root that the chain stored."""
        tree = settlement_tree(self.peers)
        if tree.root != self.root:
            raise Malformed(f"the leaves of settlement 0x{self.root.hex()} have another root")
        path = tree.proof(self.peers.index(self.entry))
        return Receipt(self.entry.attempt, self.entry.paid_slots, self.entry.root, tuple(path))


@dataclass(frozen=True, slots=True)
class Case:
    """The appeal of one shard.

    :param job: the case's own number as a job; its only shard is what the judges computed
    :param bond: payment-token units that the accuser paid
    :param answers: the judges' openings
    :param verdict: the result root that stands since the case was resolved
    :param burned: what was burned because no verdict came
    :param refund: what the judges did not earn, once the case is closed
    :param claims: judges that the settler left out and that asked for their pay
    """

    job: JobId
    shard: int
    terms: JobTerms
    at: At
    accuser: str = ""
    bond: int = 0
    settled_root: bytes = b""
    answers: tuple[Answer, ...] = ()
    settlement: Settlement | None = None
    verdict: bytes | None = None
    forfeited: int = 0
    burned: int | None = None
    refund: int | None = None
    wrong: tuple[WrongReported, ...] = ()
    claims: tuple[Claimed, ...] = ()

    @property
    def overturned(self) -> bool:
        return self.verdict is not None and self.verdict != self.settled_root

    def status(self, now: Epoch, settle_grace: int) -> ShardStatus:
        """What the case makes of its shard: APPEALED, CONTESTED or FINAL."""
        settled, resolved = self.settlement is not None, self.verdict is not None
        return case_status(self.terms, now, settle_grace, settled, resolved)


def fold_cases(job: JobId, events: Iterable[Event]) -> dict[int, Case]:
    """The cases about a job's shards, by shard, from events in chain order."""
    cases: dict[int, Case] = {}
    shard_of: dict[int, int] = {}
    for event in events:
        match event:
            case CasePosted() if event.job == job:
                shard_of[event.case_job] = event.shard
                cases[event.shard] = Case(event.case_job, event.shard, event.terms, event.at)
            case Revealed():
                for leaf in parse_leaves(event.leaves):
                    if leaf.job in shard_of and leaf.shard == ONLY:  # a batch may name shards that do not exist
                        found = cases[shard_of[leaf.job]]
                        answer = Answer(event.node, event.epoch, leaf.shard, leaf.root, event.manifest)
                        cases[found.shard] = replace(found, answers=(*found.answers, answer))
            case Settled():
                for entry in event.shards:
                    if entry.job in shard_of:
                        found = cases[shard_of[entry.job]]
                        made = Settlement(entry, event.root, event.epoch, event.shards, event.at, event.payee)
                        cases[found.shard] = replace(found, settlement=made)
            case Claimed() if event.job in shard_of:
                found = cases[shard_of[event.job]]
                cases[found.shard] = replace(found, claims=(*found.claims, event))
            case _:
                _of_the_court(job, cases, event)
    return cases


def _of_the_court(job: JobId, cases: dict[int, Case], event: Event) -> None:
    if getattr(event, "job", None) != job:
        return
    match event:
        case Appealed(shard=shard):
            cases[shard] = replace(
                cases[shard], accuser=event.accuser, bond=event.bond, settled_root=event.settled_root
            )
        case Resolved(shard=shard):
            cases[shard] = replace(cases[shard], verdict=event.verdict, forfeited=event.forfeited)
        case EndedWithoutVerdict(shard=shard):
            cases[shard] = replace(cases[shard], burned=event.burned)
        case WrongReported(shard=shard):
            cases[shard] = replace(cases[shard], wrong=(*cases[shard].wrong, event))
        case CaseClosed(shard=shard):
            cases[shard] = replace(cases[shard], refund=event.refund)
        case _:
            pass


def standing(
    terms: JobTerms, shard: int, now: Epoch, settle_grace: int, settled: Settlement | None, case: Case | None
) -> ShardStatus:
    """Status of a shard, its case included: what the market says for it."""
    judged = ShardStatus.NONE if case is None else case.status(now, settle_grace)
    return shard_status(terms, Shard(shard), now, settle_grace, Epoch(settled.epoch) if settled else None, judged)
