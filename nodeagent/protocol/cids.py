"""The two forms of content identifier a manifest may name: CIDv1, base32, sha2-256, raw block or dag-pb tree.

Content up to 1 MiB is one raw block, so its identifier *is* its sha256, and a ``bytes32`` on chain is an
address.
"""

from __future__ import annotations

import base64
import binascii
from typing import Final

from .types import Malformed

_RAW: Final = b"\x01\x55\x12\x20"
_DAG_PB: Final = b"\x01\x70\x12\x20"
_CID_CHARS: Final = 59


def raw_cid(digest: bytes) -> str:
    """Identifier (``bafkrei…``) of the raw block with this sha256."""
    if len(digest) != 32:
        raise ValueError(f"a sha256 digest has 32 bytes, got {len(digest)}")
    return "b" + base64.b32encode(_RAW + digest).decode().lower().rstrip("=")


def check_cid(cid: str) -> str:
    """Returns ``cid`` unchanged. Raises :class:`Malformed` unless it is one of the two forms, written
    canonically.
    """
    if len(cid) != _CID_CHARS or cid[0] != "b" or cid != cid.lower():
        raise Malformed(f"{cid[:80]!r} is not a CIDv1 in lower-case base32 of {_CID_CHARS} characters")
    try:
        data = base64.b32decode(cid[1:].upper() + "======")
    except binascii.Error:
        raise Malformed(f"{cid!r} has characters outside base32") from None
    if data[:4] not in (_RAW, _DAG_PB):
        raise Malformed(f"{cid!r} is neither a raw block nor a dag-pb tree under sha2-256")
    if base64.b32encode(data).decode().lower().rstrip("=") != cid[1:]:
        raise Malformed(f"{cid!r} is not the canonical spelling of its bytes")
    return cid
