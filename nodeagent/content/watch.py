"""Ends exchanges: each after its time or its bytes, and any of them at once from another thread."""

from __future__ import annotations

import contextlib
import http.client
import io
import socket
import threading
from collections.abc import Callable
from typing import Any, Protocol

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


class Watch(threading.Timer):
    """Cuts a connection when its exchange is not over in time; ``expired`` tells that it did."""

    def __init__(self, connection: socket.socket, seconds: float) -> None:
        super().__init__(seconds, self._cut)
        self.daemon = True
        self._connection = connection
        self.expired = False

    def _cut(self) -> None:
        self.expired = True
        _shut(self._connection)


class Cuts(threading.local):
    mine = Cut()  # the cut of the request that a thread makes


class Watched(Protocol):
    watch: Watch  # set by the connections that ``watched_pools`` makes


class TooManyBytes(OSError):
    """An answer had more bytes on the wire than any answer may, head, framing and all."""


class _Meter(io.RawIOBase):
    """Lets so many bytes of a stream through."""

    def __init__(self, stream: io.RawIOBase, most: int) -> None:
        self._stream, self._left = stream, most

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self._left <= 0:
            raise TooManyBytes("an answer without end")
        count = self._stream.readinto(memoryview(buffer)[: self._left])
        self._left -= count or 0
        return count

    def close(self) -> None:
        self._stream.close()
        super().close()


def _metered(most: int) -> type[http.client.HTTPResponse]:
    class Metered(http.client.HTTPResponse):
        def __init__(self, sock: socket.socket, *arguments: Any, **options: Any) -> None:
            super().__init__(sock, *arguments, **options)
            self.fp = io.BufferedReader(_Meter(self.fp.detach(), most))

    return Metered


def _shut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def watched_pools(seconds: float, most: int, cuts: Cuts) -> dict[str, type[HTTPConnectionPool]]:
    """urllib3's pools, whose connections put every exchange under a ``Watch`` and in reach of its ``Cut``.

    An answer of more than ``most`` bytes on the wire is a ``TooManyBytes``, as urllib3 wraps it.
    """

    def watched(connection: HTTPConnection, answer: Callable[[], HTTPResponse]) -> HTTPResponse:
        watch = Watch(connection.sock, seconds)
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
        response_class = _metered(most)

        def getresponse(self) -> HTTPResponse:  # type: ignore[override]
            return watched(self, super().getresponse)

    class Tls(HTTPSConnection):
        response_class = _metered(most)

        def getresponse(self) -> HTTPResponse:  # type: ignore[override]
            return watched(self, super().getresponse)

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class TlsPool(HTTPSConnectionPool):
        ConnectionCls = Tls

    return {"http": PlainPool, "https": TlsPool}
