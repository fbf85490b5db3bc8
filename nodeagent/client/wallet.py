"""The requester's account: an encrypted keystore, and transactions sent one at a time and seen through.

The key is decrypted for one command and never leaves this process. Source of the file format: Web3 Secret
Storage v3.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from nodeagent.chain.abi import as_revert
from nodeagent.chain.doors import Call, simulate
from nodeagent.chain.errors import Reverted, RpcError
from nodeagent.chain.rpc import Json, Rpc
from nodeagent.errors import Transient

GAS_CAP = 1 << 24
PATIENCE_S = 120.0  # how long a transaction may stay unmined before the caller is told
BUMP_AFTER_S = 30.0  # then the same transaction is offered with a higher fee
POLL_S = 0.1


class NotMined(Transient):
    """A transaction was sent and is not in a block yet. Carries its hash."""

    def __init__(self, what: str, tx: str) -> None:
        super().__init__(
            f"{what} is sent as {tx} and not mined after {PATIENCE_S:.0f} s",
            hint="run the same command again: it looks for the transaction first",
        )
        self.tx = tx


@dataclass(frozen=True, slots=True)
class Sent:
    """A mined, successful transaction. ``gas`` is what it used; ``logs`` are raw."""

    tx: str
    block: int
    gas: int
    logs: tuple[Json, ...]


class Wallet:
    """Sends calls from one account; every one is simulated first, so a refusal costs nothing and says why."""

    def __init__(self, rpc: Rpc, chain_id: int, key: bytes, *, sleep: Callable[[float], None] = time.sleep) -> None:
        from eth_account import Account

        self._account = Account.from_key(key)
        self._rpc, self._chain_id, self._sleep = rpc, chain_id, sleep
        self.address = str(self._account.address)

    def send(self, call: Call, *, announce: Callable[[str], None] | None = None) -> Sent:
        """Sends and waits for the block. ``announce`` is told the hash before the transaction leaves.

        :raises Reverted: the contract refuses, before or after sending
        :raises NotMined: no block took it in time
        """
        simulate(self._rpc, call, self.address)
        gas = self._gas(call)
        nonce = self._rpc.nonce(self.address, "pending")
        base = int(self._rpc.block("latest").get("baseFeePerGas", "0x0"), 16)
        tip = self._tip()
        hashes: list[str] = []
        started = last_offer = time.monotonic()
        while True:
            if not hashes or time.monotonic() - last_offer > BUMP_AFTER_S:
                tip, base = (tip, base) if not hashes else (tip * 5 // 4 + 1, base * 5 // 4 + 1)
                hashes.append(self._offer(call, gas, nonce, base, tip, announce))
                last_offer = time.monotonic()
            for tx in reversed(hashes):
                receipt = self._rpc.call("eth_getTransactionReceipt", [tx])
                if receipt is not None:
                    return self._done(call, receipt)
            if time.monotonic() - started > PATIENCE_S:
                raise NotMined(call.what, hashes[-1])
            self._sleep(POLL_S)

    def sign_typed(self, message: Mapping[str, Any]) -> tuple[int, bytes, bytes]:
        """EIP-712 signature as ``(v, r, s)``."""
        signed = self._account.sign_typed_data(full_message=dict(message))
        return signed.v, signed.r.to_bytes(32, "big"), signed.s.to_bytes(32, "big")

    def wait(self, tx: str, what: str) -> Sent | None:
        """Sees an earlier transaction through; None when the chain does not know it (any more).

        :raises NotMined: it is known and no block took it in time
        """
        deadline = time.monotonic() + PATIENCE_S
        while True:
            receipt = self._rpc.call("eth_getTransactionReceipt", [tx])
            if receipt is not None:
                return sent_of(receipt) if int(receipt["status"], 16) else None
            if self._rpc.call("eth_getTransactionByHash", [tx]) is None:
                return None
            if time.monotonic() > deadline:
                raise NotMined(what, tx)
            self._sleep(POLL_S)

    def _gas(self, call: Call) -> int:
        """Of the call in the block to come: it may refuse there what the last block would have let through."""
        request = {"from": self.address, "to": call.to, "data": "0x" + call.data.hex()}
        try:
            estimate = self._rpc.call("eth_estimateGas", [request])
        except RpcError as fault:
            raise as_revert(fault, call.what) from fault
        return min(GAS_CAP, int(estimate, 16) * 5 // 4)

    def _tip(self) -> int:
        try:
            return int(self._rpc.call("eth_maxPriorityFeePerGas"), 16)
        except RpcError:
            return 10**9

    def _offer(
        self, call: Call, gas: int, nonce: int, base: int, tip: int, announce: Callable[[str], None] | None
    ) -> str:
        signed = self._account.sign_transaction(
            {
                "chainId": self._chain_id,
                "nonce": nonce,
                "to": call.to,
                "data": call.data,
                "value": 0,
                "gas": gas,
                "maxFeePerGas": 2 * base + tip,
                "maxPriorityFeePerGas": tip,
            }
        )
        tx = "0x" + bytes(signed.hash).hex()
        if announce:
            announce(tx)
        try:
            self._rpc.call("eth_sendRawTransaction", ["0x" + bytes(signed.raw_transaction).hex()])
        except RpcError as error:
            text = error.text.lower()
            if not any(
                known in text for known in ("already known", "already imported", "nonce too low", "underpriced")
            ):
                raise
        return tx

    def _done(self, call: Call, receipt: Json) -> Sent:
        if int(receipt["status"], 16):
            return sent_of(receipt)
        simulate(self._rpc, call, self.address, int(receipt["blockNumber"], 16))  # raises with the reason
        raise Reverted("NoReason", {"tx": receipt["transactionHash"]}, what=call.what)


def sent_of(receipt: Json) -> Sent:
    """From a receipt as the endpoint gives it."""
    return Sent(
        receipt["transactionHash"],
        int(receipt["blockNumber"], 16),
        int(receipt["gasUsed"], 16),
        tuple(receipt["logs"]),
    )
