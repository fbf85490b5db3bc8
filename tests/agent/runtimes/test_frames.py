"""Frames over real pipes: caps, cuts, hang-ups and deadlines."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest

from nodeagent.runtimes.frames import MAX_HEADER, FrameError, FrameTimeoutError, read_frame, write_frame


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    source, sink = os.pipe()
    yield source, sink
    for end in (source, sink):
        try:
            os.close(end)
        except OSError:
            continue


def test_read_frame__written_frame__comes_back(pipe: tuple[int, int]) -> None:
    write_frame(pipe[1], {"op": "x", "n": 1}, [b"ab", memoryview(b"c")])
    write_frame(pipe[1], {})
    assert read_frame(pipe[0], 3) == ({"op": "x", "n": 1}, b"abc")
    assert read_frame(pipe[0], 0) == ({}, b"")


def test_read_frame__clean_end__is_none(pipe: tuple[int, int]) -> None:
    os.close(pipe[1])
    assert read_frame(pipe[0], 0) is None


def test_read_frame__payload_over_the_cap__is_refused_before_it_is_read(pipe: tuple[int, int]) -> None:
    write_frame(pipe[1], {}, [b"abcd"])
    with pytest.raises(FrameError, match="4 bytes is over the cap of 3"):
        read_frame(pipe[0], 3)


@pytest.mark.parametrize(
    ("raw", "what"),
    [
        (b"\xff\xff\xff\xff", "header of 4294967295"),
        (b"\0\0\0\1{", "header of 1"),
        (b"\0\0\0\2{]", "not JSON"),
        (b"\0\0\x03\xe8" + b"[" * 1000, "nests deeper than 16 levels"),
        (b"\0\0\0\2[]", "payload of -1"),
        (b'\0\0\0\x0e{"payload":-1}', "payload of -1"),
        (b'\0\0\0\x0f{"payload":"1"}', "payload of 1"),
        (b"\0\0", "ended after 2 of 4"),
    ],
)
def test_read_frame__broken_frame__is_refused(pipe: tuple[int, int], raw: bytes, what: str) -> None:
    os.write(pipe[1], raw)
    os.close(pipe[1])
    with pytest.raises(FrameError, match=what):
        read_frame(pipe[0], 10)


def test_read_frame__deadline_passed__times_out(pipe: tuple[int, int]) -> None:
    with pytest.raises(FrameTimeoutError):
        read_frame(pipe[0], 0, deadline=time.monotonic())


def test_read_frame__owner_hangs_up__ends_the_wait(pipe: tuple[int, int]) -> None:
    owner, other = os.pipe()
    os.close(other)
    try:
        with pytest.raises(FrameError, match="owner ended"):
            read_frame(pipe[0], 0, watch=owner)
    finally:
        os.close(owner)


def test_write_frame__closed_reader__is_an_error(pipe: tuple[int, int]) -> None:
    os.close(pipe[0])
    with pytest.raises(FrameError, match="closed"):
        write_frame(pipe[1], {"op": "x"})


def test_write_frame__header_over_the_cap__is_refused(pipe: tuple[int, int]) -> None:
    with pytest.raises(FrameError, match="over the cap"):
        write_frame(pipe[1], {"op": "x" * MAX_HEADER})
