"""What hostile sources do for a block: attacks by name, which another source makes good."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from content_faults import (
    Behaviour,
    answers_in_cars,
    blocks_of,
    hangs_up_after,
    numbers,
    pours,
    resets,
    resets_after,
    says,
    stalls,
    stalls_after,
    trickles_head,
)

from nodeagent.content import Cid
from nodeagent.content.car import header, section
from nodeagent.content.errors import (
    SourceAnsweredBadly,
    SourceFailure,
    SourceLacksBlock,
    SourceSentTooMuch,
    SourceSentWrongBytes,
    SourceStalled,
    SourceUnreachable,
)
from nodeagent.content.transport import DEFAULT_LIMITS, FetchLimits
from nodeagent.content.unixfs import MAX_BLOCK_BYTES, MIB

DATA: Final = numbers(100)
ROOT, BLOCKS = blocks_of(DATA)
BLOCK: Final = BLOCKS[ROOT]
EVIL: Final = b"never ask me to be stored"
OK: Final = b"HTTP/1.1 200 OK\r\n"
CHUNKED: Final = OK + b"Transfer-Encoding: chunked\r\n\r\n"

PATIENT: Final = FetchLimits(connect_s=30.0, stall_s=30.0, block_s=60.0, hedge_s=600.0, slow_s=600.0)
"""Waits for nothing that a test expects, whatever the load of the machine."""
HASTY: Final = replace(PATIENT, stall_s=0.2)
BRIEF: Final = replace(PATIENT, block_s=0.3)
NARROW: Final = replace(PATIENT, max_block_bytes=32_768)
ANSWER_BYTES: Final = 2 * MAX_BLOCK_BYTES
WIRE_BYTES: Final = ANSWER_BYTES + 65_536
"""What one source may send for one block, with all that goes around it."""


class TickingClock:
    """A clock on which every look costs a second: a slow source without waiting for one."""

    def __init__(self) -> None:
        self._now = 0.0

    def __call__(self) -> float:
        self._now += 1.0
        return self._now


@dataclass(frozen=True, slots=True)
class Attack:
    """``behave`` ends in ``error`` for a reason that holds ``reason``, under ``limits``.

    ``max_sent``: bytes that may be taken from it.
    """

    behave: Behaviour
    error: type[SourceFailure]
    reason: str = ""
    limits: FetchLimits = PATIENT
    clock: type[TickingClock] | None = None
    max_sent: int = ANSWER_BYTES


def length(count: int | str) -> bytes:
    """A head that announces ``count`` bytes."""
    return OK + b"Content-Length: %s\r\n\r\n" % str(count).encode()


def moved(status: str, **headers: str) -> Behaviour:
    return says(BLOCK, status, headers)


def encoded(body: bytes, encoding: str) -> Behaviour:
    return says(body, headers={"Content-Encoding": encoding})


BOMB: Final = gzip.compress(bytes(MIB)) * 1024
"""A GiB of zeros in a MiB."""

WRONG: Final = {
    "wrong bytes": Attack(says(EVIL), SourceSentWrongBytes, "hash to"),
    "valid block of another CID": Attack(says(BLOCKS[Cid.of(DATA[:16])]), SourceSentWrongBytes, "hash to"),
    "no bytes": Attack(says(b""), SourceSentWrongBytes, "0 bytes that hash to"),
    "one byte flipped": Attack(says(BLOCK[:-1] + b"\0"), SourceSentWrongBytes, "hash to"),
    "web page": Attack(says(b"<html>", headers={"Content-Type": "text/html"}), SourceSentWrongBytes, "hash to"),
    "length one short": Attack(says(BLOCK, headers={"Content-Length": str(len(BLOCK) - 1)}), SourceSentWrongBytes),
    "gzip as transfer encoding": Attack(
        hangs_up_after(OK + b"Transfer-Encoding: gzip\r\n\r\n" + gzip.compress(BLOCK)), SourceSentWrongBytes
    ),
    "body cut at its end": Attack(hangs_up_after(OK + b"\r\n" + BLOCK[:-1]), SourceSentWrongBytes, "hash to"),
}

STATUSES: Final = {
    "missing block": Attack(says(b"no", "404 Not Found"), SourceLacksBlock, "HTTP 404"),
    "gone": Attack(says(b"no", "410 Gone"), SourceLacksBlock, "HTTP 410"),
    "5xx": Attack(says(BLOCK, "500 Internal Server Error"), SourceAnsweredBadly, "HTTP 500"),
    "busy": Attack(says(b"", "503 Service Unavailable"), SourceAnsweredBadly, "HTTP 503"),
    "forbidden": Attack(says(BLOCK, "403 Forbidden"), SourceAnsweredBadly, "HTTP 403"),
    "no content": Attack(says(b"", "204 No Content"), SourceAnsweredBadly, "HTTP 204"),
    "partial": Attack(says(BLOCK, "206 Partial Content"), SourceAnsweredBadly, "HTTP 206"),
    "status out of range": Attack(says(BLOCK, "1000 OK"), SourceUnreachable, "BadStatusLine"),
    "early hints": Attack(says(BLOCK, "103 Early Hints"), SourceAnsweredBadly, "HTTP 103"),
    "other protocol": Attack(says(b"", "101 Switching Protocols", {"Upgrade": "h2c"}), SourceAnsweredBadly, "HTTP 101"),
    "redirect to another host": Attack(
        moved("302 Found", Location="http://127.0.0.2:9/"), SourceAnsweredBadly, "redirects are not followed"
    ),
    "redirect loop": Attack(moved("307 Again", Location=f"/ipfs/{ROOT}?format=raw"), SourceAnsweredBadly, "HTTP 307"),
    "redirect to nowhere": Attack(moved("301 Moved"), SourceAnsweredBadly, "HTTP 301"),
    "not modified": Attack(moved("304 Not Modified"), SourceAnsweredBadly, "HTTP 304"),
    "not http": Attack(stalls_after(b"SSH-2.0-OpenSSH_9.2\r\n"), SourceUnreachable, "BadStatusLine"),
}

ENCODINGS: Final = {
    "gzip bomb": Attack(encoded(BOMB, "gzip"), SourceAnsweredBadly, "content encoding 'gzip'"),
    "gzip": Attack(encoded(gzip.compress(BLOCK), "gzip"), SourceAnsweredBadly, "content encoding 'gzip'"),
    "deflate": Attack(encoded(zlib.compress(BLOCK), "deflate"), SourceAnsweredBadly, "content encoding 'deflate'"),
    "brotli": Attack(encoded(b"\x0b\x02\x80", "br"), SourceAnsweredBadly, "content encoding 'br'"),
    "zstd": Attack(encoded(b"\x28\xb5\x2f\xfd", "zstd"), SourceAnsweredBadly, "content encoding 'zstd'"),
    "two encodings": Attack(encoded(BOMB, "identity, gzip"), SourceAnsweredBadly, "content encoding 'identity, gzip'"),
}

LENGTHS: Final = {
    "announced too large": Attack(pours(length(MAX_BLOCK_BYTES + 1), bytes(MIB)), SourceSentTooMuch, "announced"),
    "announced absurdly": Attack(pours(length("9" * 40), bytes(MIB)), SourceSentTooMuch, "bytes announced"),
    "unreadable length": Attack(says(BLOCK, headers={"Content-Length": "-5"}), SourceAnsweredBadly, "'-5'"),
    "two lengths": Attack(says(BLOCK, headers={"Content-Length": "5, 6"}), SourceUnreachable, "InvalidHeader"),
    "length one long": Attack(hangs_up_after(length(len(BLOCK) + 1) + BLOCK), SourceUnreachable, "dropped"),
    "truncated body": Attack(hangs_up_after(length(len(BLOCK)) + BLOCK[:9]), SourceUnreachable, "connection dropped"),
    "reset mid-block": Attack(resets_after(length(len(BLOCK)) + BLOCK[:9]), SourceUnreachable, "connection dropped"),
    "reset": Attack(resets, SourceUnreachable, "connection dropped"),
    "truncated chunks": Attack(hangs_up_after(CHUNKED + b"ff\r\nabc"), SourceUnreachable, "connection dropped"),
    "bad chunks": Attack(hangs_up_after(CHUNKED + b"zz\r\nhello\r\n"), SourceUnreachable),
}

FLOODS: Final = {
    "endless body": Attack(pours(OK + b"\r\n", bytes(65_536)), SourceSentTooMuch, "more than 2097152 bytes"),
    "endless chunks": Attack(
        pours(CHUNKED, b"10000\r\n" + bytes(65_536) + b"\r\n"), SourceSentTooMuch, "more than 2097152 bytes"
    ),
    "one giant chunk": Attack(pours(CHUNKED + b"7fffffff\r\n", bytes(65_536)), SourceSentTooMuch, "more than 2097152"),
    "chunks of one byte": Attack(pours(CHUNKED, b"1\r\na\r\n" * 1000), SourceSentTooMuch, "around a block", NARROW),
    "endless size of a chunk": Attack(pours(CHUNKED, b"0" * 65_536), SourceUnreachable),
    "endless status line": Attack(pours(b"HTTP/1.1 200 ", b"a" * 65_536), SourceUnreachable, "status line"),
    "endless header line": Attack(pours(OK + b"X: ", b"a" * 65_536), SourceUnreachable, "header line"),
    "endless header lines": Attack(pours(OK, b"X: y\r\n" * 1000), SourceUnreachable, "more than 100 headers"),
}

WAITS: Final = {
    "one byte a second": Attack(
        pours(length(len(BLOCK)), b"a", 0.001), SourceStalled, "at least 32768 a second", DEFAULT_LIMITS, TickingClock
    ),
    "silent": Attack(stalls, SourceStalled, "no bytes in time", HASTY),
    "silent midway": Attack(stalls_after(length(100) + b"abc"), SourceStalled, "no bytes in time", HASTY),
    "silent in a chunk": Attack(stalls_after(CHUNKED + b"64\r\nabc"), SourceStalled, "no bytes in time", HASTY),
    "unreadable head": Attack(says(b"", "200 OK\r\nno colon here\r\n\x00: \x00"), SourceStalled, "", HASTY),
    "head that trickles": Attack(trickles_head, SourceStalled, "in time", BRIEF),
    "body that trickles": Attack(pours(length(1_000_000), b"a", 0.01), SourceStalled, "in time", BRIEF),
    "endless 100 Continue": Attack(
        pours(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000), SourceSentTooMuch, "around a block", max_sent=WIRE_BYTES
    ),
    "endless trailer": Attack(
        pours(CHUNKED + b"%x\r\n%s\r\n0\r\n" % (len(BLOCK), BLOCK), b"X: y\r\n" * 1000),
        SourceSentTooMuch,
        "around a block",
        max_sent=WIRE_BYTES,
    ),
    "long words beside chunks": Attack(
        pours(CHUNKED, b"1;" + b"x" * 60_000 + b"\r\na\r\n"),
        SourceSentTooMuch,
        "around a block",
        max_sent=WIRE_BYTES,
    ),
}


def car_of(cid: Cid, block: bytes) -> bytes:
    return header([cid]) + section(cid, block)


CARS: Final = {
    "no form of content": Attack(says(b"no", "406 Not Acceptable"), SourceAnsweredBadly, "does not serve what"),
    "CAR that is none": Attack(answers_in_cars(lambda _: EVIL), SourceAnsweredBadly, "header"),
    "CAR of wrong bytes": Attack(answers_in_cars(lambda _: car_of(ROOT, EVIL)), SourceAnsweredBadly, "not those of"),
    "CAR of another block": Attack(
        answers_in_cars(lambda _: car_of(Cid.of(EVIL), EVIL)), SourceAnsweredBadly, "without the block"
    ),
    "CAR that is cut off": Attack(
        answers_in_cars(lambda _: car_of(ROOT, BLOCK)[:-1]), SourceAnsweredBadly, "1 bytes short"
    ),
    "CAR too large": Attack(answers_in_cars(lambda _: bytes(3 * MIB)), SourceSentTooMuch, "at most 2101248"),
}

ATTACKS: Final[Mapping[str, Attack]] = {**CARS, **WRONG, **STATUSES, **ENCODINGS, **LENGTHS, **FLOODS, **WAITS}
