"""Inputs files: what numpy writes is taken, everything else is refused before it can cost anything."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodeagent.runtimes.errors import InputFault
from nodeagent.runtimes.inputs import read_inputs, write_inputs
from nodeagent.runtimes.types import TensorSpec

SPECS = (TensorSpec("a", "float32", (3,)), TensorSpec("b", "bool", ()))
A = np.arange(6, dtype=np.float32).reshape(2, 3)
B = np.array([True, False])
LIMIT = 1 << 20


def npz(*, compress: bool = False, **arrays: Any) -> bytes:
    buffer = io.BytesIO()
    (np.savez_compressed if compress else np.savez)(buffer, **arrays)
    return buffer.getvalue()


def archive(members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as made:
        for name, data in members.items():
            made.writestr(name, data)
    return buffer.getvalue()


def npy(array: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


@pytest.mark.parametrize("compress", [False, True])
def test_read_inputs__numpy_archive__gives_the_arrays(compress: bool) -> None:
    found = read_inputs(npz(compress=compress, a=A, b=B), SPECS, 2, LIMIT)
    assert np.array_equal(found["a"], A)
    assert np.array_equal(found["b"], B)


@pytest.mark.parametrize("compress", [False, True])
def test_write_inputs__big_endian_fortran__reads_back_and_is_repeatable(tmp_path: Path, compress: bool) -> None:
    first, second = tmp_path / "1.npz", tmp_path / "2.npz"
    write_inputs(first, {"b": B, "a": np.asfortranarray(A.astype(">f4"))}, compress=compress)
    write_inputs(second, {"a": A, "b": B}, compress=compress)
    assert first.read_bytes() == second.read_bytes()
    assert np.array_equal(read_inputs(first.read_bytes(), SPECS, 2, LIMIT)["a"], A)


def test_write_inputs__strings__are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputFault, match="only numbers and bools"):
        write_inputs(tmp_path / "x.npz", {"a": np.array(["x"])})


def test_read_inputs__zip_bomb__is_refused_by_its_declared_size() -> None:
    bomb = npz(compress=True, a=np.zeros((1 << 20, 3), np.float32), b=B)
    assert len(bomb) < 1 << 15
    with pytest.raises(InputFault, match="declare 12"):
        read_inputs(bomb, SPECS, 2, LIMIT)


def test_read_inputs__member_that_inflates_past_its_declared_size__is_refused() -> None:
    honest = bytearray(npz(compress=True, a=np.zeros((2, 3), np.float32), b=B))
    size = len(npy(np.zeros((2, 3), np.float32)))
    lied = bytes(honest).replace(struct.pack("<L", size), struct.pack("<L", size - 8))
    lied = lied.replace(struct.pack("<Q", size), struct.pack("<Q", size - 8))
    with pytest.raises(InputFault, match=r"does not inflate|does not match"):
        read_inputs(lied, SPECS, 2, LIMIT)


def test_read_inputs__too_large_file__is_refused_unread() -> None:
    with pytest.raises(InputFault, match="the limit is 10"):
        read_inputs(npz(a=A, b=B), SPECS, 2, 10)


@pytest.mark.parametrize(
    ("arrays", "what"),
    [
        ({"a": A}, "the manifest declares"),
        ({"a": A, "b": B, "c": B}, "the manifest declares"),
        ({"a": A.astype(np.float64), "b": B}, "is <f8"),
        ({"a": A.astype(">f4"), "b": B}, "header numpy would not write"),
        ({"a": A[:, :2], "b": B}, r"\(2, 2\)"),
        ({"a": A[:1], "b": B[:1]}, r"\(1, 3\)"),
        ({"a": np.asfortranarray(A), "b": B}, "Fortran"),
        ({"a": np.array([["x"] * 3] * 2, dtype=object), "b": B}, "header numpy would not write"),
    ],
)
def test_read_inputs__arrays_off_the_manifest__say_so(arrays: dict[str, Any], what: str) -> None:
    with pytest.raises(InputFault, match=what):
        read_inputs(npz(**arrays), SPECS, 2, LIMIT)


def test_read_inputs__bool_of_two__is_refused() -> None:
    odd = archive({"a.npy": npy(A), "b.npy": npy(B)[:-2] + b"\2\0"})
    with pytest.raises(InputFault, match="neither 0 nor 1"):
        read_inputs(odd, SPECS, 2, LIMIT)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PK\5\6" + bytes(18),
        b"junk" + npz(a=A, b=B),
        npz(a=A, b=B) + b"junk",
        npz(a=A, b=B)[:-30],
        archive({"a.npy": npy(A), "b.npy": npy(B)}, zipfile.ZIP_LZMA),
        archive({"a.npy": npy(A)[:-1], "b.npy": npy(B)}),
        archive({"a.npy": b"", "b.npy": npy(B)}),
        archive({"../a.npy": npy(A), "b.npy": npy(B)}),
    ],
    ids=["empty", "no-members", "prefix", "suffix", "cut", "lzma", "short-array", "empty-array", "path"],
)
def test_read_inputs__broken_archive__is_refused(data: bytes) -> None:
    with pytest.raises(InputFault):
        read_inputs(data, SPECS, 2, LIMIT)


GOOD = npz(compress=True, a=A, b=B)


@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
def test_read_inputs__any_flipped_byte__is_refused_or_changes_nothing(at: int, flip: int) -> None:
    data = bytearray(GOOD)
    data[at] ^= flip
    try:
        found = read_inputs(bytes(data), SPECS, 2, LIMIT)
    except InputFault:
        return
    assert np.array_equal(found["a"], A)
    assert np.array_equal(found["b"], B)
