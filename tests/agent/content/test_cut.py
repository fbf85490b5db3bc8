"""Requests that another thread ends."""

from __future__ import annotations

import socket
import threading

import pytest
from content_faults import blocks_of, numbers, running, serves, stalls

from nodeagent.content.errors import SourceFailure, SourceStalled
from nodeagent.content.transport import FetchLimits, Transport
from nodeagent.content.watch import Cut

ROOT, BLOCKS = blocks_of(numbers(100))
WAIT = 30.0


def test_block__cut_from_another_thread__ends_and_is_not_tried_afresh() -> None:
    asked, cut = threading.Event(), Cut()

    def mute(connection: socket.socket, path: str, stopped: threading.Event) -> None:
        asked.set()
        stopped.wait()

    def end() -> None:
        assert asked.wait(WAIT)
        cut()

    with running(mute) as (server,):
        ending = threading.Thread(target=end)
        ending.start()
        with pytest.raises(SourceFailure):
            Transport(FetchLimits(stall_s=WAIT)).block(server.url, ROOT, cut)
        ending.join()
        assert len(server.paths) == 1


def test_block__cut_before_it_began__ends_at_once() -> None:
    cut = Cut()
    cut()
    with running(stalls) as (server,), pytest.raises(SourceStalled, match="cut"):
        Transport(FetchLimits(stall_s=WAIT)).block(server.url, ROOT, cut)


def test_block__cut_when_it_is_over__the_connection_serves_others() -> None:
    with running(serves(BLOCKS)) as (server,):
        transport, cut = Transport(), Cut()
        transport.block(server.url, ROOT, cut)
        cut()
        assert transport.block(server.url, ROOT) == BLOCKS[ROOT]
