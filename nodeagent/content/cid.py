"""Content identifiers: CIDv1, sha2-256, codecs ``raw`` and ``dag-pb``, written in base32 lower case.

A CID here is always the 36 bytes ``01 | codec | 12 20 | sha256``, 59 characters as text.
Source: multiformats CID specification; a file of one chunk is one raw block, so its CID is its sha256.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import Final

from nodeagent.content.errors import BadCid, WrongBytes

RAW: Final = 0x55
DAG_PB: Final = 0x70
DIGEST_BYTES: Final = 32
CID_BYTES: Final = 4 + DIGEST_BYTES
CID_CHARS: Final = 59

_SHA2_256: Final = 0x12
_CODECS: Final = {RAW: "raw", DAG_PB: "dag-pb"}
_OTHER_CODECS: Final = {0x71: "dag-cbor", 0x0129: "dag-json", 0x72: "libp2p-key", 0x0200: "json", 0x51: "cbor"}
_OTHER_HASHES: Final = {0x00: "identity", 0x11: "sha1", 0x13: "sha2-512", 0x1B: "keccak-256", 0x1E: "blake3"}
_BASE32: Final = frozenset("abcdefghijklmnopqrstuvwxyz234567")


@dataclass(frozen=True, slots=True, order=True)
class Cid:
    """One block's address. ``digest`` is the 32-byte sha256 of the block, ``codec`` RAW or DAG_PB.

    Raises ``BadCid`` when built from anything else.
    """

    codec: int
    digest: bytes

    def __post_init__(self) -> None:
        if self.codec not in _CODECS:
            raise BadCid(f"codec 0x{self.codec:x}", _codec_reason(self.codec))
        if len(self.digest) != DIGEST_BYTES:
            raise BadCid(self.digest[:40].hex(), f"digest has {len(self.digest)} bytes, expected {DIGEST_BYTES}")

    @classmethod
    def of(cls, block: bytes, codec: int = RAW) -> Cid:
        """The CID that names ``block``."""
        return cls(codec, hashlib.sha256(block).digest())

    @classmethod
    def from_digest(cls, digest: bytes) -> Cid:
        """The CID of a one-block file from its sha256, 32 bytes (a ``bytes32`` on chain)."""
        return cls(RAW, bytes(digest))

    @classmethod
    def parse(cls, text: str) -> Cid:
        """Read the text form. Only the canonical spelling is taken; raises ``BadCid`` with the reason."""
        if not text:
            raise BadCid(text, "it is empty")
        if len(text) == 46 and text.startswith("Qm"):
            raise BadCid(text, "it is a CIDv0")
        if text[0] != "b":
            raise BadCid(text, f"multibase prefix {text[0]!r}, expected 'b' (base32 lower case)")
        if stray := next((c for c in text[1:129] if c not in _BASE32), None):
            raise BadCid(text, f"character {stray!r} is not base32 lower case")
        if len(text) > 128:
            raise BadCid(text, f"it has {len(text)} characters, expected {CID_CHARS}")
        body = text[1:].upper()
        try:
            binary = base64.b32decode(body + "=" * (-len(body) % 8))
        except ValueError:
            raise BadCid(text, f"it has {len(text)} characters, expected {CID_CHARS}") from None
        cid = cls.from_bytes(binary, shown=text)
        if str(cid) != text:
            raise BadCid(text, "unused bits at the end are not zero")
        return cid

    @classmethod
    def from_bytes(cls, binary: bytes, *, shown: str | None = None) -> Cid:
        """Read the 36-byte binary form; ``shown`` is what an error quotes. Raises ``BadCid``."""
        told = shown if shown is not None else binary[:40].hex()
        pos, fields = 0, []
        for name in ("version", "codec", "hash function", "digest length"):
            value, pos = _varint(binary, pos, told, name)
            fields.append(value)
            _check_field(name, value, told)
        if len(binary) - pos != DIGEST_BYTES:
            raise BadCid(told, f"{len(binary) - pos} digest bytes follow, expected {DIGEST_BYTES}")
        return cls(fields[1], binary[pos:])

    @property
    def binary(self) -> bytes:
        """The 36-byte binary form."""
        return bytes((1, self.codec, _SHA2_256, DIGEST_BYTES)) + self.digest

    @property
    def is_raw(self) -> bool:
        return self.codec == RAW

    def verify(self, block: bytes) -> bytes:
        """Return ``block`` when it is the one this CID names; raises ``WrongBytes`` otherwise."""
        found = hashlib.sha256(block).digest()
        if found != self.digest:
            raise WrongBytes(str(self), str(Cid(self.codec, found)))
        return block

    def __str__(self) -> str:
        return "b" + base64.b32encode(self.binary).decode().lower().rstrip("=")


def _check_field(name: str, value: int, told: str) -> None:
    if name == "version" and value != 1:
        raise BadCid(told, f"version {value}, expected 1")
    if name == "codec" and value not in _CODECS:
        raise BadCid(told, _codec_reason(value))
    if name == "hash function" and value != _SHA2_256:
        known = _OTHER_HASHES.get(value, "unknown")
        raise BadCid(told, f"hash function 0x{value:x} ({known}), expected 0x12 (sha2-256)")
    if name == "digest length" and value != DIGEST_BYTES:
        raise BadCid(told, f"digest length {value}, expected {DIGEST_BYTES}")


def _codec_reason(codec: int) -> str:
    return f"codec 0x{codec:x} ({_OTHER_CODECS.get(codec, 'unknown')}), expected 0x55 (raw) or 0x70 (dag-pb)"


def _varint(binary: bytes, pos: int, told: str, name: str) -> tuple[int, int]:
    value = 0
    for shift in range(0, 63, 7):
        if pos >= len(binary):
            raise BadCid(told, f"it ends inside its {name}")
        byte = binary[pos]
        pos += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if byte == 0 and shift:
                raise BadCid(told, f"its {name} is not minimally encoded")
            return value, pos
    raise BadCid(told, f"its {name} is longer than 9 bytes")
