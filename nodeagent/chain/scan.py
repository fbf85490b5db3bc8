"""One way to read events: from a stored cursor forward, far behind or at the head alike.

A cursor is a block number and hash. When the chain no longer has that hash, the store is rewound to the newest older
mark that the chain still has, and the scan goes on from there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

from nodeagent.chain.decoding import decode_log
from nodeagent.chain.errors import RpcBehind, RpcError
from nodeagent.chain.events import Event
from nodeagent.chain.rpc import Json, RpcLike, hex_block


@dataclass(frozen=True, slots=True)
class Cursor:
    """Everything up to and including this block has been applied."""

    block: int
    hash: str


@dataclass(frozen=True, slots=True)
class Head:
    """The chain's tip. ``time`` is its unix timestamp."""

    block: int
    hash: str
    time: int
    base_fee: int


class ScanStore(Protocol):
    """Where applied events live. ``apply`` and ``rewind`` are atomic."""

    def marks(self) -> Sequence[Cursor]:
        """Known cursors, newest first; the first is the current one."""

    def apply(self, events: Sequence[Event], cursor: Cursor) -> None:
        """Takes in the events up to ``cursor``, all or nothing."""

    def rewind(self, block: int) -> None:
        """Forgets every event above ``block``."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Outcome of one step. ``rewound_to`` is the block after a reorganisation, else None."""

    head: Head
    cursor: Cursor
    events: tuple[Event, ...]
    rewound_to: int | None

    @property
    def caught_up(self) -> bool:
        return self.cursor.block >= self.head.block


class Scanner:
    """Reads the logs of ``addresses`` from block ``start`` on.

    ``span`` is the widest block range asked for at once; it halves when an endpoint refuses and recovers after.
    ``topics`` narrows by first topic.
    """

    def __init__(
        self,
        rpc: RpcLike,
        addresses: Sequence[str],
        store: ScanStore,
        *,
        start: int = 0,
        span: int = 2_000,
        topics: Sequence[bytes] | None = None,
    ) -> None:
        self._rpc, self._store, self._start = rpc, store, start
        self._filter: Json = {"address": list(addresses)}
        if topics:
            self._filter["topics"] = [["0x" + t.hex() for t in topics]]
        self._widest, self._span = span, span

    def head(self) -> Head:
        """The tip as the endpoint sees it. Raises RpcUnreachable or RpcBehind."""
        return _head(self._rpc.call("eth_getBlockByNumber", ["latest", False]))

    def step(self) -> Progress:
        """Applies at most one range. Raises Transient faults of the endpoint, with nothing applied."""
        marks = list(self._store.marks())
        asked: list[tuple[str, Sequence[Any]]] = [("eth_getBlockByNumber", ["latest", False])]
        if marks:
            asked.append(("eth_getBlockByNumber", [hex_block(marks[0].block), False]))
        answers = [_result(a) for a in self._rpc.batch(asked)]
        head = _head(answers[0])
        rewound = None
        if marks and (answers[1] is None or answers[1]["hash"] != marks[0].hash):
            if answers[1] is None and head.block > marks[0].block:
                raise RpcBehind(f"the endpoint has block {head.block} and not {marks[0].block}")
            rewound = self._step_back(marks[1:])
        position = self._position(marks, rewound)
        if position.block >= head.block:
            return Progress(head, position, (), rewound)
        last = min(head.block, position.block + self._span)
        cursor, events = self._range(position.block + 1, last)
        self._store.apply(events, cursor)
        return Progress(head, cursor, events, rewound)

    def catch_up(self) -> Progress:
        """Steps until the head is reached; the last step's outcome with all events."""
        events: list[Event] = []
        rewound: int | None = None
        while True:
            done = self.step()
            events.extend(done.events)
            if done.rewound_to is not None:
                rewound = done.rewound_to if rewound is None else min(rewound, done.rewound_to)
            if done.caught_up:
                return Progress(done.head, done.cursor, tuple(events), rewound)

    def _position(self, marks: Sequence[Cursor], rewound: int | None) -> Cursor:
        if rewound is None:
            return marks[0] if marks else Cursor(self._start - 1, "")
        return next((m for m in marks if m.block == rewound), Cursor(self._start - 1, ""))

    def _step_back(self, older: Sequence[Cursor]) -> int:
        """Rewinds the store to the newest mark the chain still has, else to the start."""
        found = self._start - 1
        if older:
            blocks = self._rpc.batch([("eth_getBlockByNumber", [hex_block(m.block), False]) for m in older])
            for mark, answer in zip(older, blocks, strict=True):
                block = _result(answer)
                if block is not None and block["hash"] == mark.hash:
                    found = mark.block
                    break
        self._store.rewind(found)
        return found

    def _range(self, first: int, last: int) -> tuple[Cursor, tuple[Event, ...]]:
        """Logs of a range, whose last block is read before and after so that both answers are of one chain."""
        while True:
            end = ("eth_getBlockByNumber", [hex_block(last), False])
            query = {**self._filter, "fromBlock": hex(first), "toBlock": hex(last)}
            before, logs, after = self._rpc.batch([end, ("eth_getLogs", [query]), end])
            if isinstance(logs, RpcError) and last > first:
                self._span = max(1, (last - first + 1) // 2)
                last = min(last, first + self._span - 1)
                continue
            start, found, stop = _result(before), _result(logs), _result(after)
            if start is None or stop is None or found is None or start["hash"] != stop["hash"]:
                raise RpcBehind(f"blocks {first} to {last} changed while they were read")
            self._span = min(self._widest, self._span * 2)
            decoded = [decode_log(log) for log in found if not log.get("removed")]
            events = sorted((e for e in decoded if e is not None), key=lambda e: (e.at.block, e.at.index))
            return Cursor(last, stop["hash"]), tuple(events)


def _result(answer: Any) -> Any:
    if isinstance(answer, RpcError):
        raise answer
    return answer


def _head(block: Json | None) -> Head:
    if block is None:
        raise RpcBehind("the endpoint has no latest block")
    base = cast(str, block.get("baseFeePerGas", "0x0"))
    return Head(int(block["number"], 16), block["hash"], int(block["timestamp"], 16), int(base, 16))
