"""What a client may ask a trustless gateway for: one block, or a CAR of all, of one block or of some bytes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qs

from nodeagent.content import unixfs
from nodeagent.content.car import CAR_TYPE, RAW_TYPE, header, section, sections
from nodeagent.content.cid import Cid
from nodeagent.content.tree import is_folder
from nodeagent.content.unixfs import Load, Span

_TYPES: Final = {"raw": RAW_TYPE, "car": CAR_TYPE}
_ENTITY_BYTES: Final = re.compile(r"(-?[0-9]{1,18}):(-?[0-9]{1,18}|\*)")
_ASK: Final = f"ask for ?format=raw (one block) or ?format=car (the whole file), or send Accept: {RAW_TYPE}"


class NotServed(Exception):
    """Why what is asked for cannot be given."""

    def __init__(self, told: str, status: HTTPStatus = HTTPStatus.NOT_ACCEPTABLE) -> None:
        super().__init__(told)
        self.status = status


@dataclass(frozen=True, slots=True)
class Question:
    """``format`` is raw or car; ``whole``: the file, not just its root block.

    ``first`` to ``last``: only those bytes of it, counted from its end where negative; ``last`` none: to its end.
    """

    format: str
    whole: bool
    first: int = 0
    last: int | None = None

    @property
    def tag(self) -> str:
        if self.format == "raw":
            return "raw"
        if not self.whole:
            return "car.block"
        return "car" if self._all else f"car.{self.first}.{'' if self.last is None else self.last}"

    @property
    def _all(self) -> bool:
        return self.first == 0 and self.last is None

    def _span(self, cid: Cid, load: Load) -> Span:
        size = unixfs.size_of(cid, load)
        first, last = (at + size if at < 0 else at for at in (self.first, -1 if self.last is None else self.last))
        return (max(0, first), last) if first <= last else (0, -1)  # none of them

    @property
    def suffix(self) -> str:
        return "bin" if self.format == "raw" else "car"

    @property
    def content_type(self) -> str:
        return RAW_TYPE if self.format == "raw" else f"{CAR_TYPE}; version=1; order=dfs; dups=n"

    def pieces(self, cid: Cid, load: Load) -> Iterator[bytes]:
        """The answer's body; it begins only once the root is here and verified."""
        root = load(cid)

        def loaded(asked: Cid) -> bytes:
            return root if asked == cid else load(asked)

        if self.format == "raw":
            yield root
        elif self.whole:
            span = None if self._all or is_folder(cid, loaded) else self._span(cid, loaded)
            yield from sections(cid, loaded, span=span)
        else:
            yield header([cid]) + section(cid, root)


def read_question(query: str, accept: str) -> Question:
    """What a request's query and its Accept header ask for; raises ``NotServed``."""
    try:
        fields = parse_qs(query, keep_blank_values=True, max_num_fields=16)
    except ValueError:
        raise NotServed(f"too many query fields; {_ASK}") from None
    asked, scope = fields.get("format", []), fields.get("dag-scope", ["entity" if "entity-bytes" in fields else "all"])
    if not asked:
        types = [item.split(";")[0].strip().lower() for item in accept.split(",")]
        asked = [name for name, kind in _TYPES.items() if kind in types][:1]
    if len(asked) != 1 or asked[0] not in _TYPES:
        told = f"format {', '.join(asked)[:64]!r} is not served; " if asked else ""
        raise NotServed(f"{told}{_ASK}")
    if len(scope) != 1 or scope[0] not in ("all", "entity", "block"):
        raise NotServed(f"dag-scope {', '.join(scope)[:64]!r} is not served: all, entity (the same) or block")
    if asked[0] == "raw" or "entity-bytes" not in fields:
        return Question(asked[0], scope[0] != "block")
    found = _ENTITY_BYTES.fullmatch(fields["entity-bytes"][0])
    if not found or len(fields["entity-bytes"]) != 1 or scope[0] != "entity":
        told = "entity-bytes is FROM:TO, counted from 0, negative from the end, TO may be *; of dag-scope=entity"
        raise NotServed(told, HTTPStatus.BAD_REQUEST)
    return Question("car", True, int(found[1]), None if found[2] == "*" else int(found[2]))
