"""What a mutant is: one replaced stretch of bytes in one source file."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Node = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Mutant:
    """Bytes `start` to `end` of `file` become `after`.

    `function` is the enclosing function or modifier, "" at contract level; `line` counts from 1.
    """

    file: str
    start: int
    end: int
    after: str
    before: str
    operator: str
    function: str
    line: int

    def key(self, source: bytes) -> str:
        """Identity that lives as long as the file's text does."""
        text = f"{self.file}\0{self.start}\0{self.end}\0{self.after}\0".encode()
        return hashlib.sha256(text + source).hexdigest()[:20]

    def apply(self, source: bytes) -> bytes:
        """The mutated file.

        Raises ValueError when the source is not the one the mutant was made from.
        """
        if source[self.start : self.end].decode() != self.before:
            raise ValueError(f"{self.file} changed while mutants of it were being tested; run again")
        return source[: self.start] + self.after.encode() + source[self.end :]

    def diff(self, source: bytes) -> str:
        """The changed lines, `-` and `+`, without context."""
        old, new = source.decode().splitlines(), self.apply(source).decode().splitlines()
        lines = difflib.unified_diff(old, new, lineterm="", n=0)
        return "\n".join(line for line in lines if not line.startswith(("---", "+++", "@@")))


def span(node: Node) -> tuple[int, int]:
    """First byte of a node and the one behind its last."""
    start, length, _ = node["src"].split(":")
    return int(start), int(start) + int(length)


def children(node: Node, skipped: frozenset[str] = frozenset()) -> Iterator[Node]:
    """Nodes directly below, in the order of the tree; the keys in `skipped` are not followed."""
    for name, value in node.items():
        if name in skipped:
            continue
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, dict) and "nodeType" in item:
                yield item
