"""Results: leaves by a general ABI encoder, trees, chunk proofs, and the strict results file."""

from __future__ import annotations

import pytest
from eth_abi.abi import encode
from hypothesis import given
from hypothesis import strategies as st

from nodeagent.protocol.keccak import keccak
from nodeagent.protocol.results import (
    ResultTree,
    TaskResult,
    chunk_leaf,
    chunk_leaves,
    chunk_root,
    encode_results,
    parse_results,
    task_leaf,
)
from nodeagent.protocol.trees import sorted_root, sorted_verify
from nodeagent.protocol.types import Malformed, Task

RESULTS = st.builds(TaskResult, st.integers(0, 255), st.binary(max_size=3000))


@given(st.integers(0, 2**32 - 1), st.binary(max_size=1024))
def test_chunk_leaf__any_chunk__is_the_double_hash_of_its_encoding(index: int, chunk: bytes) -> None:
    assert chunk_leaf(index, chunk) == keccak(keccak(encode(["uint256", "bytes"], [index, chunk])))


@given(st.integers(0, 2**32 - 1), RESULTS)
def test_task_leaf__any_result__is_the_double_hash_of_four_words(task: int, result: TaskResult) -> None:
    chunks = [result.data[i : i + 1024] for i in range(0, len(result.data), 1024)]
    root = sorted_root([chunk_leaf(i, c) for i, c in enumerate(chunks)]) if chunks else bytes(32)
    words = [task, result.status, len(result.data), root]
    assert task_leaf(Task(task), result) == keccak(keccak(encode(["uint256"] * 3 + ["bytes32"], words)))


@pytest.mark.parametrize(("length", "chunks"), [(0, 0), (1, 1), (1024, 1), (1025, 2), (3072, 3)])
def test_chunk_leaves__around_the_boundary__are_one_per_kibibyte(length: int, chunks: int) -> None:
    assert len(chunk_leaves(bytes(length))) == chunks
    assert (chunk_root(bytes(length)) == bytes(32)) == (length == 0)


@given(st.integers(0, 10**6), st.lists(RESULTS, min_size=1, max_size=12), st.data())
def test_result_tree__any_shard__proves_each_task_and_no_other_answer(
    first: int, results: list[TaskResult], data: st.DataObject
) -> None:
    tree = ResultTree(Task(first), results)
    i = data.draw(st.integers(0, len(results) - 1))
    task = Task(first + i)
    assert tree.result(task) == results[i]
    assert sorted_verify(task_leaf(task, results[i]), tree.proof(task), tree.root)
    status, content = results[i]
    others = [TaskResult(status ^ 1, content), TaskResult(status, content + b"\0")]
    for other in others:
        assert not sorted_verify(task_leaf(task, other), tree.proof(task), tree.root)
    assert not sorted_verify(task_leaf(Task(task + 1), results[i]), tree.proof(task), tree.root)
    for k, leaf in enumerate(chunk_leaves(content)):
        assert sorted_verify(leaf, tree.chunk_proof(task, k), chunk_root(content))


def test_result_tree__task_or_chunk_outside__is_refused() -> None:
    tree = ResultTree(Task(10), [TaskResult(0, b"x"), TaskResult(3, b"")])
    with pytest.raises(ValueError, match="task 12 is not in 10 to 11"):
        tree.proof(Task(12))
    with pytest.raises(ValueError, match="task 11 has 0 chunks, no chunk 0"):
        tree.chunk_proof(Task(11), 0)
    with pytest.raises(ValueError, match="at least one leaf"):
        ResultTree(Task(0), [])


@given(st.lists(RESULTS, max_size=8))
def test_parse_results__any_file__is_what_was_encoded(results: list[TaskResult]) -> None:
    assert parse_results(encode_results(results), len(results)) == tuple(results)


@pytest.mark.parametrize(("data", "tasks", "message"), [
    (b"", 1, "ends before task 0 of 1"),
    (bytes(4), 1, "ends before task 0 of 1"),
    (bytes.fromhex("0000000003aabb"), 1, "ends inside task 0: 3 bytes said, 2 left"),
    (bytes(5), 0, "5 bytes after its 0 tasks"),
    (bytes(6), 1, "1 bytes after its 1 tasks"),
    (b"\0\xff\xff\xff\xff", 1, "4294967295 bytes said, 0 left"),
])  # fmt: skip
def test_parse_results__broken_file__says_where(data: bytes, tasks: int, message: str) -> None:
    with pytest.raises(Malformed, match=message):
        parse_results(data, tasks)


def test_encode_results__status_beyond_a_byte__is_refused() -> None:
    with pytest.raises(ValueError, match="result 0: status 256"):
        encode_results([TaskResult(256, b"")])
