"""A model that was not made here: Google's Magika, from its own package, with pinned bits."""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path

import numpy as np
import pytest
from shardbench import Bench, decoded

from nodeagent.runtimes.types import CANONICAL, NATIVE

ANSWERS = "dc9b3e3b019961fd5c53bb64e1e19821b711b706a26de01133118d2e296f1cae"


@pytest.fixture(scope="module")
def magika() -> bytes:
    spec = importlib.util.find_spec("magika")
    if spec is None or spec.submodule_search_locations is None:
        pytest.skip("needs the toolkit extra: the magika package carries the model")
    return (Path(next(iter(spec.submodule_search_locations))) / "models" / "standard_v3_3" / "model.onnx").read_bytes()


def features(tasks: int) -> np.ndarray[tuple[int, int], np.dtype[np.int32]]:
    """Repeatable byte features, 256 for padding."""
    return np.random.default_rng(2048).integers(0, 257, (tasks, 2048)).astype(np.int32)


def test_run__magika__gives_the_pinned_bits(bench: Bench, magika: bytes) -> None:
    results = bench.run(magika, {"bytes": features(3)}, ("target_label",))
    assert [result.status for result in results] == [0, 0, 0]
    assert hashlib.sha256(b"".join(result.data for result in results)).hexdigest() == ANSWERS


def test_run__magika__is_near_native(bench: Bench, magika: bytes) -> None:
    exact, native = (
        decoded(bench.run(magika, {"bytes": features(2)}, ("target_label",), runtime=name))
        for name in (CANONICAL, NATIVE)
    )
    for a, b in zip(exact, native, strict=True):
        assert np.argmax(a[0]) == np.argmax(b[0])
        assert np.max(np.abs(a[0] - b[0])) < 1e-4


def test_inspect__magika__needs_no_shapes_from_the_user(bench: Bench, magika: bytes) -> None:
    path = bench.spec(magika, {"bytes": features(1)}, ("target_label",)).model_path
    facts = bench.executor.inspect(path, runtime=CANONICAL)
    assert facts.problems == ()
    assert [(item.name, item.dtype, item.shape) for item in facts.task_inputs] == [("bytes", "int32", (2048,))]
    assert [(item.name, item.dtype, item.shape) for item in facts.outputs] == [("target_label", "float32", (1, 214))]
    assert (facts.units, facts.output_bytes) == (374, 10 + 4 * 214)
