"""Fetches of any file, from sources that fail in any way, into stores that fail: each ends, and ends rightly."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from nodeagent.content import Cid, unixfs
from nodeagent.content.ahead import Run
from nodeagent.content.errors import (
    BlockMissing,
    FetchCancelled,
    SourceLacksBlock,
    SourceSentTooMuch,
    SourceSentWrongBytes,
    SourceServesNone,
    SourceStalled,
    SourceUnreachable,
    StoreFailed,
    StoreFull,
)
from nodeagent.content.fetch import Fetcher
from nodeagent.content.transport import FetchLimits
from nodeagent.content.unixfs import Layout
from nodeagent.content.watch import Cut

GOOD = "http://good"
BLOCK_FAULTS = (SourceStalled, SourceSentWrongBytes, SourceUnreachable, SourceLacksBlock)
RUN_FAULTS = (SourceStalled, SourceSentWrongBytes, SourceSentTooMuch, SourceUnreachable, SourceServesNone)


class Sources:
    """One of them is honest about single blocks; answers to runs are shuffled, doubled, short or break off."""

    def __init__(self, chance: random.Random, blocks: dict[Cid, bytes], faulty: float) -> None:
        self.chance, self.blocks, self.faulty = chance, blocks, faulty

    def block(self, source: str, cid: Cid, cut: Cut | None = None) -> bytes:
        if source != GOOD and self.chance.random() < self.faulty:
            raise self.chance.choice(BLOCK_FAULTS)(source, "as it likes")
        return self.blocks[cid]

    def run(self, source: str, run: Run, patience_s: float, cut: Cut | None = None) -> Iterator[tuple[Cid, bytes]]:
        for cid in self.chance.sample(sorted(run.leaves, key=str), len(run.leaves)):
            lot = self.chance.random()
            if lot < self.faulty / 2:
                raise self.chance.choice(RUN_FAULTS if source != GOOD else (SourceUnreachable,))(source, "as it likes")
            if lot < self.faulty:
                return
            yield cid, self.blocks[cid]
            if lot > 0.95:
                yield cid, self.blocks[cid]


class Shelf:
    """Has some blocks, loses some, and fails after ``most``."""

    def __init__(self, chance: random.Random, held: dict[Cid, bytes], most: int) -> None:
        self.chance, self.held, self.most = chance, held, most
        self.had = set(held)

    def load(self, cid: Cid) -> bytes:
        if self.chance.random() < 0.01:
            self.held.pop(cid, None)
        try:
            return self.held[cid]
        except KeyError:
            raise BlockMissing(str(cid)) from None

    def keep(self, cid: Cid, block: bytes) -> None:
        self.most -= 1
        if self.most < 0:
            raise self.chance.choice([StoreFull(1, 2, 3), StoreFailed("disk", hint="as it likes")])
        assert Cid.of(block, cid.codec) == cid
        self.held[cid] = block
        self.had.add(cid)


@pytest.mark.parametrize("seed", range(60))
def test_fetch__any_tree_sources_and_store__ends_and_leaves_nothing_running(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nodeagent.content.call._MIN_RUN_BYTES", 1)
    chance, blocks = random.Random(seed), dict[Cid, bytes]()
    count, kinds = chance.choice([1, 3, 40, 200]), chance.choice([1, 3, 1000])
    layout = Layout(chunk_bytes=16, max_links=chance.choice([2, 5, 20, 64]))
    chunks = [b"%016d" % chance.randrange(kinds) for _ in range(count)]
    root = unixfs.build(chunks, blocks.__setitem__, layout).cid
    part, most = chance.choice([0, 0, 0.5, 1]), chance.choice([5, 50, 10_000, 10_000])
    shelf = Shelf(chance, {cid: block for cid, block in blocks.items() if chance.random() < part}, most)
    looks = iter(range(chance.choice([20, 100_000, 100_000])))
    fetcher = Fetcher(
        shelf,
        FetchLimits(hedge_s=600.0, rest_s=0.001),
        transport=Sources(chance, blocks, chance.choice([0, 0.1, 0.5])),
    )
    try:
        fetcher.fetch(
            root,
            ["http://a", "http://b", GOOD],
            max_bytes=1 << 30,
            max_depth=40,
            cancel=lambda: next(looks, None) is None,
        )
    except (FetchCancelled, StoreFull, StoreFailed):
        assert shelf.most < 0 or next(looks, None) is None, "nothing else may stop it"
    else:
        assert shelf.had == set(blocks)
    assert fetcher.running == 0
