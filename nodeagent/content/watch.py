"""Ends exchanges: each after its time or its bytes, and any of them at once from another thread."""

from __future__ import annotations

import contextlib
import http.client
import io
import math
import socket
import threading
import time
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.response import HTTPResponse


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


class Reins(threading.local):
    """What the request that a thread makes may still take, and what ends it at once."""

    cut = Cut()
    bytes_left = 0  # on the wire, head, framing and all
    until = 0.0  # on ``time.monotonic``


class TooManyBytes(OSError):
    """An answer had more bytes on the wire than any answer may, head, framing and all."""


class TooLate(TimeoutError):
    """An answer was not complete in time, although bytes came."""


class _Meter(io.RawIOBase):
    """Lets through what the reins allow."""

    def __init__(self, stream: io.RawIOBase, connection: socket.socket, reins: Reins) -> None:
        self._stream, self._connection, self._reins = stream, connection, reins
        self._patience_s = connection.gettimeout() or math.inf

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self._reins.bytes_left <= 0:
            raise TooManyBytes("an answer without end")
        seconds = self._reins.until - time.monotonic()
        if seconds <= 0:
            raise TooLate("an answer that takes too long")
        self._connection.settimeout(min(seconds, self._patience_s))
        count = self._stream.readinto(memoryview(buffer)[: self._reins.bytes_left])
        self._reins.bytes_left -= count or 0
        return count

    def close(self) -> None:
        self._stream.close()
        super().close()


def _metered(reins: Reins) -> type[http.client.HTTPResponse]:
    class Metered(http.client.HTTPResponse):
        def __init__(self, sock: socket.socket, *arguments: Any, **options: Any) -> None:
            super().__init__(sock, *arguments, **options)
            self.fp = io.BufferedReader(_Meter(self.fp.detach(), sock, reins))

    return Metered


def _shut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def watched_pools(reins: Reins) -> dict[str, type[HTTPConnectionPool]]:
    """urllib3's pools, whose answers obey ``reins``: ``TooManyBytes``, ``TooLate``, as urllib3 wraps them, or a cut."""

    class Plain(HTTPConnection):
        response_class = _metered(reins)

        def getresponse(self) -> HTTPResponse:  # type: ignore[override]
            reins.cut.attach(self.sock)
            return super().getresponse()

    class Tls(HTTPSConnection):
        response_class = _metered(reins)

        def getresponse(self) -> HTTPResponse:  # type: ignore[override]
            reins.cut.attach(self.sock)
            return super().getresponse()

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class TlsPool(HTTPSConnectionPool):
        ConnectionCls = Tls

    return {"http": PlainPool, "https": TlsPool}
