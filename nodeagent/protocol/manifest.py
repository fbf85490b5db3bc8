"""Manifests: what a job is, and where a batch's result bytes are.

Both are canonical JSON of at most 1 MiB, named on chain by their sha256 (``JobPosted.manifest``,
``Revealed.manifest``); the raw block of that digest is their content address. Parse errors are
:class:`Malformed` and name the field.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from .constants import MAX_LEAVES, MAX_MANIFEST_BYTES
from .documents import (
    Content,
    Document,
    Hex32,
    Uint32,
    Uint64,
    encode_document,
    parse_document,
    sha256_digest,
)
from .leaves import Leaf, pack_leaves
from .types import JobId, Malformed, Shard

JOB_VERSION: Final = "quorate/job/1"
BATCH_VERSION: Final = "quorate/batch/1"

DType = Literal[
    "bool",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "float16",
    "float32",
    "float64",
]
"""Element types of inputs, by their numpy names."""
OutputDType = DType | Literal["string"]
"""Element types of outputs: also UTF-8 text."""

MAX_DIMENSIONS = 8
MAX_TENSORS = 64
MAX_TASK_ELEMENTS = 1 << 31


def _checked_endpoint(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query or parts.fragment:
        raise ValueError("an endpoint is http(s)://host[:port][/path] without user, query or fragment")
    return url


Name = Annotated[str, StringConstraints(min_length=1, max_length=256)]
Endpoint = Annotated[str, StringConstraints(max_length=256), AfterValidator(_checked_endpoint)]
Dimension = Annotated[int, Field(ge=1, le=MAX_TASK_ELEMENTS)]


class Runtime(Document):
    """What computes the job: a runtime's name, and the hash of its files and settings."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.-]{0,63}$")]
    id: Hex32


class InputTensor(Document):
    """One input of a task; ``shape`` is without the leading task axis and may be empty (a scalar per task)."""

    name: Name
    dtype: DType
    shape: Annotated[tuple[Dimension, ...], Field(max_length=MAX_DIMENSIONS)]


class OutputTensor(Document):
    """One output of a task. Its shape is the model's own."""

    name: Name
    dtype: OutputDType


MAX_RECIPE: Final = 65_536  # characters: the names of a wide table's columns


class Preprocessing(Document):
    """How the inputs were made of what the requester had: for people who want to make them again. Nodes do not look."""

    recipe: Annotated[str, StringConstraints(min_length=1, max_length=MAX_RECIPE)]
    software: Annotated[str, StringConstraints(max_length=200)] | None = None


class JobManifest(Document):
    """A job: ``tasks`` equal pieces in shards of ``shard_size``, a model, and where everything is found.

    ``shards[s]`` is one ``.npz`` whose arrays carry the tasks of shard ``s`` as leading axis. ``units`` and
    ``max_output_bytes`` are per task.
    """

    version: Literal["quorate/job/1"] = JOB_VERSION
    answer_class: Literal["EXACT"] = Field(default="EXACT", alias="class")
    runtime: Runtime
    model: Content
    inputs: Annotated[tuple[InputTensor, ...], Field(min_length=1, max_length=MAX_TENSORS)]
    outputs: Annotated[tuple[OutputTensor, ...], Field(min_length=1, max_length=MAX_TENSORS)]
    tasks: Annotated[int, Field(ge=1, lt=1 << 32)]
    shard_size: Annotated[int, Field(ge=1, lt=1 << 24, alias="shardSize")]
    units: Annotated[int, Field(ge=1, lt=1 << 32)]
    max_output_bytes: Annotated[int, Field(ge=1, lt=1 << 32, alias="maxOutputBytes")]
    shards: Annotated[tuple[Content, ...], Field(min_length=1)]
    endpoints: Annotated[tuple[Endpoint, ...], Field(max_length=16)] | None = None
    title: Annotated[str, StringConstraints(max_length=200)] | None = None
    preprocessing: Preprocessing | None = None
    labels: dict[Name, Annotated[tuple[str, ...], Field(max_length=65536)]] | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for kind, names in (
            ("inputs", [t.name for t in self.inputs]),
            ("outputs", [t.name for t in self.outputs]),
        ):
            if len(set(names)) != len(names):
                raise ValueError(f"{kind} name one tensor twice")
        expected = -(-self.tasks // self.shard_size)
        if len(self.shards) != expected:
            raise ValueError(
                f"{self.tasks} tasks in shards of {self.shard_size} are {expected} shards, "
                f"{len(self.shards)} are listed"
            )
        for tensor in self.inputs:
            elements = 1
            for dimension in tensor.shape:
                elements *= dimension
            if elements > MAX_TASK_ELEMENTS:
                raise ValueError(f"input {tensor.name} has {elements} elements a task, at most {MAX_TASK_ELEMENTS}")
        unknown = set(self.labels or ()) - {tensor.name for tensor in self.outputs}
        if unknown:
            raise ValueError(f"labels name {sorted(unknown)[0]!r}, which is not an output")
        return self


class BatchLeaf(Document):
    """One leaf of a batch, and the results file behind it."""

    job: Uint64
    shard: Uint32
    root: Hex32
    results: Content


class BatchManifest(Document):
    """Where the result bytes of a batch are; ``leaves`` in the order of the batch."""

    version: Literal["quorate/batch/1"] = BATCH_VERSION
    node: Annotated[int, Field(ge=1, lt=1 << 32)]
    epoch: Uint32
    leaves: Annotated[tuple[BatchLeaf, ...], Field(max_length=MAX_LEAVES)]

    @model_validator(mode="after")
    def _ascending(self) -> Self:
        for before, leaf in pairwise(self.leaves):
            if (before.job, before.shard) >= (leaf.job, leaf.shard):
                raise ValueError(f"leaf (job {leaf.job}, shard {leaf.shard}) does not ascend")
        return self

    def packed_leaves(self) -> bytes:
        """The batch's packed leaves, as ``reveal`` takes them."""
        return pack_leaves(
            [Leaf(JobId(leaf.job), Shard(leaf.shard), bytes.fromhex(leaf.root[2:])) for leaf in self.leaves]
        )

    def results_of(self, job: JobId, shard: Shard) -> BatchLeaf:
        """The leaf of a shard. Raises :class:`Malformed` if the manifest has none."""
        for leaf in self.leaves:
            if leaf.job == job and leaf.shard == shard:
                return leaf
        raise Malformed(f"batch manifest of node {self.node}, epoch {self.epoch} has no job {job}, shard {shard}")


def encode_manifest(manifest: JobManifest | BatchManifest) -> tuple[bytes, bytes]:
    """Canonical bytes of a manifest and their sha256.

    Raises :class:`Malformed` for more than 1 MiB: a manifest must be one block.
    """
    data = encode_document(manifest)
    if len(data) > MAX_MANIFEST_BYTES:
        raise Malformed(
            f"manifest has {len(data)} bytes, at most {MAX_MANIFEST_BYTES} are allowed",
            hint="use larger shards or split the job",
        )
    return data, sha256_digest(data)


def parse_job_manifest(data: bytes) -> JobManifest:
    """A job manifest from its bytes, strict and canonical; :class:`Malformed` names the field at fault."""
    return parse_document(JobManifest, "job manifest", data, MAX_MANIFEST_BYTES, canonical=True)


def parse_batch_manifest(data: bytes) -> BatchManifest:
    """A batch manifest from its bytes, strict and canonical; :class:`Malformed` names the field at fault."""
    return parse_document(BatchManifest, "batch manifest", data, MAX_MANIFEST_BYTES, canonical=True)
