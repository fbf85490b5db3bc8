"""Seeds, draws and lanes as they are read from a chain.

lottery   a seed once its block is there; the registry is asked about every draw; a difference is looked at twice
lanes     own ones of every epoch that can be opened; who committed in an epoch, once it is over
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from fakechain import FakeChain
from scene import EB, ME, pool_of, posted, revealed, world

from nodeagent.chain.deployment import Deployment
from nodeagent.chain.errors import RpcBehind
from nodeagent.errors import Transient
from nodeagent.protocol.lanes import ABSENT_PUNISHED
from nodeagent.protocol.sortition import seed_from_randao
from nodeagent.protocol.types import Epoch, NodeId
from nodeagent.worker.draws import DrawBook
from nodeagent.worker.lanewatch import read_lanes
from nodeagent.worker.lifecycle import Clock, Lane
from nodeagent.worker.lottery import DrawMismatch, Lottery
from nodeagent.worker.world import World

ADDRESSES = dict.fromkeys(("registry", "ledger", "market", "stake_token", "payment_token"), "0x" + "33" * 20)
DEPLOYMENT = Deployment(31337, "local", 0, parameters={"EPOCH_BLOCKS": EB, "RING": 128}, **ADDRESSES)
START = Epoch(10)  # of the job's first attempts


class Registry:
    """Answers ``committees`` as the contract would, from the same world, unless told to lie."""

    def __init__(self, w: World) -> None:
        self.world, self.lies, self.asked = w, 0, 0

    def committees(self, words: Sequence[int]) -> list[int]:
        out: list[int] = []
        for seed, request in zip(words[::2], words[1::2], strict=True):
            job, shard, epoch = request >> 192, request >> 160 & 0xFFFFFFFF, request >> 128 & 0xFFFFFFFF
            size = request >> 104 & 0xFF
            book = self.world.seats.committee(seed.to_bytes(32, "big"), job, shard, size, epoch)  # type: ignore[arg-type]
            slots = [*book, *[0] * (16 - size)]
            if self.lies:
                slots[0] = 99
            packed = b"".join(n.to_bytes(4, "big") for n in slots)
            out += [int.from_bytes(packed[:32], "big"), int.from_bytes(packed[32:], "big")]
            self.asked += 1
        self.lies = max(0, self.lies - 1)
        return out


def chain_to(block: int) -> FakeChain:
    chain = FakeChain()
    while chain.head < block:
        chain.mine()
    for found in chain.blocks:
        found["mixHash"] = found["hash"]
    return chain


def lottery(block: int) -> tuple[Lottery, Registry, FakeChain]:
    w = world([*pool_of(3), posted(1)])
    registry, chain = Registry(w), chain_to(block)
    return Lottery(chain, registry, DEPLOYMENT, w), registry, chain  # type: ignore[arg-type]


def test_update__seed_block_not_there__draws_not_known() -> None:
    made, registry, _ = lottery(START * EB)
    assert made.update(START * EB) is False and not made.seeds and registry.asked == 0


def test_update__seed_block_there__seed_of_its_header_and_every_draw_checked() -> None:
    made, registry, chain = lottery(START * EB + 1)
    assert made.update(START * EB + 1) is True
    randao = bytes.fromhex(chain.blocks[START * EB + 1]["mixHash"][2:])
    assert made.seeds == {START: seed_from_randao(START, randao)} and registry.asked == 4
    assert len(made.book.mine(START)) == 4
    made.update(START * EB + 2)
    assert registry.asked == 4, "each draw is asked about once"


def test_update__endpoint_lags__transient() -> None:
    made, _, _ = lottery(START * EB)
    with pytest.raises(RpcBehind, match="no block 101"):
        made.update(START * EB + 1)


def test_update__registry_differs_once__looked_at_again() -> None:
    made, registry, _ = lottery(START * EB + 1)
    registry.lies = 1
    with pytest.raises(Transient, match="looking again"):
        made.update(START * EB + 1)
    assert made.update(START * EB + 1) is True and len(made.book.mine(START)) == 4


def test_update__registry_differs_twice__fatal() -> None:
    made, registry, _ = lottery(START * EB + 1)
    registry.lies = 2
    with pytest.raises(Transient):
        made.update(START * EB + 1)
    with pytest.raises(DrawMismatch, match="this program"):
        made.update(START * EB + 1)


def test_rewind__below_the_seed_block__seed_forgotten() -> None:
    made, _, _ = lottery(START * EB + 1)
    made.update(START * EB + 1)
    made.rewind(START * EB + 1)
    assert made.seeds
    made.rewind(START * EB)
    assert not made.seeds


# --- lanes ------------------------------------------------------------------------------------------------------------


class LedgerDoor:
    """Lane words by (node, epoch)."""

    def __init__(self, words: dict[tuple[int, int], int]) -> None:
        self.words, self.asked = words, list[Any]()

    def lanes(self, pairs: Sequence[tuple[NodeId, int]]) -> list[int]:
        self.asked.append(list(pairs))
        return [self.words.get((node, epoch), 0) for node, epoch in pairs]


def sealed(epoch: int) -> int:
    return epoch << 224 | 1


def lanes_scene() -> tuple[World, DrawBook]:
    w = world([*pool_of(3), posted(1)])
    book = DrawBook(w, {START: bytes(32)})
    book.update(START)
    return w, book


def test_read_lanes__epoch_over__who_committed_is_read_once() -> None:
    w, book = lanes_scene()
    door = LedgerDoor({(1, 10): sealed(10), (2, 10): sealed(10), (3, 10): sealed(9)})
    clock = Clock((START + 1) * EB, EB, 2, 2, 8)
    assert read_lanes(door, w, book, clock) == {START: Lane.SEALED}  # type: ignore[arg-type]
    assert w.committed == {START: {1, 2}} and w.is_sealed(NodeId(2), START) and not w.is_sealed(NodeId(3), START)
    read_lanes(door, w, book, clock)  # type: ignore[arg-type]
    assert [(n, e) for n, e in door.asked[1] if n != ME] == []


def test_read_lanes__away_for_long__a_reporter_looks_back_as_far_as_faults_are_proven() -> None:
    w, book = lanes_scene()
    door = LedgerDoor({(1, 10): sealed(10), (2, 10): sealed(10)})
    clock = Clock((START + 25) * EB, EB, 2, 2, 8)
    read_lanes(door, w, book, clock)  # type: ignore[arg-type]
    assert w.committed == {}, "a member has no use for it any more"
    read_lanes(door, w, book, clock, 126)  # type: ignore[arg-type]
    assert w.committed == {START: {1, 2}}


def test_read_lanes__epoch_still_running__nobody_is_written_down() -> None:
    w, book = lanes_scene()
    door = LedgerDoor({(1, 10): sealed(10), (2, 10): sealed(10)})
    assert read_lanes(door, w, book, Clock(START * EB + 5, EB, 2, 2, 8)) == {START: Lane.SEALED}  # type: ignore[arg-type]
    assert w.committed == {} and {n for n, _ in door.asked[0]} == {ME}


def test_read_lanes__opened__commit_counts_all_the_same() -> None:
    w, book = lanes_scene()
    w.apply([revealed(2, 10, {})])
    door = LedgerDoor({(2, 10): 10 << 224 | 1 << 216 | 5})
    read_lanes(door, w, book, Clock((START + 1) * EB + 3, EB, 2, 2, 8))  # type: ignore[arg-type]
    assert w.committed == {START: {2}} and not w.is_sealed(NodeId(2), START)


def test_read_lanes__marked_absent__did_not_commit() -> None:
    w, book = lanes_scene()
    door = LedgerDoor({(2, 10): 10 << 224 | ABSENT_PUNISHED << 216, (3, 10): sealed(10)})
    read_lanes(door, w, book, Clock((START + 1) * EB + 3, EB, 2, 2, 8))  # type: ignore[arg-type]
    assert w.committed == {START: {3}} and not w.is_sealed(NodeId(2), START)
