"""What sources do when several leaves are asked for in one answer: a file of 64, and answers by name."""

from __future__ import annotations

import hashlib
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from content_faults import Behaviour, hangs_up_after, pours, resets_after, says, serves, stalls, stalls_after

from nodeagent.content import Cid, unixfs
from nodeagent.content.car import header, section, sections
from nodeagent.content.errors import SourceFailure, SourceSentTooMuch, SourceSentWrongBytes, SourceStalled
from nodeagent.content.question import read_question
from nodeagent.content.unixfs import Layout

CHUNK: Final = 65_536
LAYOUT: Final = Layout(chunk_bytes=CHUNK)
LARGE: Final = b"".join(hashlib.sha256(b"%d" % n).digest() * (CHUNK // 32) for n in range(64))[:-7]
BLOCKS: Final[dict[Cid, bytes]] = {}
ROOT: Final = unixfs.build((LARGE[i : i + CHUNK] for i in range(0, len(LARGE), CHUNK)), BLOCKS.__setitem__, LAYOUT).cid
OK: Final = b"HTTP/1.1 200 OK\r\n"
Answer = Callable[[bytes], Behaviour]  # by the CAR that was asked for


def car_of(path: str) -> bytes:
    """The CAR that a request for several leaves is for."""
    cid, query = path.removeprefix("/ipfs/").split("?")
    return b"".join(read_question(query, "").pieces(Cid.parse(cid), BLOCKS.__getitem__))


def runs(answer: Answer) -> Behaviour:
    """Honest about single blocks; answers by ``answer`` when several are asked for."""

    def behave(connection: socket.socket, path: str, stopped: threading.Event) -> None:
        served = answer(car_of(path)) if "entity-bytes" in path else serves(BLOCKS)
        served(connection, path, stopped)

    return behave


@dataclass(frozen=True)
class RunAttack:
    """``error``: as what it counts against the source; none when single blocks of it are as welcome as before."""

    answer: Answer
    error: type[SourceFailure] | None = None
    reason: str = ""


def head(car: bytes, count: int | None = None) -> bytes:
    return OK + b"Content-Length: %d\r\n\r\n" % (len(car) if count is None else count)


def flipped(car: bytes) -> bytes:
    return car[:-1] + bytes([car[-1] ^ 1])


def without_the_last(car: bytes) -> bytes:
    """A CAR of a run that ends a leaf earlier."""
    last = max(at for block in BLOCKS.values() if len(block) > 9_999 and (at := car.find(block)) >= 0)
    return car[: last - 36 - 3]


STRANGER: Final = b"a block of nobody's file" * 20_000
RUN_ATTACKS: Final = {
    "run: flipped byte": RunAttack(lambda car: says(flipped(car)), SourceSentWrongBytes, "are not those of"),
    "run: leaves of another place": RunAttack(lambda _: says(b"".join(sections(ROOT, BLOCKS.__getitem__)))),
    "run: block of another file": RunAttack(
        lambda _: says(header([ROOT]) + section(Cid.of(STRANGER), STRANGER)),
    ),
    "run: a leaf is missing": RunAttack(lambda car: says(without_the_last(car))),
    "run: nothing in it": RunAttack(lambda _: says(header([ROOT]))),
    "run: empty": RunAttack(lambda _: says(b"")),
    "run: a web page": RunAttack(lambda _: says(b"<html>welcome</html>")),
    "run: one block as it is": RunAttack(lambda _: says(BLOCKS[ROOT])),
    "run: 400": RunAttack(lambda _: says(b"", "400 Bad Request")),
    "run: 404": RunAttack(lambda _: says(b"", "404 Not Found")),
    "run: 501": RunAttack(lambda _: says(b"", "501 Not Implemented")),
    "run: redirect": RunAttack(lambda _: says(b"", "302 Found", {"Location": "http://127.0.0.1:9/"})),
    "run: gzip": RunAttack(lambda car: says(car, headers={"Content-Encoding": "gzip"})),
    "run: announced too large": RunAttack(lambda _: says(b"", headers={"Content-Length": str(1 << 40)})),
    "run: section too large": RunAttack(lambda _: says(header([ROOT]) + b"\xff\xff\xff\xff\x0f")),
    "run: cut in a leaf": RunAttack(lambda car: hangs_up_after(head(car) + car[: len(car) // 2])),
    "run: reset in a leaf": RunAttack(lambda car: resets_after(head(car) + car[: len(car) // 2])),
    "run: silent": RunAttack(lambda _: stalls, SourceStalled, "in time"),
    "run: silent in a leaf": RunAttack(
        lambda car: stalls_after(head(car) + car[: len(car) // 2]), SourceStalled, "in time"
    ),
    "run: zeros": RunAttack(lambda car: pours(head(car), b"\x00")),
    "run: leaf that trickles": RunAttack(
        lambda car: pours(head(car) + car[: len(car) // 2], b"a", 0.01), SourceStalled, "in time"
    ),
    "run: the same leaf for ever": RunAttack(
        lambda car: pours(OK + b"\r\n" + (part := without_the_last(car)), section(*last_leaf(part))),
        SourceSentTooMuch,
        "around",
    ),
    "run: chunks of one byte": RunAttack(
        lambda _: pours(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1;" + b"x" * 900 + b"\r\na\r\n"),
    ),
}


def last_leaf(car: bytes) -> tuple[Cid, bytes]:
    return max(((cid, block) for cid, block in BLOCKS.items() if cid.is_raw), key=lambda leaf: car.find(leaf[1]))
