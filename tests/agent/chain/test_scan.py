"""Scanner

├── fresh store             → everything from the start block, in order, in ranges
├── stored cursor           → only what is newer; a second step changes nothing
├── reorganisation
│   ├── one block           → steps back to the newest mark that stands, replays
│   ├── below every mark    → from the start
│   └── while a range is read → RpcBehind, nothing applied
├── endpoint
│   ├── refuses wide ranges → halves, recovers
│   ├── lags behind the cursor → rewinds nothing it cannot judge
│   └── down                → RpcUnreachable, cursor unmoved
└── unknown logs            → skipped
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from fakechain import ADDRESS, FakeChain

from nodeagent.chain.decoding import TOPIC_OF
from nodeagent.chain.errors import RpcBehind, RpcUnreachable
from nodeagent.chain.events import Event, SeedRecorded
from nodeagent.chain.scan import Cursor, Scanner


class Memory:
    """A ScanStore in memory."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.known: list[Cursor] = []
        self.rewinds: list[int] = []

    def marks(self) -> Sequence[Cursor]:
        return sorted(self.known, key=lambda c: -c.block)

    def apply(self, events: Sequence[Event], cursor: Cursor) -> None:
        self.events.extend(events)
        self.known.append(cursor)

    def rewind(self, block: int) -> None:
        self.rewinds.append(block)
        self.events = [e for e in self.events if e.at.block <= block]
        self.known = [c for c in self.known if c.block <= block]

    @property
    def epochs(self) -> list[int]:
        return [e.epoch for e in self.events if isinstance(e, SeedRecorded)]


def recorded(epoch: int) -> tuple[list[bytes], bytes]:
    return [TOPIC_OF["SeedRecorded"], epoch.to_bytes(32, "big")], bytes(32)


@pytest.fixture
def chain() -> FakeChain:
    return FakeChain()


@pytest.fixture
def memory() -> Memory:
    return Memory()


def scanner(chain: FakeChain, memory: Memory, *, start: int = 0, span: int = 100) -> Scanner:
    return Scanner(chain, [ADDRESS], memory, start=start, span=span)


def test_catch_up__fresh_store__applies_everything_in_order(chain: FakeChain, memory: Memory) -> None:
    for epoch in range(1, 8):
        chain.mine(recorded(epoch), recorded(epoch + 100))
    done = scanner(chain, memory, span=3).catch_up()
    assert memory.epochs == [e for n in range(1, 8) for e in (n, n + 100)]
    assert done.cursor == Cursor(7, chain.blocks[7]["hash"]) and done.caught_up
    assert [e.at.block for e in done.events] == [n for n in range(1, 8) for _ in range(2)]


def test_catch_up__start_block__skips_what_is_older(chain: FakeChain, memory: Memory) -> None:
    for epoch in range(1, 5):
        chain.mine(recorded(epoch))
    scanner(chain, memory, start=3).catch_up()
    assert memory.epochs == [3, 4]


def test_step__nothing_new__applies_nothing(chain: FakeChain, memory: Memory) -> None:
    chain.mine(recorded(1))
    scanner(chain, memory).catch_up()
    again = scanner(chain, memory).step()
    assert again.events == () and again.rewound_to is None and memory.epochs == [1]


def test_step__new_block__only_its_events(chain: FakeChain, memory: Memory) -> None:
    chain.mine(recorded(1))
    scanner(chain, memory).catch_up()
    chain.mine(recorded(2))
    assert [e.epoch for e in scanner(chain, memory).step().events] == [2]


def test_step__last_block_replaced__steps_back_one_mark_and_replays(chain: FakeChain, memory: Memory) -> None:
    for epoch in (1, 2, 3):
        chain.mine(recorded(epoch))
        scanner(chain, memory).step()
    chain.fork(2)
    chain.mine(recorded(33))
    chain.mine(recorded(44))
    done = scanner(chain, memory).catch_up()
    assert done.rewound_to == 2 and memory.rewinds == [2]
    assert memory.epochs == [1, 2, 33, 44]


def test_step__chain_became_shorter__steps_back(chain: FakeChain, memory: Memory) -> None:
    for epoch in (1, 2, 3):
        chain.mine(recorded(epoch))
        scanner(chain, memory).step()
    chain.fork(1)
    done = scanner(chain, memory).step()
    assert done.rewound_to == 1 and memory.epochs == [1] and done.caught_up


def test_step__reorganised_below_every_mark__starts_over(chain: FakeChain, memory: Memory) -> None:
    for epoch in range(1, 6):
        chain.mine(recorded(epoch))
    scanner(chain, memory).catch_up()  # one mark only, at block 5
    chain.fork(2)
    for epoch in (30, 40, 50):
        chain.mine(recorded(epoch))
    scanner(chain, memory).catch_up()
    assert memory.rewinds == [-1] and memory.epochs == [1, 2, 30, 40, 50]


def test_step__reorganised_while_reading__nothing_applied(chain: FakeChain, memory: Memory) -> None:
    for epoch in (1, 2, 3):
        chain.mine(recorded(epoch))

    def replace_head(method: str) -> None:
        if method == "eth_getLogs":
            chain.before = lambda _: None
            chain.fork(2)
            chain.mine(recorded(99))

    chain.before = replace_head
    with pytest.raises(RpcBehind, match="changed while they were read"):
        scanner(chain, memory).step()
    assert memory.epochs == [] and memory.known == []
    scanner(chain, memory).catch_up()
    assert memory.epochs == [1, 2, 99]


def test_catch_up__endpoint_refuses_wide_ranges__halves_and_loses_nothing(chain: FakeChain, memory: Memory) -> None:
    for epoch in range(1, 40):
        chain.mine(recorded(epoch))
    chain.max_range = 5
    scanner(chain, memory).catch_up()
    assert memory.epochs == list(range(1, 40))


def test_step__endpoint_down__cursor_unmoved(chain: FakeChain, memory: Memory) -> None:
    chain.mine(recorded(1))
    scanner(chain, memory).catch_up()
    chain.down = True
    with pytest.raises(RpcUnreachable):
        scanner(chain, memory).step()
    assert memory.known[-1].block == 1


def test_step__log_of_unknown_event__skipped(chain: FakeChain, memory: Memory) -> None:
    chain.mine(([b"\x01" * 32], b""), recorded(5))
    scanner(chain, memory).catch_up()
    assert memory.epochs == [5] and len(memory.events) == 1
