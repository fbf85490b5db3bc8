"""murmur3-x64-64, by which a sharded directory spreads its names: the first half of MurmurHash3_x64_128, seed 0.

Source: Austin Appleby's ``MurmurHash3.cpp`` (public domain); multicodec 0x22. It is no cryptographic hash: names that
collide can be made at will, and a directory holds no two of them.
"""

from __future__ import annotations

from typing import Final

HASH_BYTES: Final = 8

_MASK: Final = (1 << 64) - 1
_C1: Final = 0x87C37B91114253D5
_C2: Final = 0x4CF5AD432745937F


def digest(data: bytes) -> bytes:
    """The 8 bytes of the hash of ``data``, the most significant first, as IPFS takes its bits."""
    h1 = h2 = 0
    whole = len(data) & ~15
    for at in range(0, whole, 16):
        h1 ^= _mix1(int.from_bytes(data[at : at + 8], "little"))
        h1 = (_rotated(h1, 27) + h2) * 5 + 0x52DCE729 & _MASK
        h2 ^= _mix2(int.from_bytes(data[at + 8 : at + 16], "little"))
        h2 = (_rotated(h2, 31) + h1) * 5 + 0x38495AB5 & _MASK
    h1 ^= _mix1(int.from_bytes(data[whole : whole + 8], "little")) ^ len(data)
    h2 ^= _mix2(int.from_bytes(data[whole + 8 :], "little")) ^ len(data)
    h1 = h1 + h2 & _MASK
    h2 = h1 + h2 & _MASK
    return (_finished(h1) + _finished(h2) & _MASK).to_bytes(HASH_BYTES, "big")


def _mix1(k: int) -> int:
    return _rotated(k * _C1 & _MASK, 31) * _C2 & _MASK


def _mix2(k: int) -> int:
    return _rotated(k * _C2 & _MASK, 33) * _C1 & _MASK


def _rotated(x: int, by: int) -> int:
    return (x << by | x >> 64 - by) & _MASK


def _finished(k: int) -> int:
    k = (k ^ k >> 33) * 0xFF51AFD7ED558CCD & _MASK
    k = (k ^ k >> 33) * 0xC4CEB9FE1A85EC53 & _MASK
    return k ^ k >> 33
