"""From a shard to its answers. The order of checks decides which status a bad question gets, so it is fixed.

Model (structure, manifest, units), then the kinds of its outputs, then the runtime's own opinion of the model, then
inputs, then one run per task. What is wrong with model or inputs as a whole is the answer of every task of the shard.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from . import model as models
from .errors import EncodingFault, InputFault, ModelFault, Pass
from .inputs import feed, read_inputs
from .model import Plan
from .tensors import Array, encode_outputs
from .types import MAX_INPUT_BYTES, MAX_MODEL_BYTES, MAX_OUTPUT_BYTES, ExecutorLimits, ShardSpec, Status

Emit = Callable[[Status, bytes, bool], None]
"""Called once per task in order: status, encoded answer, whether the runtime ran."""


class Trap(Exception):
    """The runtime refused, the way it would on every machine. The message is for people only."""


class Oversize(Exception):
    """The outputs are larger than the manifest allows."""


class Runtime(Protocol):
    """What computes. Methods raise Trap for what every machine would see, Pass for what only this one may."""

    def start(self, seconds: float) -> None:
        """Be ready, within ``seconds``."""

    def load(self, digest: str, model: bytes, seconds: float) -> None:
        """Have a session for this model."""

    def run(self, digest: str, plan: Plan, feeds: Sequence[Array], max_bytes: int, seconds: float) -> list[Array]:
        """Outputs of one task; also raises Oversize."""

    def close(self) -> None:
        """Let go of everything."""


class Answerer:
    """Answers shards with one runtime; remembers the last model's plan."""

    def __init__(self, runtime: Runtime, limits: ExecutorLimits) -> None:
        self._runtime = runtime
        self._limits = limits
        self._plan: tuple[object, Plan] | None = None

    def shard(self, spec: ShardSpec, emit: Emit) -> None:
        """Emit an answer for every task. Raises Pass when this machine cannot tell."""
        try:
            data = _model(spec)
            digest = spec.model_sha256.hex()
            plan = self._bind(spec, data)
            if None in plan.dtypes:
                return _all(emit, spec.count, Status.OUTPUT_REFUSED)
            self.load(digest, data)
        except ModelFault:
            return _all(emit, spec.count, Status.MODEL_REFUSED)
        limit = min(spec.max_input_bytes, MAX_INPUT_BYTES)
        try:
            arrays = read_inputs(_read(spec.inputs_path, limit), spec.inputs, spec.count, limit)
        except InputFault:
            return _all(emit, spec.count, Status.INPUT_REFUSED)
        for task in range(spec.count):
            feeds = [feed(arrays[item.name], task, item.batched) for item in plan.feeds]
            emit(*self._task(plan, digest, feeds, min(spec.max_output_bytes, MAX_OUTPUT_BYTES)), True)

    def _bind(self, spec: ShardSpec, data: bytes) -> Plan:
        key = (spec.model_sha256, spec.inputs, spec.outputs)
        if self._plan is None or self._plan[0] != key:
            self._plan = (key, models.plan(models.load(data), spec.inputs, spec.outputs))
        plan = self._plan[1]
        if plan.units > spec.units:
            raise ModelFault(f"a task takes {plan.units} units, the manifest declares {spec.units}")
        return plan

    def load(self, digest: str, data: bytes) -> None:
        """Ask the runtime to take the model. Raises ModelFault when it refuses."""
        self._runtime.start(self._limits.start_s)
        try:
            self._runtime.load(digest, data, self._limits.load_s)
        except Trap as trap:
            raise ModelFault(f"the runtime refuses the model: {trap}") from trap

    def _task(self, plan: Plan, digest: str, feeds: Sequence[Array], max_bytes: int) -> tuple[Status, bytes]:
        try:
            outputs = self._runtime.run(digest, plan, feeds, max_bytes, self._limits.task_s)
            data = encode_outputs(outputs)
        except Trap:
            return Status.TRAP, b""
        except (Oversize, EncodingFault):
            return Status.OUTPUT_REFUSED, b""
        return (Status.OK, data) if len(data) <= max_bytes else (Status.OUTPUT_REFUSED, b"")


def _model(spec: ShardSpec) -> bytes:
    limit = min(spec.max_model_bytes, MAX_MODEL_BYTES)
    data = _read(spec.model_path, limit)
    if len(data) > limit:
        raise ModelFault(f"the model file is larger than {limit} bytes")
    if hashlib.sha256(data).digest() != spec.model_sha256:
        raise Pass("the model file is not the one the manifest names")
    return data


def _all(emit: Emit, count: int, status: Status) -> None:
    for _ in range(count):
        emit(status, b"", False)


def _read(path: Path, limit: int) -> bytes:
    """At most ``limit + 1`` bytes of a file, so that too large shows without reading all of it."""
    try:
        with path.open("rb") as file:
            return file.read(limit + 1)
    except OSError as error:
        raise Pass(f"{path.name} cannot be read: {error.strerror}") from error
