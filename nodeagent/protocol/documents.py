"""Canonical JSON and the shared parts of the published documents (manifests, receipts).

Canonical: keys sorted by code point, separators ``,`` and ``:``, ASCII only (``\\uXXXX`` for the rest),
integers only, no duplicate key. One document has exactly one spelling, so its sha256 names it.
"""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, NoReturn, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from .cids import check_cid
from .nesting import deeper_than
from .types import Malformed


class Document(BaseModel):
    """Base of published documents: strict types, unknown fields refused, immutable."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, populate_by_name=True)


def _checked_cid(cid: str) -> str:
    try:
        return check_cid(cid)
    except Malformed as error:
        raise ValueError(error.message) from None


Hex32 = Annotated[str, StringConstraints(pattern=r"^0x[0-9a-f]{64}$")]
"""32 bytes as 0x and 64 lower-case hex digits."""
Address = Annotated[str, StringConstraints(pattern=r"^0x[0-9a-fA-F]{40}$")]
Cid = Annotated[str, AfterValidator(_checked_cid)]
Uint8 = Annotated[int, Field(ge=0, lt=1 << 8)]
Uint16 = Annotated[int, Field(ge=0, lt=1 << 16)]
Uint32 = Annotated[int, Field(ge=0, lt=1 << 32)]
Uint64 = Annotated[int, Field(ge=0, lt=1 << 64)]
ByteCount = Annotated[int, Field(ge=0, lt=1 << 53)]
"""A size in bytes, exact in any JSON reader."""


class Content(Document):
    """Content by address: CID and exact length in bytes."""

    cid: Cid
    bytes: ByteCount


def canonical_json(value: object) -> bytes:
    """The one spelling of a JSON value. Raises ``ValueError`` for a float: the documents hold integers only."""
    _refuse_floats(value)
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode("ascii")


def sha256_digest(document: bytes) -> bytes:
    """The 32 bytes that name a document on chain, and its address as a raw block."""
    return hashlib.sha256(document).digest()


def encode_document(document: Document) -> bytes:
    """Canonical bytes of a document; fields that are None are left out."""
    return canonical_json(document.model_dump(mode="json", by_alias=True, exclude_none=True))


D = TypeVar("D", bound=Document)
MAX_DEPTH = 32
"""Levels of nesting in a document; ours have five."""


def parse_document(kind: type[D], name: str, data: bytes, max_bytes: int, *, canonical: bool) -> D:
    """A document from its bytes.

    Raises :class:`Malformed`, naming the first field at fault, for anything but strict JSON of this schema
    within ``max_bytes``; with ``canonical`` also for another spelling than the canonical one.
    """
    if len(data) > max_bytes:
        raise Malformed(f"{name} has {len(data)} bytes, at most {max_bytes} are allowed")
    if deeper_than(data, MAX_DEPTH):
        raise Malformed(f"{name} is not strict JSON of its kind: it nests deeper than {MAX_DEPTH} levels")
    try:
        value = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_unique_keys,
            parse_float=_no_float,
            parse_constant=_no_float,
        )
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError, ValueError) as error:
        raise Malformed(f"{name} is not strict JSON: {error}") from None
    if not isinstance(value, dict) or "version" not in value:
        raise Malformed(f"{name} is not an object with a version")
    try:
        document = kind.model_validate_json(data)  # JSON mode: strict, but lists become tuples
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "document"
        more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
        raise Malformed(f"{name}, field {where}: {first['msg']}{more}") from None
    if canonical and encode_document(document) != data:
        raise Malformed(
            f"{name} is not spelled canonically",
            hint="sort keys, no spaces, ASCII only, no null, no field left to its default",
        )
    return document


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"key {next(key for key in keys if keys.count(key) > 1)!r} is given twice")
    return result


def _no_float(text: str) -> NoReturn:
    raise ValueError(f"{text} is not an integer")


def _refuse_floats(value: object) -> None:
    if isinstance(value, float):
        raise ValueError(f"{value} is not an integer")
    if isinstance(value, dict):
        for item in value.values():
            _refuse_floats(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            _refuse_floats(item)
