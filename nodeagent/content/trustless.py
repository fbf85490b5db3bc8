"""What a trustless gateway answers: ``GET|HEAD /ipfs/<cid>`` as one block or as a CAR of the whole file or folder.

Every block is verified as it is read. A CAR whose block is missing or rotten is cut off: its reader sees that the last
chunk did not come. Source: IPFS trustless gateway specification (``application/vnd.ipld.raw``, ``….car``; order=dfs,
dups=n, dag-scope all, block or entity, and of that entity-bytes).
"""

from __future__ import annotations

import io
import itertools
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer
from typing import Any, Final
from urllib.parse import urlsplit

import structlog

from nodeagent.content.cid import Cid
from nodeagent.content.errors import BadCid, BlockMissing, ContentFault
from nodeagent.content.question import NotServed, Question, read_question
from nodeagent.content.rate import Rate
from nodeagent.content.store import LocalStore
from nodeagent.errors import QuorateError

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class GatewayLimits:
    """Bytes, seconds and counts a client may use."""

    max_connections: int = 64
    max_head_bytes: int = 16_384
    head_s: float = 10.0  # for a whole request head, idle time before it included
    answer_s: float = 60.0  # for the client to take one answer,
    min_rate: int = 32_768  # and a second more for each so many bytes of a CAR
    max_requests: int = 1_000  # per connection


DEFAULT_LIMITS: Final = GatewayLimits()


class Shelf(TCPServer):
    """What a handler needs of its server."""

    store: LocalStore
    limits: GatewayLimits
    rate: Rate


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


class Handler(BaseHTTPRequestHandler):
    """One connection: its requests, one after the other."""

    server: Shelf
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
        else:
            try:
                asked = read_question(query, self.headers.get("Accept", ""))
            except NotServed as complaint:
                self._refuse(complaint.status, str(complaint), close=False)
                return
            self._answer_content(path.removeprefix("/ipfs/"), asked)

    do_HEAD = do_GET

    def _answer_content(self, text: str, asked: Question) -> None:
        try:
            cid = Cid.parse(text)
            pieces = asked.pieces(cid, self.server.store.load)
            first = next(pieces)  # the root is read before anything is promised
        except BadCid as error:
            self._refuse(HTTPStatus.BAD_REQUEST, str(error), close=False)
        except ContentFault as error:
            self._refuse(HTTPStatus.UNPROCESSABLE_ENTITY, str(error), close=False)
        except BlockMissing as error:
            self._refuse(HTTPStatus.NOT_FOUND, error.message, close=False)
        except QuorateError:
            log.error("gateway.store_failed", cid=text, exc_info=True)
            self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, "the store failed; try later")
        else:
            self._answer_pieces(cid, asked, first, pieces)

    def _answer_pieces(self, cid: Cid, asked: Question, first: bytes, rest: Iterator[bytes]) -> None:
        etag = f'"{cid}.{asked.tag}"'
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
            "Content-Type": asked.content_type,
            "Content-Disposition": f'attachment; filename="{cid}.{asked.suffix}"',
            "X-Content-Type-Options": "nosniff",
        }
        if asked.format == "raw":
            self._answer(HTTPStatus.OK, first, headers)
        else:
            self._stream(itertools.chain([first], rest), headers)

    def _stream(self, pieces: Iterator[bytes], headers: dict[str, str]) -> None:
        """An answer whose length is known at its end. One that cannot be finished is cut off."""
        chunked = self.request_version != "HTTP/1.0"
        self.send_response(HTTPStatus.OK)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header(*(("Transfer-Encoding", "chunked") if chunked else ("Connection", "close")))
        self.end_headers()
        self.close_connection |= not chunked
        if self.command == "HEAD":
            return
        deadline = time.monotonic() + self.server.limits.answer_s
        try:
            for piece in pieces:
                waited = time.monotonic()
                self.server.rate.take(len(piece))
                deadline += time.monotonic() - waited + len(piece) / self.server.limits.min_rate
                self.connection.settimeout(max(0.001, deadline - time.monotonic()))
                self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
        except QuorateError as error:
            log.warning("gateway.cut_off", path=self.path[:200], reason=error.message)
            self.close_connection = True
            return
        if chunked:
            self.wfile.write(b"0\r\n\r\n")

    def _answer(self, status: HTTPStatus, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != HTTPStatus.NOT_MODIFIED:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.server.rate.take(len(body))
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


def _etag_matches(header: str, etag: str) -> bool:
    return any(tag.strip().removeprefix("W/") in (etag, "*") for tag in header.split(","))
