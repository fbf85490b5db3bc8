"""One block over HTTP from one source: bounded in bytes, in time and in rate; nothing here touches the disk.

No redirect is followed, no proxy of the environment is used, no content encoding is accepted. A source is a base
URL, ``http(s)://host[:port][/prefix]``, to which ``/ipfs/<cid>?format=raw`` is added.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.client import HTTPException
from http.client import IncompleteRead as ShortRead
from typing import Final, Protocol, cast
from urllib.parse import urlsplit

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, HTTPError, ProtocolError, ReadTimeoutError
from urllib3.response import BaseHTTPResponse, HTTPResponse

from nodeagent.content.cid import Cid
from nodeagent.content.errors import (
    SourceAnsweredBadly,
    SourceLacksBlock,
    SourceSentTooMuch,
    SourceSentWrongBytes,
    SourceStalled,
    SourceUnreachable,
    WrongBytes,
)
from nodeagent.content.unixfs import MAX_BLOCK_BYTES

RAW_TYPE: Final = "application/vnd.ipld.raw"
_READ_BYTES: Final = 1 << 18
_MAX_URL_CHARS: Final = 512
logging.getLogger("urllib3").setLevel(logging.ERROR)  # else strangers' answers write into the operator's log
_DROPS: Final = (ConnectionError, ShortRead)  # http.client's RemoteDisconnected is a ConnectionError


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """Seconds and bytes one source may cost for one block, and how a fetcher plays sources against each other.

    ``min_rate`` (bytes a second) counts from the first body byte on, after ``stall_s`` of grace. ``block_s`` ends
    the exchange whatever happens, also inside a head that trickles in. After ``hedge_s`` without a block the next
    source is asked beside the first, up to ``parallel`` of them. A source that took more than ``slow_s`` is asked after
    quicker ones, and one that failed last of all, for ``rest_s``.
    """

    connect_s: float = 5.0
    stall_s: float = 10.0
    min_rate: int = 32_768
    block_s: float = 90.0
    max_block_bytes: int = MAX_BLOCK_BYTES
    hedge_s: float = 3.0
    parallel: int = 3
    slow_s: float = 0.5
    rest_s: float = 300.0


DEFAULT_LIMITS: Final = FetchLimits()


class Cut:
    """Ends one request from another thread, whatever its source sends. One that is still connecting ends after that."""

    def __init__(self) -> None:
        self.done = False
        self._lock = threading.Lock()
        self._connection: socket.socket | None = None

    def __call__(self) -> None:
        with self._lock:
            self.done = True
            if self._connection is not None:
                _shut(self._connection)

    def attach(self, connection: socket.socket | None) -> None:
        """Tells which connection the request waits on; None when it does not any more and others may use it."""
        with self._lock:
            self._connection = connection
            if self.done and connection is not None:
                _shut(connection)


class Transport:
    """Pooled connections to any number of sources; safe for several threads."""

    def __init__(self, limits: FetchLimits = DEFAULT_LIMITS, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits, self._clock = limits, clock
        self._pools = urllib3.PoolManager(
            num_pools=32,
            maxsize=4,
            retries=False,
            timeout=urllib3.Timeout(connect=limits.connect_s, read=limits.stall_s),
        )
        self._cuts = _Cuts()
        self._pools.pool_classes_by_scheme = _watched_pools(limits.block_s, self._cuts)

    def block(self, source: str, cid: Cid, cut: Cut | None = None) -> bytes:
        """The verified block ``cid`` from ``source``; raises a ``SourceFailure`` of the kind that fits."""
        url = f"{base_url(source)}/ipfs/{cid}?format=raw"
        self._cuts.mine = cut = cut or Cut()
        try:
            body = self._get(source, url)
        except _Dropped as drop:  # an idle pooled connection may be closed just as it is used: once more, afresh
            if cut.done:
                raise SourceStalled(source, "cut") from drop
            try:
                body = self._get(source, url)
            except _Dropped as error:
                raise SourceUnreachable(source, error.reason) from error
        try:
            return cid.verify(body)
        except WrongBytes as error:
            raise SourceSentWrongBytes(source, f"{len(body)} bytes that hash to {error.found}") from error

    def close(self) -> None:
        """Close every pooled connection."""
        self._pools.clear()

    def _get(self, source: str, url: str) -> bytes:
        headers = {"Accept": RAW_TYPE, "Accept-Encoding": "identity", "User-Agent": "quorate"}
        with _typed(source) as exchange:
            response = self._pools.request(
                "GET", url, headers=headers, redirect=False, preload_content=False, decode_content=False
            )
            exchange.watch = watch = cast(_Watched, response).watch
            try:
                _check_head(source, response, self._limits.max_block_bytes)
                body = self._body(source, response)
            except BaseException:
                response.close()  # unread bytes may follow: never reuse such a connection
                raise
            finally:
                watch.cancel()
                self._cuts.mine.attach(None)
            if watch.expired:
                raise SourceStalled(source, "not finished in time")
            response.release_conn()
            return body

    def _body(self, source: str, response: BaseHTTPResponse) -> bytes:
        limits, body, started = self._limits, bytearray(), self._clock()
        while chunk := response.read1(_READ_BYTES):  # what has arrived, at most so much: a trickle is seen at once
            body += chunk
            if len(body) > limits.max_block_bytes:
                raise SourceSentTooMuch(source, f"more than {limits.max_block_bytes} bytes for one block")
            took = self._clock() - started
            if took > limits.stall_s and len(body) < limits.min_rate * took:
                rate = f"{len(body)} bytes in {took:.1f} s, at least {limits.min_rate} a second asked"
                raise SourceStalled(source, rate)
        return bytes(body)


def base_url(source: str) -> str:
    """``source`` without its trailing slash; raises ``SourceUnreachable`` when it is no usable base URL."""
    reason = None
    try:
        parts = urlsplit(source)
        if len(source) > _MAX_URL_CHARS:
            reason = f"address longer than {_MAX_URL_CHARS} characters"
        elif any(c <= " " or c > "~" for c in source):
            reason = "address with blanks or characters outside ASCII"
        elif parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
            reason = "address is not http(s)://host[:port][/prefix]"
        elif parts.query or parts.fragment or "@" in parts.netloc or "?" in source or "#" in source:
            reason = "address with user, query or fragment"
    except ValueError as error:
        reason = f"address unreadable: {error}"
    if reason:
        raise SourceUnreachable(source[:80], reason)
    return source.rstrip("/")


def _check_head(source: str, response: BaseHTTPResponse, limit: int) -> None:
    """Check status and headers before any body byte is read (urllib3 itself insists on the length announced)."""
    status = response.status
    if status in (404, 410):
        raise SourceLacksBlock(source, f"HTTP {status}: does not hold it")
    if 300 <= status < 400:
        raise SourceAnsweredBadly(source, f"HTTP {status}: redirects are not followed")
    if status != 200:
        raise SourceAnsweredBadly(source, f"HTTP {status}")
    encoding = response.headers.get("Content-Encoding", "identity")
    if encoding.strip().lower() not in ("", "identity"):
        raise SourceAnsweredBadly(source, f"content encoding {encoding[:32]!r}, identity was asked")
    length = response.headers.get("Content-Length")
    if length is None or response.headers.get("Transfer-Encoding"):
        return
    if not (length.isascii() and length.isdigit()):
        raise SourceAnsweredBadly(source, f"Content-Length {length[:32]!r}")
    if len(length) > 15 or int(length) > limit:
        raise SourceSentTooMuch(source, f"{length[:32]} bytes announced, at most {limit} allowed for one block")


class _Dropped(Exception):
    """The peer closed the connection without an answer, or in the middle of one."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class _Watch(threading.Timer):
    """Cuts a connection when its exchange is not over in time; ``expired`` tells that it did."""

    def __init__(self, connection: socket.socket, seconds: float) -> None:
        super().__init__(seconds, self._cut)
        self.daemon = True
        self._connection = connection
        self.expired = False

    def _cut(self) -> None:
        self.expired = True
        _shut(self._connection)


class _Cuts(threading.local):
    mine = Cut()  # the cut of the request that a thread makes


class _Watched(Protocol):
    watch: _Watch  # set by the connections that ``_watched_pools`` makes


@dataclass(slots=True)
class _Exchange:
    watch: _Watch | None = None


def _shut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def _watched_pools(seconds: float, cuts: _Cuts) -> dict[str, type[HTTPConnectionPool]]:
    """urllib3's pools, whose connections put every exchange under a ``_Watch`` and in reach of its ``Cut``."""

    def watched(connection: HTTPConnection, answer: Callable[[], HTTPResponse]) -> HTTPResponse:
        watch = _Watch(connection.sock, seconds)
        watch.start()
        cuts.mine.attach(connection.sock)
        try:
            response = answer()
        except BaseException as error:
            watch.cancel()
            if watch.expired:
                raise TimeoutError("not finished in time") from error  # urllib3 makes it a ReadTimeoutError
            raise
        response.watch = watch  # type: ignore[attr-defined]
        return response

    class Plain(HTTPConnection):
        def getresponse(self) -> HTTPResponse:  # type: ignore[override]
            return watched(self, super().getresponse)

    class Tls(HTTPSConnection):
        def getresponse(self) -> HTTPResponse:  # type: ignore[override]
            return watched(self, super().getresponse)

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class TlsPool(HTTPSConnectionPool):
        ConnectionCls = Tls

    return {"http": PlainPool, "https": TlsPool}


@contextlib.contextmanager
def _typed(source: str) -> Iterator[_Exchange]:
    """Turn what urllib3, http.client and the socket raise into a ``SourceFailure``."""
    exchange = _Exchange()
    try:
        yield exchange
    except (ConnectTimeoutError, ReadTimeoutError) as error:
        slow = isinstance(error, ReadTimeoutError)
        raise (SourceStalled(source, "no bytes in time") if slow else _unreachable(source, error)) from error
    except (HTTPError, HTTPException, OSError, ValueError) as error:
        if exchange.watch and exchange.watch.expired:
            raise SourceStalled(source, "not finished in time") from error
        if isinstance(error, ProtocolError) and any(isinstance(cause, _DROPS) for cause in error.args):
            raise _Dropped(f"connection dropped: {error.args[-1]}"[:200]) from error
        raise _unreachable(source, error) from error


def _unreachable(source: str, error: Exception) -> SourceUnreachable:
    return SourceUnreachable(source, f"{type(error).__name__}: {error}"[:200])
