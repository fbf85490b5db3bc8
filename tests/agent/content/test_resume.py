"""A fetch that was interrupted goes on with what it has."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from content_faults import deep

from nodeagent.content import Cid, LocalStore
from nodeagent.content.ahead import Run
from nodeagent.content.errors import FetchCancelled
from nodeagent.content.fetch import Fetcher
from nodeagent.content.gateway import Gateway
from nodeagent.content.transport import Transport
from nodeagent.content.watch import Cut


class Counted:
    """The real transport, which notes what it is asked for."""

    def __init__(self) -> None:
        self.asked: list[Cid] = []
        self._transport = Transport()

    def block(self, source: str, cid: Cid, cut: Cut | None = None) -> bytes:
        self.asked.append(cid)
        return self._transport.block(source, cid, cut)

    def run(self, source: str, run: Run, patience_s: float, cut: Cut | None = None) -> Iterator[tuple[Cid, bytes]]:
        for cid, block in self._transport.run(source, run, patience_s, cut):
            self.asked.append(cid)
            yield cid, block


@pytest.mark.parametrize("size", [20_000_000, pytest.param(200_000_000, marks=deep)])
def test_fetch__large_file_interrupted__continues_from_the_blocks_it_has(tmp_path: Path, size: int) -> None:
    mine, theirs = LocalStore(tmp_path / "mine"), LocalStore(tmp_path / "theirs")
    cid = theirs.put_bytes(b"".join(b"%063d\n" % n for n in range(size // 64)))
    blocks, first, second = len(list(theirs.block_cids())), Counted(), Counted()
    with Gateway(theirs) as gateway:
        with pytest.raises(FetchCancelled):
            Fetcher(mine, transport=first).fetch(
                cid, [gateway.url], max_bytes=size, cancel=lambda: len(first.asked) > blocks // 2
            )
        held = set(mine.block_cids())
        report = Fetcher(mine, transport=second).fetch(cid, [gateway.url], max_bytes=size)
    assert 1 < len(held) < blocks and not held & set(second.asked)
    assert (report.blocks_held, report.blocks_fetched) == (len(held), blocks - len(held))
    assert mine.has_all(cid)
