"""Which blocks a store has, and which may go: those that no pinned file is made of, least recently used first."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from nodeagent.content.cid import Cid
from nodeagent.content.errors import BadCid


class Held(NamedTuple):
    """A block of a store: when it was last used, in seconds of the clock, and its bytes."""

    used: float
    size: int
    cid: Cid


def named(names: Iterable[str]) -> Iterator[Cid]:
    """The CIDs among the names of files."""
    for name in names:
        with contextlib.suppress(BadCid):
            yield Cid.parse(name)


def victims(held: Iterable[Held], kept: Collection[Cid], most: int) -> list[Held]:
    """What must go, in order, until at most ``most`` bytes are left, as far as ``kept`` allows."""
    blocks = sorted(held)
    left, gone = sum(block.size for block in blocks), []
    for block in blocks:
        if left <= most:
            break
        if block.cid not in kept:
            gone.append(block)
            left -= block.size
    return gone
