"""The gateway over real loopback sockets: what it serves, what it refuses, and what a rude client costs."""

from __future__ import annotations

import http.client
import io
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from content_faults import numbers

from nodeagent.content import Cid, LocalStore
from nodeagent.content.car import CarReader
from nodeagent.content.cid import DAG_PB
from nodeagent.content.errors import GatewayFailed
from nodeagent.content.gateway import Gateway, GatewayLimits

RAW, CAR = "application/vnd.ipld.raw", "application/vnd.ipld.car"
DATA = b"one block"
CID = Cid.of(DATA)


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    store = LocalStore(tmp_path)
    store.put_bytes(DATA)
    return store


@pytest.fixture
def gateway(store: LocalStore) -> Iterator[Gateway]:
    with Gateway(store) as gateway:
        yield gateway


def ask(gateway: Gateway, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=30)
    try:
        connection.request(method, path, headers={k.replace("_", "-"): v for k, v in headers.items()})
        response = connection.getresponse()
        return response.status, {k.lower(): v for k, v in response.getheaders()}, response.read()
    finally:
        connection.close()


def raw_exchange(gateway: Gateway, request: bytes) -> bytes:
    """Send bytes as they are; everything that comes back until the server closes."""
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=30) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while part := connection.recv(65_536):
            answer += part
        return answer


def test_get__format_raw__gives_the_block_with_immutable_headers(gateway: Gateway) -> None:
    status, headers, body = ask(gateway, f"/ipfs/{CID}?format=raw")
    assert (status, body) == (200, DATA)
    assert headers["content-type"] == RAW
    assert headers["content-length"] == str(len(DATA))
    assert headers["etag"] == f'"{CID}.raw"'
    assert "immutable" in headers["cache-control"]
    assert headers["x-ipfs-path"] == f"/ipfs/{CID}"
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("accept", [RAW, f"text/html, {RAW};q=0.9", RAW.upper()])
def test_get__accept_header_asks_for_raw__gives_the_block(gateway: Gateway, accept: str) -> None:
    assert ask(gateway, f"/ipfs/{CID}", Accept=accept)[::2] == (200, DATA)


def test_head__block_here__gives_its_length_and_no_body(gateway: Gateway) -> None:
    status, headers, body = ask(gateway, f"/ipfs/{CID}?format=raw", "HEAD")
    assert (status, headers["content-length"], body) == (200, str(len(DATA)), b"")


@pytest.mark.parametrize("tag", ['"{}.raw"', 'W/"{}.raw"', '"x", "{}.raw"', "*"])
def test_get__etag_known__answers_not_modified(gateway: Gateway, tag: str) -> None:
    status, _, body = ask(gateway, f"/ipfs/{CID}?format=raw", If_None_Match=tag.format(CID))
    assert (status, body) == (304, b"")


def test_get__block_absent__is_404_and_not_cached(gateway: Gateway) -> None:
    status, headers, body = ask(gateway, f"/ipfs/{Cid.of(b'other')}?format=raw")
    assert (status, headers["cache-control"]) == (404, "no-store")
    assert str(Cid.of(b"other")).encode() in body


def test_get__rotten_block__is_404_and_never_served(gateway: Gateway, store: LocalStore) -> None:
    (path,) = (store.root / "blocks").rglob(str(CID))
    path.write_bytes(b"evil block")
    assert ask(gateway, f"/ipfs/{CID}?format=raw")[0] == 404


@pytest.mark.parametrize(
    "path", ["QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG", "../../etc/passwd", "%2e%2e%2f", "", f"{CID}/a.txt"]
)
def test_get__not_a_cid__is_400_with_the_reason(gateway: Gateway, path: str) -> None:
    status, _, body = ask(gateway, f"/ipfs/{path}?format=raw")
    assert status == 400
    assert b"not a usable CID" in body and b"bafkrei" in body


@pytest.mark.parametrize("query", ["?format=tar", "?format=raw&format=car", "", "?format=", "?format=car&dag-scope=x"])
def test_get__other_format__is_406_and_names_the_right_one(gateway: Gateway, query: str) -> None:
    status, _, body = ask(gateway, f"/ipfs/{CID}{query}", Accept="*/*")
    assert status == 406
    assert b"?format=raw" in body or b"all, entity" in body


def car_of(body: bytes) -> tuple[tuple[Cid, ...], list[Cid]]:
    reader = CarReader(io.BytesIO(body))
    return reader.roots, [cid for cid, _ in reader]


@pytest.mark.parametrize(("query", "accept"), [("?format=car", "*/*"), ("", f"{CAR};order=dfs, text/html")])
def test_get__format_car__gives_the_whole_file(gateway: Gateway, store: LocalStore, query: str, accept: str) -> None:
    root = store.put_bytes(numbers(2_500_000))
    status, headers, body = ask(gateway, f"/ipfs/{root}{query}", Accept=accept)
    assert (status, headers["content-type"]) == (200, f"{CAR}; version=1; order=dfs; dups=n")
    assert (headers["etag"], headers["transfer-encoding"]) == (f'"{root}.car"', "chunked")
    roots, blocks = car_of(body)
    assert roots == (root,) and blocks[0] == root and len(blocks) == 4


def test_get__format_car_of_the_root_alone__gives_one_block(gateway: Gateway, store: LocalStore) -> None:
    root = store.put_bytes(numbers(2_500_000))
    status, headers, body = ask(gateway, f"/ipfs/{root}?format=car&dag-scope=block")
    assert (status, headers["etag"], car_of(body)) == (200, f'"{root}.car.block"', ((root,), [root]))


@pytest.mark.parametrize(("method", "known"), [("HEAD", ""), ("GET", '"{}.car"')])
def test_get__car_not_asked_for_or_known__has_no_body(gateway: Gateway, method: str, known: str) -> None:
    status, _, body = ask(gateway, f"/ipfs/{CID}?format=car", method, If_None_Match=known.format(CID))
    assert (status, body) == (304 if known else 200, b"")


def test_get__car_by_an_old_client__ends_with_the_connection(gateway: Gateway) -> None:
    answer = raw_exchange(gateway, f"GET /ipfs/{CID}?format=car HTTP/1.0\r\n\r\n".encode())
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"chunked" not in head and car_of(body) == ((CID,), [CID])


def test_get__car_of_an_absent_root__is_404(gateway: Gateway) -> None:
    assert ask(gateway, f"/ipfs/{Cid.of(b'other')}?format=car")[0] == 404


def test_get__car_of_a_node_that_is_no_file__is_422(gateway: Gateway, store: LocalStore) -> None:
    node = b"\x0a\x05\x08\x04\x12\x01a"
    store.put_block(Cid.of(node, DAG_PB), node)
    status, _, body = ask(gateway, f"/ipfs/{Cid.of(node, DAG_PB)}?format=car")
    assert status == 422 and b"symlink" in body


def test_get__car_of_a_folder__has_all_its_blocks(gateway: Gateway, store: LocalStore, tmp_path: Path) -> None:
    (tmp_path / "folder" / "in").mkdir(parents=True)
    (tmp_path / "folder" / "in" / "file").write_bytes(b"data")
    cid = store.put_folder(tmp_path / "folder")
    status, _, body = ask(gateway, f"/ipfs/{cid}?format=car")
    assert status == 200 and len(dict(CarReader(io.BytesIO(body)))) == 3


def test_get__car_whose_last_block_is_gone__is_cut_off(gateway: Gateway, store: LocalStore) -> None:
    data = numbers(2_500_000)
    root = store.put_bytes(data)
    next((store.root / "blocks").rglob(str(Cid.of(data[2 << 20 :])))).unlink()
    with pytest.raises(http.client.IncompleteRead) as caught:
        ask(gateway, f"/ipfs/{root}?format=car")
    assert car_of(caught.value.partial)[1] == [root, Cid.of(data[: 1 << 20]), Cid.of(data[1 << 20 : 2 << 20])]
    assert ask(gateway, f"/ipfs/{CID}?format=raw")[0] == 200


def test_get__too_many_query_fields__is_refused(gateway: Gateway) -> None:
    assert ask(gateway, f"/ipfs/{CID}?" + "&".join("a=b" for _ in range(99)))[0] == 406


@pytest.mark.parametrize("path", ["/", "/ipfs", "/ipns/x?format=raw", "/api/v0/id", "/blocks"])
def test_get__other_path__is_404_without_a_listing(gateway: Gateway, path: str) -> None:
    status, _, body = ask(gateway, path)
    assert (status, str(CID).encode() in body) == (404, False)


def test_get__health__is_ok(gateway: Gateway) -> None:
    assert ask(gateway, "/health")[::2] == (200, b"ok\n")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_other_method__any_path__is_refused(gateway: Gateway, method: str) -> None:
    assert ask(gateway, f"/ipfs/{CID}?format=raw", method)[0] == 501


def test_get__with_a_body__is_refused_and_closed(gateway: Gateway) -> None:
    smuggled = f"GET /ipfs/{CID}?format=raw HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    head = f"GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: {len(smuggled)}\r\n\r\n".encode()
    answer = raw_exchange(gateway, head + smuggled)
    assert answer.startswith(b"HTTP/1.1 400 ") and answer.count(b"HTTP/1.1 ") == 1
    chunked = b"GET /health HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    assert raw_exchange(gateway, chunked).startswith(b"HTTP/1.1 400 ")


def test_get__two_requests_on_one_connection__are_both_answered(gateway: Gateway) -> None:
    one = f"GET /ipfs/{CID}?format=raw HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    assert raw_exchange(gateway, one * 2).count(DATA) == 2


@pytest.mark.parametrize(
    "request_bytes",
    [b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\r\n\r\n", b""],
)
def test_get__not_http__ends_without_harm(gateway: Gateway, request_bytes: bytes) -> None:
    answer = raw_exchange(gateway, request_bytes)
    assert b"200" not in answer[:20] and DATA not in answer
    assert ask(gateway, "/health")[0] == 200


@pytest.mark.parametrize("shape", ["one long line", "one long header", "many headers"])
def test_get__head_too_large__is_431_and_closed(gateway: Gateway, shape: str) -> None:
    head = {
        "one long line": b"GET /" + b"a" * 20_000,
        "one long header": b"GET /health HTTP/1.1\r\nX: " + b"a" * 20_000,
        "many headers": b"GET /health HTTP/1.1\r\n" + b"X: y\r\n" * 4_000,
    }[shape]
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=30) as connection:
        connection.sendall(head[:16_384])
        assert connection.recv(64).startswith(b"HTTP/1.1 431 ")


def test_get__head_not_finished_in_time__is_cut(store: LocalStore) -> None:
    with Gateway(store, limits=GatewayLimits(head_s=0.1)) as gateway:
        with socket.create_connection(("127.0.0.1", gateway.port), timeout=30) as connection:
            connection.sendall(b"GET /health HTTP/1.1\r\n")
            assert connection.recv(64) == b""
        assert ask(gateway, "/health")[0] == 200


def test_get__more_connections_than_allowed__are_told_503_and_freed_again(store: LocalStore) -> None:
    with Gateway(store, limits=GatewayLimits(max_connections=1)) as gateway:
        held = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=30)
        held.request("GET", "/health")
        assert held.getresponse().read() == b"ok\n"  # kept alive: the one slot is taken
        with socket.create_connection(("127.0.0.1", gateway.port), timeout=30) as second:
            assert second.recv(64).startswith(b"HTTP/1.1 503 ")
        held.close()
        statuses = iter(lambda: raw_exchange_or_503(gateway), 200)
        assert all(status == 503 for status in statuses)  # ends when the slot is free


def raw_exchange_or_503(gateway: Gateway) -> int:
    try:
        return int(raw_exchange(gateway, b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")[9:12] or 503)
    except OSError:
        return 503


def test_get__more_requests_than_allowed__closes_the_connection(store: LocalStore) -> None:
    with Gateway(store, limits=GatewayLimits(max_requests=2)) as gateway:
        answer = raw_exchange(gateway, b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n" * 5)
        assert answer.count(b"HTTP/1.1 200") == 2


def test_stop__connection_open__cuts_it_and_frees_the_port(store: LocalStore) -> None:
    gateway = Gateway(store).start()
    port = gateway.port
    with socket.create_connection(("127.0.0.1", port), timeout=30) as idle:
        idle.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert idle.recv(15) == b"HTTP/1.1 200 OK"
        gateway.stop()
        gateway.stop()
        while idle.recv(65_536):
            pass
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=30)
    Gateway(store, port=port).stop()


def test_init__port_taken__is_a_typed_error(gateway: Gateway, store: LocalStore) -> None:
    with pytest.raises(GatewayFailed, match=str(gateway.port)):
        Gateway(store, port=gateway.port)
    with pytest.raises(GatewayFailed):
        Gateway(store, port=99_999)


def test_url__default__is_loopback(gateway: Gateway) -> None:
    assert gateway.url == f"http://127.0.0.1:{gateway.port}"


def test_get__many_clients_at_once__all_get_their_block(gateway: Gateway, store: LocalStore) -> None:
    files = [numbers(1000 + i) for i in range(30)]
    cids = [store.put_bytes(data) for data in files]
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda cid: ask(gateway, f"/ipfs/{cid}?format=raw")[2], cids))
    assert answers == files
