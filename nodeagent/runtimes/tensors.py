"""Tensor encoding 1: the bytes of a task's answer. Pure; equal tensors have equal bytes on every machine.

For each output in declared order: ``dtype u8 | ndim u8 | dims ndim x u32 BE | elements, little-endian, C
order``. Dtype codes are ONNX TensorProto numbers. A string element is ``u32 BE length | UTF-8``; a bool is
one byte 0 or 1; every NaN has one bit pattern. Names are not part of the answer: the manifest fixes the
order.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np

from .errors import EncodingFault

Array = np.ndarray[Any, np.dtype[Any]]

STRING = 8
CODES: dict[str, int] = {
    "float32": 1,
    "uint8": 2,
    "int8": 3,
    "uint16": 4,
    "int16": 5,
    "int32": 6,
    "int64": 7,
    "string": STRING,
    "bool": 9,
    "float16": 10,
    "float64": 11,
    "uint32": 12,
    "uint64": 13,
}
NAMES = {code: name for name, code in CODES.items()}
_NAN = {"float32": ("<u4", 0x7FC00000), "float64": ("<u8", 0x7FF8000000000000), "float16": ("<u2", 0x7E00)}
_MAX_DIMS = 32  # numpy 1's own limit


def dtype_of(name: str) -> np.dtype[Any]:
    """Little-endian numpy dtype of a numeric or bool dtype name."""
    return np.dtype(name).newbyteorder("<")


def encode_outputs(arrays: Sequence[Array]) -> bytes:
    """Encode numeric, bool or string arrays of any shape. Raises EncodingFault for other dtypes."""
    return b"".join(_encode(np.asarray(array)) for array in arrays)


def decode_outputs(data: bytes) -> list[Array]:
    """Inverse of :func:`encode_outputs`. Raises EncodingFault on short, trailing or non-canonical bytes."""
    arrays: list[Array] = []
    offset = 0
    while offset < len(data):
        array, offset = _decode(data, offset)
        arrays.append(array)
    return arrays


def encoded_size(dtype: str, shape: Sequence[int]) -> int:
    """Bytes one numeric output takes. Raises KeyError for strings, whose size the shape does not give."""
    if dtype == "string":
        raise KeyError(dtype)
    return 2 + 4 * len(shape) + math.prod(shape) * dtype_of(dtype).itemsize


def canonical(array: Array) -> Array:
    """Little-endian, C-ordered copy or view whose NaNs have the one canonical pattern."""
    flat = np.ascontiguousarray(array, dtype=dtype_of(array.dtype.name)).reshape(array.shape)
    pattern = _NAN.get(array.dtype.name)
    if pattern is None:
        return flat
    hole = np.isnan(flat)
    if not hole.any():
        return flat
    flat = flat.copy()
    flat.view(pattern[0])[hole] = pattern[1]
    return flat


def _encode(array: Array) -> bytes:
    text = array.dtype.kind in "OU"
    code = STRING if text else CODES.get(array.dtype.name)
    if code is None or array.ndim > _MAX_DIMS or any(dim >= 1 << 32 for dim in array.shape):
        raise EncodingFault(f"no encoding for dtype {array.dtype} with shape {array.shape}")
    head = struct.pack(f">BB{array.ndim}I", code, array.ndim, *array.shape)
    if not text:
        return head + canonical(array).tobytes()
    parts = [head]
    for item in array.ravel().tolist():
        if not isinstance(item, str):
            raise EncodingFault(f"no encoding for an object of type {type(item).__name__}")
        raw = item.encode("utf-8", "replace")
        parts += [len(raw).to_bytes(4, "big"), raw]
    return b"".join(parts)


def _decode(data: bytes, offset: int) -> tuple[Array, int]:
    head = _take(data, offset, 2)
    name, ndim = NAMES.get(head[0]), head[1]
    if name is None or ndim > _MAX_DIMS:
        raise EncodingFault(f"byte {offset}: dtype {head[0]} with {ndim} dims is not in tensor encoding 1")
    shape = struct.unpack(f">{ndim}I", _take(data, offset + 2, 4 * ndim))
    offset += 2 + 4 * ndim
    count = math.prod(shape)
    if name == "string":
        return _decode_strings(data, offset, shape, count)
    dtype = dtype_of(name)
    raw = _take(data, offset, count * dtype.itemsize)
    if name == "bool" and raw.strip(b"\0\1"):
        raise EncodingFault(f"byte {offset}: a bool is neither 0 nor 1")
    try:
        array = np.frombuffer(raw, dtype=dtype).reshape(shape)
    except ValueError as error:
        raise EncodingFault(f"byte {offset}: no array has shape {shape}") from error
    if canonical(array).tobytes() != raw:
        raise EncodingFault(f"byte {offset}: a NaN is not in canonical form")
    return array, offset + len(raw)


def _decode_strings(data: bytes, offset: int, shape: tuple[int, ...], count: int) -> tuple[Array, int]:
    if count * 4 > len(data) - offset:
        raise EncodingFault(f"byte {offset}: {count} strings do not fit in {len(data) - offset} bytes")
    items = np.empty(count, dtype=object)
    for index in range(count):
        size = int.from_bytes(_take(data, offset, 4), "big")
        try:
            items[index] = _take(data, offset + 4, size).decode("utf-8")
        except UnicodeDecodeError as error:
            raise EncodingFault(f"byte {offset + 4}: a string is not UTF-8") from error
        offset += 4 + size
    return items.reshape(shape), offset


def _take(data: bytes, offset: int, size: int) -> bytes:
    raw = data[offset : offset + size]
    if len(raw) != size:
        raise EncodingFault(f"expected {size} bytes at byte {offset}, found {len(raw)}")
    return raw
