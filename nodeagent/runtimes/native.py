"""onnxruntime for this machine's own processor, behind the same calls as the canonical worker.

Its floats differ between machines, so nothing it computes is committed; the requester's local check uses it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import onnxruntime

from .answer import Oversize, Trap
from .errors import Pass
from .model import Plan
from .tensors import Array, encode_outputs

onnxruntime.disable_telemetry_events()


class NativeRuntime:
    """Sessions kept by model digest; one thread, sequential, graph optimisation off."""

    def __init__(self, *, keep: int) -> None:
        self._keep = keep
        self._sessions: dict[str, Any] = {}

    def start(self, seconds: float) -> None:
        """Nothing to start. Time limits here are the parent's: it ends the whole executor."""
        del seconds

    def load(self, digest: str, model: bytes, seconds: float) -> None:
        """Have a session ready. Raises Trap when onnxruntime refuses the model."""
        del seconds
        if digest in self._sessions:
            self._sessions[digest] = self._sessions.pop(digest)
            return
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.log_severity_level = 4
        try:
            session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise _sorted(error) from error
        while len(self._sessions) >= self._keep:
            self._sessions.pop(next(iter(self._sessions)))
        self._sessions[digest] = session

    def run(self, digest: str, plan: Plan, feeds: Sequence[Array], max_bytes: int, seconds: float) -> list[Array]:
        """One task's outputs in fetch order. Raises Trap, Oversize or Pass."""
        del seconds
        named = {feed.name: array for feed, array in zip(plan.feeds, feeds, strict=True)}
        try:
            outputs: list[Array] = self._sessions[digest].run(list(plan.fetches), named)
        except Exception as error:
            raise _sorted(error) from error
        if sum(array.nbytes for array in outputs if array.dtype.kind not in "OU") > max_bytes:
            raise Oversize
        if len(encode_outputs(outputs)) > max_bytes:
            raise Oversize
        return outputs

    def close(self) -> None:
        """Forget the sessions."""
        self._sessions.clear()


def _sorted(error: Exception) -> Exception:
    text = str(error)
    if isinstance(error, MemoryError) or "alloc" in text.lower():
        return Pass(f"onnxruntime failed: {text[:200]}")
    return Trap(text)
