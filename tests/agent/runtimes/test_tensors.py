"""Tensor encoding 1: golden bytes, round trips, and every way to break it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from nodeagent.runtimes.errors import EncodingFault
from nodeagent.runtimes.tensors import CODES, decode_outputs, encode_outputs, encoded_size

NUMERIC = sorted(set(CODES) - {"string"})


def test_encode_outputs__float_matrix__has_the_documented_bytes() -> None:
    data = encode_outputs([np.array([[1.0, -2.0]], np.float32), np.array(7, np.int64)])
    assert data.hex() == "01020000000100000002" + "0000803f000000c0" + "0700" + "0700000000000000"


def test_encode_outputs__strings__are_length_prefixed_utf8() -> None:
    assert encode_outputs([np.array(["a", "é"], dtype=object)]).hex() == "080100000002" + "0000000161" + "00000002c3a9"


@pytest.mark.parametrize(
    ("dtype", "bits", "wanted"),
    [
        ("float32", [0xFFC00001, 0x7F800001], "0000c07f" * 2),
        ("float64", [0xFFF8000000000001, 0x7FF0000000000001], "000000000000f87f" * 2),
        ("float16", [0xFE01, 0x7C01], "007e" * 2),
    ],
)
def test_encode_outputs__any_nan__has_one_pattern(dtype: str, bits: list[int], wanted: str) -> None:
    width = np.dtype(dtype).itemsize
    array = np.array(bits, dtype=f"u{width}").view(dtype)
    assert encode_outputs([array]).hex()[12:] == wanted


def test_encode_outputs__big_endian_and_fortran__equal_their_plain_twins() -> None:
    plain = np.arange(6, dtype=np.int32).reshape(2, 3)
    assert encode_outputs([np.asfortranarray(plain.astype(">i4"))]) == encode_outputs([plain])


def test_encode_outputs__complex__is_refused() -> None:
    with pytest.raises(EncodingFault, match="complex64"):
        encode_outputs([np.zeros(2, np.complex64)])


@given(st.data())
def test_decode_outputs__encoded_arrays__come_back_the_same(data: st.DataObject) -> None:
    shapes = arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
    dtype = data.draw(st.sampled_from(NUMERIC))
    given_arrays: list[Any] = [data.draw(arrays.arrays(dtype, shapes)) for _ in range(2)]
    encoded = encode_outputs(given_arrays)
    decoded = decode_outputs(encoded)
    assert [a.shape for a in decoded] == [a.shape for a in given_arrays]
    assert all(
        np.array_equal(a, b, equal_nan=dtype.startswith("float")) for a, b in zip(decoded, given_arrays, strict=True)
    )
    assert encode_outputs(decoded) == encoded
    assert len(encoded) == sum(encoded_size(dtype, a.shape) for a in given_arrays)


@given(st.lists(st.text(), max_size=5))
def test_decode_outputs__strings__come_back_the_same(texts: list[str]) -> None:
    plain = [text.encode("utf-8", "replace").decode() for text in texts]
    assert decode_outputs(encode_outputs([np.array(plain, dtype=object)]))[0].tolist() == plain


@given(st.binary(max_size=60))
def test_decode_outputs__any_bytes__decode_to_themselves_or_are_refused(data: bytes) -> None:
    try:
        decoded = decode_outputs(data)
    except EncodingFault:
        return
    assert encode_outputs(decoded) == data


@pytest.mark.parametrize(
    ("data", "what"),
    [
        ("01010000000200000000", "expected 8 bytes"),
        ("0700" + "00" * 8 + "07", "expected 2 bytes"),
        ("0001" + "00" * 4, "dtype 0"),
        ("1000" + "00" * 2, "dtype 16"),
        ("0121", "33 dims"),
        ("090002", "neither 0 nor 1"),
        ("01000000c0ff", "canonical"),
        ("080100000001" + "00000001ff", "not UTF-8"),
        ("0801ffffffff", "do not fit"),
        ("0103ffffffffffffffff00000000", "no array has shape"),
    ],
)
def test_decode_outputs__broken_bytes__say_what_and_where(data: str, what: str) -> None:
    with pytest.raises(EncodingFault, match=what):
        decode_outputs(bytes.fromhex(data))
