"""Kubo as a store, against daemons that misbehave. The real one is in ``interop``."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from content_faults import Behaviour, FaultServer, resets, running, says, serves, stalls

from nodeagent.content import Cid, open_content
from nodeagent.content.backends import KUBO, Backends
from nodeagent.content.errors import (
    AllSourcesFailed,
    BlockMissing,
    KuboDisagrees,
    KuboTimeout,
    KuboUnavailable,
    SourceLacksBlock,
    SourceSentWrongBytes,
    SourceUnreachable,
    UnreadableFile,
    WrongBytes,
)
from nodeagent.content.fetch import Fetcher
from nodeagent.content.kubo import KuboStore
from nodeagent.errors import Fatal, Transient

pytestmark = pytest.mark.filterwarnings("ignore:The 'strict' parameter:FutureWarning")


def kubo_error(message: str) -> bytes:
    return json.dumps({"Message": message, "Code": 0, "Type": "error"}).encode()


# --- daemons that misbehave ---


def test_load__daemon_sends_other_bytes__is_refused() -> None:
    with running(says(b"evil")) as (server,), pytest.raises(WrongBytes):
        KuboStore(server.url).load(Cid.of(b"good"))


def test_load__daemon_sends_too_much__is_cut() -> None:
    with running(says(bytes((2 << 20) + 1))) as (server,), pytest.raises(KuboUnavailable, match="more than 2097152"):
        KuboStore(server.url).load(Cid.of(b"good"))


@pytest.mark.parametrize(
    "message", ["block was not found locally (offline): ipld: could not find bafk", "blockservice: key not found"]
)
def test_load__daemon_says_not_found__is_missing(message: str) -> None:
    with running(says(kubo_error(message), "500 Internal Server Error")) as (server,):
        kubo = KuboStore(server.url)
        with pytest.raises(BlockMissing):
            kubo.load(Cid.of(b"good"))
        assert not kubo.has(Cid.of(b"good"))


def test_load__daemon_reports_another_error__is_unavailable() -> None:
    fails = says(kubo_error("disk on fire"), "500 Internal Server Error")
    with running(fails) as (server,), pytest.raises(KuboUnavailable, match="disk on fire") as caught:
        KuboStore(server.url).load(Cid.of(b"good"))
    assert isinstance(caught.value, Transient)


def test_load__daemon_silent__times_out_typed() -> None:
    with running(stalls) as (server,), pytest.raises(KuboTimeout):
        KuboStore(server.url, timeout_s=0.2).load(Cid.of(b"good"))


def test_version__nobody_listens_or_resets__is_unavailable() -> None:
    with FaultServer(resets) as server, pytest.raises(KuboUnavailable):
        KuboStore(server.url).version()
    with pytest.raises(KuboUnavailable, match="cannot be used"):
        KuboStore(server.url).version()


def test_version__not_a_daemon__is_unavailable() -> None:
    with running(says(b"<html>hello</html>")) as (server,), pytest.raises(KuboUnavailable):
        KuboStore(server.url).version()


def imported(cid: Cid, complaint: str = "") -> bytes:
    return json.dumps({"Root": {"Cid": {"/": str(cid)}, "PinErrorMsg": complaint}}).encode()


@pytest.mark.parametrize("answer", [imported(Cid.of(b"other")), imported(Cid.of(b"mine"), "no space left"), b"{}"])
def test_put_bytes__daemon_keeps_another_root_or_none__is_fatal(answer: bytes) -> None:
    with running(says(answer)) as (server,), pytest.raises(KuboDisagrees) as caught:
        KuboStore(server.url).put_bytes(b"mine")
    assert str(Cid.of(b"mine")) in str(caught.value)
    assert isinstance(caught.value, Fatal) and caught.value.hint


def test_put_bytes__proxy_in_the_environment__is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with running(says(imported(Cid.of(b"mine"))), says(b"evil")) as (server, proxy):
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        assert KuboStore(server.url).put_bytes(b"mine") == Cid.of(b"mine")
        assert server.paths[0].startswith("/api/v0/dag/import?") and proxy.paths == []
        assert "pin-roots=true" in server.paths[0] and "fast-provide-root=true" in server.paths[0]


@pytest.mark.parametrize(
    "api", ["", "nonsense", "/ip4/127.0.0.1", "/ip4/300.1.1.1/tcp/5001", "ftp://127.0.0.1", "http://", "http://h/api"]
)
def test_init__address_is_none__is_fatal_with_a_hint(api: str) -> None:
    with pytest.raises(KuboDisagrees) as caught:
        KuboStore(api)
    assert caught.value.hint and "/ip4/127.0.0.1/tcp/5001" in caught.value.hint


def test_put_file__absent__is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile):
        KuboStore("/ip4/127.0.0.1/tcp/9").put_file(tmp_path / "absent")


# --- layers ---


def test_open_content__without_kubo__is_one_local_store(tmp_path: Path) -> None:
    store = open_content(tmp_path)
    cid = store.put_bytes(b"x")
    assert store.kubo is None and store.local.root == tmp_path / "content"
    assert store.has(cid) and store.get_bytes(cid, 1) == b"x" and not store.has(Cid.of(b"y"))
    store.unpin(cid)
    assert store.local.pins() == {}
    store.pin(cid)
    assert store.local.pins() == {cid: [""]}


def test_layered__daemon_away__goes_on_with_the_local_copy(tmp_path: Path) -> None:
    store = open_content(tmp_path, "http://127.0.0.1:9")
    (tmp_path / "file").write_bytes(b"in a file")
    cid, filed = store.put_bytes(b"x"), store.put_file(tmp_path / "file")
    assert store.get_bytes(cid, 1) == b"x" and store.get_bytes(filed, 9) == b"in a file"
    store.pin(cid)
    store.unpin(cid)
    assert not store.has(Cid.of(b"y"))
    with pytest.raises(BlockMissing, match="local store"):
        store.load(Cid.of(b"y"))


def test_fetch__daemon_lies__nothing_of_it_reaches_the_disk_and_the_next_serves(tmp_path: Path) -> None:
    good = b"good"
    with running(says(b"evil"), serves({Cid.of(good): good})) as (server, honest):
        store = open_content(tmp_path, server.url)
        fetcher = Fetcher(store, kubo=store.kubo)
        with pytest.raises(AllSourcesFailed) as caught:
            fetcher.fetch(Cid.of(good), [KUBO], max_bytes=10)
        assert [type(failure) for failure in caught.value.failures] == [SourceSentWrongBytes]
        assert list(store.local.block_cids()) == []
        Fetcher(store, kubo=store.kubo).fetch(Cid.of(good), [KUBO, honest.url], max_bytes=10)
    assert store.get_bytes(Cid.of(good), 10) == good


@pytest.mark.parametrize(
    ("behave", "kind"),
    [
        (says(kubo_error("block was not found locally (offline)"), "500 Internal Server Error"), SourceLacksBlock),
        (says(kubo_error("disk on fire"), "500 Internal Server Error"), SourceUnreachable),
        (resets, SourceUnreachable),
    ],
)
def test_fetch__daemon_has_no_answer__is_that_source_s_failure(tmp_path: Path, behave: Behaviour, kind: type) -> None:
    with running(behave) as (server,):
        store = open_content(tmp_path, server.url)
        with pytest.raises(AllSourcesFailed) as caught:
            Fetcher(store, kubo=store.kubo).fetch(Cid.of(b"good"), [KUBO], max_bytes=10)
    assert [(type(failure), failure.source) for failure in caught.value.failures] == [(kind, KUBO)]


def test_line__any_order__each_once_and_only_who_is_named() -> None:
    peers, gateways = ["http://a", "http://b"], ["http://b", "http://g"]
    assert Backends(gateways=gateways, kubo=True).line(peers) == [KUBO, "http://a", "http://b", "http://g"]
    assert Backends(gateways=gateways).line(peers) == ["http://a", "http://b", "http://g"]
    assert Backends(kubo=False).line(["kubo", "ftp://a", "http://a"]) == ["http://a"], "strangers' words"
    order = Backends(("gateways", "kubo"), gateways, kubo=True)
    assert order.line(peers) == ["http://b", "http://g", KUBO]


def test_import__content_package__does_not_load_the_network_libraries() -> None:
    import sys

    code = (
        "import sys, nodeagent.content as c, pathlib, tempfile\n"
        "c.open_content(pathlib.Path(tempfile.mkdtemp()))\n"
        "print([m for m in ('ipfshttpclient', 'urllib3', 'requests', 'http.server') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert out.stdout.strip() == "[]"
