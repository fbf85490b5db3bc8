"""Rpc against a loopback server that misbehaves on demand."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from nodeagent.chain.errors import BadEndpoint, RpcBehind, RpcError, RpcUnreachable
from nodeagent.chain.rpc import Rpc

Answer = Callable[[Any], tuple[int, bytes]]


@contextmanager
def server(*answers: Answer) -> Iterator[tuple[str, list[Any]]]:
    """Answers requests in turn, the last answer for ever; yields its URL and what it was asked."""
    asked: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append(body)
            status, data = answers[min(len(asked), len(answers)) - 1](body)
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            pass

    http = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{http.server_address[1]}", asked
    finally:
        http.shutdown()
        http.server_close()
        thread.join()


def echo(body: Any) -> tuple[int, bytes]:
    """The method's name as the result; batches in reverse order."""
    one = body if isinstance(body, list) else [body]
    out = [{"jsonrpc": "2.0", "id": b["id"], "result": b["method"]} for b in reversed(one)]
    return 200, json.dumps(out if isinstance(body, list) else out[0]).encode()


def error(code: int, message: str, data: Any = None) -> Answer:
    def answer(body: Any) -> tuple[int, bytes]:
        fault = {"code": code, "message": message, **({} if data is None else {"data": data})}
        return 200, json.dumps({"jsonrpc": "2.0", "id": body["id"], "error": fault}).encode()

    return answer


def plain(status: int, data: bytes = b"") -> Answer:
    return lambda _: (status, data)


def rpc(url: str, **options: Any) -> Rpc:
    return Rpc(url, sleep=lambda _: None, **{"retries": 2, **options})


def test_batch__answers_out_of_order__matched_by_id() -> None:
    with server(echo) as (url, asked):
        assert rpc(url).batch([("a", []), ("b", [1]), ("c", [])]) == ["a", "b", "c"]
        assert len(asked) == 1 and [b["params"] for b in asked[0]] == [[], [1], []]


def test_batch__longer_than_a_batch__cut() -> None:
    with server(echo) as (url, asked):
        assert rpc(url, batch_size=2).batch([(n, []) for n in "abcde"]) == list("abcde")
        assert [len(a) if isinstance(a, list) else 1 for a in asked] == [2, 2, 1]


def test_batch__one_call_fails__its_place_holds_the_error() -> None:
    def half(body: Any) -> tuple[int, bytes]:
        good, bad = body
        fault = {"code": 3, "message": "execution reverted", "data": "0xdeadbeef"}
        return 200, json.dumps([{"id": good["id"], "result": 1}, {"id": bad["id"], "error": fault}]).encode()

    with server(half) as (url, _):
        good, bad = rpc(url).batch([("a", []), ("b", [])])
    assert good == 1 and isinstance(bad, RpcError) and bad.reverted and bad.data == bytes.fromhex("deadbeef")


@pytest.mark.parametrize("fault", [plain(503), plain(429), plain(200, b"<html>"), plain(200, b"{}")])
def test_call__transient_fault__retried(fault: Answer) -> None:
    with server(fault, echo) as (url, asked):
        assert rpc(url).call("a") == "a"
        assert len(asked) == 2


def test_call__rate_limit_error__retried_then_told() -> None:
    with server(error(-32005, "limit exceeded"), echo) as (url, _):
        assert rpc(url).call("a") == "a"
    with server(error(-32005, "limit exceeded")) as (url, asked):
        with pytest.raises(RpcError, match="limit exceeded"):
            rpc(url).call("a")
        assert len(asked) == 3


def test_call__fault_stays__unreachable_after_the_retries() -> None:
    with server(plain(502)) as (url, asked):
        with pytest.raises(RpcUnreachable, match="after 3 attempts: HTTP 502"):
            rpc(url).call("a")
        assert len(asked) == 3


def test_call__nobody_listens__unreachable() -> None:
    with server(echo) as (url, _):
        pass
    with pytest.raises(RpcUnreachable, match="check rpc_url"):
        rpc(url).call("a")


@pytest.mark.parametrize(
    "url", ["notaurl", "127.0.0.1:8545", "localhost:8545", "http://", "ftp://a", "ws://a", "http://["]
)
def test_rpc__not_a_url__said_at_once(url: str, recwarn: pytest.WarningsRecorder) -> None:
    with pytest.raises(BadEndpoint, match="is not the URL of a JSON-RPC endpoint: expected http") as refused:
        rpc(url)
    assert repr(url) in refused.value.message and "--rpc-url" in str(refused.value.hint)
    assert not recwarn.list


def test_call__error_object__code_and_message() -> None:
    with server(error(-32601, "method not found")) as (url, asked):
        with pytest.raises(RpcError) as caught:
            rpc(url).call("a")
        assert (caught.value.code, caught.value.text, caught.value.reverted) == (-32601, "method not found", False)
        assert len(asked) == 1, "an answer is not asked for again"


def test_call__nested_revert_data__found() -> None:
    with server(error(-32000, "execution reverted", {"data": "0x0102"})) as (url, _), pytest.raises(RpcError) as caught:
        rpc(url).call("eth_call")
    assert caught.value.data == b"\x01\x02"


def test_block__unknown_to_the_endpoint__behind() -> None:
    def null(body: Any) -> tuple[int, bytes]:
        return 200, json.dumps({"id": body["id"], "result": None}).encode()

    with server(null) as (url, _), pytest.raises(RpcBehind, match="no block 7"):
        rpc(url).block(7)
