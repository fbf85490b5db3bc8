"""What a real Kubo adds, imports and serves is what we add, import and fetch, byte for byte and root for root."""

from __future__ import annotations

import hashlib
import io
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from content_faults import answers_in_cars, deep, numbers, running

from nodeagent.content import MIB, Cid, LocalStore, unixfs
from nodeagent.content.fetch import Fetcher
from nodeagent.content.gateway import Gateway
from nodeagent.content.transport import FetchLimits, Transport
from nodeagent.content.unixfs import PROFILE, Layout

if TYPE_CHECKING:
    from conftest import Daemon, Ipfs

GIB = 1 << 30
OLD = Layout(chunk_bytes=256 << 10, max_links=174)  # Kubo's own defaults of many years
OLD_OPTIONS = ("--cid-version=1", "--raw-leaves", "--chunker=size-262144", "--max-file-links=174")
FULL = OLD.chunk_bytes * OLD.max_links  # 45.6 MB: one byte more makes a second level


def write(path: Path, size: int) -> Path:
    """A file of ``size`` bytes whose chunks all differ."""
    with path.open("wb") as out:
        for start in range(0, size, MIB):
            out.write((hashlib.sha256(b"%d" % start).digest() * (MIB // 32))[: size - start])
    return path


def our_cid(path: Path, layout: Layout = PROFILE) -> str:
    with path.open("rb") as stream:
        return str(unixfs.file_cid(stream, layout))


@pytest.mark.parametrize(
    "size",
    [
        0,
        1,
        MIB - 1,
        MIB,
        MIB + 1,
        200_000_000,
        pytest.param(GIB, marks=deep),
        pytest.param(GIB + 1, marks=deep),
    ],
)
def test_file_cid__profile__is_what_ipfs_add_gives(ipfs: Ipfs, tmp_path: Path, size: int) -> None:
    path = write(tmp_path / "file", size)
    assert our_cid(path) == ipfs.add(path, "--only-hash")


@pytest.mark.parametrize("size", [FULL - 1, FULL, FULL + 1])
def test_file_cid__small_chunks_and_few_links__is_what_ipfs_add_gives(ipfs: Ipfs, tmp_path: Path, size: int) -> None:
    path = write(tmp_path / "file", size)
    assert our_cid(path, OLD) == ipfs.add(path, "--only-hash", *OLD_OPTIONS)


@pytest.mark.parametrize("size", [0, MIB, MIB + 1, 5_000_000])
def test_car__either_way__same_bytes_and_same_roots(ipfs: Ipfs, tmp_path: Path, size: int) -> None:
    ours = LocalStore(tmp_path / "ours")
    cid = ours.put_bytes(numbers(size))
    ours.export_car(cid, tmp_path / "ours.car")
    assert f"Pinned root\t{cid}\tsuccess" in ipfs("dag", "import", str(tmp_path / "ours.car")).decode()
    assert ipfs("cat", str(cid)) == numbers(size)
    exported = ipfs("dag", "export", str(cid))
    assert exported == (tmp_path / "ours.car").read_bytes(), "the same order, each block once"
    theirs = LocalStore(tmp_path / "theirs")
    assert theirs.import_car(io.BytesIO(exported)) == (cid,)
    assert theirs.get_bytes(cid, size) == numbers(size)


def test_fetch__kubo_behind_a_front_that_serves_cars_alone__arrives(daemon: Daemon, tmp_path: Path) -> None:
    path = write(tmp_path / "model", 3_000_000)
    cid = Cid.parse(daemon.ipfs.add(path))

    def car(asked: str) -> bytes:
        return subprocess.run(
            ["curl", "--silent", "--fail", daemon.gateway + asked], check=True, capture_output=True
        ).stdout

    store = LocalStore(tmp_path / "store")
    with running(answers_in_cars(car)) as (front,):
        report = Fetcher(store).fetch(cid, [front.url], max_bytes=3_000_000)
    assert report.failures == () and store.get_bytes(cid, 3_000_000) == path.read_bytes()


@pytest.fixture
def published(tmp_path: Path) -> Iterator[tuple[Gateway, Cid, bytes]]:
    """A file that only our own gateway serves."""
    store, data = LocalStore(tmp_path / "published"), numbers(3 * MIB)[::-1]
    with Gateway(store) as gateway:
        yield gateway, store.put_bytes(data), data


def test_get__car_of_our_gateway__kubo_imports_it_and_ipfs_get_writes_the_file(
    ipfs: Ipfs, published: tuple[Gateway, Cid, bytes], tmp_path: Path
) -> None:
    gateway, cid, data = published
    car = subprocess.run(
        ["curl", "--silent", "--fail", f"{gateway.url}/ipfs/{cid}?format=car"], check=True, capture_output=True
    ).stdout
    ipfs("dag", "import", stdin=car)
    ipfs("get", "--output", str(tmp_path / "got"), str(cid))
    assert (tmp_path / "got").read_bytes() == data


NARROW = Layout(chunk_bytes=256 << 10, max_links=4)
NARROW_OPTIONS = ("--cid-version=1", "--raw-leaves", "--chunker=size-262144", "--max-file-links=4")


@pytest.mark.parametrize("asked", ["0:*", "0:0", "262144:1048575", "-1:*", "2900000:-1", "1000000:2000000"])
def test_get__part_of_a_file__is_the_car_that_kubo_s_own_gateway_gives(
    daemon: Daemon, tmp_path: Path, asked: str
) -> None:
    path = write(tmp_path / "file", 3_000_000)  # twelve leaves, two levels
    cid = daemon.ipfs.add(path, *NARROW_OPTIONS)
    store = LocalStore(tmp_path / "store", layout=NARROW)
    assert str(store.put_file(path)) == cid
    with Gateway(store) as gateway:
        ours, theirs = (
            subprocess.run(
                ["curl", "--silent", "--fail", f"{url}/ipfs/{cid}?format=car&dag-scope=entity&entity-bytes={asked}"],
                check=True,
                capture_output=True,
            ).stdout
            for url in (gateway.url, daemon.gateway)
        )
    assert ours == theirs


class Counting(Transport):
    leaves = 0

    def run(self, *arguments: Any) -> Iterator[tuple[Cid, bytes]]:
        for found in super().run(*arguments):
            self.leaves += 1
            yield found


def test_fetch__large_file_from_kubo_s_own_gateway__comes_several_leaves_in_an_answer(
    daemon: Daemon, tmp_path: Path
) -> None:
    path = write(tmp_path / "model", 40 * MIB)
    cid, transport = Cid.parse(daemon.ipfs.add(path)), Counting(FetchLimits(hedge_s=600.0))
    store = LocalStore(tmp_path / "store")
    report = Fetcher(store, FetchLimits(hedge_s=600.0), transport=transport).fetch(
        cid, [daemon.gateway], max_bytes=40 * MIB
    )
    assert report.failures == () and report.blocks_fetched == 41
    assert transport.leaves > 20


@pytest.mark.parametrize("options", [(), OLD_OPTIONS], ids=["profile", "small chunks"])
def test_fetch__payload_added_with_ipfs_add__arrives_through_kubo_s_own_gateway(
    daemon: Daemon, tmp_path: Path, options: tuple[str, ...]
) -> None:
    path = write(tmp_path / "model", 3_000_000)
    cid = Cid.parse(daemon.ipfs.add(path, *options))
    store = LocalStore(tmp_path / "store")
    report = Fetcher(store).fetch(cid, [daemon.gateway], max_bytes=3_000_000)
    assert report.failures == () and store.get_bytes(cid, 3_000_000) == path.read_bytes()
