"""RLP of a block header from the block's JSON, checked against its hash.

Source: the execution-layer header; later forks only append fields, so those present are taken in order. Verified for
blocks from London to Osaka (withdrawals, blobs, beacon root, requests).
"""

from __future__ import annotations

from typing import Any

from nodeagent.errors import Transient
from nodeagent.protocol.keccak import keccak

_BYTES = "b"  # kept as they are
_INT = "i"  # without leading zeros
_FIELDS: tuple[tuple[str, str], ...] = (
    ("parentHash", _BYTES),
    ("sha3Uncles", _BYTES),
    ("miner", _BYTES),
    ("stateRoot", _BYTES),
    ("transactionsRoot", _BYTES),
    ("receiptsRoot", _BYTES),
    ("logsBloom", _BYTES),
    ("difficulty", _INT),
    ("number", _INT),
    ("gasLimit", _INT),
    ("gasUsed", _INT),
    ("timestamp", _INT),
    ("extraData", _BYTES),
    ("mixHash", _BYTES),
    ("nonce", _BYTES),
    ("baseFeePerGas", _INT),
    ("withdrawalsRoot", _BYTES),
    ("blobGasUsed", _INT),
    ("excessBlobGas", _INT),
    ("parentBeaconBlockRoot", _BYTES),
    ("requestsHash", _BYTES),
)
_MANDATORY = 15


class HeaderMismatch(Transient):
    """The encoded header does not hash to the block's hash: a fork we do not know, or a bad endpoint."""


def rlp_item(data: bytes) -> bytes:
    """RLP of a byte string."""
    if len(data) == 1 and data[0] < 0x80:
        return data
    return _prefixed(0x80, data)


def rlp_list(items: list[bytes]) -> bytes:
    """RLP of a list of already encoded items."""
    return _prefixed(0xC0, b"".join(items))


def _prefixed(offset: int, body: bytes) -> bytes:
    if len(body) < 56:
        return bytes([offset + len(body)]) + body
    size = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return bytes([offset + 55 + len(size)]) + size + body


def header_rlp(block: dict[str, Any]) -> bytes:
    """The header's RLP. Raises HeaderMismatch unless its keccak256 is ``block["hash"]``."""
    items = []
    for position, (name, kind) in enumerate(_FIELDS):
        value = block.get(name)
        if value is None:
            if position < _MANDATORY:
                raise HeaderMismatch(f"block {block.get('number')} has no {name}")
            continue
        digits = value[2:]
        raw = bytes.fromhex(digits if len(digits) % 2 == 0 else "0" + digits)
        items.append(rlp_item(raw.lstrip(b"\0") if kind == _INT else raw))
    encoded = rlp_list(items)
    if "0x" + keccak(encoded).hex() != block["hash"].lower():
        raise HeaderMismatch(
            f"header of block {int(block['number'], 16)} encodes to another hash than {block['hash']}",
            hint="the chain may have a header field this version does not know",
        )
    return encoded


def prev_randao(block: dict[str, Any]) -> bytes:
    """32 bytes that the seed is made of."""
    return bytes.fromhex(block["mixHash"][2:])
