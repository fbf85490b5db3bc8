"""Keccak-256 as the EVM computes it, and the one-word ABI encodings that the protocol hashes."""

from __future__ import annotations

from typing import Final, cast

from sha3 import keccak_256 as _keccak_256

ZERO32: Final = bytes(32)


def keccak(data: bytes) -> bytes:
    """The 32-byte Keccak-256 hash of ``data`` (not NIST SHA3-256)."""
    return cast(bytes, _keccak_256(data).digest())


def word(value: int) -> bytes:
    """``value`` as one big-endian 32-byte ABI word. Raises ``OverflowError`` unless 0 <= value < 2**256."""
    return value.to_bytes(32, "big")


def words(*values: int | bytes) -> bytes:
    """``abi.encode`` of static values: integers, and ``bytes32`` given as exactly 32 bytes.

    Raises ``ValueError`` for bytes of another length: a shorter one would shift everything after it.
    """
    parts = []
    for value in values:
        if isinstance(value, int):
            parts.append(value.to_bytes(32, "big"))
        elif len(value) == 32:
            parts.append(value)
        else:
            raise ValueError(f"an ABI word has 32 bytes, got {len(value)}")
    return b"".join(parts)


def double_keccak(data: bytes) -> bytes:
    """``keccak(keccak(data))``: hashed twice so that a leaf can never be read as an inner node."""
    return cast(bytes, _keccak_256(_keccak_256(data).digest()).digest())
