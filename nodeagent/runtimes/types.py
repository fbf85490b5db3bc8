"""The words both sides of the executor's pipe share: shard, task, limits, facts."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path

CANONICAL = "onnx-canonical"
NATIVE = "onnx-native"

MIB = 1 << 20
MAX_MODEL_BYTES = 256 * MIB
MAX_INPUT_BYTES = 256 * MIB
MAX_OUTPUT_BYTES = 64 * MIB


class Status(IntEnum):
    """First half of a task's answer; the same on every machine (uint8)."""

    OK = 0
    MODEL_REFUSED = 1
    INPUT_REFUSED = 2
    TRAP = 3
    OUTPUT_REFUSED = 4


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One declared input: numpy dtype name (``float32`` … ``bool``) and the shape of ONE task, no batch axis."""

    name: str
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ShardSpec:
    """Everything an executor is told about one shard.

    ``first`` is the global index of the shard's first task and only labels results; the inputs file holds
    exactly ``count`` tasks on the leading axis. ``units`` and ``max_output_bytes`` are per task;
    ``max_model_bytes`` bounds the model file, ``max_input_bytes`` the inputs file and, on its own, what it
    declares to hold once inflated. The four limits come from the job's manifest, so breaking one is an
    answer.
    """

    runtime: str
    model_path: Path
    model_sha256: bytes
    inputs_path: Path
    first: int
    count: int
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[str, ...]
    units: int
    max_output_bytes: int
    max_model_bytes: int = MAX_MODEL_BYTES
    max_input_bytes: int = MAX_INPUT_BYTES


@dataclass(frozen=True, slots=True)
class TaskResult:
    """``index`` is the task's global index; ``data`` is tensor encoding 1, empty unless ``status`` is OK."""

    index: int
    status: int
    data: bytes


@dataclass(frozen=True, slots=True)
class ValueFacts:
    """An input or output as the model declares it; ``None`` marks a dimension left open."""

    name: str
    dtype: str
    shape: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What ``inspect`` found. With ``problems`` a job with this model and these shapes would be refused.

    ``task_inputs`` are the per-task specs that were tried, ``outputs`` carry the shapes they lead to,
    ``output_bytes`` is the size of one task's encoded answer (0 when a string output leaves it open).
    """

    sha256: bytes
    inputs: tuple[ValueFacts, ...]
    outputs: tuple[ValueFacts, ...]
    task_inputs: tuple[TensorSpec, ...]
    opset: int
    units: int
    output_bytes: int
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ExecutorLimits:
    """This machine's own limits; reaching one is a ``Pass``, never an answer.

    Bytes are per process (``RLIMIT_DATA``; Node's heap apart from WebAssembly memory is ``node_heap_mib``);
    ``processes`` are threads of the whole executor (it needs about a dozen).
    ``cpu_s`` is the processor time one executor may use in its life; it is replaced by a fresh one before
    that.
    """

    data_bytes: int = 6 << 30
    node_heap_mib: int = 512
    cpu_s: int = 6 * 3600
    start_s: float = 60.0
    load_s: float = 120.0
    task_s: float = 120.0
    files: int = 256
    processes: int = 128
    sessions: int = 4
    niceness: int = 0


@dataclass(frozen=True, slots=True)
class Identity:
    """One runtime's id and the listing it is the hash of (canonical JSON)."""

    name: str
    runtime_id: bytes
    listing: bytes = field(repr=False)
