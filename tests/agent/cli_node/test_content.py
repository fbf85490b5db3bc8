"""``content``: a file or folder goes from one home to another as a CAR; what rots is found, removed and told."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest

from nodeagent.cli import node, requester
from nodeagent.content import Cid, LocalStore
from nodeagent.content.gateway import Gateway

Main = Callable[[Sequence[str]], None]
nodeagent, quorate = node.main, requester.main
DATA = b"".join(n.to_bytes(4, "big") for n in range(640_000))


@dataclass(frozen=True)
class Told:
    code: int
    out: str
    err: str


class Runner(Protocol):
    def __call__(self, program: Main, *arguments: object) -> Told: ...


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Runner:
    """A command line in this process: exit code and what it printed."""

    def _run(program: Main, *arguments: object) -> Told:
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            program([str(argument) for argument in arguments])
        return Told(int(ended.value.code or 0), *capfd.readouterr())

    return _run


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "home" / "content")


@pytest.fixture
def cid(store: LocalStore) -> Cid:
    return store.put_bytes(DATA)


def rot(store: LocalStore, cid: Cid) -> None:
    (path,) = (store.root / "blocks").rglob(str(cid))
    path.write_bytes(b"rotten")


def test_export_then_import__other_home__the_same_file(
    run: Runner, store: LocalStore, cid: Cid, tmp_path: Path
) -> None:
    car, other = tmp_path / "file.car", LocalStore(tmp_path / "other" / "content")
    assert run(nodeagent, "--home", tmp_path / "home", "content", "export", cid, car).code == 0
    told = run(quorate, "--home", tmp_path / "other", "content", "import", car)
    assert (told.code, told.out.strip()) == (0, str(cid))
    assert other.get_bytes(cid, len(DATA)) == DATA and other.pins() == {cid: [""]}
    assert run(nodeagent, "content", "--home", tmp_path / "other", "export", "--file", cid, tmp_path / "file").code == 0
    assert (tmp_path / "file").read_bytes() == DATA


def test_ls__json__files_and_what_all_takes(run: Runner, store: LocalStore, cid: Cid, tmp_path: Path) -> None:
    held = json.loads(run(nodeagent, "content", "--home", tmp_path / "home", "ls", "--json").out)
    assert held == {
        "files": [{"cid": str(cid), "bytes": len(DATA), "folder": False, "needed_for": ["itself"]}],
        "blocks": len(list(store.block_cids())),
        "bytes": store.total_bytes(),
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "data" / "sub" / "empty").mkdir(parents=True)
    (tmp_path / "data" / ".hidden").write_bytes(b"h")
    (tmp_path / "data" / "sub" / "a\x1b[31m").write_bytes(DATA)
    return tmp_path / "data"


def test_add_then_export__folder_and_file__the_same_again(
    run: Runner, store: LocalStore, folder: Path, tmp_path: Path
) -> None:
    command = (nodeagent, "content", "--home", store.root.parent)
    cid = run(*command, "add", folder).out.strip()
    assert [str(pin) for pin in store.pins()] == [cid]
    told = run(*command, "export", cid, tmp_path / "out", "--file")
    assert told.code == 0 and f"wrote {tmp_path / 'out'}, {len(DATA) + 1:,} bytes" in told.err
    assert (tmp_path / "out" / "sub" / "a\x1b[31m").read_bytes() == DATA and (tmp_path / "out" / ".hidden").exists()
    assert run(*command, "add", tmp_path / "out").out.strip() == cid
    assert run(*command, "add", folder / ".hidden").out.strip() == str(Cid.of(b"h"))
    again = run(*command, "export", cid, tmp_path / "out", "--file")
    assert again.code == 1 and "it is there and not empty" in again.err and "name a folder that is" in again.err


def test_add_then_import__folder_in_a_car__is_pinned_in_the_other_home(
    run: Runner, store: LocalStore, folder: Path, tmp_path: Path
) -> None:
    cid = run(nodeagent, "content", "--home", store.root.parent, "add", folder).out.strip()
    assert run(nodeagent, "content", "--home", store.root.parent, "export", cid, tmp_path / "data.car").code == 0
    other = LocalStore(tmp_path / "other" / "content")
    assert run(quorate, "--home", tmp_path / "other", "content", "import", tmp_path / "data.car").out.strip() == cid
    assert other.has_all(Cid.parse(cid))
    assert run(quorate, "--home", tmp_path / "other", "content", "verify").code == 0


def test_ls__folder__its_entries_with_sizes_and_no_control_characters(
    run: Runner, store: LocalStore, folder: Path
) -> None:
    command = (nodeagent, "content", "--home", store.root.parent, "ls")
    cid = store.put_folder(folder)
    assert [line.split()[1:] for line in run(*command, cid).out.splitlines()] == [["1", ".hidden"], ["-", "sub/"]]
    below = run(*command, cid, "--recursive").out
    assert [line.split()[-1] for line in below.splitlines()] == [".hidden", "sub/", "sub/a\ufffd[31m", "sub/empty/"]
    listed = json.loads(run(*command, cid, "-r", "--json").out)
    assert listed["cid"] == str(cid) and [entry["bytes"] for entry in listed["entries"]] == [1, None, len(DATA), None]
    assert listed["entries"][2]["path"] == "sub/a\x1b[31m"
    assert run(*command).out == f"{cid}  {len(DATA) + 1:,} bytes in a folder\n"


def test_add__folder_with_a_link__says_where_and_pins_nothing(run: Runner, store: LocalStore, folder: Path) -> None:
    (folder / "sub" / "link").symlink_to("a")
    told = run(nodeagent, "content", "--home", store.root.parent, "add", folder)
    assert told.code == 1 and f"cannot add {folder}/sub/link: it is a symbolic link" in told.err
    assert store.pins() == {}


def test_verify__rotten_leaf__removed_and_the_file_is_not_whole(
    run: Runner, store: LocalStore, cid: Cid, tmp_path: Path
) -> None:
    command = (nodeagent, "content", "--home", tmp_path / "home", "verify", "--json")
    assert run(*command).code == 0
    leaf = next(block for block in store.block_cids() if block.is_raw)
    rot(store, leaf)
    told = run(*command)
    assert told.code == 1
    assert json.loads(told.out) == {"blocks": 4, "rotten": [str(leaf)], "not_whole": [str(cid)]}
    assert not store.has(leaf)
    listed = run(nodeagent, "content", "--home", tmp_path / "home", "ls")
    assert f"{cid}  {len(DATA):,} bytes" in listed.out


def test_verify__payload_of_a_job_that_was_never_fetched__is_no_fault(
    run: Runner, store: LocalStore, cid: Cid, tmp_path: Path
) -> None:
    store.pin(Cid.of(b"of others"), "payload-1")
    assert run(nodeagent, "content", "--home", tmp_path / "home", "verify").code == 0
    store.pin(Cid.of(b"of others"), "results-1")
    assert run(nodeagent, "content", "--home", tmp_path / "home", "verify").code == 1


def test_gc__what_is_not_pinned__goes_and_what_is_stays(
    run: Runner, store: LocalStore, cid: Cid, tmp_path: Path
) -> None:
    for data in (b"x" * (2 << 20), b"y" * 100):
        store.unpin(store.put_bytes(data))
    store.pin(cid, "results-7")
    store.unpin(cid)
    command = (nodeagent, "content", "--home", tmp_path / "home")
    assert "for results-7" in run(*command, "ls").out
    before = store.total_bytes()
    kept = json.loads(run(*command, "gc", "--keep", 1000, "--json").out)
    assert kept == {"removed_bytes": 0, "bytes": before}
    told = run(*command, "gc")
    assert told.code == 0 and store.has_all(cid)
    assert store.total_bytes() == len(DATA) + len(store.load(cid))
    assert f"{store.total_bytes():,} bytes are left" in told.out


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["pin", "Qm"], 1, "not a usable CID"),
        (["pin", str(Cid.of(b"absent"))], 75, "is not in"),
        (["export", str(Cid.of(b"absent")), "x.car"], 75, "fetch it from another node"),
        (["import", "nowhere.car"], 2, "nowhere.car"),
        (["add", "nowhere"], 2, "nowhere"),
        (["ls", str(Cid.of(b"absent"))], 1, "is a file, not a folder"),
        (["ls", "--recursive"], 2, "name its CID"),
    ],
)
def test_commands__cid_or_file_that_is_not_there__say_what(
    run: Runner,
    store: LocalStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    code: int,
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    told = run(nodeagent, "content", "--home", store.root.parent, *arguments)
    assert told.code == code and words in told.err
    assert not (tmp_path / "x.car").exists()


def test_fetch__folder_of_another_home__is_whole_and_pinned(
    run: Runner, store: LocalStore, folder: Path, tmp_path: Path
) -> None:
    root, other = store.put_folder(folder), LocalStore(tmp_path / "other" / "content")
    with Gateway(store) as gateway:
        fetch = ("content", "--home", tmp_path / "other", "fetch", root, "--from", gateway.url)
        told = run(nodeagent, *fetch, "--json")
        again = run(quorate, *fetch)
    assert told.code == 0 and json.loads(told.out)["cid"] == str(root)
    assert other.has_all(root) and other.pins() == {root: [""]}
    assert again.code == 0 and "0 were fetched" in again.err


def test_fetch__nobody_has_it__says_so_and_pins_nothing(
    run: Runner, store: LocalStore, cid: Cid, tmp_path: Path
) -> None:
    other = LocalStore(tmp_path / "other" / "content")
    with Gateway(LocalStore(tmp_path / "empty")) as gateway:
        fetch = ("content", "--home", tmp_path / "other", "fetch", cid, "--from", gateway.url)
        told = run(nodeagent, *fetch)
        other.pin(cid)  # somebody's wish stays
        assert run(nodeagent, *fetch).code == told.code
    assert told.code != 0 and "does not hold it" in told.err
    assert other.pins() == {cid: [""]}


def test_import__no_car__is_refused_and_pins_nothing(run: Runner, store: LocalStore, tmp_path: Path) -> None:
    (tmp_path / "file.car").write_bytes(b"not a CAR at all")
    told = run(nodeagent, "content", "--home", store.root.parent, "import", tmp_path / "file.car")
    assert told.code == 1 and "malformed CAR" in told.err and store.pins() == {}


def test_home__without_content__is_usage(run: Runner, tmp_path: Path) -> None:
    told = run(nodeagent, "content", "--home", tmp_path / "none", "ls")
    assert told.code == 2 and "keeps no content" in told.err
