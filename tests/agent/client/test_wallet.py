"""The requester's wallet: what a refusal is, wherever it shows.

send ....... refused by the last block's state: Reverted, nothing sent
             refused only by the block to come: the same
             an endpoint at fault is not a refusal
"""

from __future__ import annotations

from typing import Any

import pytest

from nodeagent.chain.doors import Call
from nodeagent.chain.errors import Reverted, RpcError
from nodeagent.client.wallet import Wallet
from nodeagent.protocol.keccak import keccak
from tests.agent.client.conftest import Chain

KEY = bytes(31) + b"\x01"
CALL = Call("0x" + "11" * 20, b"\x12\x34\x56\x78", "withdraw")
NOTHING = keccak(b"NothingToWithdraw()")[:4]


class Estimating(Chain):
    """Lets every call through at the last block, and answers estimates as told."""

    estimate: Any = "0x5208"

    def _answer(self, method: str, params: list[Any]) -> Any:
        if method == "eth_estimateGas":
            return self.estimate
        return super()._answer(method, params)


def wallet_of(chain: Chain) -> Wallet:
    return Wallet(chain, 31337, KEY, sleep=lambda _: None)


def test_send__refused_by_the_last_block__is_the_contracts_own_error() -> None:
    chain = Estimating(calls=[RpcError("eth_call", 3, "execution reverted", NOTHING)])
    with pytest.raises(Reverted, match="withdraw reverted: NothingToWithdraw"):
        wallet_of(chain).send(CALL)


def test_send__refused_only_by_the_block_to_come__is_the_contracts_own_error() -> None:
    chain = Estimating(calls=["0x"])
    chain.estimate = RpcError("eth_estimateGas", 3, "execution reverted", NOTHING)
    with pytest.raises(Reverted, match="withdraw reverted: NothingToWithdraw"):
        wallet_of(chain).send(CALL)


def test_send__endpoint_at_fault__is_not_a_refusal() -> None:
    chain = Estimating(calls=["0x"])
    chain.estimate = RpcError("eth_estimateGas", -32005, "limit exceeded")
    with pytest.raises(RpcError, match="limit exceeded"):
        wallet_of(chain).send(CALL)
