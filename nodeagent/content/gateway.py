"""A trustless gateway over one store, on a port: connections, their number and their threads.

What it answers is in ``trustless``. Nothing is listed, fetched for a stranger or written. Limits are per connection
(head size, time to send a head and to take an answer, requests) and in all (connections), so that a rude client costs
one slot for a bounded time.
"""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
from socketserver import ThreadingMixIn
from typing import Any, Final

import structlog

from nodeagent.content.errors import GatewayFailed
from nodeagent.content.rate import Rate
from nodeagent.content.store import LocalStore
from nodeagent.content.trustless import DEFAULT_LIMITS, GatewayLimits, Handler, Shelf

__all__ = ["Gateway", "GatewayLimits"]

_BUSY: Final = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

log = structlog.get_logger(__name__)


class Gateway:
    """Serves ``store`` from ``start()`` to ``stop()``; also a context manager.

    ``port`` 0 takes a free one; ``url`` is known after construction. Raises ``GatewayFailed`` when it cannot listen.
    """

    def __init__(
        self,
        store: LocalStore,
        host: str = "127.0.0.1",
        port: int = 0,
        limits: GatewayLimits = DEFAULT_LIMITS,
        rate: Rate | None = None,
    ) -> None:
        try:
            self._server = _Server(store, host, port, limits, rate or Rate())
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


class _Server(ThreadingMixIn, Shelf):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64
    allow_reuse_address = True

    def __init__(self, store: LocalStore, host: str, port: int, limits: GatewayLimits, rate: Rate) -> None:
        self.store, self.limits, self.rate = store, limits, rate
        self._slots = threading.BoundedSemaphore(limits.max_connections)
        self._open: set[socket.socket] = set()
        self._open_lock = threading.Lock()
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), Handler)

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
