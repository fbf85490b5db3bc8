"""The settler's money: what it sends to the operator, and that it never sends it too early or twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from courtscene import Chain, room
from eth_abi.abi import encode
from scene import EB, ME, operator, pool_of, seeds, world

from nodeagent.chain.errors import RpcError, RpcUnreachable
from nodeagent.protocol.keccak import keccak
from nodeagent.worker.draws import DrawBook
from nodeagent.worker.settler import TIMES_ITS_GAS, Settler

COST = 50_000 * 7  # gas and base fee of the fake chain
NOW = 211


class Till(Chain):
    """Holds money for the node and its operator; tokens have 18 decimals."""

    def __init__(self, *, matured: int = 0, owed: int = 0, reward: int = 0) -> None:
        super().__init__()
        self.matured, self.asked = matured, []  # type: tuple[int, list[str]]
        self.says |= {"owedTo(address)": owed, "rewardOf(address)": reward}

    def _eth_call(self, request: Any, block: str) -> Any:
        self.asked.append(request["data"])
        if request["data"].startswith(selector("earningsOf(uint32)")):
            return "0x" + encode(["uint256", "uint256"], [self.matured, 24]).hex()
        return super()._eth_call(request, block)


def selector(signature: str) -> str:
    return "0x" + keccak(signature.encode())[:4].hex()


def settler(chain: Till, home: Path, price: float = 1.0) -> Settler:
    r = room(chain, home)
    return Settler(r.hands, r.sender, 2, 100, price)


def tick(s: Settler, block: int = NOW, fee: int = 7) -> list[str]:
    """What waits in the outbox after a round."""
    w = world(pool_of(3))
    s.sender.turn(block, fee)
    s.tick(w, DrawBook(w, seeds(*range(9, 30))), block)
    return [intent.what for intent in s.hands.outbox.pending()]


@pytest.mark.parametrize(
    ("money", "sent"),
    [
        ({}, []),
        ({"matured": 100, "owed": 100}, []),
        ({"matured": 101}, ["withdraw"]),
        ({"owed": 101}, ["collect"]),
        ({"reward": COST * TIMES_ITS_GAS}, []),
        ({"reward": (COST + 1) * TIMES_ITS_GAS}, ["collectReward"]),
        ({"matured": 101, "owed": 101, "reward": 10**18}, ["withdraw", "collect", "collectReward"]),
    ],
)
def test_tick__money_waits__sent_once_it_is_worth_it(tmp_path: Path, money: dict[str, int], sent: list[str]) -> None:
    assert tick(settler(Till(**money), tmp_path)) == sent


def test_tick__reward__of_the_operator_and_paid_to_it(tmp_path: Path) -> None:
    chain = Till(reward=10**18)
    s = settler(chain, tmp_path)
    tick(s)
    account = operator(ME)[2:].rjust(64, "0")
    assert selector("rewardOf(address)") + account in chain.asked
    (intent,) = s.hands.outbox.pending()
    assert "0x" + intent.data.hex() == selector("collectReward(address)") + account
    assert intent.target == s.hands.deployment.registry


def test_tick__stake_token_cheap_or_gas_dear__reward_waits_and_is_sent_when_it_pays(tmp_path: Path) -> None:
    reward = (COST + 1) * TIMES_ITS_GAS
    assert tick(settler(Till(reward=reward), tmp_path / "a", price=0.5)) == []
    assert tick(settler(Till(reward=2 * reward), tmp_path / "b", price=0.5)) == ["collectReward"]
    s = settler(Till(reward=reward), tmp_path / "c")
    assert tick(s, fee=8) == []
    assert tick(s, NOW + 1) == [], "asked once an epoch"
    assert tick(s, NOW + EB) == ["collectReward"]


def test_tick__stake_token_worth_nothing__left_to_the_operator(tmp_path: Path) -> None:
    chain = Till(reward=10**30)
    assert tick(settler(chain, tmp_path, price=0)) == []
    assert not any(data.startswith(selector("rewardOf(address)")) for data in chain.asked)


def test_tick__the_last_call_still_waits__no_second_one_even_after_a_restart(tmp_path: Path) -> None:
    chain = Till(matured=101, owed=101, reward=10**18)
    sent = tick(settler(chain, tmp_path))
    s = settler(chain, tmp_path)
    assert tick(s) == sent and tick(s, NOW + EB) == sent


def test_tick__paid_out_and_earned_again__the_next_epoch(tmp_path: Path) -> None:
    chain = Till(reward=10**18)
    s = settler(chain, tmp_path)
    assert tick(s) == ["collectReward"]
    s.hands.outbox.tick(chain.head, 7)
    chain.mine()
    s.hands.outbox.tick(chain.head, 7)
    assert tick(s, NOW + 1) == []
    assert tick(s, NOW + EB) == ["collectReward"]


def test_tick__refused__asked_again_the_next_epoch(tmp_path: Path) -> None:
    chain = Till(reward=10**18)
    chain.gas_estimate = RpcError("eth_estimateGas", 3, "execution reverted", keccak(b"NothingToWithdraw()")[:4])
    s = settler(chain, tmp_path)
    assert tick(s) == []
    chain.gas_estimate = 50_000
    assert tick(s, NOW + 1) == []
    assert tick(s, NOW + EB) == ["collectReward"]


def test_tick__endpoint_away__raised_and_nothing_lost(tmp_path: Path) -> None:
    chain = Till(reward=10**18)
    s = settler(chain, tmp_path)
    chain.down = True
    with pytest.raises(RpcUnreachable):
        tick(s)
    chain.down = False
    assert tick(s, NOW + EB) == ["collectReward"]
