"""Both trees: every range of every batch up to 40 leaves, and proofs that fail when anything flips."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodeagent.protocol import trees
from nodeagent.protocol.keccak import keccak, words
from nodeagent.protocol.types import Malformed

LEAVES = [keccak(words(i)) for i in range(600)]


def naive_sorted(leaves: list[bytes]) -> bytes:
    if len(leaves) == 1:
        return leaves[0]
    above = [keccak(b"".join(sorted(leaves[i : i + 2]))) for i in range(0, len(leaves) - 1, 2)]
    return naive_sorted(above + leaves[len(above) * 2 :])


def naive_positional(leaves: list[bytes], p: int = 1) -> bytes:
    n = len(leaves)
    if p >= n:
        return leaves[p - n]
    return keccak(naive_positional(leaves, 2 * p) + naive_positional(leaves, 2 * p + 1))


@pytest.mark.parametrize("n", range(1, 41))
def test_sorted_root__every_size_to_40__equals_the_definition_and_all_proofs_verify(n: int) -> None:
    leaves = LEAVES[:n]
    tree = trees.SortedTree(leaves)
    assert tree.root == trees.sorted_root(leaves) == naive_sorted(leaves)
    for i in range(n):
        proof = tree.proof(i)
        assert proof == trees.sorted_proof(leaves, i)
        assert trees.sorted_verify(leaves[i], proof, tree.root)
        assert not trees.sorted_verify(leaves[i - 1], proof, tree.root) or n == 1


@given(st.integers(2, 300), st.data())
def test_sorted_verify__one_bit_flipped__fails(n: int, data: st.DataObject) -> None:
    tree = trees.SortedTree(LEAVES[:n])
    i = data.draw(st.integers(0, n - 1))
    parts = [LEAVES[i], *tree.proof(i)]
    at = data.draw(st.integers(0, len(parts) - 1))
    parts[at] = _flip(parts[at], data.draw(st.integers(0, 255)))
    assert not trees.sorted_verify(parts[0], parts[1:], tree.root)


def test_sorted_tree__no_leaves__is_refused() -> None:
    with pytest.raises(ValueError, match="at least one leaf"):
        trees.SortedTree([])
    with pytest.raises(ValueError, match="at least one leaf"):
        trees.sorted_root([])


def test_sorted_proof__index_out_of_range__is_refused() -> None:
    with pytest.raises(ValueError, match="leaf 3 is not one of 3"):
        trees.sorted_proof(LEAVES[:3], 3)


@pytest.mark.parametrize("n", range(1, 41))
def test_range_root__every_range_of_every_size_to_40__leads_to_the_root(n: int) -> None:
    leaves = LEAVES[:n]
    root = trees.batch_root(leaves)
    assert root == naive_positional(leaves)
    for first in range(n):
        for count in range(1, n - first + 1):
            proof = trees.range_proof(leaves, first, count)
            assert trees.range_root(n, first, leaves[first : first + count], proof) == root
    assert trees.range_proof(leaves, 0, n) == []


def test_batch_root__no_leaves__is_fixed() -> None:
    assert trees.batch_root([]).hex() == "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"


@st.composite
def ranges(draw: st.DrawFn) -> tuple[int, int, int]:
    n = draw(st.integers(1, 512))
    first = draw(st.integers(0, n - 1))
    return n, first, draw(st.integers(1, n - first))


@given(ranges(), st.data())
def test_range_root__anything_flipped__never_leads_to_the_root(case: tuple[int, int, int], data: st.DataObject) -> None:
    n, first, count = case
    leaves = LEAVES[:n]
    root = trees.batch_root(leaves)
    parts = leaves[first : first + count] + trees.range_proof(leaves, first, count)
    assert trees.range_root(n, first, parts[:count], parts[count:]) == root
    at = data.draw(st.integers(0, len(parts) - 1))
    parts[at] = _flip(parts[at], data.draw(st.integers(0, 255)))
    assert trees.range_root(n, first, parts[:count], parts[count:]) != root


@given(ranges())
def test_range_root__proof_too_short_or_long__is_malformed(case: tuple[int, int, int]) -> None:
    n, first, count = case
    hashes = LEAVES[first : first + count]
    proof = trees.range_proof(LEAVES[:n], first, count)
    with pytest.raises(Malformed, match="too long"):
        trees.range_root(n, first, hashes, [*proof, LEAVES[0]])
    if proof:
        with pytest.raises(Malformed, match="too short"):
            trees.range_root(n, first, hashes, proof[:-1])


@given(ranges(), st.integers(1, 3))
def test_range_root__another_position__never_leads_to_the_root(case: tuple[int, int, int], shift: int) -> None:
    n, first, count = case
    moved = (first + shift) % n
    if moved == first or moved + count > n:
        return
    leaves = LEAVES[:n]
    proof = trees.range_proof(leaves, first, count)
    try:
        found = trees.range_root(n, moved, leaves[first : first + count], proof)
    except Malformed:
        return
    assert found != trees.batch_root(leaves)


@pytest.mark.parametrize(("n", "first", "count"), [(0, 0, 0), (3, 0, 0), (3, 2, 2), (3, 3, 1), (3, -1, 1)])
def test_range__not_within_the_batch__is_refused(n: int, first: int, count: int) -> None:
    with pytest.raises(ValueError, match="are not a range of"):
        trees.range_proof(LEAVES[:n], first, count)
    with pytest.raises(Malformed, match="are not a range of"):
        trees.range_root(n, first, LEAVES[:count], [])


def _flip(node: bytes, bit: int) -> bytes:
    return (int.from_bytes(node, "big") ^ 1 << bit).to_bytes(32, "big")
