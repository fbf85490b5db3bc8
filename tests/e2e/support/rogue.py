"""A liar's executor: the model is checked against its CID as ever, then one weight changes before it runs.

Every agent with this executor gives the same wrong answers, so two of them agree. A configured ``executor_argv`` is all
it takes: whoever owns the machine owns what it computes.
"""

from __future__ import annotations

import sys

import numpy as np
import onnx
from onnx import numpy_helper

from nodeagent.runtimes import executor
from nodeagent.runtimes.node_worker import NodeWorker

_honest_load = NodeWorker.load


def _load(self: NodeWorker, digest: str, model: bytes, seconds: float) -> None:
    proto = onnx.load_from_string(model)
    floats = [w for w in proto.graph.initializer if w.data_type == onnx.TensorProto.FLOAT]
    for weight in floats:
        values = np.array(numpy_helper.to_array(weight))
        weight.CopyFrom(numpy_helper.from_array(-values, weight.name))
    _honest_load(self, digest, proto.SerializeToString(), seconds)


if __name__ == "__main__":
    NodeWorker.load = _load  # type: ignore[method-assign]
    sys.exit(executor.main())
