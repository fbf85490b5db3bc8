"""The executor process: ``python -m nodeagent.runtimes.executor``.

It alone parses models and inputs that came from strangers, and has neither key nor home nor inherited
environment. One request at a time on stdin, events on stdout (see :mod:`.frames`); it ends when stdin does.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from . import identity
from . import model as models
from .answer import Answerer, Runtime
from .errors import ModelFault, Pass
from .frames import FrameError, read_frame, write_frame
from .node_worker import NodeWorker
from .types import CANONICAL, MAX_MODEL_BYTES, NATIVE, ExecutorLimits, ShardSpec, Status, TensorSpec


class Service:
    """Holds the runtimes that were asked for and answers requests, writing events to ``out``."""

    def __init__(self, hello: Mapping[str, Any], source: int, out: int) -> None:
        self._runtimes_dir = Path(hello["runtimes"])
        self._node: str | None = hello["node"]
        self._limits = ExecutorLimits(**hello["limits"])
        self._source = source
        self._out = out
        self._answerers: dict[str, Answerer] = {}
        self._runtimes: dict[str, Runtime] = {}

    def handle(self, request: Mapping[str, Any]) -> None:
        """Answer one request with events; the last one is ``done``, ``facts`` or ``pass``."""
        try:
            if request["op"] == "run":
                self._run(spec_from(request["spec"]))
            else:
                self._inspect(Path(request["path"]), request["shapes"], request["runtime"])
        except Pass as reason:
            self._event("pass", reason=reason.reason)
        except MemoryError:
            self._event("pass", reason="out of memory")

    def close(self) -> None:
        """End the runtimes."""
        for runtime in self._runtimes.values():
            runtime.close()

    def _run(self, spec: ShardSpec) -> None:
        def emit(status: Status, data: bytes, ran: bool) -> None:
            write_frame(self._out, {"event": "task", "status": int(status), "ran": ran}, [data])

        self._answerer(spec.runtime).shard(spec, emit)
        self._event("done")

    def _inspect(self, path: Path, shapes: Mapping[str, Any] | None, runtime: str | None) -> None:
        try:
            with path.open("rb") as file:
                data = file.read(MAX_MODEL_BYTES + 1)
        except OSError as error:
            raise Pass(f"{path.name} cannot be read: {error.strerror}") from error
        digest = hashlib.sha256(data).digest()
        given = None if shapes is None else {name: tuple(shape) for name, shape in shapes.items()}
        facts = models.inspect(data, digest, given)
        if len(data) > MAX_MODEL_BYTES:
            facts = replace(facts, problems=(f"the model file is larger than {MAX_MODEL_BYTES} bytes",))
        if runtime is not None and not facts.problems:
            try:
                self._answerer(runtime).load(digest.hex(), data)
            except ModelFault as fault:
                facts = replace(facts, problems=(fault.message,))
        self._event("facts", facts={**asdict(facts), "sha256": digest.hex()})

    def _answerer(self, name: str) -> Answerer:
        if name not in self._answerers:
            runtime = self._runtimes[name] = self._make(name)
            self._answerers[name] = Answerer(runtime, self._limits)
        return self._answerers[name]

    def _make(self, name: str) -> Runtime:
        if name == NATIVE:
            from .native import NativeRuntime

            return NativeRuntime(keep=self._limits.sessions)
        if name != CANONICAL:
            raise Pass(f"there is no runtime called {name[:40]}")
        if self._node is None:
            raise Pass("Node is not installed")
        wrong = identity.mismatches(self._runtimes_dir)
        if wrong:
            raise Pass(f"runtime {CANONICAL} is not installed or damaged: {', '.join(wrong)}")
        limits, place = self._limits, identity.home(self._runtimes_dir)
        return NodeWorker(self._node, place, heap_mib=limits.node_heap_mib, keep=limits.sessions, watch=self._source)

    def _event(self, event: str, **fields: Any) -> None:
        write_frame(self._out, {"event": event, **fields})


def spec_from(raw: Mapping[str, Any]) -> ShardSpec:
    """Inverse of :func:`spec_to`."""
    fields = dict(raw)
    fields["model_sha256"] = bytes.fromhex(fields["model_sha256"])
    fields["model_path"], fields["inputs_path"] = Path(fields["model_path"]), Path(fields["inputs_path"])
    fields["inputs"] = tuple(TensorSpec(name, dtype, tuple(shape)) for name, dtype, shape in fields["inputs"])
    fields["outputs"] = tuple(fields["outputs"])
    return ShardSpec(**fields)


def main() -> int:
    """Serve until stdin ends. The protocol keeps stdout to itself: stray prints go nowhere."""
    source, out = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    hello = read_frame(source, 0)
    if hello is None:
        return 0
    service = Service(hello[0], source, out)
    with suppress(FrameError):
        write_frame(out, {"event": "ready"})
        while (frame := read_frame(source, 0)) is not None:
            service.handle(frame[0])
    service.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
