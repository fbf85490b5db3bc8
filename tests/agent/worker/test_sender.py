"""Calls that are sent once

send
├── worth more than its gas → sent, and mined for no more than it is worth
├── worth less, refused     → asked again in the next epoch
├── ended without effect    → asked again in the next epoch
└── rank above 0            → after `stagger` blocks a rank, counted from when it was first thought of
"""

from __future__ import annotations

from pathlib import Path

import pytest
from courtscene import Chain, room
from fakechain import decode
from scene import EB

from nodeagent.chain.doors import Call
from nodeagent.worker.sender import Sender

KEY = "claim:1:2:0"
GAS = 50_000  # what the fake chain estimates
CALL = Call("0x" + "33" * 20, b"\x01\x02\x03\x04", "claim")


@pytest.fixture
def chain() -> Chain:
    return Chain()


@pytest.fixture
def sender(chain: Chain, tmp_path: Path) -> Sender:
    return room(chain, tmp_path).sender


def outbox(sender: Sender, chain: Chain, fee: int = 7) -> str:
    sender.hands.outbox.tick(chain.head, fee)
    intent = sender.hands.outbox.get(KEY)
    assert intent is not None
    return intent.state


@pytest.mark.parametrize(("worth", "sent"), [(GAS * 7, False), (GAS * 7 + 1, True), (None, True)])
def test_send__worth_against_gas__only_what_is_more(sender: Sender, worth: int | None, sent: bool) -> None:
    sender.turn(EB, 7)
    assert sender.send(KEY, CALL, worth) is sent
    assert sender.open(KEY) is False, "asked once an epoch"
    sender.turn(2 * EB, 7)
    assert sender.open(KEY) is not sent


def test_send__gas_gets_dearer_than_it_is_worth__makes_room_for_what_comes_after(sender: Sender, chain: Chain) -> None:
    sender.turn(EB, 7)
    assert sender.send(KEY, CALL, GAS * 20)
    assert outbox(sender, chain) == "sent"
    assert decode(next(iter(chain.mempool.values())))["maxFeePerGas"] <= 20
    assert outbox(sender, chain, 21) == "sent"
    cancel = decode(list(chain.mempool.values())[-1])
    assert (cancel["gas"], bytes(cancel["data"]), cancel["nonce"]) == (21_000, b"", 0)
    chain.mine()
    assert outbox(sender, chain, 21) == "expired"


def test_send__gas_dearer_before_it_left__ends_unsent(sender: Sender, chain: Chain) -> None:
    sender.turn(EB, 7)
    assert sender.send(KEY, CALL, GAS * 20)
    assert outbox(sender, chain, 21) == "expired" and chain.pushed == []


def test_send__failed_in_a_block__asked_again_in_the_next_epoch(sender: Sender, chain: Chain) -> None:
    sender.turn(EB, 7)
    assert sender.send(KEY, CALL)
    sender.hands.outbox.tick(chain.head, 7)
    chain.fail_status = {0}
    chain.mine()
    assert outbox(sender, chain) == "failed" and not sender.open(KEY)
    sender.turn(2 * EB, 7)
    assert sender.send(KEY, CALL)
    assert outbox(sender, chain) == "sent"


def test_send__later_ranks__wait_their_turn_from_when_they_first_asked(sender: Sender) -> None:
    sender.turn(EB + 8, 7)
    assert not sender.send(KEY, CALL, rank=2)
    for block in range(EB + 9, EB + 12):  # over the end of an epoch
        sender.turn(block, 7)
        assert not sender.send(KEY, CALL, rank=2)
    sender.turn(EB + 12, 7)
    assert sender.send(KEY, CALL, rank=2)


def test_send__mined__never_again(sender: Sender, chain: Chain) -> None:
    sender.turn(EB, 7)
    assert sender.send(KEY, CALL)
    sender.hands.outbox.tick(chain.head, 7)
    chain.mine()
    assert outbox(sender, chain) == "mined"
    sender.turn(2 * EB, 7)
    assert not sender.send(KEY, CALL)
