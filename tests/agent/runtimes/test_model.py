"""What the checker refuses, what it can size, and what it counts: on models made here and models that were not."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import ModelProto, TensorProto, helper, numpy_helper
from shardbench import FLOAT, Array, doubler, model, node, value

from nodeagent.runtimes import model as models
from nodeagent.runtimes.errors import ModelFault
from nodeagent.runtimes.types import TensorSpec

INT64 = TensorProto.INT64


def plan(made: ModelProto, inputs: Mapping[str, tuple[str, tuple[int, ...]]], outputs: tuple[str, ...] = ("y",)) -> Any:
    specs = [TensorSpec(name, dtype, shape) for name, (dtype, shape) in inputs.items()]
    return models.plan(models.load(made.SerializeToString()), specs, outputs)


def macs(nodes: list[Any], inputs: Mapping[str, tuple[int, ...]], weights: Mapping[str, Array], opset: int = 17) -> int:
    """Multiply-accumulates of float nodes ending in ``y``; inputs carry no batch axis."""
    made = model(
        nodes, [value(n, FLOAT, s) for n, s in inputs.items()], [value("y", FLOAT, None)], weights, opset=opset
    )
    found: int = plan(made, {n: ("float32", s) for n, s in inputs.items()}).macs
    return found


def w(*shape: int) -> Array:
    return np.ones(shape, np.float32)


def i64(*items: int) -> Array:
    return np.array(items, np.int64)


PRODUCTS: list[tuple[str, list[Any], Mapping[str, tuple[int, ...]], Mapping[str, Array], int]] = [
    ("conv", [node("Conv", ["x", "w"], ["y"])], {"x": (1, 3, 8, 8)}, {"w": w(4, 3, 3, 3)}, 4 * 36 * 27),
    ("depthwise", [node("Conv", ["x", "w"], ["y"], group=4)], {"x": (1, 4, 8)}, {"w": w(4, 1, 3)}, 4 * 6 * 3),
    ("deconv", [node("ConvTranspose", ["x", "w"], ["y"])], {"x": (1, 3, 8)}, {"w": w(3, 5, 2)}, 24 * 10),
    ("matmul", [node("MatMul", ["x", "w"], ["y"])], {"x": (2, 3, 8)}, {"w": w(8, 5)}, 2 * 3 * 5 * 8),
    ("gemm", [node("Gemm", ["x", "w"], ["y"], transA=1)], {"x": (8, 3)}, {"w": w(8, 5)}, 3 * 5 * 8),
    ("einsum", [node("Einsum", ["x", "w"], ["y"], equation="bij,jk->bik")], {"x": (2, 3, 8)}, {"w": w(8, 5)}, 240),
    (
        "lstm",
        [node("LSTM", ["x", "w", "r"], ["y"], hidden_size=6)],
        {"x": (7, 1, 5)},
        {"w": w(1, 24, 5), "r": w(1, 24, 6)},
        7 * 4 * 6 * 11,
    ),
    (
        "gru",
        [node("GRU", ["x", "w", "r"], ["y"], hidden_size=6)],
        {"x": (7, 1, 5)},
        {"w": w(1, 18, 5), "r": w(1, 18, 6)},
        7 * 3 * 66,
    ),
    ("pool", [node("MaxPool", ["x"], ["y"], kernel_shape=[2, 2])], {"x": (1, 1, 4, 4)}, {}, 9 * 4),
    ("reduce", [node("ReduceMax", ["x"], ["y"])], {"x": (5, 7)}, {}, 35),
    ("elementwise", [node("Tanh", ["x"], ["t"]), node("Add", ["t", "x"], ["y"])], {"x": (5, 7)}, {}, 70),
    ("empty", [node("Tanh", ["x"], ["y"])], {"x": (0, 7)}, {}, 1),
]


@pytest.mark.parametrize(
    ("nodes", "inputs", "weights", "wanted"), [p[1:] for p in PRODUCTS], ids=[p[0] for p in PRODUCTS]
)
def test_plan__one_operator__counts_its_multiply_accumulates(
    nodes: list[Any], inputs: Mapping[str, tuple[int, ...]], weights: Mapping[str, Array], wanted: int
) -> None:
    assert macs(nodes, inputs, weights) == wanted


@pytest.mark.parametrize(("size", "units"), [(1, 1), (1_000_000, 1), (1_000_001, 2)])
def test_count_units__around_a_million__rounds_up(size: int, units: int) -> None:
    made = models.load(doubler(shape=(size,)).SerializeToString())
    assert models.count_units(made, {"x": (size,)}) == units


def test_plan__exported_reshape_arithmetic__is_static() -> None:
    nodes = [
        node("Shape", ["x"], ["s"]),
        node("Gather", ["s", "zero"], ["b"]),
        node("Unsqueeze", ["b", "axes"], ["u"]),
        node("Concat", ["u", "rest"], ["t"], axis=0),
        node("Reshape", ["x", "t"], ["y"]),
    ]
    weights = {"zero": np.array(0, np.int64), "axes": i64(0), "rest": i64(3, 2)}
    made = model(nodes, [value("x", FLOAT, ["n", 6])], [value("y", FLOAT, None)], weights)
    assert plan(made, {"x": ("float32", (6,))}).shapes == ((1, 3, 2),)


def branches(then: int, other: int) -> list[Any]:
    """An ``If`` whose branches give ``then`` and ``other`` elements and cost as many."""
    graphs = []
    for name, size in (("t", then), ("e", other)):
        wide = helper.make_node("Expand", ["x", f"{name}n"], [f"{name}y"])
        constant = helper.make_node("Constant", [], [f"{name}n"], value=numpy_helper.from_array(i64(size), f"{name}n"))
        graphs.append(helper.make_graph([constant, wide], name, [], [value(f"{name}y", FLOAT, None)]))
    return [node("If", ["c"], ["y"], then_branch=graphs[0], else_branch=graphs[1])]


def test_plan__if_on_data__costs_its_dearer_branch() -> None:
    made = model(branches(5, 5), [value("x", FLOAT, [1]), value("c", TensorProto.BOOL, [])], [value("y", FLOAT, None)])
    assert plan(made, {"x": ("float32", (1,)), "c": ("bool", ())}).macs == 7


def test_plan__if_on_data_with_two_shapes__is_refused() -> None:
    made = model(branches(5, 6), [value("x", FLOAT, [1]), value("c", TensorProto.BOOL, [])], [value("y", FLOAT, None)])
    with pytest.raises(ModelFault, match="branches of an If"):
        plan(made, {"x": ("float32", (1,)), "c": ("bool", ())})


def test_plan__if_on_a_constant__takes_that_branch() -> None:
    made = model(branches(5, 6), [value("x", FLOAT, [1])], [value("y", FLOAT, None)], {"c": np.array(False)})
    assert plan(made, {"x": ("float32", (1,))}).shapes == ((6,),)


def loop(*, go_on: str, trips: Array | None) -> ModelProto:
    """A Loop that doubles ``x`` and stacks every round; without ``trips`` the count is an input."""
    body = helper.make_graph(
        [node("Add", ["v", "v"], ["w"]), node("Identity", ["w"], ["each"]), node("Identity", [go_on], ["on"])],
        "body",
        [value("i", INT64, []), value("c", TensorProto.BOOL, []), value("v", FLOAT, [2])],
        [value("on", TensorProto.BOOL, []), value("w", FLOAT, [2]), value("each", FLOAT, [2])],
    )
    inputs = [value("x", FLOAT, [2])] + ([value("m", INT64, [])] if trips is None else [])
    weights = {} if trips is None else {"m": trips}
    if go_on == "flag":
        inputs.append(value("flag", TensorProto.BOOL, []))
    return model([node("Loop", ["m", "", "x"], ["last", "y"], body=body)], inputs, [value("y", FLOAT, None)], weights)


def test_plan__loop_with_static_trips__multiplies_shape_and_cost() -> None:
    found = plan(loop(go_on="c", trips=np.array(5, np.int64)), {"x": ("float32", (2,))})
    assert found.shapes == ((5, 2),)
    assert found.macs == 5 * (2 + 2 + 1) + 1


def test_plan__loop_with_trips_from_data__is_refused() -> None:
    with pytest.raises(ModelFault, match="trip count"):
        plan(loop(go_on="c", trips=None), {"x": ("float32", (2,)), "m": ("int64", ())})


def test_plan__loop_that_may_end_early_and_stacks__is_refused() -> None:
    with pytest.raises(ModelFault, match="end early"):
        plan(loop(go_on="flag", trips=np.array(5, np.int64)), {"x": ("float32", (2,)), "flag": ("bool", ())})


def test_plan__scan__multiplies_shape_and_cost() -> None:
    body = helper.make_graph(
        [node("Add", ["s", "v"], ["t"]), node("Identity", ["t"], ["e"])],
        "body",
        [value("s", FLOAT, [2]), value("v", FLOAT, [2])],
        [value("t", FLOAT, [2]), value("e", FLOAT, [2])],
    )
    scan = node("Scan", ["z", "x"], ["last", "y"], body=body, num_scan_inputs=1)
    made = model([scan], [value("x", FLOAT, [7, 2])], [value("y", FLOAT, None)], {"z": w(2)})
    found = plan(made, {"x": ("float32", (7, 2))})
    assert (found.shapes, found.macs) == (((7, 2),), 7 * 4 + 1)


def _nested(depth: int) -> ModelProto:
    """An If in an If in an If …"""
    graph = helper.make_graph([node("Neg", ["x"], ["y0"])], "g", [], [value("y0", FLOAT, [1])])
    for level in range(1, depth + 1):
        inner = node("If", ["c"], [f"y{level}"], then_branch=graph, else_branch=graph)
        graph = helper.make_graph([inner], "g", [], [value(f"y{level}", FLOAT, [1])])
    graph.output[0].name = graph.node[0].output[0] = "y"
    return model(graph.node, [value("x", FLOAT, [1]), value("c", TensorProto.BOOL, [])], [value("y", FLOAT, [1])])


def _external() -> ModelProto:
    made = model([node("Add", ["x", "w"], ["y"])], [value("x", FLOAT, [3])], [value("y", FLOAT, [3])], {"w": w(3)})
    tensor = made.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../secret")
    return made


def _external_constant() -> ModelProto:
    tensor = numpy_helper.from_array(w(3), "w")
    tensor.external_data.add(key="location", value="secret")
    nodes = [node("Constant", [], ["w"], value=tensor), node("Add", ["x", "w"], ["y"])]
    return model(nodes, [value("x", FLOAT, [3])], [value("y", FLOAT, [3])])


def _function() -> ModelProto:
    made = doubler()
    made.functions.append(helper.make_function("f", "F", ["a"], ["b"], [node("Neg", ["a"], ["b"])], made.opset_import))
    return made


def _custom(domain: str, op: str = "Gelu") -> ModelProto:
    return model(
        [node(op, ["x"], ["y"], domain=domain)], [value("x", FLOAT, [3])], [value("y", FLOAT, [3])], imports={domain: 1}
    )


def _sparse() -> ModelProto:
    made = doubler()
    made.graph.sparse_initializer.add()
    return made


def _single(op: str, **attributes: Any) -> ModelProto:
    return model([node(op, ["x"], ["y"], **attributes)], [value("x", FLOAT, [3])], [value("y", FLOAT, [3])])


REFUSED: list[tuple[str, Callable[[], ModelProto], str]] = [
    ("external", _external, "external data"),
    ("external-constant", _external_constant, "external data"),
    ("function", _function, "functions"),
    ("sparse", _sparse, "sparse"),
    ("contrib", lambda: _custom("com.microsoft"), "com.microsoft:Gelu"),
    ("ml", lambda: _custom("ai.onnx.ml", "Scaler"), "ai.onnx.ml:Scaler"),
    ("random", lambda: _single("RandomNormalLike"), "RandomNormalLike is not allowed"),
    ("data-dependent", lambda: _single("NonZero"), "NonZero is not allowed"),
    ("old-opset", lambda: doubler(opset=6), r"opsets \[6\]"),
    ("new-opset", lambda: doubler(opset=25), r"opsets \[25\]"),
    ("no-nodes", lambda: model([], [value("x", FLOAT, [3])], [value("x", FLOAT, [3])]), "no graph with nodes"),
    ("nested", lambda: _nested(10), "nested deeper"),
]


@pytest.mark.parametrize(("make", "what"), [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED])
def test_load__model_against_the_rules__is_refused(make: Callable[[], ModelProto], what: str) -> None:
    with pytest.raises(ModelFault, match=what):
        models.load(make().SerializeToString())


@pytest.mark.parametrize("data", [b"", b"\x08", b"not a model", bytes(range(256)), b"\xff" * 64])
def test_load__other_bytes__are_refused(data: bytes) -> None:
    with pytest.raises(ModelFault):
        models.load(data)


def test_load__every_prefix_of_a_model__is_refused_or_loads() -> None:
    data = doubler().SerializeToString()
    for end in range(len(data)):
        try:
            models.load(data[:end])
        except ModelFault:
            continue


def test_load__unused_import_of_another_domain__is_taken() -> None:
    made = doubler()
    made.opset_import.append(helper.make_opsetid("ai.onnx.ml", 2))
    assert plan(made, {"x": ("float32", (3,))}).macs == 3


UNFIT: list[tuple[str, ModelProto, Mapping[str, tuple[str, tuple[int, ...]]], tuple[str, ...], str]] = [
    ("dtype", doubler(), {"x": ("float64", (3,))}, ("y",), "float32 in the model and float64"),
    ("shape", doubler(), {"x": ("float32", (4,))}, ("y",), "no task of shape"),
    ("rank", doubler(), {"x": ("float32", (2, 2, 3))}, ("y",), "no task of shape"),
    ("batch-of-two", doubler(shape=(2, 3)), {"x": ("float32", (3,))}, ("y",), "no task of shape"),
    ("extra-input", doubler(), {"x": ("float32", (3,)), "z": ("float32", (3,))}, ("y",), "takes inputs"),
    ("no-input", doubler(), {}, ("y",), "takes inputs"),
    ("output", doubler(), {"x": ("float32", (3,))}, ("z",), "gives outputs"),
    ("no-output", doubler(), {"x": ("float32", (3,))}, (), "gives outputs"),
    ("output-twice", doubler(), {"x": ("float32", (3,))}, ("y", "y"), "gives outputs"),
    ("string", doubler(TensorProto.STRING), {"x": ("string", (3,))}, ("y",), "type string"),
    (
        "bad-shapes",
        model(
            [node("MatMul", ["x", "w"], ["y"])], [value("x", FLOAT, [1, 3])], [value("y", FLOAT, None)], {"w": w(4, 4)}
        ),
        {"x": ("float32", (3,))},
        ("y",),
        "do not fit together",
    ),
    (
        "unknown-value",
        model([node("Add", ["x", "gone"], ["y"])], [value("x", FLOAT, [3])], [value("y", FLOAT, [3])]),
        {"x": ("float32", (3,))},
        ("y",),
        "nothing before it defines",
    ),
    (
        "twice",
        model(
            [node("Neg", ["x"], ["y"]), node("Abs", ["x"], ["y"])], [value("x", FLOAT, [3])], [value("y", FLOAT, [3])]
        ),
        {"x": ("float32", (3,))},
        ("y",),
        "defined twice",
    ),
    (
        "shape-from-data",
        model([node("ConstantOfShape", ["x"], ["y"])], [value("x", INT64, [1])], [value("y", FLOAT, None)]),
        {"x": ("int64", (1,))},
        ("y",),
        "does not follow",
    ),
    (
        "giant",
        model(
            [node("ConstantOfShape", ["s"], ["big"]), node("Add", ["x", "big"], ["y"])],
            [value("x", FLOAT, [1])],
            [value("y", FLOAT, None)],
            {"s": i64(1 << 16, 1 << 16)},
        ),
        {"x": ("float32", (1,))},
        ("y",),
        "work space",
    ),
    (
        "many-big",
        model(
            [node("Tile", ["x", "r"], [f"y{i}" if i else "y"]) for i in range(9)],
            [value("x", FLOAT, [1])],
            [value("y", FLOAT, None)],
            {"r": i64(1 << 27)},
        ),
        {"x": ("float32", (1,))},
        ("y",),
        "work space",
    ),
    (
        "training",
        model(
            [node("Dropout", ["x", "r", "t"], ["y"])],
            [value("x", FLOAT, [3])],
            [value("y", FLOAT, [3])],
            {"r": np.array(0.5, np.float32), "t": np.array(True)},
        ),
        {"x": ("float32", (3,))},
        ("y",),
        "random",
    ),
]


@pytest.mark.parametrize(("made", "inputs", "outputs", "what"), [u[1:] for u in UNFIT], ids=[u[0] for u in UNFIT])
def test_plan__model_against_its_manifest__is_refused(
    made: ModelProto, inputs: Mapping[str, tuple[str, tuple[int, ...]]], outputs: tuple[str, ...], what: str
) -> None:
    with pytest.raises(ModelFault, match=what):
        plan(made, inputs, outputs)


@pytest.mark.parametrize(("shape", "dims"), [(("n", 3), (1, 3)), ((1, 3), (1, 3)), ((3,), (3,)), ((None,), (3,))])
def test_plan__declared_rank__decides_the_batch_axis(shape: Any, dims: tuple[int, ...]) -> None:
    assert plan(doubler(shape=shape), {"x": ("float32", (3,))}).feeds[0].dims == dims


@pytest.mark.parametrize("opset", range(11, 23))
def test_plan__every_opset__sizes_softmax_and_squeeze(opset: int) -> None:
    squeeze = node("Squeeze", ["s"], ["y"], axes=[0]) if opset < 13 else node("Squeeze", ["s", "axes"], ["y"])
    weights = {} if opset < 13 else {"axes": i64(0)}
    nodes = [node("Softmax", ["x"], ["s"], axis=1), squeeze]
    made = model(nodes, [value("x", FLOAT, ["n", 3])], [value("y", FLOAT, None)], weights, opset=opset)
    assert plan(made, {"x": ("float32", (3,))}).shapes == ((3,),)


def datasets() -> Path:
    """Models that onnxruntime carries for its own tests."""
    spec = importlib.util.find_spec("onnxruntime")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(next(iter(spec.submodule_search_locations))) / "datasets"


def test_inspect__model_not_made_here__tells_all_a_manifest_needs() -> None:
    facts = models.inspect((datasets() / "mul_1.onnx").read_bytes(), bytes(32), None)
    assert facts.problems == ()
    assert [(item.name, item.dtype, item.shape) for item in facts.task_inputs] == [("X", "float32", (3, 2))]
    assert (facts.opset, facts.units, facts.output_bytes) == (7, 1, 2 + 8 + 24)


def test_inspect__classical_model__names_the_problem() -> None:
    facts = models.inspect((datasets() / "logreg_iris.onnx").read_bytes(), bytes(32), None)
    assert "opsets []" in facts.problems[0]


def test_inspect__open_dimension_without_shapes__asks_for_them() -> None:
    facts = models.inspect(doubler(shape=("n", "m")).SerializeToString(), bytes(32), None)
    assert "give the shape of one task" in facts.problems[0]
    assert models.inspect(doubler(shape=("n", "m")).SerializeToString(), bytes(32), {"x": (4,)}).problems == ()


def test_shape_arithmetic__float_scales__match_onnx() -> None:
    nodes = [node("Resize", ["x", "", "scales"], ["y"], mode="nearest")]
    made = model(
        nodes,
        [value("x", FLOAT, [1, 1, 4, 4])],
        [value("y", FLOAT, None)],
        {"scales": np.array([1, 1, 1.5, 2], np.float32)},
    )
    wanted = onnx.shape_inference.infer_shapes(made, data_prop=True).graph.output[0]
    dims = tuple(dim.dim_value for dim in wanted.type.tensor_type.shape.dim)
    assert plan(made, {"x": ("float32", (1, 4, 4))}).shapes == (dims,)


@pytest.mark.parametrize("scale", [np.inf, np.nan, 1e30, 1e-30])
def test_plan__shape_from_a_float_processors_convert_differently__is_refused(scale: float) -> None:
    scales = np.array([1, 1, scale, 1], np.float32)
    nodes = [node("Resize", ["x", "", "scales"], ["y"], mode="nearest")]
    made = model(nodes, [value("x", FLOAT, [1, 1, 4, 4])], [value("y", FLOAT, None)], {"scales": scales})
    with pytest.raises(ModelFault, match="does not follow"):
        plan(made, {"x": ("float32", (1, 4, 4))})


def test_plan__float_arithmetic_to_a_size__is_static() -> None:
    nodes = [
        node("Shape", ["x"], ["s"]),
        node("Cast", ["s"], ["f"], to=FLOAT),
        node("Mul", ["f", "half"], ["h"]),
        node("Floor", ["h"], ["fl"]),
        node("Cast", ["fl"], ["n"], to=INT64),
        node("ConstantOfShape", ["n"], ["c"]),
        node("Add", ["c", "first"], ["y"]),
    ]
    weights = {"half": np.array(0.5, np.float32), "first": np.zeros(1, np.float32)}
    made = model(nodes, [value("x", FLOAT, [7])], [value("y", FLOAT, None)], weights)
    assert plan(made, {"x": ("float32", (7,))}).shapes == ((3,),)


SEED = loop(go_on="c", trips=np.array(5, np.int64)).SerializeToString()


@settings(max_examples=400, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(SEED) - 1), st.integers(0, 255)), min_size=1, max_size=3))
def test_plan__any_damaged_model__is_refused_or_sized(edits: list[tuple[int, int]]) -> None:
    data = bytearray(SEED)
    for at, byte in edits:
        data[at] = byte
    try:
        found = models.plan(models.load(bytes(data)), [TensorSpec("x", "float32", (2,))], ("y",))
    except ModelFault:
        return
    assert found.macs >= 1
