"""Folders against a real Kubo with the profile, where ``ipfs`` is on PATH: the same CIDs, and CARs both ways."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from directory_cases import CASES, LONG, SAME_HASH, VECTORS, built, read, write

from nodeagent.content import LocalStore, folder

Ipfs = Callable[..., bytes]


@pytest.fixture(scope="module")
def ipfs(tmp_path_factory: pytest.TempPathFactory) -> Ipfs:
    """``ipfs`` on a repository of its own, without a daemon; gives what it prints."""
    program = shutil.which("ipfs")
    if program is None:
        pytest.skip("ipfs not on PATH")
    home = tmp_path_factory.mktemp("ipfs")
    env = {"PATH": os.environ["PATH"], "HOME": str(home), "IPFS_PATH": str(home / "repo")}

    def run(*arguments: object) -> bytes:
        return subprocess.run([program, *map(str, arguments)], env=env, check=True, capture_output=True).stdout

    run("init", "--profile=test")
    run("config", "profile", "apply", "unixfs-v1-2025")
    return run


def add(ipfs: Ipfs, path: Path) -> str:
    return ipfs("add", "-r", "-Q", "--hidden", "--only-hash", path).decode().strip()


@pytest.mark.parametrize("name", CASES)
def test_folder_cid__real_kubo__is_its_cid_and_the_vector(ipfs: Ipfs, tmp_path: Path, name: str) -> None:
    source = write(tmp_path / "source", CASES[name])
    assert str(folder.folder_cid(source)) == add(ipfs, source) == VECTORS[name]


def test_profile__real_kubo__shards_by_the_block_above_256_kib(ipfs: Ipfs) -> None:
    for setting, value in (("SizeThreshold", b"256KiB"), ("SizeEstimation", b"block"), ("MaxFanout", b"256")):
        assert ipfs("config", "Import.UnixFSHAMTDirectory" + setting).strip() == value


def test_folder_cid__names_of_one_hash__real_kubo_refuses_them_too(ipfs: Ipfs, tmp_path: Path) -> None:
    source = write(tmp_path / "source", {**LONG, **dict.fromkeys(SAME_HASH, b"a")})
    with pytest.raises(subprocess.CalledProcessError) as caught:
        add(ipfs, source)
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
    assert ipfs("add", "-r", "-Q", "--hidden", source).decode().strip() == str(root)
    store = LocalStore(tmp_path / "content")
    assert store.import_car(io.BytesIO(ipfs("dag", "export", root))) == (root,)
    assert store.pins() == {root: [""]} and set(store.block_cids()) == set(blocks)
