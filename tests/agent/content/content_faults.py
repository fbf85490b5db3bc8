"""A small real HTTP server on the loopback that misbehaves on purpose, and helpers for content tests."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from nodeagent.content import Cid, unixfs
from nodeagent.content.unixfs import Layout

deep = pytest.mark.skipif("QUORATE_DEEP" not in os.environ, reason="deep runs only: QUORATE_DEEP=1")
Behaviour = Callable[[socket.socket, str, threading.Event], None]
SMALL = Layout(chunk_bytes=16, max_links=4)


def numbers(count: int) -> bytes:
    """The first ``count`` bytes of ``seq 1 1000000``: chunks that all differ."""
    out, size, n = [], 0, 0
    while size < count:
        n += 1
        out.append(b"%d\n" % n)
        size += len(out[-1])
    return b"".join(out)[:count]


def blocks_of(data: bytes, layout: Layout = SMALL) -> tuple[Cid, dict[Cid, bytes]]:
    """The root and every block of ``data`` as a file."""
    blocks: dict[Cid, bytes] = {}
    chunks = [data[i : i + layout.chunk_bytes] for i in range(0, len(data), layout.chunk_bytes)]
    return unixfs.build(chunks, blocks.__setitem__, layout).cid, blocks


def files_under(root: Path) -> dict[str, bytes]:
    """Every regular file under ``root`` with its bytes, whatever it is called."""
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def unverified_bytes(root: Path) -> int:
    """Bytes under ``root`` outside of blocks that are what their names say."""

    def verified(name: str, data: bytes) -> bool:
        return name.startswith("blocks/") and str(Cid.of(data, Cid.parse(Path(name).name).codec)) == Path(name).name

    return sum(len(data) for name, data in files_under(root).items() if not verified(name, data))


class Metered(socket.socket):
    """Tells ``meter`` of the bytes it could send, also of those before a failure."""

    meter: Callable[[int], None]

    def sendall(self, data: bytes, flags: int = 0) -> None:
        left = memoryview(data)
        while left:
            count = self.send(left, flags)
            self.meter(count)
            left = left[count:]


class FaultServer:
    """Answers each request by ``behave(connection, path, stopped)``.

    ``paths`` records what was asked, ``sent`` how many bytes were sent; both are final when it is closed.
    """

    def __init__(self, behave: Behaviour) -> None:
        self._behave = behave
        self.stopped = threading.Event()
        self.paths: list[str] = []
        self.sent = 0
        self._lock = threading.Lock()
        self._served: list[tuple[Metered, threading.Thread]] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def close(self) -> None:
        self.stopped.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._accepting.join()
        for connection, thread in self._served:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            thread.join()

    def __enter__(self) -> FaultServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _accept(self) -> None:
        while True:
            try:
                accepted, _ = self._listener.accept()
            except OSError:
                return
            connection = Metered(fileno=accepted.detach())
            connection.meter = self._count
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._served.append((connection, thread))
            thread.start()

    def _count(self, sent: int) -> None:
        with self._lock:
            self.sent += sent

    def _serve(self, connection: Metered) -> None:
        with connection, contextlib.suppress(OSError):
            connection.settimeout(30)
            while path := self._read_head(connection):
                self.paths.append(path)
                self._behave(connection, path, self.stopped)

    def _read_head(self, connection: socket.socket) -> str:
        head = b""
        while b"\r\n\r\n" not in head:
            if not (part := connection.recv(4096)):
                return ""
            head += part
            if head[:1] == b"\x16":  # a TLS greeting: say in plain text that it is none of ours, as servers do
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                return ""
        if b"chunked" in head.lower():
            while not head.endswith(b"0\r\n\r\n"):
                if not (part := connection.recv(65_536)):
                    return ""
                head += part
        return head.split(b" ", 2)[1].decode()


def says(body: bytes, status: str = "200 OK", headers: Mapping[str, str] | None = None) -> Behaviour:
    """Answer ``body`` whatever was asked."""

    def behave(connection: socket.socket, path: str, stopped: threading.Event) -> None:
        extra = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
        head = f"HTTP/1.1 {status}\r\n{extra}"
        if "content-length" not in extra.lower() and "transfer-encoding" not in extra.lower():
            head += f"Content-Length: {len(body)}\r\n"
        connection.sendall(head.encode() + b"\r\n" + body)

    return behave


def serves(blocks: Mapping[Cid, bytes]) -> Behaviour:
    """An honest source of ``blocks``, one by one; 404 for anything else."""

    def behave(connection: socket.socket, path: str, stopped: threading.Event) -> None:
        block = blocks.get(Cid.parse(path.removeprefix("/ipfs/").split("?")[0]))
        answer = says(b"not here", "404 Not Found") if block is None else says(block)
        if "entity-bytes" in path:
            answer = says(b"blocks only", "406 Not Acceptable")
        answer(connection, path, stopped)

    return behave


def answers_in_cars(car: Callable[[str], bytes]) -> Behaviour:
    """A source that serves CARs alone: ``car`` gives one for a path, 406 whatever else is asked for."""

    def behave(connection: socket.socket, path: str, stopped: threading.Event) -> None:
        served = says(car(path)) if "?format=car&dag-scope=block" in path else says(b"cars only", "406 Not Acceptable")
        served(connection, path, stopped)

    return behave


def resets(connection: socket.socket, path: str, stopped: threading.Event) -> None:
    """Drop the connection with a TCP reset instead of an answer."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    connection.close()


def resets_after(head: bytes) -> Behaviour:
    """Begin an answer with ``head``, then drop the connection with a TCP reset."""

    def behave(connection: socket.socket, path: str, stopped: threading.Event) -> None:
        connection.sendall(head)
        resets(connection, path, stopped)

    return behave


def hangs_up_after(head: bytes) -> Behaviour:
    """Answer ``head``, then close the connection in good order."""

    def behave(connection: socket.socket, path: str, stopped: threading.Event) -> None:
        connection.sendall(head)
        connection.shutdown(socket.SHUT_RDWR)

    return behave


def pours(head: bytes, piece: bytes, pause: float = 0.0) -> Behaviour:
    """Answer ``head``, then ``piece`` without end, ``pause`` seconds between two."""

    def behave(connection: socket.socket, path: str, stopped: threading.Event) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(head)
        while not stopped.wait(pause) if pause else not stopped.is_set():
            connection.sendall(piece)

    return behave


def stalls(connection: socket.socket, path: str, stopped: threading.Event) -> None:
    """Send nothing at all until the test is over."""
    stopped.wait()


def stalls_after(head: bytes) -> Behaviour:
    """Begin an answer with ``head``, then send nothing until the test is over."""

    def behave(connection: socket.socket, path: str, stopped: threading.Event) -> None:
        connection.sendall(head)
        stopped.wait()

    return behave


def trickles_head(connection: socket.socket, path: str, stopped: threading.Event) -> None:
    """Send a head that never ends, always fast enough for a timeout on each read."""
    pours(b"HTTP/1.1 200 OK\r\nX-Long: ", b"a", 0.02)(connection, path, stopped)


@contextlib.contextmanager
def running(*behaviours: Behaviour) -> Iterator[list[FaultServer]]:
    """One server per behaviour, all closed at the end."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(FaultServer(behave)) for behave in behaviours]
