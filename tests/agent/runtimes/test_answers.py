"""Statuses and bits, through the real executor and the real WebAssembly runtime."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto
from shardbench import FLOAT, Bench, decoded, doubler, floats, model, node, short_weight, value

from nodeagent.runtimes.errors import Pass
from nodeagent.runtimes.types import NATIVE, TensorSpec

X = floats(4, 3)
INT64 = TensorProto.INT64
OK, MODEL, INPUT, TRAP, OUTPUT = range(5)


def test_run__good_shard__answers_every_task_and_counts_it(bench: Bench) -> None:
    before = bench.executor.inferences
    seen: list[tuple[int, int]] = []
    results = bench.executor.run(bench.spec(doubler(), {"x": X}, first=40), lambda done, of: seen.append((done, of)))
    assert [result.index for result in results] == [40, 41, 42, 43]
    assert np.array_equal(np.concatenate([outputs[0] for outputs in decoded(results)]), X + X)
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert bench.executor.inferences - before == 4


def test_run__task_alone_or_among_neighbours__has_the_same_bytes(bench: Bench) -> None:
    weights = {"w": floats(3, 64, seed=2)}
    nodes = [node("MatMul", ["x", "w"], ["m"]), node("Softmax", ["m"], ["y"])]
    made = model(nodes, [value("x", FLOAT, ["n", 3])], [value("y", FLOAT, ["n", 64])], weights)
    together = [result.data for result in bench.run(made, {"x": X})]
    alone = [bench.run(made, {"x": X[task : task + 1]})[0].data for task in reversed(range(4))]
    assert together == alone[::-1]


def test_run__trap_on_one_task__leaves_the_others(bench: Bench) -> None:
    made = model(
        [node("Gather", ["w", "x"], ["y"])], [value("x", INT64, ["n"])], [value("y", FLOAT, ["n"])], {"w": floats(4)}
    )
    assert bench.statuses(made, {"x": np.array([0, 9, 3, -5])}) == [OK, TRAP, OK, TRAP]
    assert bench.statuses(made, {"x": np.array([1])}) == [OK]


def test_run__nan__has_canonical_bits(bench: Bench) -> None:
    made = model([node("Div", ["x", "x"], ["y"])], [value("x", FLOAT, ["n", 3])], [value("y", FLOAT, None)])
    data = bench.run(made, {"x": np.zeros((1, 3), np.float32)})[0].data
    assert data.hex() == "01020000000100000003" + "0000c07f" * 3


@pytest.mark.parametrize(
    ("dtype", "elem"),
    [
        ("float16", TensorProto.FLOAT16),
        ("float32", FLOAT),
        ("float64", TensorProto.DOUBLE),
        ("int8", TensorProto.INT8),
        ("int16", TensorProto.INT16),
        ("int32", TensorProto.INT32),
        ("int64", INT64),
        ("uint8", TensorProto.UINT8),
        ("uint16", TensorProto.UINT16),
        ("uint32", TensorProto.UINT32),
        ("uint64", TensorProto.UINT64),
        ("bool", TensorProto.BOOL),
    ],
)
def test_run__every_dtype__passes_through_unchanged(bench: Bench, dtype: str, elem: int) -> None:
    made = model([node("Identity", ["x"], ["y"])], [value("x", elem, ["n", 3])], [value("y", elem, ["n", 3])])
    given = np.array([[0, 1, 1], [1, 0, 1]]).astype(dtype)
    if dtype in ("int64", "uint64"):
        given[0, 0] = (1 << 63) - 1
    for outputs, row in zip(decoded(bench.run(made, {"x": given})), given, strict=True):
        assert outputs[0].dtype == np.dtype(dtype)
        assert np.array_equal(outputs[0], row[None])


def test_run__string_output__is_encoded(bench: Bench) -> None:
    made = model(
        [node("Cast", ["x"], ["y"], to=TensorProto.STRING)],
        [value("x", FLOAT, ["n", 2])],
        [value("y", TensorProto.STRING, ["n", 2])],
    )
    outputs = decoded(bench.run(made, {"x": np.array([[1.5, np.nan]], np.float32)}))
    assert outputs[0][0].tolist() == [["1.5", "NaN"]]


def test_run__scalars_and_several_inputs_and_outputs__keep_declared_order(bench: Bench) -> None:
    nodes = [node("Add", ["a", "b"], ["s"]), node("Sub", ["a", "b"], ["d"])]
    ends = [value("s", FLOAT, []), value("d", FLOAT, [])]
    made = model(nodes, [value("b", FLOAT, []), value("a", FLOAT, [])], ends)
    arrays = {"a": np.array([5, 7], np.float32), "b": np.array([1, 2], np.float32)}
    found = decoded(bench.run(made, arrays, ("d", "s")))
    assert [[float(array) for array in outputs] for outputs in found] == [[4, 6], [5, 9]]
    assert [len(outputs) for outputs in decoded(bench.run(made, arrays, ("s",)))] == [1, 1]


@pytest.mark.parametrize("opset", [11, 13, 15, 17, 18, 20, 21, 22])
def test_run__opset__computes(bench: Bench, opset: int) -> None:
    assert bench.statuses(doubler(opset=opset), {"x": X}) == [OK] * 4


def test_run__wrong_model__every_task_says_model_refused(bench: Bench) -> None:
    before = bench.executor.inferences
    assert bench.statuses(b"not a model", {"x": X}) == [MODEL] * 4
    assert bench.statuses(doubler(TensorProto.DOUBLE), {"x": X}) == [MODEL] * 4
    assert bench.statuses(doubler(), {"x": X}, ("z",)) == [MODEL] * 4
    assert bench.statuses(doubler(), {"x": X}, max_model_bytes=20) == [MODEL] * 4
    assert bench.executor.inferences == before


def test_run__model_only_the_runtime_refuses__says_model_refused(bench: Bench) -> None:
    made = short_weight()
    assert bench.statuses(made, {"x": X}) == [MODEL] * 4
    assert bench.statuses(doubler(), {"x": X}) == [OK] * 4


@pytest.mark.parametrize(("units", "status"), [(2, OK), (1, MODEL)])
def test_run__more_units_than_declared__says_model_refused(bench: Bench, units: int, status: int) -> None:
    made = doubler(shape=("n", 1_000_001))
    big = np.zeros((1, 1_000_001), np.float32)
    assert bench.statuses(made, {"x": big}, units=units, max_output_bytes=1 << 23) == [status]


def test_run__wrong_inputs__every_task_says_input_refused(bench: Bench) -> None:
    spec = (TensorSpec("x", "float32", (3,)),)
    assert bench.statuses(doubler(), {"x": X.astype(np.float64)}, inputs=spec) == [INPUT] * 4
    assert bench.statuses(doubler(), {"z": X}, inputs=spec) == [INPUT] * 4
    assert bench.statuses(doubler(), {"x": X}, count=5) == [INPUT] * 5
    assert bench.statuses(doubler(), {"x": X}, max_input_bytes=40) == [INPUT] * 4


def test_run__inputs_file_of_junk__says_input_refused(bench: Bench) -> None:
    spec = bench.spec(doubler(), {"x": X})
    spec.inputs_path.write_bytes(b"PK\3\4 junk")
    assert [result.status for result in bench.executor.run(spec)] == [INPUT] * 4


@pytest.mark.parametrize(("limit", "status"), [(22, OK), (21, OUTPUT), (11, OUTPUT)])
def test_run__output_limit__is_exact(bench: Bench, limit: int, status: int) -> None:
    assert bench.statuses(doubler(), {"x": X}, max_output_bytes=limit) == [status] * 4


def test_run__output_without_encoding__says_output_refused(bench: Bench) -> None:
    kind = TensorProto.BFLOAT16
    made = model([node("Cast", ["x"], ["y"], to=kind)], [value("x", FLOAT, ["n", 3])], [value("y", kind, ["n", 3])])
    assert bench.statuses(made, {"x": X}) == [OUTPUT] * 4
    made.graph.node.append(node("Neg", ["x"], ["z"]))
    made.graph.output.append(value("z", FLOAT, ["n", 3]))
    assert bench.statuses(made, {"x": X}, ("z",)) == [MODEL] * 4


def test_run__native__agrees_within_rounding(bench: Bench) -> None:
    weights = {"w": floats(3, 16, seed=3)}
    nodes = [node("MatMul", ["x", "w"], ["m"]), node("Tanh", ["m"], ["y"])]
    made = model(nodes, [value("x", FLOAT, ["n", 3])], [value("y", FLOAT, ["n", 16])], weights)
    exact, native = (decoded(bench.run(made, {"x": X}, **change)) for change in ({}, {"runtime": NATIVE}))
    assert all(np.allclose(a[0], b[0], atol=1e-6) for a, b in zip(exact, native, strict=True))


def test_run__native__has_the_same_statuses(bench: Bench) -> None:
    made = model(
        [node("Gather", ["w", "x"], ["y"])], [value("x", INT64, ["n"])], [value("y", FLOAT, ["n"])], {"w": floats(4)}
    )
    assert bench.statuses(made, {"x": np.array([0, 9])}, runtime=NATIVE) == [OK, TRAP]
    assert bench.statuses(b"junk", {"x": X}, runtime=NATIVE) == [MODEL] * 4
    assert bench.statuses(doubler(), {"x": X}, runtime=NATIVE, max_output_bytes=21) == [OUTPUT] * 4


def test_run__more_models_than_sessions__evicts_and_still_answers(bench: Bench) -> None:
    kept = bench.spec(doubler(), {"x": X})
    first = bench.executor.run(kept)
    for size in range(6):
        made = model(
            [node("Add", ["x", "w"], ["y"])],
            [value("x", FLOAT, ["n", 3])],
            [value("y", FLOAT, ["n", 3])],
            {"w": np.full(3, size, np.float32)},
        )
        assert np.array_equal(decoded(bench.run(made, {"x": X}))[0][0], X[:1] + size)
    assert bench.executor.run(kept) == first


def test_run__model_file_with_other_bytes__is_a_pass(bench: Bench) -> None:
    spec = bench.spec(doubler(), {"x": X})
    spec.model_path.write_bytes(spec.model_path.read_bytes() + b"\0")
    with pytest.raises(Pass, match="not the one the manifest names"):
        bench.executor.run(spec)


def test_run__missing_file__is_a_pass(bench: Bench) -> None:
    spec = bench.spec(doubler(), {"x": X})
    spec.inputs_path.unlink()
    with pytest.raises(Pass, match=r"inputs\.npz cannot be read"):
        bench.executor.run(spec)


def test_run__unknown_runtime__is_a_pass(bench: Bench) -> None:
    with pytest.raises(Pass, match="no runtime called wasm"):
        bench.run(doubler(), {"x": X}, runtime="wasm")
