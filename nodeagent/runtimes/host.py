"""The key process's side: starts the executor, hands it shards, takes its answers, ends it when it must.

Nothing here imports a model library or reads a model or an inputs file; what comes back over the pipe is
checked for form, because the executor has touched bytes from strangers.
"""

from __future__ import annotations

import math
import os
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

from nodeagent.text import printable

from . import identity
from .errors import Pass
from .frames import FrameError, FrameTimeoutError, read_frame, write_frame
from .jail.cell import Cell, python_paths
from .jail.walls import Jail, best
from .launch import cell_limits, end, first_to_go, kill, launch, node_program
from .types import ExecutorLimits, ModelFacts, ShardSpec, Status, TaskResult, TensorSpec, ValueFacts

Progress = Callable[[int, int], None]
"""Called with (tasks answered, tasks of the shard) after each task."""

PROGRAM = ("-m", "nodeagent.runtimes.executor")
_SLACK_S = 5.0


class Executor:
    """One executor process, started on first use and again after it was lost. Safe to share between threads.

    ``runtimes_dir`` is what :func:`nodeagent.runtimes.install.install` filled; ``scratch`` is a folder of its own;
    ``payload`` are folders it may read models and inputs from: a file elsewhere may be read, too, but the process is
    started anew for it. ``jail`` is by default the best there is; ``worker_argv`` replaces the executor's command line.
    """

    def __init__(
        self,
        runtimes_dir: Path,
        limits: ExecutorLimits | None = None,
        scratch: Path | None = None,
        *,
        payload: Sequence[Path] = (),
        jail: Jail | None = None,
        worker_argv: Sequence[str] | None = None,
    ) -> None:
        self._runtimes_dir = runtimes_dir.resolve()
        self._limits = limits or ExecutorLimits()
        self._scratch = (scratch or runtimes_dir / "scratch").resolve()
        self._program = tuple(worker_argv or PROGRAM)
        self._payload = tuple(folder.resolve() for folder in payload)
        self._files: dict[Path, tuple[int, int]] = {}  # read besides, by device and inode
        self._jail = jail
        self._child: subprocess.Popen[bytes] | None = None
        self._started = 0.0
        self._lock = threading.RLock()
        self._inferences = 0
        self._owner: str | None = None

    def __enter__(self) -> Executor:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """Process id of the running executor, if any."""
        return None if self._child is None else self._child.pid

    @property
    def inferences(self) -> int:
        """Tasks the runtime has actually run for this object, across restarts."""
        return self._inferences

    @property
    def owner(self) -> str | None:
        """Whose payload the process reads; None before anybody's."""
        return self._owner

    def turn_to(self, owner: str) -> None:
        """Tells whose payload comes next. A process that has read another's is ended: whatever took it over is, too."""
        with self._lock:
            if self._owner not in (None, owner) and self._child is not None:
                self.close()
            self._owner = owner

    def runtime_ids(self) -> dict[str, bytes]:
        """32-byte ids of the installed runtimes by name."""
        return identity.runtime_ids(self._runtimes_dir)

    def start(self) -> None:
        """Start the executor unless it runs. Raises Pass when it does not come up."""
        with self._lock:
            fresh = time.monotonic() - self._started < self._limits.cpu_s / 2
            if self._child is not None and self._child.poll() is None and fresh:
                return
            self.close()
            self._scratch.mkdir(parents=True, exist_ok=True)
            self._started = time.monotonic()
            try:
                self._jail = self._jail or best()
                self._child = launch(self._program, self._jail, self._cell())
                for pipe in filter(None, (self._child.stdin, self._child.stdout)):
                    os.set_blocking(pipe.fileno(), False)  # what is in the cell may fill or drain a pipe by itself
            except OSError as error:
                raise Pass(f"the executor cannot be started: {error.strerror}") from error
            node = node_program()
            hello = {
                "runtimes": str(self._runtimes_dir),
                "node": None if node is None else str(node),
                "limits": asdict(self._limits),
            }
            self._send(hello)
            self._receive(0, self._limits.start_s, "ready")
            first_to_go(self._child)

    def close(self) -> None:
        """End the executor and all it started; a shard that another thread waits for becomes a Pass."""
        child = self._child
        if child is not None:
            kill(child)
        with self._lock:
            child, self._child = self._child, None
            if child is not None:
                end(child)

    def run(
        self, spec: ShardSpec, progress: Progress | None = None, *, seconds: float | None = None
    ) -> list[TaskResult]:
        """Answers of all tasks of the shard, in order.

        ``seconds`` bounds the whole shard on the wall clock. Raises Pass when this machine has no answer:
        too slow, out of memory, runtime missing, process lost. The next call starts afresh.
        """
        with self._lock:
            self._admit(spec.model_path, spec.inputs_path)
            self.start()
            finish = None if seconds is None else time.monotonic() + seconds
            self._send({"op": "run", "spec": spec_to(spec)}, finish)
            limits = self._limits
            patience = limits.start_s + limits.load_s + limits.task_s + _SLACK_S
            results: list[TaskResult] = []
            for index in range(spec.count):
                header, data = self._receive(spec.max_output_bytes, patience, "task", finish)
                status = self._status(header, data)
                results.append(TaskResult(spec.first + index, status, data))
                self._inferences += header.get("ran") is True
                patience = limits.task_s + _SLACK_S
                if progress is not None:
                    progress(index + 1, spec.count)
            self._receive(0, _SLACK_S, "done")
            return results

    def inspect(
        self,
        model_path: Path,
        shapes: Mapping[str, Sequence[int]] | None = None,
        *,
        runtime: str | None = None,
    ) -> ModelFacts:
        """What a model takes, gives and costs; ``shapes`` are per task, by input name.

        With ``runtime`` that runtime is also asked to take the model. Raises Pass like :meth:`run`.
        """
        with self._lock:
            self._admit(model_path)
            self.start()
            given = None if shapes is None else {name: list(shape) for name, shape in shapes.items()}
            self._send({"op": "inspect", "path": str(model_path.resolve()), "shapes": given, "runtime": runtime})
            header, _ = self._receive(0, self._limits.start_s + self._limits.load_s + _SLACK_S, "facts")
            try:
                return _facts(header["facts"])
            except (KeyError, TypeError, ValueError, OverflowError) as error:
                raise self._lost("it answered out of form") from error

    def _cell(self) -> Cell:
        node = node_program()
        own = [Path(part) for part in self._program if Path(part).is_absolute() and Path(part).is_file()]
        run = [*python_paths(), identity.home(self._runtimes_dir), *([] if node is None else [node])]
        return Cell(tuple(run), (*self._payload, *self._files, *own), cell_limits(self._limits), self._scratch)

    def _admit(self, *paths: Path) -> None:
        """Lets the next process read these files; the one that runs is ended when it cannot."""
        for path in (path.resolve() for path in paths):
            if any(path.is_relative_to(folder) for folder in self._payload):
                continue
            try:
                found = path.stat()
            except OSError:
                continue  # it says itself what it cannot read
            if self._files.get(path) != (found.st_dev, found.st_ino):
                self._files[path] = found.st_dev, found.st_ino
                self.close()

    def _send(self, header: Mapping[str, Any], finish: float | None = None) -> None:
        if self._child is None or self._child.stdin is None:
            raise Pass("the executor was stopped")
        deadline = min(time.monotonic() + self._limits.start_s, math.inf if finish is None else finish)
        try:
            write_frame(self._child.stdin.fileno(), header, deadline=deadline)
        except FrameTimeoutError as error:
            raise self._lost("it does not read") from error
        except (FrameError, ValueError, OSError) as error:
            raise self._lost("it ended") from error

    def _receive(
        self, cap: int, patience: float, event: str, finish: float | None = None
    ) -> tuple[dict[str, Any], bytes]:
        child = self._child
        if child is None or child.stdout is None:
            raise Pass("the executor was stopped")
        now = time.monotonic()
        deadline = now + patience if finish is None else min(now + patience, finish)
        try:
            frame = read_frame(child.stdout.fileno(), cap, deadline=deadline)
        except FrameTimeoutError as error:
            raise self._lost("it took too long") from error
        except (FrameError, ValueError, OSError) as error:
            raise self._lost(f"its pipe broke: {error}") from error
        if frame is None:
            raise self._lost("it ended")
        header, data = frame
        if header.get("event") == "pass":
            raise Pass(printable(str(header.get("reason"))[:300]))
        if header.get("event") != event:
            raise self._lost("it answered out of turn")
        return header, data

    def _status(self, header: Mapping[str, Any], data: bytes) -> int:
        status = header.get("status")
        if type(status) is not int or status not in tuple(Status) or (status != Status.OK and data):
            raise self._lost("it answered out of form")
        return status

    def _lost(self, what: str) -> Pass:
        child = self._child
        code = None if child is None else child.poll()
        self.close()
        return Pass(f"the executor was lost: {what}" + (f" (exit {code})" if code is not None else ""))


def spec_to(spec: ShardSpec) -> dict[str, Any]:
    """A shard as JSON for the pipe."""
    return {
        **{name: getattr(spec, name) for name in ("runtime", "first", "count", "units", "outputs")},
        **{name: getattr(spec, name) for name in ("max_output_bytes", "max_model_bytes", "max_input_bytes")},
        "model_path": os.fspath(spec.model_path.resolve()),
        "model_sha256": spec.model_sha256.hex(),
        "inputs_path": os.fspath(spec.inputs_path.resolve()),
        "inputs": [[item.name, item.dtype, list(item.shape)] for item in spec.inputs],
    }


def _facts(raw: Mapping[str, Any]) -> ModelFacts:
    return ModelFacts(
        sha256=bytes.fromhex(raw["sha256"]),
        inputs=_values(raw["inputs"]),
        outputs=_values(raw["outputs"]),
        task_inputs=tuple(
            TensorSpec(str(item["name"]), str(item["dtype"]), tuple(int(dim) for dim in item["shape"]))
            for item in raw["task_inputs"]
        ),
        opset=int(raw["opset"]),
        units=int(raw["units"]),
        output_bytes=int(raw["output_bytes"]),
        problems=tuple(printable(str(item)[:1_000]) for item in raw["problems"]),
    )


def _values(raw: Sequence[Mapping[str, Any]]) -> tuple[ValueFacts, ...]:
    return tuple(
        ValueFacts(str(item["name"]), str(item["dtype"]), tuple(None if d is None else int(d) for d in item["shape"]))
        for item in raw
    )
