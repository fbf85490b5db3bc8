"""The door to the Court: where a shard's case stands, what an appeal costs, and the four calls that move one along.

Every call can be sent by anyone; ``appeal`` pulls the bond from the sender, or from the operator of the node whose key
sends it, who has allowed the Court to spend it.
"""

from __future__ import annotations

from dataclasses import dataclass

from nodeagent.chain.door import Call, Door, Receipt
from nodeagent.chain.errors import Reverted
from nodeagent.chain.rpc import BlockId
from nodeagent.protocol.constants import MAX_COMMITTEE
from nodeagent.protocol.sortition import parse_slots
from nodeagent.protocol.types import VOID, Epoch, JobId, NodeId, ShardStatus

NO_VERDICT = Receipt(0, 0, bytes(32), ())
"""What ``resolve`` is given for a case that can settle no more: it is not looked at."""


@dataclass(frozen=True, slots=True)
class CaseView:
    """A case as stored.

    :param last: last epoch in which the case may settle
    :param verdict: the case's root once resolved, else None
    :param ended: epoch in which the verdict settled, None before ``resolve``
    :param attempt: the appealed attempt; bit ``s`` of ``paid_slots`` is its slot ``s``
    :param burned: whether it ended without verdict and its bond was burned
    :param accuser_due: payment-token units still to come to the accuser before anybody else gets any
    :param requester_due: still to come to the requester after that
    """

    case_job: JobId
    accuser: str
    settled_root: bytes
    verdict: bytes | None
    last: Epoch
    ended: Epoch | None
    attempt: int
    paid_slots: int
    burned: bool
    accuser_due: int
    requester_due: int


@dataclass(frozen=True, slots=True)
class Exclusions:
    """Who may not judge a case: these nodes, and seats not held before ``held_before``."""

    held_before: Epoch
    nodes: frozenset[NodeId]


class CourtDoor(Door):
    """Court."""

    contract = "Court"

    def status(
        self, job: JobId, shard: int, block: BlockId = "latest"
    ) -> tuple[ShardStatus, bytes | None, Epoch | None]:
        """NONE (no case), APPEALED, CONTESTED or FINAL; the verdict's root where it is FINAL; the epoch in which the
        verdict settled, or after which the case could settle no more."""
        status, verdict, ended = self.read("status", job, shard, block=block)
        found = ShardStatus(status)
        return found, bytes(verdict) if found is ShardStatus.FINAL else None, Epoch(ended) or None

    def case_of(self, job: JobId, shard: int, block: BlockId = "latest") -> CaseView | None:
        """The case about a shard, None where there is none."""
        try:
            view = self.read("caseOf", job, shard, block=block)
        except Reverted as fault:
            if fault.name == "NoCase":
                return None
            raise
        return CaseView(
            case_job=JobId(view["caseJob"]),
            accuser=view["accuser"],
            settled_root=bytes(view["settledRoot"]),
            verdict=bytes(view["verdict"]) if view["ended"] else None,
            last=Epoch(view["last"]),
            ended=Epoch(view["ended"]) or None,
            attempt=view["attempt"],
            paid_slots=view["paidSlots"],
            burned=view["burned"],
            accuser_due=view["accuserDue"],
            requester_due=view["requesterDue"],
        )

    def bond_of(self, job: JobId, shard: int, block: BlockId = "latest") -> int:
        """What an appeal of this shard pulls, in payment-token units."""
        return int(self.read("bondOf", job, shard, block=block))

    def exclusions(self, case_job: JobId, block: BlockId = "latest") -> Exclusions:
        """Who may not judge a case. Raises Reverted (NotACase) for another job."""
        held_before, low, high = self.read("exclusions", case_job, block=block)
        return Exclusions(Epoch(held_before), frozenset(parse_slots((low, high), MAX_COMMITTEE)) - {VOID})

    def judges(self, block: BlockId = "latest") -> int:
        """Nodes that judge a case."""
        return int(self.read("JUDGES", block=block))

    def wrong_bps(self, block: BlockId = "latest") -> int:
        """Share of its stake that a node proven wrong loses."""
        return int(self.read("WRONG_BPS", block=block))

    def appeal(self, job: JobId, shard: int, receipt: Receipt) -> Call:
        """``receipt`` is the shard's settlement path."""
        return self.call("appeal", job, shard, receipt.as_tuple())

    def resolve(self, job: JobId, shard: int, verdict: Receipt | None) -> Call:
        """``verdict`` is the settlement path of the case's only shard; None for a case that can settle no more."""
        return self.call("resolve", job, shard, (verdict or NO_VERDICT).as_tuple())

    def close_case(self, job: JobId, shard: int) -> Call:
        return self.call("closeCase", job, shard)

    def report_wrong(self, job: JobId, shard: int, attempt: int, slot: int, result_root: bytes, opening: bytes) -> Call:
        """``opening`` as ``nodeagent.protocol.settlement.build_claim_opening`` makes it."""
        return self.call("reportWrong", job, shard, attempt, slot, result_root, opening)
