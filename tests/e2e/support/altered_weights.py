"""Test-only executor of one node: all is real, but one weight changes after the model was checked against its CID."""

from __future__ import annotations

import sys

import onnx
from onnx import numpy_helper

from nodeagent.runtimes import executor
from nodeagent.runtimes.node_worker import NodeWorker

honest_load = NodeWorker.load


def altered_load(self: NodeWorker, digest: str, model: bytes, seconds: float) -> None:
    proto = onnx.load_from_string(model)
    weight = proto.graph.initializer[0]
    values = numpy_helper.to_array(weight).copy()
    values.flat[0] += 0.5
    weight.CopyFrom(numpy_helper.from_array(values, weight.name))
    honest_load(self, digest, proto.SerializeToString(), seconds)


NodeWorker.load = altered_load  # type: ignore[method-assign]
sys.exit(executor.main())
