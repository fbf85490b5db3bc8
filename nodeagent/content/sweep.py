"""Which blocks of a store may go: those that no pinned file is made of, least recently used first."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from typing import NamedTuple

from nodeagent.content.cid import Cid
from nodeagent.content.dagpb import decode_node
from nodeagent.content.errors import BlockMissing, MalformedBlock


class Held(NamedTuple):
    """A block of a store: when it was last used, in seconds of the clock, and its bytes."""

    used: float
    size: int
    cid: Cid


def victims(held: Iterable[Held], kept: frozenset[Cid], most: int) -> list[Held]:
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


def reachable(roots: Iterable[Cid], load: Callable[[Cid], bytes]) -> frozenset[Cid]:
    """Every block that files are made of, as far as it is known: below a node that is absent nobody knows."""
    seen: set[Cid] = set()
    queue = list(roots)
    while queue:
        cid = queue.pop()
        if cid in seen:
            continue
        seen.add(cid)
        if not cid.is_raw:
            with contextlib.suppress(BlockMissing, MalformedBlock):  # strangers' blocks are stored before they are read
                queue.extend(child.cid for child in decode_node(load(cid)))
    return frozenset(seen)
