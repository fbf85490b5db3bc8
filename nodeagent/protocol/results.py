"""A shard's answer: one result per task, a tree over them, and the file that carries their bytes.

A result is hashed in chunks of 1 KiB, so that a contract can check a part of a large one::

    chunk leaf  = keccak(keccak(abi.encode(uint256 chunkIndex, bytes chunk)))
    chunk root  = sorted-pair root over the chunk leaves; 32 zero bytes for a result without bytes
    task leaf   = keccak(keccak(abi.encode(taskIndex, status, byteLength, chunkRoot)))    taskIndex counts in
    the job result root = sorted-pair root over the shard's task leaves

The results file of a shard holds, per task in order: status (1), length (4, big-endian), data.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .constants import CHUNK_BYTES
from .keccak import ZERO32, double_keccak, word, words
from .trees import SortedTree, sorted_root
from .types import Malformed, Task

_CHUNK_HEAD = word(0x40)
_MAX_LENGTH = (1 << 32) - 1


class TaskResult(NamedTuple):
    """A task's answer: ``status`` (0 is a computed one, see ``TaskStatus``) and its bytes."""

    status: int
    data: bytes


def chunk_leaf(index: int, chunk: bytes) -> bytes:
    """Leaf of one chunk of at most 1 KiB."""
    padded = chunk + bytes(-len(chunk) % 32)
    return double_keccak(word(index) + _CHUNK_HEAD + word(len(chunk)) + padded)


def chunk_leaves(data: bytes) -> list[bytes]:
    """Leaves of all chunks of a result, in order; none for a result without bytes."""
    return [chunk_leaf(at // CHUNK_BYTES, data[at : at + CHUNK_BYTES]) for at in range(0, len(data), CHUNK_BYTES)]


def chunk_root(data: bytes) -> bytes:
    """Root over a result's chunks."""
    return sorted_root(chunk_leaves(data)) if data else ZERO32


def task_leaf(task: Task, result: TaskResult) -> bytes:
    """Leaf of a task in its shard's result tree. ``task`` counts within the job."""
    return double_keccak(words(task, result.status, len(result.data), chunk_root(result.data)))


class ResultTree:
    """Tree over a shard's results. ``first`` is the job-wide index of its first task.

    Raises ``ValueError`` without results.
    """

    __slots__ = ("_first", "_results", "_tree")

    def __init__(self, first: Task, results: Sequence[TaskResult]) -> None:
        self._first = first
        self._results = tuple(results)
        self._tree = SortedTree([task_leaf(Task(first + i), result) for i, result in enumerate(results)])

    @property
    def root(self) -> bytes:
        """The shard's answer: 32 bytes."""
        return self._tree.root

    def result(self, task: Task) -> TaskResult:
        """Result of a task. Raises ``ValueError`` for one of another shard."""
        return self._results[self._position(task)]

    def proof(self, task: Task) -> list[bytes]:
        """Path from a task's leaf to the result root."""
        return self._tree.proof(self._position(task))

    def chunk_proof(self, task: Task, chunk: int) -> list[bytes]:
        """Path from a chunk's leaf to its task's chunk root."""
        leaves = chunk_leaves(self.result(task).data)
        if not 0 <= chunk < len(leaves):
            raise ValueError(f"task {task} has {len(leaves)} chunks, no chunk {chunk}")
        return SortedTree(leaves).proof(chunk)

    def _position(self, task: Task) -> int:
        position = task - self._first
        if not 0 <= position < len(self._results):
            raise ValueError(f"task {task} is not in {self._first} to {self._first + len(self._results) - 1}")
        return position


# --- results file -------------------------------------------------------------------------------------------


def encode_results(results: Sequence[TaskResult]) -> bytes:
    """The results file of a shard. Raises ``ValueError`` for a status or length that does not fit."""
    parts = []
    for i, (status, data) in enumerate(results):
        if not 0 <= status <= 0xFF or len(data) > _MAX_LENGTH:
            raise ValueError(f"result {i}: status {status} or length {len(data)} does not fit its field")
        parts.append(bytes((status,)) + len(data).to_bytes(4, "big") + data)
    return b"".join(parts)


def parse_results(data: bytes, tasks: int) -> tuple[TaskResult, ...]:
    """Results in a file of exactly ``tasks`` records. Raises :class:`Malformed` when cut short or followed by
    more.
    """
    results = []
    at = 0
    for i in range(tasks):
        if at + 5 > len(data):
            raise Malformed(f"results file ends before task {i} of {tasks}")
        length = int.from_bytes(data[at + 1 : at + 5], "big")
        if at + 5 + length > len(data):
            raise Malformed(f"results file ends inside task {i}: {length} bytes said, {len(data) - at - 5} left")
        results.append(TaskResult(data[at], data[at + 5 : at + 5 + length]))
        at += 5 + length
    if at != len(data):
        raise Malformed(f"results file has {len(data) - at} bytes after its {tasks} tasks")
    return tuple(results)
