"""Installing and checking the runtime: with the real npm, real files, and every way they can be wrong."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from nodeagent.runtimes import identity
from nodeagent.runtimes.errors import InstallFailed, RuntimeDamaged, ToolMissing
from nodeagent.runtimes.install import check, install, node_version
from nodeagent.runtimes.types import CANONICAL, NATIVE

LOCK = identity.HERE / "canonical" / "package-lock.json"


@pytest.fixture
def copy(runtimes_dir: Path, tmp_path: Path) -> Path:
    """A second installation, copied from the first."""
    dest = tmp_path / "copy"
    install(dest, copy_from=runtimes_dir)
    return dest


def fake_node(folder: Path, says: str) -> None:
    """A ``node`` that prints a version."""
    path = folder / "node"
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)


def test_install__again__changes_nothing(runtimes_dir: Path) -> None:
    wasm = identity.home(runtimes_dir) / identity.WASM
    before = wasm.stat().st_mtime_ns
    assert install(runtimes_dir) == identity.home(runtimes_dir)
    assert wasm.stat().st_mtime_ns == before


def test_install__copy__keeps_only_what_is_loaded_and_leaves_no_rest(copy: Path) -> None:
    assert sorted(path.name for path in identity.home(copy).iterdir()) == [identity.WASM, identity.BUNDLE]
    assert [path.name for path in copy.iterdir()] == [CANONICAL]


def test_check__good_installation__passes_its_self_test(copy: Path) -> None:
    check(copy)


@pytest.mark.parametrize("file", [identity.WASM, identity.BUNDLE])
def test_check__altered_file__says_which_and_install_repairs_it(copy: Path, runtimes_dir: Path, file: str) -> None:
    path = identity.home(copy) / file
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(RuntimeDamaged, match=file) as caught:
        check(copy)
    assert caught.value.hint == "install it again: nodeagent init"
    install(copy, copy_from=runtimes_dir)
    assert identity.mismatches(copy) == []


def test_check__nothing_installed__names_both_files(tmp_path: Path) -> None:
    with pytest.raises(RuntimeDamaged, match=rf"{identity.BUNDLE}, {identity.WASM}"):
        check(tmp_path)


def test_check__machine_with_other_bits__is_told(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted: dict[str, Any] = identity.expected()
    result = wanted["selftest"]["results"][0]
    wanted["selftest"]["results"][0] = result[:-1] + ("1" if result[-1] == "0" else "0")
    monkeypatch.setattr(identity, "expected", lambda: wanted)
    with pytest.raises(RuntimeDamaged, match="other bits"):
        check(copy)


def test_install__copy_from_a_damaged_one__is_refused(copy: Path, tmp_path: Path) -> None:
    (identity.home(copy) / identity.WASM).write_bytes(b"\0asm")
    with pytest.raises(RuntimeDamaged, match=identity.WASM):
        install(tmp_path / "third", copy_from=copy)
    assert list((tmp_path / "third").iterdir()) == []


def test_install__copy_from_nowhere__is_refused(tmp_path: Path) -> None:
    with pytest.raises(InstallFailed, match="cannot be copied"):
        install(tmp_path / "third", copy_from=tmp_path / "none")


def test_install__registry_unreachable__fails_with_a_hint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9/")
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "cache"))
    monkeypatch.setenv("npm_config_fetch_retries", "0")
    with pytest.raises(InstallFailed, match="npm could not install onnxruntime-web") as caught:
        install(tmp_path / "new")
    assert "npm config get registry" in str(caught.value)
    assert list((tmp_path / "new").iterdir()) == []


@pytest.mark.parametrize(
    ("says", "what"), [("v18.19.1", r"18\.19\.1 is too old"), ("nightly", "does not tell its version")]
)
def test_node_version__unfit_node__is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str, what: str
) -> None:
    fake_node(tmp_path, says)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolMissing, match=what) as caught:
        node_version()
    assert "install Node.js 20 or newer" in str(caught.value)


def test_node_version__newer_or_nightly_node__is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_node(tmp_path, "v26.0.0-nightly")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert node_version() == (26, 0, 0)


def test_install__tools_missing__says_which(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolMissing, match=r"Node\.js was not found"):
        install(tmp_path / "new")
    fake_node(tmp_path, "v20.0.0")
    with pytest.raises(ToolMissing, match="npm was not found"):
        install(tmp_path / "new")


def test_lock__in_the_wheel__names_no_registry_and_pins_every_archive() -> None:
    packages = json.loads(LOCK.read_text())["packages"]
    assert all("resolved" not in entry for entry in packages.values())
    assert all(entry["integrity"].startswith("sha512-") for name, entry in packages.items() if name)
    assert packages["node_modules/onnxruntime-web"]["version"] == "1.30.0"


def test_runtime_ids__two_installations__are_equal(copy: Path, runtimes_dir: Path) -> None:
    ids = identity.runtime_ids(copy)
    assert ids == identity.runtime_ids(runtimes_dir)
    assert sorted(ids) == [CANONICAL, NATIVE]
    assert len({*ids.values()}) == 2


def test_identities__listing__hashes_to_the_id_and_has_no_place_in_it(copy: Path) -> None:
    for found in identity.identities(copy).values():
        assert hashlib.sha256(found.listing).digest() == found.runtime_id
        document = json.loads(found.listing)
        assert all("/" not in name for name, _ in document["files"])
        assert document["files"] == sorted(document["files"])
    canonical = {name for name, _ in json.loads(identity.identities(copy)[CANONICAL].listing)["files"]}
    assert {"worker.mjs", identity.BUNDLE, identity.WASM, "operators.py", "answer.py"} <= canonical


@pytest.mark.parametrize("file", [identity.WASM, identity.BUNDLE])
def test_runtime_ids__one_byte_changed__changes_the_canonical_id_only(copy: Path, file: str) -> None:
    before = identity.runtime_ids(copy)
    path = identity.home(copy) / file
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    after = identity.runtime_ids(copy)
    assert after[CANONICAL] != before[CANONICAL]
    assert after[NATIVE] == before[NATIVE]


def test_runtime_ids__checker_source_changed__changes_both(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = identity.runtime_ids(copy)
    here = tmp_path / "runtimes"
    shutil.copytree(identity.HERE, here)
    monkeypatch.setattr(identity, "HERE", here)
    assert identity.runtime_ids(copy) == before
    with (here / "operators.py").open("a") as source:
        source.write("\n")
    after = identity.runtime_ids(copy)
    assert all(after[name] != before[name] for name in (CANONICAL, NATIVE))
