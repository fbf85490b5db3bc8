"""Batches, digests, lane words and job words: packing both ways, and everything that must be refused."""

from __future__ import annotations

import pytest
from eth_abi.abi import encode
from hypothesis import given
from hypothesis import strategies as st

from nodeagent.protocol.jobword import case_quorum, case_terms, case_word, pack_job_word, unpack_job_word
from nodeagent.protocol.keccak import keccak
from nodeagent.protocol.lanes import (
    UNREVEALED_PUNISHED,
    Lane,
    lane_pairs,
    pack_lane,
    unpack_lane,
)
from nodeagent.protocol.leaves import Leaf, commit_digest, leaf_hashes, leaves_root, pack_leaves, parse_leaves
from nodeagent.protocol.trees import EMPTY_BATCH_ROOT
from nodeagent.protocol.types import AnswerClass, Epoch, JobId, JobTerms, Malformed, NodeId, PoolId, Shard

ROOT = keccak(b"root")
KEYS = st.tuples(st.integers(1, 2**64 - 1), st.integers(0, 2**32 - 1))


def leaf(job: int, shard: int, root: bytes = ROOT) -> Leaf:
    return Leaf(JobId(job), Shard(shard), root)


@given(st.lists(KEYS, unique=True, max_size=60))
def test_pack_leaves__any_ascending_batch__parses_to_the_same(keys: list[tuple[int, int]]) -> None:
    leaves = tuple(leaf(j, s, keccak(b"%d %d" % (j, s))) for j, s in sorted(keys))
    packed = pack_leaves(leaves)
    assert len(packed) == 44 * len(leaves)
    assert parse_leaves(packed) == leaves
    assert leaf_hashes(packed) == [item.hash() for item in leaves]


@pytest.mark.parametrize("keys", [[(1, 0), (1, 0)], [(1, 1), (1, 0)], [(2, 0), (1, 5)]])
def test_leaves__not_ascending__are_refused_both_ways(keys: list[tuple[int, int]]) -> None:
    leaves = [leaf(j, s) for j, s in keys]
    with pytest.raises(ValueError, match=r"leaf 1 \(job \d+, shard \d+\) does not ascend"):
        pack_leaves(leaves)
    with pytest.raises(Malformed, match="leaf 1 does not ascend"):
        parse_leaves(b"".join(item.pack() for item in leaves))


@pytest.mark.parametrize("size", [1, 43, 45])
def test_parse_leaves__odd_length__is_malformed(size: int) -> None:
    with pytest.raises(Malformed, match=f"44 bytes each, got {size} in all"):
        parse_leaves(bytes(size))


def test_leaves__more_than_512__are_refused_both_ways() -> None:
    leaves = [leaf(1, s) for s in range(513)]
    with pytest.raises(ValueError, match="at most 512 leaves, got 513"):
        pack_leaves(leaves)
    with pytest.raises(Malformed, match="at most 512 leaves, got 513"):
        parse_leaves(b"".join(item.pack() for item in leaves))
    assert len(parse_leaves(pack_leaves(leaves[:512]))) == 512


def test_pack_leaves__short_root__is_refused() -> None:
    with pytest.raises(ValueError, match="leaf 0: a result root has 32 bytes, got 31"):
        pack_leaves([leaf(1, 0, ROOT[1:])])


def test_leaves_root__empty_batch__is_fixed() -> None:
    assert leaves_root(b"") == EMPTY_BATCH_ROOT


def test_commit_digest__any_field_changed__differs() -> None:
    ledger, manifest, salt = bytes(range(20)), keccak(b"manifest"), keccak(b"salt")
    packed = pack_leaves([leaf(1, 0)])
    base = (31337, ledger, NodeId(7), Epoch(101), packed, manifest, salt)
    expected = keccak(
        encode(
            ["bytes32", "uint256", "address", "uint32", "uint32", "bytes32", "bytes32", "bytes32"],
            [keccak(b"Quorate batch v1"), 31337, ledger, 7, 101, keccak(packed), manifest, salt],
        )
    )
    assert commit_digest(*base) == expected[:27]
    others = [1, bytes(20), NodeId(8), Epoch(102), b"", keccak(b"x"), keccak(b"y")]
    for i, other in enumerate(others):
        changed = (*base[:i], other, *base[i + 1 :])
        assert commit_digest(*changed) != expected[:27]  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="20 bytes, got 19"):
        commit_digest(31337, bytes(19), NodeId(7), Epoch(101), packed, manifest, salt)


# --- lanes ------------------------------------------------------------------------------------------------------------


@given(st.integers(0, 2**256 - 1))
def test_unpack_lane__any_word__packs_to_the_same(word: int) -> None:
    assert pack_lane(unpack_lane(word)) == word


@pytest.mark.parametrize(
    ("state", "sealed", "counts"),
    [(0, True, False), (1, False, True), (2, False, True), (3, False, False), (8, False, False)],
)
def test_lane__each_state__says_whether_it_counts(state: int, sealed: bool, counts: bool) -> None:
    lane = Lane(Epoch(101), state, ROOT[:27])
    assert lane.sealed_for(Epoch(101)) is sealed
    assert lane.counts_for(Epoch(101)) is counts
    assert not lane.sealed_for(Epoch(102))
    assert not lane.counts_for(Epoch(102))


def test_lane__never_written__is_not_sealed() -> None:
    assert unpack_lane(0).empty
    assert not unpack_lane(0).sealed_for(Epoch(0))


def test_lane__punished__is_neither_sealed_nor_counted() -> None:
    lane = Lane(Epoch(101), UNREVEALED_PUNISHED, ROOT[:27])
    assert lane.has(UNREVEALED_PUNISHED)
    assert not lane.sealed_for(Epoch(101))
    assert not lane.counts_for(Epoch(101))


def test_lane_pairs__two__are_eight_bytes_each() -> None:
    assert lane_pairs([(NodeId(1), Epoch(2)), (NodeId(3), Epoch(4))]).hex() == "00000001000000020000000300000004"


# --- job word ---------------------------------------------------------------------------------------------------------

TERMS = st.builds(
    JobTerms,
    task_price=st.integers(0, 2**88 - 1),
    tasks=st.integers(0, 2**32 - 1),
    shard_size=st.integers(0, 2**24 - 1),
    post_epoch=st.integers(0, 2**32 - 1).map(Epoch),
    pace=st.integers(0, 2**16 - 1),
    pool=st.integers(0, 2**16 - 1).map(PoolId),
    committee=st.integers(0, 255),
    quorum=st.integers(0, 255),
    work=st.integers(0, 255),
    max_attempts=st.integers(0, 255),
    answer_class=st.sampled_from(AnswerClass),
    appeal_epochs=st.integers(0, 255),
    has_rare_word=st.booleans(),
    is_case=st.booleans(),
)


@given(TERMS)
def test_pack_job_word__any_terms__unpack_to_the_same(terms: JobTerms) -> None:
    word = pack_job_word(terms)
    assert 0 <= word < 2**256
    assert unpack_job_word(word) == terms


@pytest.mark.parametrize(("rare", "case", "byte"), [(False, False, 0), (True, False, 0x80), (False, True, 0x40)])
def test_pack_job_word__flags__are_bits_of_the_class_byte(rare: bool, case: bool, byte: int) -> None:
    terms = JobTerms(1, 1, 1, Epoch(1), 1, PoolId(1), 3, 2, 1, 3, AnswerClass.EXACT, 0, rare, case)
    assert pack_job_word(terms) >> 8 & 0xFF == byte


@pytest.mark.parametrize(("judges", "quorum"), [(1, 1), (2, 2), (3, 2), (4, 3), (5, 4), (6, 4), (7, 5), (15, 10)])
def test_case_quorum__judges__is_two_thirds_rounded_up(judges: int, quorum: int) -> None:
    assert case_quorum(judges) == quorum
    assert 3 * quorum >= 2 * judges > 3 * (quorum - 1)


def test_case_terms__short_last_shard__is_one_shard_of_its_tasks_with_the_jobs_clock() -> None:
    job = JobTerms(7, 9, 4, Epoch(100), 2, PoolId(3), 3, 2, 2, 4, AnswerClass.EXACT, 8, has_rare_word=True)
    case = case_terms(job, Shard(2), Epoch(120), 5)
    assert case == JobTerms(7, 1, 1, Epoch(120), 1, PoolId(3), 5, 4, 2, 4, AnswerClass.EXACT, 0, False, True)
    assert case.shards == 1
    assert case_word(pack_job_word(job), Shard(2), Epoch(120), 5) == pack_job_word(case)
    with pytest.raises(ValueError, match="shard 3 is not one of 3"):
        case_terms(job, Shard(3), Epoch(120), 5)


def test_pack_job_word__value_too_wide__names_the_field() -> None:
    terms = JobTerms(1, 1, 2**24, Epoch(1), 1, PoolId(1), 3, 2, 1, 3, AnswerClass.EXACT, 0)
    with pytest.raises(ValueError, match="shard_size 16777216 does not fit 24 bits"):
        pack_job_word(terms)


def test_unpack_job_word__unknown_class__is_malformed() -> None:
    with pytest.raises(Malformed, match="unknown answer class 9"):
        unpack_job_word(9 << 8)
