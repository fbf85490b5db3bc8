"""What a payload does where nobody looked at it first: libraries that take it as it comes."""

from __future__ import annotations

import threading
import time
import zlib
from typing import Any

from .common import MIB, Targets, attempt


@attempt("giant-constant")
def giant_constant(targets: Targets) -> str:
    """A model of one small node that makes more memory than a task may have."""
    from onnx import TensorProto, helper

    elements = targets["memory"] // 4 + 16 * MIB
    shape = helper.make_node("Constant", [], ["s"], value=helper.make_tensor("", TensorProto.INT64, [1], [elements]))
    model = _model([shape, helper.make_node("ConstantOfShape", ["s"], ["y"])])
    return f"{_session(model).run(['y'], {})[0].nbytes // MIB} MiB"


@attempt("endless-loop")
def endless_loop(targets: Targets) -> str:
    """A model that runs until somebody stops it."""
    from onnx import TensorProto, helper
    from onnxruntime import RunOptions

    def scalar(name: str, kind: int, value: int) -> Any:
        return helper.make_node("Constant", [], [name], value=helper.make_tensor("", kind, [], [value]))

    def told(name: str, kind: int) -> Any:
        return helper.make_tensor_value_info(name, kind, [])

    body = helper.make_graph(
        [helper.make_node("Identity", ["more"], ["on"]), helper.make_node("Add", ["v", "v"], ["w"])],
        "body",
        [told("i", TensorProto.INT64), told("more", TensorProto.BOOL), told("v", TensorProto.FLOAT)],
        [told("on", TensorProto.BOOL), told("w", TensorProto.FLOAT)],
    )
    start = scalar("x", TensorProto.FLOAT, 0), scalar("n", TensorProto.INT64, (1 << 63) - 1)
    loop = helper.make_node("Loop", ["n", "true", "x"], ["y"], body=body)
    session = _session(_model([*start, scalar("true", TensorProto.BOOL, 1), loop]))
    options, begun = RunOptions(), time.process_time()

    def stop() -> None:
        while time.process_time() < begun + targets["cpu"] + 1:
            time.sleep(0.05)
        options.terminate = True

    threading.Thread(target=stop, daemon=True).start()
    try:
        session.run(["y"], {}, options)
    except Exception:  # noqa: S110  it says that it was stopped
        pass
    return f"{time.process_time() - begun:.1f} s"


@attempt("zip-bomb")
def zip_bomb(targets: Targets) -> str:
    """Inputs that are a thousandth of what they hold."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(bytes(MIB)) + packer.flush(
        zlib.Z_FULL_FLUSH
    )  # may be repeated: it refers to nothing before
    packed = block * (targets["memory"] // MIB + 64) + packer.flush()
    return f"{len(zlib.decompress(packed, -15)) // MIB} MiB from {len(packed) // 1_024} KiB"


def _model(nodes: list[Any]) -> bytes:
    from onnx import TensorProto, helper

    graph = helper.make_graph(nodes, "graph", [], [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    made.ir_version = 8
    data: bytes = made.SerializeToString()
    return data


def _session(model: bytes) -> Any:
    """Native onnxruntime, one thread, without the optimiser, which would fold the constant."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
