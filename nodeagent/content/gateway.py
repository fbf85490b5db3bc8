"""A trustless gateway over one store: ``GET|HEAD /ipfs/<cid>?format=raw`` answers one block, verified as it is read.

Nothing is listed, fetched for a stranger or written. Limits are per connection (head size, time to send a head and
to take an answer, requests) and in all (connections), so that a rude client costs one slot for a bounded time.
Source: IPFS trustless gateway specification, ``application/vnd.ipld.raw``.
"""

from __future__ import annotations

import contextlib
import io
import socket
import sys
import threading
import time
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer, ThreadingMixIn
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import structlog

from nodeagent.content.cid import Cid
from nodeagent.content.errors import BadCid, BlockMissing, GatewayFailed
from nodeagent.content.store import LocalStore
from nodeagent.errors import QuorateError

RAW_TYPE: Final = "application/vnd.ipld.raw"
_ASK_RAW: Final = f"ask for ?format=raw or send Accept: {RAW_TYPE}"
_BUSY: Final = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class GatewayLimits:
    """Bytes, seconds and counts a client may use."""

    max_connections: int = 64
    max_head_bytes: int = 16_384
    head_s: float = 10.0  # for a whole request head, idle time before it included
    answer_s: float = 60.0  # for the client to take one answer
    max_requests: int = 1_000  # per connection


DEFAULT_LIMITS: Final = GatewayLimits()


class Gateway:
    """Serves ``store`` from ``start()`` to ``stop()``; also a context manager.

    ``port`` 0 takes a free one; ``url`` is known after construction. Raises ``GatewayFailed`` when it cannot listen.
    """

    def __init__(
        self, store: LocalStore, host: str = "127.0.0.1", port: int = 0, limits: GatewayLimits = DEFAULT_LIMITS
    ) -> None:
        try:
            self._server = _Server(store, host, port, limits)
        except (OSError, OverflowError) as error:
            raise GatewayFailed(
                f"cannot listen on {host} port {port}: {error}", hint="choose a free port, or 0 for any"
            ) from error
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """Base URL, as endpoints are announced: ``http://host:port``."""
        host = str(self._server.server_address[0])
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    def start(self) -> Gateway:
        """Serve in a background thread; returns at once."""
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._server.serve_forever, args=(0.05,), name="gateway", daemon=True
            )
            self._thread.start()
        return self

    def stop(self) -> None:
        """Stop listening and cut every open connection; a second call does nothing."""
        if self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._thread = None
        self._server.server_close()
        self._server.cut_connections()

    def __enter__(self) -> Gateway:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


class _Server(ThreadingMixIn, TCPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64
    allow_reuse_address = True

    def __init__(self, store: LocalStore, host: str, port: int, limits: GatewayLimits) -> None:
        self.store, self.limits = store, limits
        self._slots = threading.BoundedSemaphore(limits.max_connections)
        self._open: set[socket.socket] = set()
        self._open_lock = threading.Lock()
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._slots.acquire(blocking=False):
            with contextlib.suppress(OSError):
                request.setblocking(False)
                request.send(_BUSY)
            self.shutdown_request(request)
            return
        with self._open_lock:
            self._open.add(request)
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._forget(request)
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._forget(request)

    def cut_connections(self) -> None:
        with self._open_lock:
            for request in self._open:
                with contextlib.suppress(OSError):
                    request.shutdown(socket.SHUT_RDWR)

    def handle_error(self, *_: Any) -> None:
        if not isinstance(sys.exception(), OSError):  # those are clients that went away
            log.error("gateway.request_failed", exc_info=True)

    def _forget(self, request: socket.socket) -> None:
        with self._open_lock:
            known = request in self._open
            self._open.discard(request)
        if known:
            self._slots.release()


class _HeadTooLarge(Exception):
    """The head is larger than ``max_head_bytes``."""


class _BoundedInput(io.RawIOBase):
    """What a client sends, with a budget of bytes and a deadline that ``renew`` sets anew for each request."""

    def __init__(self, connection: socket.socket, limits: GatewayLimits) -> None:
        self._connection, self._limits = connection, limits
        self.renew()

    def renew(self) -> None:
        self._bytes_left = self._limits.max_head_bytes
        self._deadline = time.monotonic() + self._limits.head_s

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._bytes_left <= 0:
            raise _HeadTooLarge
        seconds = self._deadline - time.monotonic()
        if seconds <= 0:
            raise TimeoutError("request head took too long")
        self._connection.settimeout(seconds)
        count = self._connection.recv_into(memoryview(buffer)[: self._bytes_left])
        self._bytes_left -= count
        return count


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    server_version = "quorate"
    sys_version = ""

    def setup(self) -> None:
        super().setup()
        self._input = _BoundedInput(self.connection, self.server.limits)
        self.rfile.close()
        self.rfile = io.BufferedReader(self._input, 1024)
        self._served = 0

    def handle_one_request(self) -> None:
        self._input.renew()
        self._served += 1
        try:
            super().handle_one_request()
        except _HeadTooLarge:  # the head was not read to its end: http.server has not set what an answer needs
            self.requestline, self.request_version = "", self.protocol_version
            self.send_error(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "request head too large")
        except OSError:
            self.close_connection = True
        self.close_connection |= self._served >= self.server.limits.max_requests

    def do_GET(self) -> None:
        self.connection.settimeout(self.server.limits.answer_s)
        if self.headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in self.headers:
            self._refuse(HTTPStatus.BAD_REQUEST, "a request here has no body")
            return
        _, _, path, query, _ = urlsplit(self.path)
        if path == "/health":
            self._answer(HTTPStatus.OK, b"ok\n", {"Content-Type": "text/plain", "Cache-Control": "no-store"})
        elif not path.startswith("/ipfs/"):
            self._refuse(HTTPStatus.NOT_FOUND, "only /ipfs/<cid>?format=raw is served here", close=False)
        elif complaint := _format_complaint(query, self.headers.get("Accept", "")):
            self._refuse(HTTPStatus.NOT_ACCEPTABLE, complaint, close=False)
        else:
            self._answer_block(path.removeprefix("/ipfs/"))

    do_HEAD = do_GET

    def _answer_block(self, text: str) -> None:
        try:
            cid = Cid.parse(text)
            block = self.server.store.load(cid)
        except BadCid as error:
            self._refuse(HTTPStatus.BAD_REQUEST, str(error), close=False)
            return
        except BlockMissing as error:
            self._refuse(HTTPStatus.NOT_FOUND, error.message, close=False)
            return
        except QuorateError:
            log.error("gateway.store_failed", cid=text, exc_info=True)
            self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, "the store failed; try later")
            return
        etag = f'"{cid}.raw"'
        headers = {
            "ETag": etag,
            "Cache-Control": "public, max-age=29030400, immutable",
            "Vary": "Accept",
            "X-Ipfs-Path": f"/ipfs/{cid}",
            "X-Ipfs-Roots": str(cid),
        }
        if _etag_matches(self.headers.get("If-None-Match", ""), etag):
            self._answer(HTTPStatus.NOT_MODIFIED, b"", headers)
            return
        headers |= {
            "Content-Type": RAW_TYPE,
            "Content-Disposition": f'attachment; filename="{cid}.bin"',
            "X-Content-Type-Options": "nosniff",
        }
        self._answer(HTTPStatus.OK, block, headers)

    def _answer(self, status: HTTPStatus, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != HTTPStatus.NOT_MODIFIED:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _refuse(self, status: HTTPStatus, text: str, *, close: bool = True) -> None:
        headers = {"Content-Type": "text/plain; charset=utf-8", "Cache-Control": "no-store"}
        if close:
            headers["Connection"] = "close"
            self.close_connection = True
        self._answer(status, text.encode() + b"\n", headers)

    def send_error(self, code: int, message: str | None = None, *_: Any) -> None:
        """Answer in plain text; ``http.server`` calls this for requests it cannot read."""
        self.command = getattr(self, "command", None) or ""
        self.connection.settimeout(self.server.limits.answer_s)
        self._refuse(HTTPStatus(code), message or HTTPStatus(code).phrase)

    def log_message(self, *_: Any) -> None:
        log.debug("gateway.request", line=self.requestline[:200])


def _format_complaint(query: str, accept: str) -> str | None:
    """Why the asked format cannot be given; none when it is the raw block."""
    try:
        asked = parse_qs(query, keep_blank_values=True, max_num_fields=16).get("format", [])
    except ValueError:
        return f"too many query fields; {_ASK_RAW}"
    if asked:
        return None if asked == ["raw"] else f"format {', '.join(asked)[:64]!r} is not served; {_ASK_RAW}"
    types = [item.split(";")[0].strip().lower() for item in accept.split(",")]
    return None if RAW_TYPE in types else f"only single raw blocks are served; {_ASK_RAW}"


def _etag_matches(header: str, etag: str) -> bool:
    return any(tag.strip().removeprefix("W/") in (etag, "*") for tag in header.split(","))
