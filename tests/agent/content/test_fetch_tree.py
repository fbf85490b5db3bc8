"""Folders over HTTP: every block once, from whoever has it, and only what a folder may be."""

from __future__ import annotations

from pathlib import Path

import pytest
from content_faults import FaultServer, serves
from directory_cases import CASES, LARGE, VECTORS, built

from nodeagent.content import Budget, Cid, LocalStore
from nodeagent.content.dagpb import links_of
from nodeagent.content.errors import AllSourcesFailed, BudgetExceeded, MalformedBlock
from nodeagent.content.fetch import Fetcher
from nodeagent.content.gateway import Gateway


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "content")


@pytest.mark.parametrize("name", sorted(set(CASES) - LARGE))
def test_fetch_tree__folder__every_block_is_asked_for_once(store: LocalStore, name: str) -> None:
    root, blocks = built(CASES[name])
    assert str(root) == VECTORS[name]
    with FaultServer(serves(blocks)) as server:
        report = Fetcher(store).fetch_tree(root, [server.url])
    assert sorted(server.paths) == sorted(f"/ipfs/{cid}?format=raw" for cid in blocks)
    assert report.blocks_fetched == len(blocks) and report.bytes_fetched == sum(map(len, blocks.values()))
    assert store.has_all(root) and set(store.block_cids()) == set(blocks)


def test_fetch_tree__shards_within_shards_from_two_gateways__arrive_whole(tmp_path: Path, store: LocalStore) -> None:
    root, blocks = built(CASES["eight levels"])
    homes = [LocalStore(tmp_path / name) for name in ("one", "two")]
    for number, (cid, block) in enumerate(blocks.items()):
        homes[number % 2].put_block(cid, block)  # neither has all of it
    with Gateway(homes[0]) as one, Gateway(homes[1]) as two:
        report = Fetcher(store).fetch_tree(root, [one.url, two.url])
    assert report.blocks_fetched == len(blocks) and store.has_all(root)


def test_fetch_tree__block_nobody_has__names_it_and_keeps_the_others(store: LocalStore) -> None:
    root, blocks = built(CASES["nested"])
    lost = next(cid for cid, block in blocks.items() if block == b"x")
    rest = {cid: block for cid, block in blocks.items() if cid != lost}
    with FaultServer(serves(rest)) as server, pytest.raises(AllSourcesFailed, match=str(lost)):
        Fetcher(store).fetch_tree(root, [server.url])
    assert store.has(root)
    with FaultServer(serves({lost: blocks[lost]})) as server:
        assert Fetcher(store).fetch_tree(root, [server.url], cancel=lambda: False).blocks_fetched >= 1


def test_fetch_tree__more_than_the_budget__stops(store: LocalStore) -> None:
    root, blocks = built(CASES["several blocks"])
    with FaultServer(serves(blocks)) as server, pytest.raises(BudgetExceeded, match="bytes"):
        Fetcher(store).fetch_tree(root, [server.url], Budget(max_bytes=(1 << 20) + 1))


def test_fetch__folder_where_a_file_was_asked_for__is_refused_at_its_root(store: LocalStore) -> None:
    root, blocks = built(CASES["nested"])
    with FaultServer(serves(blocks)) as server, pytest.raises(MalformedBlock):
        Fetcher(store).fetch(root, [server.url], max_bytes=1 << 20)
    assert server.paths == [f"/ipfs/{root}?format=raw"]


def test_fetch_tree__size_of_an_entry_is_a_lie__is_refused(store: LocalStore) -> None:
    _, blocks = built({"a": b"four"})
    (node,) = (block for cid, block in blocks.items() if not cid.is_raw)
    assert len(links_of(node)) == 1 and node.count(b"\x18\x04") == 1
    lie = node.replace(b"\x18\x04", b"\x18\x05")  # Tsize
    root = Cid.of(lie, codec=0x70)
    with FaultServer(serves({**blocks, root: lie})) as server, pytest.raises(MalformedBlock, match="Tsize"):
        Fetcher(store).fetch_tree(root, [server.url])
