"""Length-capped messages over a pipe: ``u32 big-endian header length | header JSON | payload``.

The header's ``payload`` member is the payload's length in bytes (absent means none). Both lengths are checked
against the reader's caps before anything is read, so neither side can make the other allocate without bound.
"""

from __future__ import annotations

import json
import os
import select
import time
from collections.abc import Mapping, Sequence
from typing import Any

from nodeagent.protocol.nesting import deeper_than

MAX_HEADER = 1 << 20
MAX_DEPTH = 16
_CHUNK = 1 << 18


class FrameError(Exception):
    """The other side ended, broke the framing or sent more than the cap."""


class FrameTimeoutError(Exception):
    """The other side did not answer in time."""


def write_frame(
    fd: int,
    header: Mapping[str, Any],
    payload: Sequence[bytes | memoryview] = (),
    *,
    deadline: float | None = None,
) -> None:
    """Write one frame; payload parts spare joining large tensors.

    ``deadline``, on ``time.monotonic``, holds for a descriptor that does not block. Raises FrameError on a closed pipe,
    FrameTimeoutError.
    """
    size = sum(len(part) for part in payload)
    text = json.dumps({**header, "payload": size} if size else dict(header), separators=(",", ":")).encode()
    if len(text) > MAX_HEADER:
        raise FrameError(f"frame header of {len(text)} bytes is over the cap of {MAX_HEADER}")
    head = len(text).to_bytes(4, "big") + text
    try:
        if size <= _CHUNK:  # one write: the other side wakes once
            return _write_all(fd, b"".join((head, *payload)), deadline)
        _write_all(fd, head, deadline)
        for part in payload:
            _write_all(fd, part, deadline)
    except OSError as error:
        raise FrameError("the pipe is closed") from error


def read_frame(
    fd: int, max_payload: int, *, deadline: float | None = None, watch: int | None = None
) -> tuple[dict[str, Any], bytes] | None:
    """Read one frame, or None at a clean end of the pipe.

    ``deadline`` is on ``time.monotonic``; ``watch`` is a descriptor whose hang-up ends the wait.
    Raises FrameError (cap, bad JSON, short read, hang-up) and FrameTimeoutError.
    """
    head = _read_exact(fd, 4, deadline, watch, eof_ok=True)
    if head is None:
        return None
    length = int.from_bytes(head, "big")
    if not 2 <= length <= MAX_HEADER:
        raise FrameError(f"frame header of {length} bytes is outside 2..{MAX_HEADER}")
    text = _read_exact(fd, length, deadline, watch)
    if deeper_than(text or b"", MAX_DEPTH):
        raise FrameError(f"frame header nests deeper than {MAX_DEPTH} levels")
    try:
        header = json.loads(text or b"")
    except ValueError as error:
        raise FrameError("frame header is not JSON") from error
    size = header.pop("payload", 0) if isinstance(header, dict) else -1
    if not isinstance(size, int) or not 0 <= size <= max_payload:
        raise FrameError(f"frame payload of {size} bytes is over the cap of {max_payload}")
    return header, (_read_exact(fd, size, deadline, watch) or b"") if size else b""


def _write_all(fd: int, data: bytes | memoryview, deadline: float | None) -> None:
    view = memoryview(data).cast("B") if len(data) else memoryview(b"")
    while view:
        try:
            view = view[os.write(fd, view[:_CHUNK]) :]
        except BlockingIOError:
            _wait(fd, deadline, None, select.POLLOUT)


def _read_exact(fd: int, size: int, deadline: float | None, watch: int | None, *, eof_ok: bool = False) -> bytes | None:
    buffer = bytearray()
    while len(buffer) < size:
        _wait(fd, deadline, watch)
        try:
            part = os.read(fd, min(size - len(buffer), _CHUNK))
        except BlockingIOError:  # somebody else has read it
            continue
        if not part:
            if eof_ok and not buffer:
                return None
            raise FrameError(f"the pipe ended after {len(buffer)} of {size} bytes")
        buffer += part
    return bytes(buffer)


def _wait(fd: int, deadline: float | None, watch: int | None, event: int = select.POLLIN) -> None:
    if deadline is None and watch is None and event == select.POLLIN:
        return
    poll = select.poll()
    poll.register(fd, event)
    if watch is not None:
        poll.register(watch, 0)
    left = None if deadline is None else max(0.0, deadline - time.monotonic()) * 1000
    ready = dict(poll.poll(left))
    if not ready:
        raise FrameTimeoutError
    if watch is not None and ready.get(watch) and not ready.get(fd):
        raise FrameError("the pipe's owner ended")
