"""A shard's inputs: one ``.npz`` of plain little-endian C-order arrays, read strictly and within byte limits.

The reader accepts a fixed subset of zip and npy, namely what ``numpy.savez``, ``numpy.savez_compressed``
and :func:`write_inputs` produce, so every node takes or refuses the same bytes whatever its Python or numpy
release. No pickle, no data descriptors, no comments, no gaps, members stored or deflated; sizes are checked
against the declared ones before anything is inflated.
"""

from __future__ import annotations

import io
import math
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .errors import InputFault
from .tensors import Array, dtype_of
from .types import TensorSpec

_END = struct.Struct("<4s4H2LH")
_CENTRAL = struct.Struct("<4s4B4HL2L5H2L")
_LOCAL = struct.Struct("<4s2B4HL2L2H")
_STORED, _DEFLATED = 0, 8
_WIDE = 0xFFFFFFFF
MAX_MEMBERS = 64
_HEADER = re.compile(
    rb"\{'descr': '([<|][a-z]\d{1,2})', 'fortran_order': (True|False), "
    rb"'shape': \(((?:\d{1,12}, ?)*\d{0,12},?)\), \} *\n"
)
_KINDS = frozenset("fiub")


@dataclass(frozen=True, slots=True)
class _Member:
    name: str
    method: int
    crc: int
    packed: int
    size: int
    start: int


def read_inputs(data: bytes, specs: Sequence[TensorSpec], count: int, max_bytes: int) -> dict[str, Array]:
    """Arrays by input name, each of shape ``(count, *spec.shape)`` and exactly ``spec.dtype``.

    ``max_bytes`` bounds the file and, separately, the sum of the declared inflated sizes.
    Raises InputFault naming what was expected and found.
    """
    if len(data) > max_bytes:
        raise InputFault(f"inputs file has {len(data)} bytes, the limit is {max_bytes}")
    members = {member.name: member for member in _members(data)}
    declared = sum(member.size for member in members.values())
    if declared > max_bytes:
        raise InputFault(f"inputs declare {declared} bytes, the limit is {max_bytes}")
    expected = {f"{spec.name}.npy" for spec in specs}
    if set(members) != expected:
        raise InputFault(f"inputs hold members {sorted(members)}, the manifest declares {sorted(expected)}")
    return {spec.name: _array(data, members[f"{spec.name}.npy"], spec, count) for spec in specs}


def write_inputs(path: Path, arrays: Mapping[str, Array], *, compress: bool = False) -> None:
    """Write arrays in the form every reader takes: sorted names, fixed times, little-endian, C order."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED) as archive:
        for name in sorted(arrays):
            array = np.asarray(arrays[name])
            if array.dtype.kind not in _KINDS:
                raise InputFault(f"input {name} has dtype {array.dtype}; only numbers and bools can be posted")
            plain = np.ascontiguousarray(array, dtype=dtype_of(array.dtype.name)).reshape(array.shape)
            buffer = io.BytesIO()
            np.save(buffer, plain, allow_pickle=False)
            info = zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0))
            info.compress_type = archive.compression
            archive.writestr(info, buffer.getvalue())


def _members(data: bytes) -> Iterator[_Member]:
    if len(data) < _END.size:
        raise InputFault(f"inputs file of {len(data)} bytes is not an npz")
    mark, disk, first, here, total, length, start, comment = _END.unpack(data[-_END.size :])
    end = len(data) - _END.size
    if (mark, disk, first, comment) != (b"PK\5\6", 0, 0, 0) or here != total or start + length != end:
        raise InputFault("inputs file does not end in a plain zip directory")
    if not 1 <= total <= MAX_MEMBERS:
        raise InputFault(f"inputs file has {total} members, allowed are 1..{MAX_MEMBERS}")
    offset, expected, seen = start, 0, set[str]()
    for _ in range(total):
        member, offset, expected = _member(data, offset, end, expected)
        if member.name in seen:
            raise InputFault(f"inputs file holds {member.name} twice")
        seen.add(member.name)
        yield member
    if offset != end or expected != start:
        raise InputFault("inputs file has bytes that belong to no member")


def _member(data: bytes, offset: int, end: int, expected: int) -> tuple[_Member, int, int]:
    """The central entry at ``offset`` and its local header, which must stand at ``expected``."""
    if offset + _CENTRAL.size > end:
        raise InputFault("inputs file's directory is cut short")
    fields = _CENTRAL.unpack_from(data, offset)
    flags, method, crc, packed, size = fields[5], fields[6], fields[9], fields[10], fields[11]
    name_len, extra_len, comment_len, local = fields[12], fields[13], fields[14], fields[18]
    raw = data[offset + _CENTRAL.size : offset + _CENTRAL.size + name_len]
    if fields[0] != b"PK\1\2" or flags & ~0x0800 or method not in (_STORED, _DEFLATED):
        raise InputFault("inputs file has an encrypted, streamed or unknown member")
    if extra_len or comment_len or _WIDE in (packed, size) or local != expected:
        raise InputFault("inputs file's directory is not the plain form numpy writes")
    if local + _LOCAL.size > offset:
        raise InputFault("inputs file's member header is cut short")
    head = _LOCAL.unpack_from(data, local)
    sizes = (head[8], head[9])
    body = local + _LOCAL.size + head[10] + head[11]
    extra = data[body - head[11] : body]
    if sizes == (_WIDE, _WIDE) and extra == struct.pack("<HHQQ", 1, 16, size, packed):
        sizes, extra = (packed, size), b""
    local_name = data[local + _LOCAL.size : local + _LOCAL.size + head[10]]
    if head[0] != b"PK\3\4" or (head[3], head[4], head[7]) != (flags, method, crc) or local_name != raw:
        raise InputFault("inputs file's member header contradicts its directory")
    if sizes != (packed, size) or extra or body + packed > offset:
        raise InputFault("inputs file's member sizes contradict its directory")
    try:
        name = raw.decode("ascii")
    except UnicodeDecodeError as error:
        raise InputFault("inputs file has a member name that is not ASCII") from error
    return _Member(name, method, crc, packed, size, body), offset + _CENTRAL.size + name_len, body + packed


def _inflate(data: bytes, member: _Member) -> bytes:
    packed = data[member.start : member.start + member.packed]
    if member.method == _DEFLATED:
        machine = zlib.decompressobj(-15)
        try:
            raw = machine.decompress(packed, member.size + 1)
        except zlib.error as error:
            raise InputFault(f"input member {member.name} cannot be inflated") from error
        if not machine.eof or machine.unused_data:
            raise InputFault(f"input member {member.name} does not inflate to its declared {member.size} bytes")
        packed = raw
    if len(packed) != member.size or zlib.crc32(packed) != member.crc:
        raise InputFault(f"input member {member.name} does not match its declared size and checksum")
    return packed


def _array(data: bytes, member: _Member, spec: TensorSpec, count: int) -> Array:
    dtype = dtype_of(spec.dtype)
    shape = (count, *spec.shape)
    wanted = math.prod(shape) * dtype.itemsize
    if member.size > wanted + (1 << 16):
        raise InputFault(f"input {spec.name} declares {member.size} bytes, its manifest {wanted} and a header")
    raw = _inflate(data, member)
    found, offset = _header(raw, spec.name)
    if found != (dtype.str.replace("=", "<"), shape):
        raise InputFault(f"input {spec.name} is {found[0]} {found[1]}, the manifest says {dtype.str} {shape}")
    if len(raw) - offset != wanted:
        raise InputFault(f"input {spec.name} holds {len(raw) - offset} bytes of data, expected {wanted}")
    body = raw[offset:]
    if spec.dtype == "bool" and body.strip(b"\0\1"):
        raise InputFault(f"input {spec.name} has a bool that is neither 0 nor 1")
    return np.frombuffer(body, dtype=dtype).reshape(shape)


def _header(raw: bytes, name: str) -> tuple[tuple[str, tuple[int, ...]], int]:
    version = raw[6:8]
    width = {b"\1\0": 2, b"\2\0": 4, b"\3\0": 4}.get(version, 0)
    if raw[:6] != b"\x93NUMPY" or not width:
        raise InputFault(f"input {name} is not an npy array of version 1, 2 or 3")
    offset = 8 + width + int.from_bytes(raw[8 : 8 + width], "little")
    match = _HEADER.fullmatch(raw[8 + width : offset])
    if match is None:
        raise InputFault(f"input {name} has a header numpy would not write for a plain array")
    shape = tuple(int(part) for part in match[3].decode().replace(" ", "").split(",") if part)
    if match[2] == b"True" and len(shape) > 1:
        raise InputFault(f"input {name} is in Fortran order, expected C order")
    return (match[1].decode(), shape), offset


def feed(array: Array, task: int, batched: bool) -> Array:
    """Task ``task`` as the model takes it: with a leading axis of one, or without."""
    return array[task : task + 1] if batched else array[task]
