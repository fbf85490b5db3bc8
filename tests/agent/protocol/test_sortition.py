"""The draw against a literal reading of the protocol page, and the seat list that feeds it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from eth_abi.abi import encode
from hypothesis import given
from hypothesis import strategies as st

from nodeagent.protocol.keccak import keccak
from nodeagent.protocol.sortition import SeatList, draw, draw_words, pack_slots, parse_slots, seed_from_randao
from nodeagent.protocol.types import VOID, Epoch, JobId, NodeId, PoolId, Shard

SEED = keccak(b"seed")
TABLES = st.lists(st.integers(0, 40).map(NodeId), max_size=80)


def reference(seed: bytes, job: int, shard: int, size: int, seats: int, valid: Callable[[int], int]) -> list[int]:
    """Word for word as the page says it, with a general ABI encoder."""
    h0 = keccak(encode(["bytes32", "uint256", "uint256"], [seed, job, shard]))
    committee: list[int] = []
    for i in range(64):
        if len(committee) == size or seats == 0:
            break
        stream = keccak(encode(["bytes32", "uint256"], [h0, i // 8]))
        word = int.from_bytes(stream[4 * (i % 8) : 4 * (i % 8) + 4], "big")
        node = valid(word * seats >> 32)
        if node and node not in committee:
            committee.append(node)
    return committee


@given(
    st.binary(min_size=32, max_size=32),
    st.integers(1, 2**64 - 1),
    st.integers(0, 2**32 - 1),
    st.integers(0, 15),
    TABLES,
)
def test_draw__any_list__is_what_the_page_says(
    seed: bytes, job: int, shard: int, size: int, table: list[NodeId]
) -> None:
    slots = draw(seed, JobId(job), Shard(shard), size, len(table), table.__getitem__)
    expected = reference(seed, job, shard, size, len(table), table.__getitem__)
    assert list(slots) == expected + [0] * (size - len(expected))


@given(st.integers(0, 10**6), st.integers(1, 15), TABLES)
def test_draw__any_list__gives_distinct_nodes_and_voids_at_the_end(shard: int, size: int, table: list[NodeId]) -> None:
    slots = draw(SEED, JobId(1), Shard(shard), size, len(table), table.__getitem__)
    drawn = [node for node in slots if node]
    assert len(slots) == size
    assert len(set(drawn)) == len(drawn)
    assert set(drawn) <= set(table)
    assert all(node == VOID for node in slots[len(drawn) :])


def test_draw__empty_list__is_void_and_asks_no_seat() -> None:
    def refuse(index: int) -> NodeId:
        raise AssertionError(index)

    assert draw(SEED, JobId(1), Shard(0), 3, 0, refuse) == (0, 0, 0)


def test_draw__no_valid_seat__spends_64_probes() -> None:
    asked: list[int] = []
    draw(SEED, JobId(1), Shard(0), 3, 1000, lambda i: asked.append(i))
    assert len(asked) == 64


def test_draw__two_seats_of_ten__are_drawn_twice_as_often() -> None:
    table = [NodeId(1), NodeId(1), *(NodeId(n) for n in range(2, 10))]
    hits = sum(draw(SEED, JobId(1), Shard(s), 1, 10, table.__getitem__) == (1,) for s in range(5000))
    assert 850 < hits < 1150


def test_draw__seat_behind_holes__is_not_favoured() -> None:
    table = [NodeId(1), *[VOID] * 6, NodeId(2), NodeId(3), NodeId(4)]
    counts = [0] * 5
    for s in range(4000):
        counts[draw(SEED, JobId(1), Shard(s), 1, 10, table.__getitem__)[0]] += 1
    assert counts[0] == 0
    assert all(850 < count < 1150 for count in counts[1:])


def test_seed__from_randao__is_the_hash_of_two_words() -> None:
    randao = keccak(b"randao")
    assert seed_from_randao(Epoch(101), randao) == keccak(encode(["uint256", "bytes32"], [101, randao]))
    with pytest.raises(ValueError, match="32 bytes, got 31"):
        seed_from_randao(Epoch(101), randao[1:])


def test_parse_slots__fifteen_nodes__reads_both_words() -> None:
    nodes = list(range(1, 16))
    packed = b"".join(n.to_bytes(4, "big") for n in [*nodes, 0])
    answer = [int.from_bytes(packed[:32], "big"), int.from_bytes(packed[32:], "big")]
    assert parse_slots(answer, 15) == tuple(nodes)
    assert parse_slots(answer, 3) == (1, 2, 3)
    with pytest.raises(ValueError, match="2 words, got 1"):
        parse_slots(answer[:1], 3)


@given(
    st.integers(0, 2**64 - 1),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**16 - 1),
    st.integers(0, 15),
)
def test_draw_words__any_fields__unpack_to_the_same(job: int, shard: int, epoch: int, pool: int, size: int) -> None:
    first, word = draw_words(SEED, JobId(job), Shard(shard), Epoch(epoch), PoolId(pool), size)
    assert first == int.from_bytes(SEED, "big")
    fields = (word >> 192, word >> 160 & 2**32 - 1, word >> 128 & 2**32 - 1, word >> 112 & 2**16 - 1, word >> 104 & 255)
    assert fields == (job, shard, epoch, pool, size)


@given(st.integers(0, 10**6), st.integers(1, 15), TABLES, st.sets(st.integers(1, 40).map(NodeId), max_size=15))
def test_draw__excluded_nodes__are_as_if_their_seats_were_void(
    shard: int, size: int, table: list[NodeId], excluded: set[NodeId]
) -> None:
    slots = draw(SEED, JobId(1), Shard(shard), size, len(table), table.__getitem__, excluded)
    without = [VOID if node in excluded else node for node in table]
    assert slots == draw(SEED, JobId(1), Shard(shard), size, len(table), without.__getitem__)
    assert not excluded & set(slots)


def test_draw_words__case__sets_the_last_bit() -> None:
    plain = draw_words(SEED, JobId(9), Shard(0), Epoch(3), PoolId(1), 5)
    case = draw_words(SEED, JobId(9), Shard(0), Epoch(3), PoolId(1), 5, case=True)
    assert (case[0], case[1] ^ plain[1]) == (plain[0], 1)


@given(st.lists(st.integers(0, 2**32 - 1).map(NodeId), max_size=15))
def test_pack_slots__any_slots__parse_to_the_same(slots: list[NodeId]) -> None:
    assert parse_slots(pack_slots(slots), len(slots)) == tuple(slots)
    assert parse_slots(pack_slots(slots), 15) == (*slots, *[VOID] * (15 - len(slots)))


# --- seat list --------------------------------------------------------------------------------------------------------


def _three_seats() -> SeatList:
    seats = SeatList()
    for index, node in enumerate((1, 2, 1)):
        seats.resized(index + 1, Epoch(11))
        seats.seat_taken(NodeId(node), index, Epoch(11))
    return seats


def test_seat_list__before_the_first_epoch__is_empty() -> None:
    seats = _three_seats()
    assert seats.length_at(Epoch(10)) == 0
    assert seats.length_at(Epoch(11)) == 3
    assert seats.nodes_at(Epoch(11)) == {1, 2}


def test_seat_list__seat_ended_and_taken_again__keeps_the_past() -> None:
    seats = _three_seats()
    seats.seat_ended(1, Epoch(20))
    seats.seat_taken(NodeId(7), 1, Epoch(150))
    found = [seats.node_at(1, Epoch(e)) for e in (19, 20, 149, 150)]
    assert found == [2, VOID, VOID, 7]


@pytest.mark.parametrize(("held_before", "found"), [(None, 1), (12, 1), (11, VOID), (1, VOID)])
def test_node_at__held_before__asks_for_an_older_seat(held_before: int | None, found: int) -> None:
    before = None if held_before is None else Epoch(held_before)
    assert _three_seats().node_at(0, Epoch(15), before) == found


def test_node_at__relocated_seat__keeps_its_age() -> None:
    seats = _three_seats()
    seats.seat_ended(2, Epoch(30))
    seats.seat_ended(1, Epoch(20))
    seats.seat_taken(NodeId(1), 1, Epoch(30), Epoch(11))
    assert [seats.node_at(1, Epoch(e), Epoch(12)) for e in (29, 30)] == [VOID, 1]
    assert seats.node_at(1, Epoch(30), Epoch(11)) == VOID


def test_committee__case__leaves_out_members_and_newcomers() -> None:
    seats = SeatList()
    seats.resized(30, Epoch(1))
    for index in range(30):
        seats.seat_taken(NodeId(index + 1), index, Epoch(1 if index < 15 else 40))
    excluded, drawn = {NodeId(1), NodeId(2), NodeId(3)}, set()
    for job in range(60):
        slots = seats.committee(SEED, JobId(job), Shard(0), 5, Epoch(50), excluded=excluded, held_before=Epoch(40))
        drawn |= set(slots)
    assert drawn - {VOID} == set(range(4, 16))
    assert {VOID} != set(seats.committee(SEED, JobId(1), Shard(0), 5, Epoch(50))) - set(range(1, 16))


def test_seat_list__pause_interval__is_half_open() -> None:
    seats = _three_seats()
    seats.paused(NodeId(1), Epoch(20))
    seats.resumed(NodeId(1), Epoch(22))
    assert [seats.is_paused(NodeId(1), Epoch(e)) for e in (19, 20, 21, 22)] == [False, True, True, False]
    assert seats.node_at(0, Epoch(21)) == VOID


def test_seat_list__paused_and_resumed_for_the_same_epoch__never_pauses() -> None:
    seats = _three_seats()
    seats.paused(NodeId(1), Epoch(20))
    seats.resumed(NodeId(1), Epoch(20))
    assert not seats.is_paused(NodeId(1), Epoch(20))


def test_seat_list__packed_pauses__equal_the_events() -> None:
    seats = _three_seats()
    seats.set_pauses(NodeId(1), [30 << 32 | 2**32 - 1, 20 << 32 | 22, 0, 0])
    assert [seats.is_paused(NodeId(1), Epoch(e)) for e in (19, 20, 22, 29, 30, 500)] == [
        False,
        True,
        False,
        False,
        True,
        True,
    ]


def test_seat_list__resized_twice_for_one_epoch__the_last_counts() -> None:
    seats = _three_seats()
    seats.resized(2, Epoch(40))
    seats.resized(5, Epoch(40))
    assert [seats.length_at(Epoch(e)) for e in (39, 40)] == [3, 5]
    with pytest.raises(ValueError, match="length of epoch 39 came after that of epoch 40"):
        seats.resized(1, Epoch(39))


@pytest.mark.parametrize(("call", "message"), [
    (lambda s: s.seat_taken(NodeId(9), 0, Epoch(30)), "seat 0 is held"),
    (lambda s: s.seat_ended(9, Epoch(30)), "seat 9 was never taken"),
    (lambda s: s.resumed(NodeId(2), Epoch(30)), "node 2 is not paused"),
])  # fmt: skip
def test_seat_list__impossible_event__says_so(call: Callable[[SeatList], None], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(_three_seats())


@given(st.integers(0, 1000), st.integers(1, 9))
def test_committee__later_events__never_change_a_past_draw(shard: int, later: int) -> None:
    seats = _three_seats()
    before = seats.committee(SEED, JobId(1), Shard(shard), 3, Epoch(15))
    assert set(before) == {1, 2, VOID}
    seats.seat_ended(0, Epoch(15 + later))
    seats.paused(NodeId(2), Epoch(15 + later))
    seats.resized(9, Epoch(15 + later))
    assert seats.committee(SEED, JobId(1), Shard(shard), 3, Epoch(15)) == before
    assert 2 not in seats.committee(SEED, JobId(1), Shard(shard), 3, Epoch(15 + later))
