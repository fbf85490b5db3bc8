"""An agent that starts: what it says of itself; and on a full disk: the ledger ends it, and a restart finds all."""

from __future__ import annotations

import hashlib
import sqlite3
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import structlog

from nodeagent.chain.scan import Cursor
from nodeagent.config import Home, NodeConfig
from nodeagent.errors import Fatal
from nodeagent.protocol.nodedoc import parse_node
from nodeagent.protocol.types import Epoch, NodeId
from nodeagent.runtimes.jail.walls import NONE, Jail, NoJail
from nodeagent.worker import live, start
from nodeagent.worker.ledger import Batch, Ledger
from nodeagent.worker.views import PassLog


def batch(epoch: int) -> Batch:
    return Batch(Epoch(epoch), bytes(60_000), b"{}", b"\x02" * 32, b"\x01" * 32, b"\x03" * 27)


def test_records__disk_is_full__a_fatal_with_a_hint_and_a_restart_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "agent.db"
    ledger = Ledger(path)
    ledger.apply([], Cursor(5, "0x5"))
    ledger.seal(batch(1))
    pages = ledger.connection.execute("PRAGMA page_count").fetchone()[0]
    ledger.connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(Fatal, match="full") as caught, start.records(path):
        ledger.seal(batch(2))
    assert isinstance(caught.value, start.RecordsFailed) and str(path) in caught.value.message
    assert caught.value.hint is not None and "free disk space" in caught.value.hint
    ledger.close()
    again = Ledger(path)
    assert again.marks() == [Cursor(5, "0x5")] and again.batch_epochs(Epoch(0)) == {1}, "all or nothing"
    assert again.seal(batch(2)) == batch(2)


@pytest.mark.parametrize("fault", [sqlite3.IntegrityError("a bug"), ZeroDivisionError("a bug")])
def test_records__anything_else__is_not_touched(fault: Exception) -> None:
    with pytest.raises(type(fault)), start.records(Path("agent.db")):
        raise fault


def test_open_agent__disk_refuses_the_ledger__ends_with_records_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(*_: object) -> Any:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(start, "open_chain", refuses)
    config = NodeConfig(deployment="31337.json")
    with pytest.raises(start.RecordsFailed), start.open_agent(Home(tmp_path), config, SimpleNamespace()):  # type: ignore[arg-type]
        pass


@pytest.fixture
def agent() -> Any:
    """As much of a running agent as it says of itself."""
    return SimpleNamespace(
        head=None,
        world=SimpleNamespace(node=1, pool=1, jobs={}, paused=False),
        pace=SimpleNamespace(block_s=1.0),
        own_url="",
        bench=SimpleNamespace(open_work=0),
        problems={},
        resting=None,
        passed=PassLog(),
    )


def test_write_live__disk_is_full__said_and_passed_over(tmp_path: Path, agent: Any) -> None:
    home = Home(tmp_path)
    live.write_live(home, agent, NONE)
    home.live.with_suffix(".new").mkdir()  # as good as a full disk: the file cannot be written
    with structlog.testing.capture_logs() as logs:
        live.write_live(home, agent, NONE)
    assert [entry["event"] for entry in logs] == ["status_not_written"] and live.read_live(home)["node"] == 1


@pytest.mark.parametrize(
    ("url", "rpc", "complains"),
    [
        ("http://127.0.0.1:4001", "http://127.0.0.1:8545", False),
        ("http://[::1]:4001", "http://localhost:8545", False),
        ("http://127.0.0.1:4001", "https://rpc.example.org", True),
        ("http://localhost:4001", "http://10.0.0.7:8545", True),
        ("https://node.example.org", "https://rpc.example.org", False),
    ],
)
def test_out_of_reach__own_address_and_the_chains__only_a_loopback_one_for_a_chain_elsewhere(
    url: str, rpc: str, complains: bool
) -> None:
    assert (start.out_of_reach(url, rpc) is not None) is complains


BOXED = Jail("bubblewrap", ("bubblewrap", "landlock 7", "seccomp"), "/usr/bin/bwrap")


@pytest.mark.parametrize(("jail", "says"), [(BOXED, "bubblewrap, landlock 7, seccomp"), (NONE, "none")])
def test_write_live__jail__is_said(tmp_path: Path, agent: Any, jail: Jail, says: str) -> None:
    live.write_live(Home(tmp_path), agent, jail)
    assert live.read_live(Home(tmp_path))["jail"] == says


def test_choose_jail__unsafe_was_typed__none_and_said(tmp_path: Path) -> None:
    with structlog.testing.capture_logs() as logs:
        assert start.choose_jail(Home(tmp_path), NodeConfig(deployment="x.json"), unsafe=True) is NONE
    assert [entry["event"] for entry in logs] == ["no_jail"]


def test_choose_jail__home_in_the_interpreters_folder__only_without_a_jail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start.walls, "choose", lambda wish: BOXED)
    inside, config = Home(Path(sys.prefix) / "node"), NodeConfig(deployment="x.json")
    with pytest.raises(NoJail, match="is inside"):
        start.choose_jail(inside, config)
    assert start.choose_jail(inside, config, unsafe=True) is NONE


def test_choose_jail__none_to_be_had__is_fatal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(wish: str) -> Jail:
        raise NoJail(f"no {wish} jail")

    monkeypatch.setattr(start.walls, "choose", none)
    with pytest.raises(Fatal, match="no landlock jail"):
        start.choose_jail(Home(tmp_path), NodeConfig(deployment="x.json", jail="landlock"))


class Announcing:
    """The agent's hands as far as an announcement needs them."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes]] = []
        self.kept: dict[str, str] = {}
        self.served: list[bytes] = []
        registry = SimpleNamespace(call=lambda name, node, url, digest: (url, digest))
        self.doors = SimpleNamespace(registry=registry)
        self.ledger = SimpleNamespace(meta=self.kept.get, set_meta=self.kept.__setitem__)
        self.store = SimpleNamespace(put_bytes=self.served.append)

    def submit(self, key: str, call: tuple[str, bytes], deadline: int | None) -> None:
        self.sent.append(call)


def test_announce__address_and_document__once_until_one_of_them_changes() -> None:
    hands: Any = Announcing()
    for url, jail in [("http://a", BOXED), ("http://a", BOXED), ("http://b", BOXED), ("http://b", NONE)]:
        start._announce(hands, NodeId(3), url, jail)
    assert [url for url, _ in hands.sent] == ["http://a", "http://b", "http://b"]
    documents = {hashlib.sha256(data).digest(): parse_node(data) for data in hands.served}
    told = [documents[digest] for _, digest in hands.sent]
    assert [d.jail for d in told] == ["bubblewrap", "bubblewrap", "none"]
    assert told[0].walls == BOXED.walls and told[2].walls == ()
