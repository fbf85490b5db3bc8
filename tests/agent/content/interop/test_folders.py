"""Folders against a real Kubo with the profile, where ``ipfs`` is on PATH: the same CIDs, and CARs both ways."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from directory_cases import CASES, LONG, SAME_HASH, VECTORS, built, read, write

from nodeagent.content import LocalStore, folder

if TYPE_CHECKING:
    from conftest import Ipfs


@pytest.mark.parametrize("name", CASES)
def test_folder_cid__real_kubo__is_its_cid_and_the_vector(ipfs: Ipfs, tmp_path: Path, name: str) -> None:
    source = write(tmp_path / "source", CASES[name])
    assert str(folder.folder_cid(source)) == ipfs.add(source, "--only-hash") == VECTORS[name]


def test_profile__real_kubo__shards_by_the_block_above_256_kib(ipfs: Ipfs) -> None:
    for setting, value in (("SizeThreshold", b"256KiB"), ("SizeEstimation", b"block"), ("MaxFanout", b"256")):
        assert ipfs("config", "Import.UnixFSHAMTDirectory" + setting).strip() == value


def test_folder_cid__names_of_one_hash__real_kubo_refuses_them_too(ipfs: Ipfs, tmp_path: Path) -> None:
    source = write(tmp_path / "source", {**LONG, **dict.fromkeys(SAME_HASH, b"a")})
    with pytest.raises(subprocess.CalledProcessError) as caught:
        ipfs.add(source, "--only-hash")
    assert b"sharded directory too deep" in caught.value.stderr


@pytest.mark.parametrize("name", ["empty", "nested", "several blocks", "eight levels"])
def test_export_car__real_kubo__has_the_folder_and_gives_it_back(ipfs: Ipfs, tmp_path: Path, name: str) -> None:
    root, blocks = built(CASES[name])
    store, other = LocalStore(tmp_path / "content"), LocalStore(tmp_path / "other")
    for cid, block in blocks.items():
        store.put_block(cid, block)
    store.export_car(root, tmp_path / "folder.car")
    assert str(root).encode() in ipfs("dag", "import", tmp_path / "folder.car")
    ipfs("get", "-o", tmp_path / "got", root)
    assert read(tmp_path / "got") == CASES[name]
    back = ipfs("dag", "export", root)
    assert other.import_car(io.BytesIO(back)) == (root,)
    assert set(other.block_cids()) == set(blocks)
    assert back == (tmp_path / "folder.car").read_bytes()


def test_import_car__folder_that_real_kubo_added__is_whole_here(ipfs: Ipfs, tmp_path: Path) -> None:
    source, (root, blocks) = write(tmp_path / "source", CASES["sharded in sharded"]), built(CASES["sharded in sharded"])
    assert ipfs.add(source) == str(root)
    store = LocalStore(tmp_path / "content")
    assert store.import_car(io.BytesIO(ipfs("dag", "export", root))) == (root,)
    assert store.pins() == {root: [""]} and set(store.block_cids()) == set(blocks)
