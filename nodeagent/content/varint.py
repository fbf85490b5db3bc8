"""Unsigned LEB128, as protobuf and multiformats write lengths and numbers."""

from __future__ import annotations


def encode(value: int) -> bytes:
    """The shortest spelling of ``value``, seven bits a byte, the lowest first."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
