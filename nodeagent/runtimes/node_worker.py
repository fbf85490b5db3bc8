"""Drives the Node process that computes canonical answers, from inside the executor.

A reply is an answer, a deterministic complaint of onnxruntime (``Trap``), or the machine's trouble
(``Pass``). Only complaints that carry onnxruntime's own error code count as deterministic; anything about
memory, and whatever is thrown by the WebAssembly engine itself, does not, and ends the worker.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from .answer import Oversize, Trap
from .errors import Pass
from .frames import FrameError, FrameTimeoutError, read_frame, write_frame
from .model import Plan
from .tensors import Array, dtype_of

WORKER = Path(__file__).parent / "canonical" / "worker.mjs"
_CODE = re.compile(r"ERROR_CODE: (\d+)")
_ANSWERS = frozenset({1, 2, 6, 7, 8, 9, 10})
_MEMORY = re.compile(r"bad_alloc|bad allocation|failed to allocate|out of memory|call stack", re.IGNORECASE)
_REPLY_CAP = 512 << 20


def classify(message: str) -> Exception:
    """Trap when the complaint is the model's or its data's doing, Pass when it may be this machine's."""
    code = _CODE.search(message)
    if code is None or int(code[1]) not in _ANSWERS or _MEMORY.search(message):
        return Pass(f"the runtime failed: {message[:200]}")
    return Trap(message)


class NodeWorker:
    """One Node process; sessions are kept by model digest. Methods raise Trap, Oversize or Pass."""

    def __init__(self, node: str, home: Path, *, heap_mib: int, keep: int, watch: int | None) -> None:
        self._argv = [
            node,
            f"--max-old-space-size={heap_mib}",
            "--no-addons",
            str(WORKER),
            str(home / "ort.wasm.bundle.min.mjs"),
            str(home / "ort-wasm-simd-threaded.wasm"),
        ]
        self._keep = keep
        self._watch = watch
        self._child: subprocess.Popen[bytes] | None = None
        self._loaded: list[str] = []

    @property
    def pid(self) -> int | None:
        """Process id of the running worker, if any."""
        return None if self._child is None else self._child.pid

    def start(self, seconds: float) -> None:
        """Start Node unless it runs. Raises Pass when it does not come up."""
        if self._child is not None and self._child.poll() is None:
            return
        self.close()
        try:
            self._child = subprocess.Popen(
                self._argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
            )
        except OSError as error:
            raise Pass(f"Node cannot be started: {error.strerror}") from error
        self._read(seconds, "start")

    def load(self, digest: str, model: bytes, seconds: float) -> None:
        """Have a session for the model ready; ``digest`` is the cache key."""
        cached = digest in self._loaded
        others = [known for known in self._loaded if known != digest]
        self._loaded = others[max(0, len(others) - self._keep + 1) :]  # as the worker does, before it may fail
        header = {"op": "load", "digest": digest, "keep": self._keep}
        self._ask(header, [] if cached else [model], seconds, "load the model")
        self._loaded.append(digest)

    def run(self, digest: str, plan: Plan, feeds: Sequence[Array], max_bytes: int, seconds: float) -> list[Array]:
        """One task's outputs in fetch order."""
        payload = [feed.tobytes() for feed in feeds]
        described = [
            {"name": feed.name, "type": feed.dtype, "dims": list(feed.dims), "size": len(raw)}
            for feed, raw in zip(plan.feeds, payload, strict=True)
        ]
        header = {
            "op": "run",
            "digest": digest,
            "feeds": described,
            "fetches": plan.fetches,
            "max": max_bytes,
        }
        reply, data = self._ask(header, payload, seconds, "run a task")
        if "oversize" in reply:
            raise Oversize
        return _outputs(reply["outputs"], data)

    def close(self) -> None:
        """End Node and forget its sessions."""
        child, self._child, self._loaded = self._child, None, []
        if child is None:
            return
        try:
            child.kill()
        except PermissionError:  # a jail on an older Linux lets nobody send signals: the agent ends us both
            os._exit(1)
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        child.wait()

    def _ask(
        self, header: dict[str, Any], payload: Sequence[bytes], seconds: float, what: str
    ) -> tuple[dict[str, Any], bytes]:
        if self._child is None or self._child.stdin is None:
            raise Pass("the Node worker is not running")
        try:
            write_frame(self._child.stdin.fileno(), header, payload)
        except FrameError as error:
            self.close()
            raise Pass(f"the Node worker ended before it could {what}") from error
        reply, data = self._read(seconds, what)
        if not reply.get("ok"):
            failure = classify(str(reply.get("message")))
            if isinstance(failure, Pass):
                self.close()
            raise failure
        return reply, data

    def _read(self, seconds: float, what: str) -> tuple[dict[str, Any], bytes]:
        if self._child is None or self._child.stdout is None:
            raise Pass("the Node worker is not running")
        deadline = time.monotonic() + seconds
        try:
            frame = read_frame(self._child.stdout.fileno(), _REPLY_CAP, deadline=deadline, watch=self._watch)
        except FrameTimeoutError as error:
            self.close()
            raise Pass(f"the Node worker took more than {seconds:g} s to {what}") from error
        except FrameError as error:
            self.close()
            raise Pass(f"the Node worker failed to {what}: {error}") from error
        if frame is None:
            self.close()
            raise Pass(f"the Node worker ended before it could {what}")
        return frame


def _outputs(heads: Sequence[dict[str, Any]], data: bytes) -> list[Array]:
    arrays: list[Array] = []
    at = 0
    for head in heads:
        raw = data[at : at + head["size"]]
        at += head["size"]
        if head["type"] == "string":
            arrays.append(_strings(raw, head["dims"]))
        else:
            arrays.append(np.frombuffer(raw, dtype=dtype_of(head["type"])).reshape(head["dims"]))
    return arrays


def _strings(raw: bytes, dims: Sequence[int]) -> Array:
    items: list[str] = []
    at = 0
    while at < len(raw):
        size = int.from_bytes(raw[at : at + 4], "big")
        items.append(raw[at + 4 : at + 4 + size].decode("utf-8"))
        at += 4 + size
    return np.array(items, dtype=object).reshape(dims)
