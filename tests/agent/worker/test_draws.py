"""Which shards start when, and who computes them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from scene import ME, ROOT, pool_of, posted, seeds, settled, terms, world

from nodeagent.protocol.epochs import attempt_start
from nodeagent.protocol.settlement import SettledLeaf
from nodeagent.protocol.types import Epoch, JobId, NodeId, Shard
from nodeagent.worker.draws import DrawBook, draws_in, starting_in


@given(
    st.integers(1, 40), st.integers(1, 4), st.integers(1, 9), st.integers(1, 4), st.integers(1, 4), st.integers(0, 60)
)
def test_starting_in__any_terms__inverse_of_attempt_start(
    tasks: int, size: int, pace: int, work: int, attempts: int, epoch: int
) -> None:
    job = terms(tasks=tasks, shard_size=size, pace=pace, work=work, max_attempts=attempts)
    expected = {(s, a) for s in range(job.shards) for a in range(attempts) if attempt_start(job, Shard(s), a) == epoch}
    found = list(starting_in(job, Epoch(epoch)))
    assert set(found) == expected and len(found) == len(expected)


def test_draws_in__settled_shard__not_drawn_again() -> None:
    w = world([*pool_of(5), posted(1)])
    first = Epoch(10)
    assert {d.shard for d in draws_in(w, first, seeds(10)[first])} == {0, 1, 2, 3}
    w.apply([settled(1025, SettledLeaf(JobId(1), Shard(2), 0, 7, ROOT))])
    second = draws_in(w, Epoch(13), seeds(13)[Epoch(13)])
    assert {(d.shard, d.attempt, d.commit) for d in second} == {(0, 1, 13), (1, 1, 13), (3, 1, 13)}


def test_draws_in__committee__distinct_nodes_of_the_pool() -> None:
    w = world([*pool_of(5), posted(1)])
    for draw in draws_in(w, Epoch(10), seeds(10)[Epoch(10)]):
        assert len(set(draw.slots)) == 3 and set(draw.slots) <= {1, 2, 3, 4, 5}
        assert draw.slot_of(draw.slots[1]) == 1 and draw.slot_of(NodeId(99)) is None


def test_draw_book__seed_unknown__nothing_then_once() -> None:
    w = world([*pool_of(3), posted(1)])
    known: dict[Epoch, bytes] = {}
    book = DrawBook(w, known)
    assert book.update(Epoch(10)) == [] and book.get(w.jobs[JobId(1)], Shard(0), 0) is None
    known.update(seeds(10))
    assert len(book.update(Epoch(10))) == 4 and book.update(Epoch(10)) == []
    assert book.get(w.jobs[JobId(1)], Shard(0), 0) in book.mine(Epoch(10))


def test_mine__committees_of_three_in_a_pool_of_three__all_until_their_commit_is_over() -> None:
    w = world([*pool_of(3), posted(1)])
    book = DrawBook(w, seeds(10))
    book.update(Epoch(10))
    assert len(book.mine(Epoch(10))) == 4 and all(ME in d.slots for d in book.mine(Epoch(10)))
    assert book.mine(Epoch(11)) == []
    book.forget(Epoch(11))
    assert book.mine(Epoch(0)) == []


def test_draw_book__settled_before_it_was_made__a_reporter_draws_up_to_the_attempt_that_settled() -> None:
    leaves = [SettledLeaf(JobId(1), Shard(shard), shard % 2, 3, ROOT) for shard in range(4)]
    w = world([*pool_of(3), posted(1), settled(145, *leaves)])
    plain, watching = DrawBook(w, seeds(10, 13, 16)), DrawBook(w, seeds(10, 13, 16), settled=True)
    assert [plain.update(Epoch(start)) for start in (10, 13, 16)] == [[], [], []]
    found = {start: [draw.shard for draw in watching.update(Epoch(start))] for start in (10, 13, 16)}
    assert found == {10: [0, 1, 2, 3], 13: [1, 3], 16: []}
