"""Settle calls: what is built parses back, opens to the lanes' roots, and shows nothing that does not agree."""

from __future__ import annotations

from dataclasses import replace

import pytest
from eth_abi.abi import encode
from hypothesis import given, settings
from hypothesis import strategies as st

from nodeagent.protocol.keccak import keccak
from nodeagent.protocol.leaves import Leaf, leaves_root, pack_leaves
from nodeagent.protocol.openings import (
    Opening,
    opening_root,
    parse_calldata,
    parse_claim_opening,
    parse_settle,
)
from nodeagent.protocol.settlement import (
    LaneKey,
    OpenBatch,
    SettleCall,
    SettledLeaf,
    SettleEntry,
    build_claim_opening,
    build_settle,
    parse_settled,
    settlement_tree,
)
from nodeagent.protocol.trees import sorted_verify
from nodeagent.protocol.types import Epoch, JobId, Malformed, NodeId, Shard

PAYEE = NodeId(7)


def root_of(job: int, shard: int, version: int = 0) -> bytes:
    return keccak(b"%d %d %d" % (job, shard, version))


def leaf(job: int, shard: int, version: int = 0) -> Leaf:
    return Leaf(JobId(job), Shard(shard), root_of(job, shard, version))


def lane(node: int, epoch: int = 101) -> LaneKey:
    return LaneKey(NodeId(node), Epoch(epoch))


def entry(job: int, shard: int, *nodes: int | None) -> SettleEntry:
    slots = tuple(None if node is None else lane(node) for node in nodes)
    return SettleEntry(JobId(job), Shard(shard), 0, root_of(job, shard), slots)


def batch(node: int, *leaves: Leaf) -> OpenBatch:
    return OpenBatch(lane(node), leaves)


def only_opening(call: SettleCall, committee: int = 3) -> Opening:
    parsed = parse_settle(call, lambda job: committee)
    assert len(parsed.openings) == 1
    return parsed.openings[0]


# --- building ---------------------------------------------------------------------------------------------------------


def test_build_settle__whole_batch__needs_one_segment_and_no_proof() -> None:
    leaves = tuple(leaf(1, s) for s in range(8))
    call = build_settle([entry(1, s, 1, 2, None) for s in range(8)], [batch(1, *leaves)])
    opening = only_opening(call)
    assert (opening.size, opening.first, opening.proof) == (8, 0, ())
    assert [(s.entry, s.count) for s in opening.segments] == [(0, 8)]
    assert len(call.entries) == 8 * 48
    assert call.lanes.hex() == "00000001000000650000000200000065"


def test_build_settle__foreign_leaf_between__is_given_as_hash() -> None:
    leaves = (leaf(1, 0), leaf(1, 1, version=9), leaf(2, 0), leaf(2, 1))
    call = build_settle([entry(1, 0, 1), entry(1, 1, 1), entry(2, 0, 1)], [batch(1, *leaves)])
    opening = only_opening(call, committee=1)
    assert [(s.entry, s.count) for s in opening.segments] == [(0, 1), (None, 1), (2, 1)]
    assert opening.segments[1].hashes == (leaves[1].hash(),)
    assert (opening.first, len(opening.proof)) == (0, 1)


def test_build_settle__answer_of_a_lane_that_the_entry_does_not_show__stays_foreign() -> None:
    entries = [entry(1, 0, 1), entry(1, 1, None), entry(1, 2, 1)]
    call = build_settle(entries, [batch(1, leaf(1, 0), leaf(1, 1), leaf(1, 2))])
    assert only_opening(call, committee=1).entries == (0, 2)


def test_build_settle__lane_listed_but_not_opened__has_no_opening() -> None:
    call = build_settle([entry(1, 0, 1, 2, 3)], [batch(3, leaf(1, 0))])
    parsed = parse_settle(call, lambda job: 3)
    assert parsed.lanes == (lane(1), lane(2), lane(3))
    assert [opening.lane for opening in parsed.openings] == [2]
    assert parsed.entries[0].hints == (0, 1, 2)


@pytest.mark.parametrize(("entries", "batches", "message"), [
    ([entry(1, 1, 1), entry(1, 0, 1)], [], r"entry \(job 1, shard 0\) does not ascend"),
    ([entry(1, 0, 1), entry(1, 0, 2)], [], r"entry \(job 1, shard 0\) does not ascend"),
    ([entry(1, 0, 1)], [batch(2, leaf(1, 0))], "no entry shows node 2 in epoch 101"),
    ([entry(1, 0, 1)], [batch(1, leaf(1, 0)), batch(1, leaf(1, 0))], "no entry shows node 1"),
    ([entry(1, 0, 1)], [batch(1, leaf(1, 0, version=5))], "node 1, epoch 101 agrees with no entry"),
    ([entry(1, s, *range(15 * s + 1, 15 * s + 16)) for s in range(18)], [], "at most 254 lanes, got 270"),
    ([entry(1, s, 1) for s in range(257)], [], "at most 256 shards, got 257"),
])  # fmt: skip
def test_build_settle__impossible_call__says_why(
    entries: list[SettleEntry], batches: list[OpenBatch], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        build_settle(entries, batches)


def test_build_settle__every_other_leaf__alternates_entries_and_hashes() -> None:
    leaves = [leaf(1, s) for s in range(512)]
    call = build_settle([entry(1, s, 1) for s in range(0, 512, 2)], [batch(1, *leaves)])
    opening = only_opening(call, committee=1)
    assert (len(opening.segments), opening.entries) == (511, tuple(range(256)))
    parsed = parse_settle(call, lambda job: 1)
    assert opening_root(opening, parsed.entries) == leaves_root(pack_leaves(leaves))[:27]


@st.composite
def situations(draw: st.DrawFn) -> tuple[list[SettleEntry], list[OpenBatch]]:
    """Random shards of two jobs, committees of three out of five nodes, and batches that agree, dissent or pass."""
    shards = draw(st.lists(st.tuples(st.integers(1, 2), st.integers(0, 12)), unique=True, min_size=1, max_size=12))
    shown: list[SettleEntry] = []
    answers: dict[int, list[Leaf]] = {node: [] for node in range(1, 6)}
    for job, shard in sorted(shards):
        members = draw(st.permutations(range(1, 6)))[:3]
        if draw(st.booleans()):
            hidden = draw(st.sets(st.integers(0, 2), max_size=2))
            shown.append(entry(job, shard, *(None if i in hidden else n for i, n in enumerate(members))))
        for node in answers:
            choice = draw(st.sampled_from(["agree", "agree", "dissent", "pass"]))
            if choice != "pass":
                answers[node].append(leaf(job, shard, version=0 if choice == "agree" else node))
    batches = []
    for node, leaves in answers.items():
        if any(item.leaf in leaves and lane(node) in item.slots for item in shown):
            batches.append(batch(node, *leaves))
    return shown, batches


@settings(max_examples=200)
@given(situations())
def test_build_settle__any_situation__opens_to_the_batch_roots_and_shows_all_that_agrees(
    situation: tuple[list[SettleEntry], list[OpenBatch]],
) -> None:
    entries, batches = situation
    call = build_settle(entries, batches)
    parsed = parse_settle(call, lambda job: 3)
    assert [(e.job, e.shard, e.attempt, e.root) for e in parsed.entries] == [
        (e.job, e.shard, e.attempt, e.root) for e in entries
    ]
    for before, after in zip(entries, parsed.entries, strict=True):
        assert tuple(None if h is None else parsed.lanes[h] for h in after.hints) == before.slots
    by_lane = {item.lane: item for item in batches}
    for opening in parsed.openings:
        opened = by_lane.pop(parsed.lanes[opening.lane])
        assert opening_root(opening, parsed.entries) == leaves_root(pack_leaves(opened.leaves))[:27]
        agreeing = {i for i, e in enumerate(entries) if e.leaf in opened.leaves and opened.lane in e.slots}
        assert set(opening.entries) == agreeing
    assert not by_lane
    assert parse_calldata(call.calldata(PAYEE)) == (call, PAYEE)


# --- bytes ------------------------------------------------------------------------------------------------------------


def test_calldata__any_blobs__is_what_an_abi_encoder_makes() -> None:
    call = build_settle([entry(1, 0, 1, 2, 3)], [batch(3, leaf(1, 0))])
    arguments = [call.entries, call.lanes, call.openings, PAYEE]
    expected = keccak(b"settle(bytes,bytes,bytes,uint32)")[:4] + encode(
        ["bytes", "bytes", "bytes", "uint32"], arguments
    )
    assert call.calldata(PAYEE) == expected


def test_parse_calldata__other_function_or_dirty_encoding__is_malformed() -> None:
    data = build_settle([entry(1, 0, 1)], [batch(1, leaf(1, 0))]).calldata(PAYEE)
    with pytest.raises(Malformed, match="input starts with 00000000"):
        parse_calldata(bytes(4) + data[4:])
    with pytest.raises(Malformed, match="not the canonical encoding"):
        parse_calldata(data + bytes(32))
    with pytest.raises(Malformed, match="ends beyond its input"):
        parse_calldata(data[:-64])


@given(st.data())
def test_parse_settle__cut_anywhere__is_malformed_or_shorter(data: st.DataObject) -> None:
    call = build_settle([entry(1, s, 1, 2) for s in range(3)], [batch(1, leaf(1, 0), leaf(1, 2)), batch(2, leaf(1, 1))])
    field = data.draw(st.sampled_from(["entries", "lanes", "openings"]))
    blob: bytes = getattr(call, field)
    cut = replace(call, **{field: blob[: data.draw(st.integers(0, len(blob) - 1))]})
    try:
        parsed = parse_settle(cut, lambda job: 2)
    except Malformed:
        return
    assert len(parsed.openings) < 2


@pytest.mark.parametrize(("change", "message"), [
    ({"lanes": bytes(16)}, "lane 1 does not ascend"),
    ({"lanes": bytes(7)}, "8 bytes each"),
    ({"lanes": b""}, "entry 0 names a lane beyond the 0 listed"),
    ({"openings": b"\x05"}, "opening 0 names lane 5 of 1"),
    ({"openings": bytes.fromhex("00" + "00010000" + "0001" + "00000002" + "00")}, "names entries 0 to 1 of 1"),
    ({"entries": b"\x01"}, "entries end at byte 1, inside a field that starts at 0"),
])  # fmt: skip
def test_parse_settle__broken_blob__names_the_item(change: dict[str, bytes], message: str) -> None:
    call = build_settle([entry(1, 0, 1)], [batch(1, leaf(1, 0))])
    with pytest.raises(Malformed, match=message):
        parse_settle(replace(call, **change), lambda job: 1)


def test_parse_settle__entry_twice__is_malformed() -> None:
    call = build_settle([entry(1, 0, 1)], [])
    with pytest.raises(Malformed, match="entry 1 does not ascend"):
        parse_settle(replace(call, entries=call.entries * 2), lambda job: 1)


def test_parse_settle__257_entries__are_malformed() -> None:
    first, rest = ([entry(1, s, 1) for s in part] for part in (range(256), range(256, 257)))
    full, more = build_settle(first, []), build_settle(rest, [])
    assert len(parse_settle(full, lambda job: 1).entries) == 256
    with pytest.raises(Malformed, match="at most 256 shards"):
        parse_settle(replace(full, entries=full.entries + more.entries), lambda job: 1)


# --- claim ------------------------------------------------------------------------------------------------------------


@given(st.integers(1, 100), st.data())
def test_build_claim_opening__any_leaf__opens_to_the_batch_root(n: int, data: st.DataObject) -> None:
    leaves = [leaf(1, s) for s in range(n)]
    at = data.draw(st.integers(0, n - 1))
    opening = parse_claim_opening(build_claim_opening(leaves[at], leaves))
    call = build_settle([entry(1, at, 1)], [])
    parsed = parse_settle(call, lambda job: 1)
    assert opening.first == at
    assert opening_root(opening, parsed.entries) == leaves_root(pack_leaves(leaves))[:27]


def test_claim_opening__leaf_elsewhere_or_bytes_after__is_refused() -> None:
    with pytest.raises(ValueError, match="not in list"):
        build_claim_opening(leaf(9, 9), [leaf(1, 0)])
    with pytest.raises(Malformed, match="bytes follow the opening"):
        parse_claim_opening(build_claim_opening(leaf(1, 0), [leaf(1, 0)]) + b"\0")
    with pytest.raises(Malformed, match="one lane, 0, got 1"):
        parse_claim_opening(b"\1" + build_claim_opening(leaf(1, 0), [leaf(1, 0)])[1:])


# --- record -----------------------------------------------------------------------------------------------------------

SETTLED = st.builds(
    SettledLeaf,
    st.integers(0, 2**64 - 1).map(JobId),
    st.integers(0, 2**32 - 1).map(Shard),
    st.integers(0, 255),
    st.integers(0, 2**16 - 1),
    st.binary(min_size=32, max_size=32),
)


@given(st.lists(SETTLED, min_size=1, max_size=40))
def test_parse_settled__any_event__is_what_was_packed_and_every_path_verifies(leaves: list[SettledLeaf]) -> None:
    assert parse_settled(b"".join(item.pack() for item in leaves)) == tuple(leaves)
    tree = settlement_tree(leaves)
    for i, item in enumerate(leaves):
        assert sorted_verify(item.hash(), tree.proof(i), tree.root)
        other = item._replace(paid_slots=item.paid_slots ^ 1)
        assert not sorted_verify(other.hash(), tree.proof(i), tree.root)


def test_settled_leaf__hash__is_of_five_words_twice() -> None:
    item = SettledLeaf(JobId(1), Shard(2), 3, 4, root_of(1, 2))
    encoded = encode(["uint256", "uint256", "uint256", "uint256", "bytes32"], list(item))
    assert item.hash() == keccak(keccak(encoded))


@pytest.mark.parametrize("size", [0, 46, 48])
def test_parse_settled__odd_length__is_malformed(size: int) -> None:
    with pytest.raises(Malformed, match=f"47 bytes each, got {size}"):
        parse_settled(bytes(size))
