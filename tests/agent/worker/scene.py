"""A small world for tests: a pool of nodes, jobs, commits and openings, built from events."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from nodeagent.chain import events as ev
from nodeagent.protocol.epochs import attempt_start
from nodeagent.protocol.jobword import case_terms
from nodeagent.protocol.leaves import Leaf, pack_leaves
from nodeagent.protocol.settlement import SettledLeaf
from nodeagent.protocol.types import AnswerClass, Epoch, JobId, JobTerms, NodeId, PoolId, Shard
from nodeagent.worker.world import World

EB = 10
POOL = PoolId(1)
ME = NodeId(1)
ROOT, OTHER_ROOT = b"\x0a" * 32, b"\x0b" * 32
_count = itertools.count()


def at(block: int, tx: str = "") -> ev.At:
    number = next(_count)
    return ev.At(block, number, tx or f"0x{number:064x}")


def terms(**changes: object) -> JobTerms:
    values: dict[str, object] = {
        "task_price": 12, "tasks": 8, "shard_size": 2, "post_epoch": Epoch(9), "pace": 4, "pool": POOL, "committee": 3,
        "quorum": 2, "work": 1, "max_attempts": 3, "answer_class": AnswerClass.EXACT, "appeal_epochs": 0, **changes,
    }  # fmt: skip
    return JobTerms(**values)  # type: ignore[arg-type]


def posted(job: int = 1, block: int = 90, price: int = 1, **changes: object) -> ev.JobPosted:
    return ev.JobPosted(at(block), JobId(job), "0x" + "aa" * 20, bytes([job]) * 32, terms(**changes), 12, price)


def operator(node: int) -> str:
    return f"0x{node:02x}" + "bb" * 19


def registered(node: int, seats: int = 1, first_seat: int | None = None, since: int = 2) -> list[ev.Event]:
    first = (node - 1) * seats if first_seat is None else first_seat
    found: list[ev.Event] = [ev.NodeRegistered(at(5), NodeId(node), operator(node), POOL, f"0xkey{node}")]
    found += [ev.SeatTaken(at(5), POOL, NodeId(node), first + i, Epoch(since), Epoch(since)) for i in range(seats)]
    found.append(ev.ListResized(at(5), POOL, first + seats, Epoch(since)))
    return found


def pool_of(nodes: int) -> list[ev.Event]:
    return [event for node in range(1, nodes + 1) for event in registered(node)]


def revealed(node: int, epoch: int, answers: dict[tuple[int, int], bytes], block: int | None = None) -> ev.Revealed:
    leaves = [Leaf(JobId(j), Shard(s), root) for (j, s), root in sorted(answers.items())]
    where = at((epoch + 1) * EB + 2 if block is None else block)
    return ev.Revealed(where, NodeId(node), Epoch(epoch), pack_leaves(leaves), bytes(32))


def settled(block: int, *shards: SettledLeaf) -> ev.Settled:
    return ev.Settled(at(block), b"\x55" * 32, Epoch(block // EB), ME, 0, shards)


def committed(w: World, epoch: int, *nodes: int) -> None:
    """As the lanes of an epoch that is over say."""
    w.committed.setdefault(Epoch(epoch), set()).update(NodeId(n) for n in nodes)


def world(events: Iterable[ev.Event] = (), node: int = ME) -> World:
    made = World(NodeId(node), POOL, EB)
    made.apply(events)
    return made


def seeds(*epochs: int) -> dict[Epoch, bytes]:
    return {Epoch(e): e.to_bytes(32, "big") for e in epochs}


# --- appeals ----------------------------------------------------------------------------------------------------------


def appealed(
    w: World, block: int, *, job: int = 1, shard: int = 2, case: int = 9, by: int = ME, slots: Iterable[int] = (1, 2, 3)
) -> list[ev.Event]:
    """A case about a settled shard, in the order of its transaction's events. ``slots`` is the appealed committee."""
    original = w.jobs[JobId(job)].terms
    made = case_terms(original, Shard(shard), Epoch((block + 4) // EB), 5)
    where, key = at(block), (JobId(job), Shard(shard), JobId(case))
    start = attempt_start(original, Shard(shard), w.settled[key[:2]].leaf.attempt)
    root, committee = w.settled[key[:2]].leaf.root, tuple(NodeId(n) for n in slots)
    return [
        ev.CasePosted(where, key[2], key[0], key[1], made),
        ev.Appealed(at(block, where.tx), *key, operator(by), 600, root, committee, start),
    ]


def judged(block: int, root: bytes, case: int = 9) -> ev.Settled:
    return settled(block, SettledLeaf(JobId(case), Shard(0), 0, 0b1111, root))


def resolved(block: int, verdict: bytes, overturned: bool, *, job: int = 1, shard: int = 2, case: int = 9) -> ev.Event:
    return ev.Resolved(at(block), JobId(job), Shard(shard), JobId(case), verdict, overturned, 0)
