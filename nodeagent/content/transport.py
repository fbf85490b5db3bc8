"""One block over HTTP from one source: bounded in bytes, in time and in rate; nothing here touches the disk.

No redirect is followed, no proxy of the environment is used, no content encoding is accepted. A source is a base
URL, ``http(s)://host[:port][/prefix]``, to which ``/ipfs/<cid>?format=raw`` is added. One that does not serve that is
asked for a CAR of the one block.
"""

from __future__ import annotations

import contextlib
import io
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.client import HTTPException
from http.client import IncompleteRead as ShortRead
from typing import BinaryIO, Final, cast
from urllib.parse import urlsplit

import urllib3
from urllib3.exceptions import HTTPError, ProtocolError, ReadTimeoutError
from urllib3.response import BaseHTTPResponse

from nodeagent.content.ahead import Run
from nodeagent.content.car import CAR_TYPE, RAW_TYPE, CarReader
from nodeagent.content.cid import Cid
from nodeagent.content.errors import (
    MalformedCar,
    SourceAnsweredBadly,
    SourceLacksBlock,
    SourceSentTooMuch,
    SourceSentWrongBytes,
    SourceServesNone,
    SourceStalled,
    SourceUnreachable,
    WrongBytes,
)
from nodeagent.content.unixfs import MAX_BLOCK_BYTES
from nodeagent.content.watch import Cut, Reins, TooLate, TooManyBytes, watched_pools

_RAW, _CAR = ("format=raw", RAW_TYPE), ("format=car&dag-scope=block", CAR_TYPE)
_WIRE, _HEAD_BYTES = 2, 65_536  # bytes on the wire: so many times a block, and a head
_CAR_BYTES: Final = 4096  # what a CAR of one block has besides the block
_READ_BYTES: Final = 262_144  # of a block at a time
_PARTS: Final = 1_024
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
        self._reins = Reins()
        self._pools.pool_classes_by_scheme = watched_pools(self._reins)

    def block(self, source: str, cid: Cid, cut: Cut | None = None) -> bytes:
        """The verified block ``cid`` from ``source``; raises a ``SourceFailure`` of the kind that fits."""
        self._reins.cut = cut or Cut()
        try:
            body = self._ask(source, cid, *_RAW)
        except SourceServesNone:
            body = self._from_car(source, cid)
        try:
            return cid.verify(body)
        except WrongBytes as error:
            raise SourceSentWrongBytes(source, f"{len(body)} bytes that hash to {error.found}") from error

    def close(self) -> None:
        """Close every pooled connection."""
        self._pools.clear()

    def run(self, source: str, run: Run, patience_s: float, cut: Cut | None = None) -> Iterator[tuple[Cid, bytes]]:
        """The leaves of ``run`` that ``source`` gives in one CAR, verified, as they come; there may be fewer.

        None may take longer than ``patience_s``. Raises as ``block`` does, and ``SourceServesNone`` when it gives no
        such CAR. To be read by the thread that called.
        """
        self._reins.cut = cut = cut or Cut()
        came = 0
        for last in (False, True):
            try:
                for found in self._leaves(source, run, patience_s):
                    came += 1
                    yield found
                return
            except _Dropped as error:
                if last or came or cut.done:
                    raise SourceUnreachable(source, error.reason) from error

    def _leaves(self, source: str, run: Run, patience_s: float) -> Iterator[tuple[Cid, bytes]]:
        url = f"{base_url(source)}/ipfs/{run.node}?format=car&dag-scope=entity&entity-bytes={run.first}:{run.last}"
        most = _WIRE * (run.last - run.first + self._limits.max_block_bytes) + _HEAD_BYTES
        with _typed(source), self._exchange(url, CAR_TYPE, most, patience_s) as response:
            try:
                _check_head(source, response, most)
            except SourceSentTooMuch as error:
                raise SourceServesNone(source, error.reason) from error  # the whole file, it seems
            left = {run.node, *run.leaves}
            try:
                for cid, block in CarReader(cast(BinaryIO, response)):
                    if cid not in run.leaves and cid != run.node:
                        raise SourceServesNone(source, f"a CAR of other bytes than were asked for, with {cid}")
                    if cid not in left:
                        continue  # once more: that buys no time
                    left.remove(cid)
                    if response.connection is None:  # urllib3 gave it back at the last byte: others may use it by now
                        self._reins.cut.attach(None)
                    if cid != run.node:
                        yield cid, block
                    self._reins.until = time.monotonic() + patience_s
            except MalformedCar as error:
                lie = isinstance(error.__cause__, WrongBytes)
                raise (SourceSentWrongBytes if lie else SourceServesNone)(source, error.reason) from error

    def _ask(self, source: str, cid: Cid, query: str, kind: str) -> bytes:
        url = f"{base_url(source)}/ipfs/{cid}?{query}"
        try:
            return self._get(source, url, kind)
        except _Dropped as drop:  # an idle pooled connection may be closed just as it is used: once more, afresh
            if self._reins.cut.done:
                raise SourceStalled(source, "cut") from drop
            try:
                return self._get(source, url, kind)
            except _Dropped as error:
                raise SourceUnreachable(source, error.reason) from error

    def _from_car(self, source: str, cid: Cid) -> bytes:
        try:
            return _only_block(source, cid, self._ask(source, cid, *_CAR))
        except SourceServesNone as error:
            raise SourceAnsweredBadly(source, error.reason) from error

    def _get(self, source: str, url: str, kind: str) -> bytes:
        limits = self._limits
        wire = _WIRE * limits.max_block_bytes + _HEAD_BYTES
        with _typed(source), self._exchange(url, kind, wire, limits.block_s) as response:
            most = limits.max_block_bytes + (_CAR_BYTES if kind == CAR_TYPE else 0)
            _check_head(source, response, most)
            return self._body(source, response, most)

    @contextlib.contextmanager
    def _exchange(self, url: str, kind: str, most: int, seconds: float) -> Iterator[BaseHTTPResponse]:
        """One request and its answer, held to the reins; its connection is used again when it was read to its end."""
        headers = {"Accept": kind, "Accept-Encoding": "identity", "User-Agent": "quorate"}
        self._reins.bytes_left, self._reins.until = most, time.monotonic() + seconds
        response = self._pools.request(
            "GET", url, headers=headers, redirect=False, preload_content=False, decode_content=False
        )
        try:
            yield response
        except BaseException:
            response.close()  # unread bytes may follow: never reuse such a connection
            raise
        finally:
            self._reins.cut.attach(None)
        response.release_conn()

    def _body(self, source: str, response: BaseHTTPResponse, most: int) -> bytes:
        limits, parts, length, started = self._limits, list[bytes](), 0, self._clock()
        while chunk := response.read1(_READ_BYTES):  # what has arrived, at most so much: a trickle is seen at once
            parts.append(chunk)
            length += len(chunk)
            if length > most:
                raise SourceSentTooMuch(source, f"more than {most} bytes for one block")
            took = self._clock() - started
            if took > limits.stall_s and length < limits.min_rate * took:
                rate = f"{length} bytes in {took:.1f} s, at least {limits.min_rate} a second asked"
                raise SourceStalled(source, rate)
            if len(parts) > _PARTS:
                parts = [b"".join(parts)]
        return b"".join(parts)


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
    if status in (406, 415):
        raise SourceServesNone(source, f"HTTP {status}: does not serve what was asked for")
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
        raise SourceSentTooMuch(source, f"{length[:32]} bytes announced, at most {limit} allowed")


def _only_block(source: str, cid: Cid, car: bytes) -> bytes:
    try:
        for found, block in CarReader(io.BytesIO(car)):
            if found == cid:
                return block
    except MalformedCar as error:
        raise SourceAnsweredBadly(source, error.reason) from error
    raise SourceAnsweredBadly(source, f"a CAR without the block, {len(car)} bytes")


class _Dropped(Exception):
    """The peer closed the connection without an answer, or in the middle of one."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@contextlib.contextmanager
def _typed(source: str) -> Iterator[None]:
    """Turn what urllib3, http.client and the socket raise into a ``SourceFailure``."""
    try:
        yield
    except ReadTimeoutError as error:
        late = isinstance(error.__cause__, TooLate)
        raise SourceStalled(source, "not finished in time" if late else "no bytes in time") from error
    except (HTTPError, HTTPException, OSError, ValueError) as error:
        if any(isinstance(cause, TooManyBytes) for cause in (error, *error.args)):
            raise SourceSentTooMuch(source, "more bytes around a block than any answer needs") from error
        if isinstance(error, ProtocolError) and any(isinstance(cause, _DROPS) for cause in error.args):
            raise _Dropped(f"connection dropped: {error.args[-1]}"[:200]) from error
        raise _unreachable(source, error) from error


def _unreachable(source: str, error: Exception) -> SourceUnreachable:
    return SourceUnreachable(source, f"{type(error).__name__}: {error}"[:200])
