"""A real Kubo as a store behind ours: the same roots, whatever its own settings are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from content_faults import numbers
from directory_cases import CASES, VECTORS, built, write

from nodeagent.content import Budget, Cid, LayeredStore, LocalStore
from nodeagent.content.backends import KUBO
from nodeagent.content.errors import BlockMissing, BudgetExceeded, KuboTimeout
from nodeagent.content.fetch import Fetcher
from nodeagent.content.kubo import KuboStore
from nodeagent.content.tree import contents

if TYPE_CHECKING:
    from conftest import Daemon

MIB = 1 << 20
pytestmark = pytest.mark.filterwarnings("ignore:The 'strict' parameter:FutureWarning")


@pytest.mark.parametrize("size", [0, 1, MIB - 1, MIB, MIB + 1, 3 * MIB + 5])
def test_put_bytes__real_daemon__same_cid_as_ours_and_reads_back(kubo: KuboStore, tmp_path: Path, size: int) -> None:
    data = numbers(size)
    cid = kubo.put_bytes(data)
    assert cid == LocalStore(tmp_path).put_bytes(data)
    assert kubo.get_bytes(cid, size) == data
    assert b"".join(kubo.read(cid, Budget(max_bytes=size))) == data
    assert kubo.has(cid)


def test_put_file__real_daemon_and_more_links_than_its_old_default__same_cid(kubo: KuboStore, tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as out:
        out.seek(180 * MIB)  # 181 leaves: the default of 174 links a node would give another tree
        out.write(b"end")
    cid = kubo.put_file(path)
    assert cid == LocalStore(tmp_path / "store").put_file(path)
    with pytest.raises(BudgetExceeded):
        kubo.get_bytes(cid, 180 * MIB)


@pytest.mark.parametrize("name", ["empty", "nested", "several blocks", "eight levels"])
def test_put_folder__real_daemon__keeps_our_root_whole(kubo: KuboStore, tmp_path: Path, name: str) -> None:
    source = write(tmp_path / "source", CASES[name])
    root, blocks = built(CASES[name])
    assert kubo.put_folder(source) == root and str(root) == VECTORS[name]
    kubo.pin(root)  # offline: raises when a block is not there
    assert all(kubo.has(cid) for cid in list(blocks)[:20])
    assert {item.path: item.size for item in contents(root, kubo.load)}.keys() >= CASES[name].keys()


def test_load__real_daemon_without_the_block__is_missing(kubo: KuboStore) -> None:
    absent = Cid.of(b"nobody ever added this")
    assert not kubo.has(absent)
    for ask in (kubo.load, kubo.pin):
        with pytest.raises(BlockMissing) as caught:
            ask(absent)
        assert caught.value.cid == str(absent)


def test_load__real_daemon_searching_its_network__times_out_typed(daemon: Daemon) -> None:
    with pytest.raises(KuboTimeout):
        KuboStore(daemon.api, timeout_s=0.3, offline=False).load(Cid.of(b"nobody ever added this either"))


def test_version__real_daemon_far_newer_than_the_library__is_told(kubo: KuboStore) -> None:
    assert kubo.version().split(".")[0].isdigit()


def test_layered__real_daemon__writes_to_both_and_fetches_what_only_kubo_has(kubo: KuboStore, tmp_path: Path) -> None:
    store = LayeredStore(LocalStore(tmp_path), kubo)
    only_kubo, both = kubo.put_bytes(numbers(3 * MIB)), store.put_bytes(b"both have this")
    assert kubo.has(both) and not store.has(only_kubo)
    report = Fetcher(store, kubo=kubo).fetch(only_kubo, [KUBO], max_bytes=3 * MIB)
    assert (report.blocks_fetched, report.failures) == (4, ())
    assert LocalStore(tmp_path).get_bytes(only_kubo, 3 * MIB) == numbers(3 * MIB)
    store.unpin(both)
    store.put_bytes(b"of a job", "results-1")
    store.keep_labels(set())
    assert store.local.pins() == {}
    with pytest.raises(BlockMissing):
        store.load(Cid.of(b"neither has this"))
