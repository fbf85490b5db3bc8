"""A node whose runtime is not what it says: its executor flips one weight bit after every check has passed.

Usage: ``Executor(…, worker_argv=[sys.executable, "-s", "-P", <this file>])``. Only tests start it.
"""

from __future__ import annotations

import sys

import onnx

from nodeagent.runtimes import executor
from nodeagent.runtimes.node_worker import NodeWorker

_load = NodeWorker.load


def load(self: NodeWorker, digest: str, model: bytes, seconds: float) -> None:
    """Load the model with the largest float weight's last element made larger by one."""
    changed = onnx.load_model_from_string(model)
    floats = [t for t in changed.graph.initializer if t.data_type == onnx.TensorProto.FLOAT and t.raw_data]
    weight = max(floats, key=lambda tensor: len(tensor.raw_data))
    array = onnx.numpy_helper.to_array(weight).copy()
    array.reshape(-1)[-1] += 1
    weight.CopyFrom(onnx.numpy_helper.from_array(array, weight.name))
    _load(self, digest, changed.SerializeToString(), seconds)


if __name__ == "__main__":
    NodeWorker.load = load  # type: ignore[method-assign]
    sys.exit(executor.main())
