"""The drawn attempts of a shard, as the chain has them: who sat on each committee, what its lanes say, who answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nodeagent.chain.doors import Doors
from nodeagent.chain.errors import Reverted
from nodeagent.chain.headers import prev_randao
from nodeagent.chain.rpc import Rpc
from nodeagent.client.cases import Answer, Settlement
from nodeagent.protocol.epochs import attempt_start, commit_epoch, seed_block
from nodeagent.protocol.lanes import Lane, unpack_lane
from nodeagent.protocol.sortition import draw_words, parse_slots, seed_from_randao
from nodeagent.protocol.types import Epoch, JobId, JobTerms, NodeId, Shard


@dataclass(frozen=True, slots=True)
class Member:
    """A slot of a committee, and what its lane says of the commit epoch; ``lane`` is None once it was reused."""

    slot: int
    node: NodeId
    lane: Lane | None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One drawn attempt. ``members`` is None where the draw is no longer (or not yet) to be had."""

    number: int
    start: Epoch
    commit: Epoch
    members: tuple[Member, ...] | None
    answers: tuple[Answer, ...]

    @property
    def by_members(self) -> tuple[Answer, ...]:
        """Answers of those who were drawn (anybody may open a leaf for any shard); all where no draw is known."""
        if self.members is None:
            return self.answers
        drawn = {member.node for member in self.members}
        return tuple(answer for answer in self.answers if answer.node in drawn)


@dataclass(frozen=True, slots=True)
class Draws:
    """Reads what was drawn, and what the lanes say of it, up to the epoch ``now``."""

    rpc: Rpc
    doors: Doors
    epoch_blocks: int
    now: Epoch

    def of(
        self, job: JobId, terms: JobTerms, shard: Shard, answers: Sequence[Answer], settled: Settlement | None
    ) -> tuple[Attempt, ...]:
        """Those of a shard that have begun, up to the one that settled; later ones where a member opened an answer all
        the same, which a verdict may call wrong."""
        found = []
        for number in range(terms.max_attempts):
            start, commit = attempt_start(terms, shard, number), commit_epoch(terms, shard, number)
            if start > self.now:
                break
            mine = tuple(a for a in answers if a.epoch == commit)
            late = settled is not None and number > settled.entry.attempt
            if late and not mine:
                continue
            attempt = Attempt(number, start, commit, self._members(job, terms, shard, start, commit), mine)
            if attempt.by_members or not late:
                found.append(attempt)
        return tuple(found)

    def _members(
        self, job: JobId, terms: JobTerms, shard: Shard, start: Epoch, commit: Epoch
    ) -> tuple[Member, ...] | None:
        block = self.rpc.call("eth_getBlockByNumber", [hex(seed_block(start, self.epoch_blocks)), False])
        if block is None:
            return None
        seed = seed_from_randao(start, prev_randao(block))
        words = draw_words(seed, job, shard, start, terms.pool, terms.committee, case=terms.is_case)
        try:
            slots = parse_slots(self.doors.registry.committees(words), terms.committee)
        except Reverted:
            return None  # older than the ring
        lanes = map(unpack_lane, self.doors.ledger.lanes([(node, commit) for node in slots]))
        drawn = enumerate(zip(slots, lanes, strict=True))
        return tuple(Member(slot, node, None if lane.epoch > commit else lane) for slot, (node, lane) in drawn)
