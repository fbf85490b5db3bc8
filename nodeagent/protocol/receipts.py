"""Receipts: what a requester keeps to prove, task by task, that an answer is final on chain.

The document (``receipts.json``) holds per task the path to its shard's result root and per shard the path to
a settlement root that the market stores. The exact bytes of the results are beside it (``results``: the
results files of the listed shards, one after the other, in the order of ``shards``).
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Final, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from .documents import (
    Address,
    Document,
    Hex32,
    Uint8,
    Uint16,
    Uint32,
    Uint64,
    encode_document,
    parse_document,
)
from .results import TaskResult, task_leaf
from .settlement import SettledLeaf
from .trees import root_from_proof
from .types import JobId, Malformed, Shard, Task

RECEIPTS_VERSION: Final = "quorate/receipts/1"
MAX_RECEIPTS_BYTES = 1 << 30

Path = Annotated[tuple[Hex32, ...], Field(max_length=64)]
FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]


class TaskReceipt(Document):
    """A task's answer, by digest and length, and its path to the shard's result root."""

    task: Uint32
    shard: Uint32
    status: Uint8
    sha256: Hex32
    bytes: Uint32
    path: Path


class ShardReceipt(Document):
    """A settled shard, its path to the settlement root, and where that was stored.

    ``verdictRoot`` is there when an appeal overturned the settled root: then tasks' paths lead to it.
    """

    shard: Uint32
    attempt: Uint8
    paid_slots: Uint16 = Field(alias="paidSlots")
    result_root: Hex32 = Field(alias="resultRoot")
    verdict_root: Hex32 | None = Field(default=None, alias="verdictRoot")
    path: Path
    settlement_root: Hex32 = Field(alias="settlementRoot")
    settled_epoch: Uint32 = Field(alias="settledEpoch")
    tx: Hex32

    def settled_leaf(self, job: JobId) -> SettledLeaf:
        """The leaf of this shard in its settlement."""
        return SettledLeaf(job, Shard(self.shard), self.attempt, self.paid_slots, bytes.fromhex(self.result_root[2:]))

    @property
    def answer_root(self) -> bytes:
        """The result root that stands for the shard."""
        return bytes.fromhex((self.verdict_root or self.result_root)[2:])

    def leads_to_settlement(self, job: JobId) -> bool:
        """Whether the path leads from the shard to the settlement root it names."""
        root = root_from_proof(self.settled_leaf(job).hash(), unhex_path(self.path))
        return root == bytes.fromhex(self.settlement_root[2:])


class Receipts(Document):
    """All receipts of one job. ``outputs`` and ``results`` are names of files beside the document."""

    version: Literal["quorate/receipts/1"] = RECEIPTS_VERSION
    chain_id: Uint64 = Field(alias="chainId")
    market: Address
    job: Uint64
    manifest: Hex32
    tasks: tuple[TaskReceipt, ...]
    shards: tuple[ShardReceipt, ...]
    outputs: FileName
    results: FileName

    @model_validator(mode="after")
    def _complete(self) -> Self:
        shards = [item.shard for item in self.shards]
        if sorted(set(shards)) != shards:
            raise ValueError("shards do not ascend")
        tasks = [item.task for item in self.tasks]
        if sorted(set(tasks)) != tasks:
            raise ValueError("tasks do not ascend")
        missing = {item.shard for item in self.tasks} - set(shards)
        if missing:
            raise ValueError(f"tasks name shard {min(missing)}, which has no receipt")
        return self

    def task(self, task: Task) -> TaskReceipt:
        """Receipt of a task. Raises :class:`Malformed` if there is none."""
        for item in self.tasks:
            if item.task == task:
                return item
        raise Malformed(f"receipts of job {self.job} hold no task {task}", hint="fetch the job again once it is final")

    def shard(self, shard: Shard) -> ShardReceipt:
        """Receipt of a shard. Raises :class:`Malformed` if there is none."""
        for item in self.shards:
            if item.shard == shard:
                return item
        raise Malformed(f"receipts of job {self.job} hold no shard {shard}")


def check_task(receipt: TaskReceipt, shard: ShardReceipt, result: TaskResult) -> None:
    """Checks a result's exact bytes against its receipt and the shard's result root.

    Raises :class:`Malformed` naming what differs. That the settlement is stored and final is for the chain to
    say.
    """
    if result.status != receipt.status:
        raise Malformed(f"task {receipt.task}: receipt says status {receipt.status}, the result has {result.status}")
    if len(result.data) != receipt.bytes:
        raise Malformed(f"task {receipt.task}: receipt says {receipt.bytes} bytes, the result has {len(result.data)}")
    if "0x" + hashlib.sha256(result.data).hexdigest() != receipt.sha256:
        raise Malformed(f"task {receipt.task}: the result's bytes do not have the receipt's sha256")
    root = root_from_proof(task_leaf(Task(receipt.task), result), unhex_path(receipt.path))
    if root != shard.answer_root:
        raise Malformed(f"task {receipt.task}: its path does not lead to the result root of shard {shard.shard}")


def hex_path(path: list[bytes]) -> tuple[str, ...]:
    """A path as the document writes it."""
    return tuple("0x" + node.hex() for node in path)


def unhex_path(path: tuple[str, ...]) -> list[bytes]:
    """A path as trees take it."""
    return [bytes.fromhex(node[2:]) for node in path]


def encode_receipts(receipts: Receipts) -> bytes:
    """Canonical bytes of the document."""
    return encode_document(receipts)


def parse_receipts(data: bytes) -> Receipts:
    """Receipts from their bytes; strict, in any spelling. :class:`Malformed` names the field at fault."""
    return parse_document(Receipts, "receipts", data, MAX_RECEIPTS_BYTES, canonical=False)
