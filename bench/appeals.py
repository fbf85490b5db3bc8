"""Exact gas of the Court and of every report: what they cost whoever sends them, each with its slash.

One pool of nodes with four seats each, committee 3, five judges. Two of three members agree on a wrong root; it is
appealed and overturned, confirmed, or never judged. Every ring slot was used before; cases are rare, so the slots they
make are new ones. Each is played several times, because a draw that meets a node twice, or a paused one, reads a word
or two more at about 5,000 each: the least is exact whatever is drawn, the most says how far luck goes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.chain import Sent
from bench.network import POOL, REQUESTER, Network
from nodeagent.chain.doors import Call, CourtDoor, Receipt
from nodeagent.protocol.keccak import keccak
from nodeagent.protocol.leaves import Leaf, pack_leaves
from nodeagent.protocol.settlement import LaneKey, OpenBatch, SettleEntry, build_claim_opening, build_settle
from nodeagent.protocol.sortition import draw_words, parse_slots
from nodeagent.protocol.types import Epoch, JobId, NodeId, Shard

#: A draw meets nobody twice in about every second of them, so the least of so many is the least there is.
ROUNDS = 6
#: A committee and its judges, and three more a round: who is slashed under its requirement leaves the draw.
NODES = 8 + 3 * ROUNDS
COMMITTEE, JUDGES, WINDOW = 3, 5, 7
RIGHT, WRONG, OTHER = keccak(b"right"), keccak(b"wrong"), keccak(b"other")
SHARD = Shard(0)
Roots = Sequence[bytes | None]  # what each slot answers; None: it never commits


@dataclass(frozen=True, slots=True)
class Settled:
    """A settled one-shard job: who answered what in its attempt, and its path."""

    job: JobId
    commit: int
    slots: tuple[NodeId, ...]
    roots: Roots
    receipt: Receipt

    def opening(self, slot: int) -> bytes:
        """Of a slot's batch, which is its one answer."""
        root = self.roots[slot]
        assert root is not None
        leaf = Leaf(self.job, SHARD, root)
        return build_claim_opening(leaf, [leaf])


class Trials:
    """Plays appeals on a network, and measures each transaction that is not an ordinary step."""

    def __init__(self, network: Network) -> None:
        self.network, self.chain = network, network.chain
        court = self.chain.doors.court
        assert court is not None, "the deployment has no court"
        self.court: CourtDoor = court
        token = self.chain.doors.payment_token
        self.chain.send([(REQUESTER, token.call("approve", court.address, 1 << 200))])

    def run(self, rounds: int = ROUNDS) -> dict[str, dict[str, int]]:
        """Least and most gas of each, by name, and the most slots it made or changed."""
        played = [self._round() for _ in range(rounds)]
        return {
            name: {
                "gas": min(rows[name].gas for rows in played),
                "most": max(rows[name].gas for rows in played),
                "new_slots": max(rows[name].new_slots for rows in played),
                "updates": max(rows[name].updates for rows in played),
            }
            for name in played[0]
        }

    def _round(self) -> dict[str, Sent]:
        rows: dict[str, Sent] = {}
        lost, case = self._appealed(rows, "appeal", [WRONG, WRONG, RIGHT], [*[RIGHT] * (JUDGES - 1), OTHER])
        rows["resolve_overturned"] = self._one(self.court.resolve(lost.job, SHARD, case.receipt))
        rows["report_wrong"] = self._one(self._wrong(lost, 0))
        rows["claim_after_overturn"] = self._one(self._claim(lost, 2))
        rows["close_case"] = self._closed(lost.job, case.job)

        kept, case = self._appealed(rows, "appeal", [RIGHT, RIGHT, RIGHT], [RIGHT] * JUDGES)
        rows["resolve_upheld"] = self._one(self.court.resolve(kept.job, SHARD, case.receipt))

        open_, id_ = self._only_appealed(rows, "appeal", [RIGHT, RIGHT, OTHER])
        self._past(id_, 1)
        rows["resolve_no_verdict"] = self._one(self.court.resolve(open_.job, SHARD, None))

        settled = self._settled([RIGHT, RIGHT, None], self._post(0))
        market = self.chain.doors.market
        rows["report_absent"] = self._one(market.report_absent(settled.job, SHARD, settled.receipt, 2))
        rows["report_unrevealed"] = self._unrevealed()
        return rows

    # --- scenes -----------------------------------------------------------------------------------------------

    def _post(self, window: int) -> tuple[JobId, int]:
        """A job, and the first epoch of its attempt."""
        self.chain.to_epoch(self.chain.next_epoch + 1, 3)
        (job,), _ = self.network.post(1, 1, COMMITTEE, appeal_epochs=window)
        return job, self.chain.next_epoch + 1

    def _settled(self, roots: Roots, asked: tuple[JobId, int], *, case: bool = False) -> Settled:
        """Every slot answers as told, and the first root settles in the epoch after the commit or the next."""
        job, start = asked
        chain, network = self.chain, self.network
        chain.to_epoch(start, 3)
        chain.send([(0, chain.record_seed(start))])
        seed = chain.doors.ledger.seed_of(start)
        assert seed is not None
        words = draw_words(seed, job, SHARD, Epoch(start), POOL, len(roots), case=case)
        slots = parse_slots(chain.doors.registry.committees(words), len(roots))
        sealed = [(n, Leaf(job, SHARD, root)) for n, root in zip(slots, roots, strict=True) if root is not None]
        chain.send([(network.key_of(n), network.commit(n, pack_leaves([leaf]))) for n, leaf in sealed])
        chain.to_epoch(start + 1, 3)
        chain.send([(network.key_of(n), network.reveal(n)) for n, _ in sealed])
        lanes = [LaneKey(n, Epoch(start)) for n in slots]
        entry = SettleEntry(job, SHARD, 0, roots[0] or b"", tuple(lanes))
        opened = [OpenBatch(LaneKey(n, Epoch(start)), (leaf,)) for n, leaf in sealed if leaf.root == roots[0]]
        call = build_settle([entry], sorted(opened, key=lambda o: o.lane))
        chain.send([(0, chain.doors.market.settle(call.entries, call.lanes, call.openings, NodeId(0)))])
        paid = sum(1 << slot for slot, root in enumerate(roots) if root == roots[0])
        return Settled(job, start, slots, roots, Receipt(0, paid, roots[0] or b"", ()))

    def _only_appealed(self, rows: dict[str, Sent], name: str, roots: Roots) -> tuple[Settled, JobId]:
        settled = self._settled(roots, self._post(WINDOW))
        case = JobId(self.chain.doors.market.read("jobCount") + 1)
        rows[name] = self._one(self.court.appeal(settled.job, SHARD, settled.receipt))
        return settled, case

    def _appealed(self, rows: dict[str, Sent], name: str, roots: Roots, verdict: Roots) -> tuple[Settled, Settled]:
        settled, case = self._only_appealed(rows, name, roots)
        start = int(self.chain.doors.market.job_view(case)["postEpoch"]) + 1
        return settled, self._settled(verdict, (case, start), case=True)

    def _closed(self, job: JobId, case: JobId) -> Sent:
        self._past(case, 5)
        return self._one(self.court.close_case(job, SHARD))

    def _past(self, case: JobId, epochs: int) -> None:
        """To ``epochs`` after the last in which the case may settle."""
        view = self.chain.doors.market.job_view(case)
        last = view["closableFrom"] - 1 - self.chain.deployment.report_epochs
        self.chain.to_epoch(last + epochs, 3)

    def _unrevealed(self) -> Sent:
        node, epoch = self.network.nodes[-1], self.chain.next_epoch + 1
        self.chain.to_epoch(epoch, 3)
        self.chain.send([(self.network.key_of(node), self.network.commit(node, b""))])
        self.network.sealed.pop(node)
        grace = int(self.chain.doors.ledger.read("REVEAL_GRACE"))
        self.chain.to_epoch(epoch + grace + 1, 3)
        return self._one(self.chain.doors.ledger.report_unrevealed(node, epoch))

    # --- calls ------------------------------------------------------------------------------------------------

    def _wrong(self, settled: Settled, slot: int) -> Call:
        root = settled.roots[slot]
        assert root is not None
        return self.court.report_wrong(settled.job, SHARD, 0, slot, root, settled.opening(slot))

    def _claim(self, settled: Settled, slot: int) -> Call:
        return self.chain.doors.market.claim(settled.job, SHARD, settled.receipt, slot, settled.opening(slot))

    def _one(self, call: Call) -> Sent:
        return self.chain.measure(self.chain.send([(REQUESTER, call)]))[0]
