"""The demo on folders of every kind, and what it leaves behind: a report, and no process.

├── empty folder → said, nothing started
├── nothing for the model (0 bytes, tiny, links, pipes) → labels of the package, no chain
├── mixed folder → every number agrees, the rest is listed with its reason
├── interrupted → everything it started is gone
└── unreadable file or folder → listed with the reason
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nodeagent.demo.files import FoundFile, Magika, NoFiles, every_file, some_files
from tests.e2e.support.world import PROJECT, environment, processes_naming, quorate_argv, run, until

SOURCES = (
    (PROJECT / "nodeagent" / "errors.py", "python"),
    (PROJECT / "contracts" / "interfaces" / "IJobMarket.sol", "solidity"),
    (PROJECT / "Makefile", "makefile"),
    (PROJECT / "tools" / "test.sh", "shell"),
)


@pytest.fixture
def odd_folder(tmp_path: Path) -> Path:
    """A 0-byte file, a tiny one, blanks, a link to a file outside, a pipe, a name that is no text."""
    folder = tmp_path / "odd"
    folder.mkdir()
    (folder / "empty.bin").write_bytes(b"")
    (folder / "tiny.txt").write_bytes(b"hi")
    (folder / "noise").write_bytes(b"\xff\xfe\x00")
    (folder / "blank.txt").write_bytes(b" " * 100)
    (folder / "link.py").symlink_to(SOURCES[0][0])
    (folder / "dangling").symlink_to(folder / "nowhere")
    os.mkfifo(folder / "pipe")
    (folder / os.fsdecode(b"odd\xff\nname")).write_bytes(b"")
    return folder


def demo(out: Path, folder: Path, *words: str) -> list[str]:
    return quorate_argv(out / "home", "demo", "--files", str(folder), "--out", str(out), "--nodes", "3", *words)


def report_of(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "report.json").read_text())
    return found


def test_demo__empty_folder__is_said_and_nothing_started(tmp_path: Path) -> None:
    folder, out = tmp_path / "nothing", tmp_path / "out"
    folder.mkdir()
    done = run(demo(out, folder), expect=1)
    assert f"{folder} holds no files" in done.stderr
    assert not (out / "devnet").exists()
    assert processes_naming(str(out)) == []


def test_demo__nothing_for_the_model__gives_the_packages_labels_without_a_chain(
    tmp_path: Path, odd_folder: Path
) -> None:
    out = tmp_path / "out"
    done = run(demo(out, odd_folder))
    report = report_of(out)
    assert (report["tasks"], report["verified"], report["matches_local_onnxruntime"]) == (0, 0, 0)
    rows = {Path(f["path"]).name: (f["label"], f["note"]) for f in report["files"]}
    assert rows == {
        "empty.bin": ("empty", "empty"),
        "tiny.txt": ("txt", "too small for the model"),
        "noise": ("unknown", "too small for the model"),
        "blank.txt": ("txt", "too small for the model"),
        "link.py": ("symlink", "a link, not followed"),
        "dangling": ("symlink", "a link, not followed"),
        "pipe": (None, "not a regular file"),
        "odd\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}name": ("empty", "empty"),
    }
    assert "no file needs the model" in done.stderr
    assert not (out / "devnet").exists()


def test_demo__mixed_folder__every_number_agrees_and_no_process_is_left(tmp_path: Path, odd_folder: Path) -> None:
    for source, _ in SOURCES:
        (odd_folder / source.name).write_bytes(source.read_bytes())
    out = tmp_path / "out"
    done = run(demo(out, odd_folder))
    report = report_of(out)
    assert report["tasks"] == report["verified"] == report["matches_local_onnxruntime"] == len(SOURCES)
    labels = {Path(f["path"]).name: f["label"] for f in report["files"] if f["sent"]}
    assert labels == {source.name: label for source, label in SOURCES}
    assert len(report["files"]) == len(SOURCES) + 8
    _check_nodes(report)
    _check_gas(report)
    receipts = json.loads(Path(report["receipts"]).read_text())
    assert [t["task"] for t in receipts["tasks"]] == list(range(len(SOURCES)))
    assert "appealEpochs = 0" in done.stderr
    assert processes_naming(str(out)) == []
    assert not (out / "devnet" / "agents").exists()


def _check_nodes(report: dict[str, Any]) -> None:
    assert len(report["nodes"]) == 3
    for field in ("id", "operator", "pid", "home", "content_root"):
        assert len({node[field] for node in report["nodes"]}) == 3
    for node in report["nodes"]:  # three nodes are every committee
        assert node["inferences"] == node["drawn"] == report["tasks"]
        assert node["committed"] >= 1
        assert node["revealed"] == node["committed"]
    assert sum(node["earned"] for node in report["nodes"]) > 0
    assert {n for f in report["files"] if f["sent"] for n in f["paid"]} == {1, 2, 3}


def _check_gas(report: dict[str, Any]) -> None:
    gas, found = report["gas"], report["transactions"]
    assert gas["post"] == sum(t["gas"] for t in found if t["step"] == "post") > 0
    for step in ("turn", "commit", "reveal", "record_seed", "settle"):
        assert sorted(gas[step]) == sorted(t["gas"] for t in found if t["step"] == step)
    work = sum(sum(gas[step]) for step in ("turn", "commit", "reveal", "settle"))
    assert gas["per_task"] == round(work / report["tasks"])
    assert gas["per_shard"] == round(work / report["shards"])
    assert gas["settle"]
    assert len({t["hash"] for t in found}) == len(found)


def test_demo__interrupted__takes_everything_down(tmp_path: Path) -> None:
    folder, out = tmp_path / "files", tmp_path / "out"
    folder.mkdir()
    (folder / "a.py").write_bytes(SOURCES[0][0].read_bytes())
    log = tmp_path / "log"
    with log.open("wb") as said:
        running = subprocess.Popen(
            demo(out, folder), stdout=said, stderr=said, env=environment(), start_new_session=True
        )
    try:
        until("the devnet", lambda: running.poll() is not None or b"posted job" in log.read_bytes())
        assert running.poll() is None, log.read_text()
        assert processes_naming(str(out / "devnet"))
        running.send_signal(signal.SIGINT)
        assert running.wait(120) == 130
    finally:
        running.kill()
        running.wait()
    assert processes_naming(str(out)) == []
    assert not (out / "devnet" / "agents").exists()


@pytest.fixture(scope="module")
def magika() -> Magika:
    return Magika()


def test_look__file_that_may_not_be_read__is_said(
    magika: Magika, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "secret.py"
    secret.write_bytes(SOURCES[0][0].read_bytes())
    assert magika.look(secret).features is not None
    monkeypatch.setattr(os, "access", lambda *_: False)  # what the package asks; root may read everything
    found = magika.look(secret)
    assert (found.features, found.label) == (None, None)
    assert str(found.note).startswith("unreadable")


def test_look__file_vanished__is_said(magika: Magika, tmp_path: Path) -> None:
    found = magika.look(tmp_path / "gone")
    assert found == FoundFile(str(tmp_path / "gone"), None, None, "unreadable: No such file or directory")


def test_look__features__are_the_packages_own(magika: Magika) -> None:
    """The row is what the package itself would feed to the model."""
    found = magika.look(SOURCES[0][0])
    assert found.features is not None
    assert (found.features.dtype.name, found.features.shape) == ("int32", (2048,))
    from magika import Magika as Package

    whole = Package().identify_path(SOURCES[0][0])
    assert str(whole.output.label) == SOURCES[0][1]


def test_every_file__folder_that_cannot_be_listed__is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open" / "a").write_bytes(b"a")
    (tmp_path / "shut").mkdir()
    scan = os.scandir

    def scandir(path: Any) -> Any:
        if str(path).endswith("shut"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", scandir)
    paths, unreadable = every_file(tmp_path)
    assert [p.name for p in paths] == ["a"]
    assert [f.note for f in unreadable] == ["unreadable folder: Permission denied"]


def test_every_file__not_a_folder__is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(NoFiles, match="is not a folder"):
        every_file(tmp_path / "file")


def test_some_files__mixed_tree__takes_types_by_turns_and_repeats_itself(tmp_path: Path) -> None:
    for n in range(30):
        (tmp_path / f"{n:02}.py").write_text("x = 1")
    for n in range(3):
        (tmp_path / f"{n}.json").write_text("{}")
    (tmp_path / "empty.md").write_bytes(b"")
    (tmp_path / "link.md").symlink_to(tmp_path / "00.py")
    chosen = some_files([tmp_path], 10)
    assert chosen == some_files([tmp_path], 10)
    assert [p.suffix for p in chosen].count(".json") == 3
    assert len(chosen) == 10
    assert all(p.is_file() and not p.is_symlink() and p.stat().st_size for p in chosen)


def test_main__module__is_what_make_demo_calls() -> None:
    makefile = (PROJECT / "Makefile").read_text()
    assert "quorate demo" in makefile
    assert run([sys.executable, "-m", "nodeagent.cli.requester", "demo", "--help"]).returncode == 0
