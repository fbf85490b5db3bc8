"""Inputs: what is refused and why, and a cut that depends on the arrays alone."""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from nodeagent.client import inputs
from nodeagent.runtimes.types import ValueFacts

MODEL = [ValueFacts("x", "float32", (None, 4)), ValueFacts("k", "int64", (None,))]


def good() -> dict[str, inputs.Array]:
    return {"x": np.arange(20, dtype=np.float32).reshape(5, 4), "k": np.arange(5, dtype=np.int64)}


def save(path: Path, **arrays: inputs.Array) -> Path:
    np.savez(path, **arrays)
    return path


def test_load_inputs__good_file__gives_every_array_and_the_tasks(tmp_path: Path) -> None:
    loaded = inputs.load_inputs(save(tmp_path / "x.npz", **good()))
    assert loaded.tasks == 5
    assert sorted(loaded.arrays) == ["k", "x"]
    inputs.check_inputs(loaded, MODEL)
    assert [(s.name, s.dtype, s.shape) for s in loaded.specs()] == [
        ("k", "int64", ()),
        ("x", "float32", (4,)),
    ]


def test_load_inputs__pickled_objects__are_refused_and_never_run(tmp_path: Path) -> None:
    class Boom:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (exec, ("raise SystemExit('pickle was run')",))

    array = np.empty(1, dtype=object)
    array[0] = Boom()
    np.savez(tmp_path / "x.npz", x=array)
    with pytest.raises(inputs.BadInputs, match=r"'x'.*pickle"):
        inputs.load_inputs(tmp_path / "x.npz")


def test_load_inputs__not_an_archive__says_how_to_write_one(tmp_path: Path) -> None:
    (tmp_path / "x.npz").write_bytes(b"PK\x03\x04 but not really")
    with pytest.raises(inputs.BadInputs, match=r"numpy\.savez"):
        inputs.load_inputs(tmp_path / "x.npz")
    with pytest.raises(inputs.BadInputs, match="no inputs file"):
        inputs.load_inputs(tmp_path / "absent.npz")


def test_load_inputs__single_npy__takes_the_models_only_name(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((3, 4), np.float32))
    assert inputs.load_inputs(tmp_path / "x.npy", "x").arrays["x"].shape == (3, 4)
    with pytest.raises(inputs.BadInputs, match="several inputs"):
        inputs.load_inputs(tmp_path / "x.npy")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": np.zeros((4, 4), np.float32)}, r"array 'x' has 4 tasks: expected 5 like 'k'"),
        ({"x": np.float32(1)}, r"array 'x' is a scalar"),
        ({"x": np.zeros((5, 4), np.complex64)}, r"array 'x' has dtype complex64"),
        ({"x": np.zeros((0, 4), np.float32), "k": np.zeros(0, np.int64)}, "no task"),
    ],
)
def test_task_inputs__bad_arrays__name_the_array(change: dict[str, inputs.Array], message: str) -> None:
    with pytest.raises(inputs.BadInputs, match=message):
        inputs.task_inputs({**good(), **change})


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({**good(), "x": good()["x"].astype(np.float64)}, r"array 'x' has dtype float64: expected float32"),
        (
            {**good(), "x": np.zeros((5, 3), np.float32)},
            r"array 'x' has shape \[3\] per task: expected \[4\]",
        ),
        (
            {**good(), "x": np.zeros((5, 4, 1), np.float32)},
            r"array 'x' has shape \[4, 1\] per task: expected \[4\]",
        ),
        ({"x": good()["x"]}, r"input 'k' is missing: expected k, x, found x"),
        ({**good(), "y": good()["x"]}, r"array 'y' is no input of the model: expected k, x"),
    ],
)
def test_check_inputs__misfit__says_expected_and_actual(arrays: dict[str, inputs.Array], message: str) -> None:
    with pytest.raises(inputs.BadInputs, match=message):
        inputs.check_inputs(inputs.task_inputs(arrays), MODEL)


def test_cut_shards__uneven__keeps_every_task_in_order() -> None:
    shards = [np.load(io.BytesIO(raw), allow_pickle=False) for raw in inputs.cut_shards(inputs.task_inputs(good()), 2)]
    assert [len(s["k"]) for s in shards] == [2, 2, 1]
    assert np.array_equal(np.concatenate([s["x"] for s in shards]), good()["x"])


def test_cut_shards__other_byte_and_memory_order__gives_the_same_bytes() -> None:
    plain = list(inputs.cut_shards(inputs.task_inputs(good()), 2))
    odd = {"k": good()["k"].astype(">i8"), "x": np.asfortranarray(good()["x"])}
    assert list(inputs.cut_shards(inputs.task_inputs(odd), 2)) == plain


def test_npz_bytes__another_process__gives_the_same_bytes() -> None:
    code = (
        "import sys, numpy as np; from nodeagent.client.inputs import npz_bytes;"
        "sys.stdout.buffer.write(npz_bytes({'b': np.arange(3), 'a': np.ones((2, 2), np.float32)}))"
    )
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    here = inputs.npz_bytes({"a": np.ones((2, 2), np.float32), "b": np.arange(3)})
    assert here == there
    with zipfile.ZipFile(io.BytesIO(here)) as archive:
        assert [i.filename for i in archive.infolist()] == ["a.npy", "b.npy"]
        assert all(i.compress_type == zipfile.ZIP_STORED for i in archive.infolist())
