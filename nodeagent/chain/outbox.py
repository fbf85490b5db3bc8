"""Transactions that survive a crash: an intent is written before it is sent, and keeps its nonce until it is mined.

Each intent has a key chosen by the caller (``commit:101``); submitting a key again is no new transaction. Once an
intent has a nonce, every further attempt (a higher fee, or a cancellation after its deadline) uses that same nonce, so
at most one of them can ever be mined. The signed bytes are on disk before they leave.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import structlog

from nodeagent.chain.abi import as_revert
from nodeagent.chain.doors import Call
from nodeagent.chain.errors import Reverted, RpcError
from nodeagent.chain.intents import Attempt, Intent, IntentBook
from nodeagent.chain.rpc import RpcLike
from nodeagent.errors import Transient
from nodeagent.protocol.keccak import keccak

GAS_CAP = 1 << 24
"""Most gas one transaction may ask for (EIP-7825)."""
_KNOWN = ("already known", "already imported", "nonce too low")


class Signer(Protocol):
    """An account that signs; ``eth_account``'s LocalAccount is one."""

    @property
    def address(self) -> Any: ...

    def sign_transaction(self, transaction_dict: Any) -> Any: ...


@dataclass(frozen=True, slots=True)
class FeeCaps:
    """Wei per gas. ``bump`` is the factor of a resend, at least 1.125 by the rules of public mempools."""

    max_fee: int = 200 * 10**9
    tip: int = 10**8
    bump: float = 1.25
    resend_after: int = 3  # blocks without a receipt
    headroom: float = 1.2  # gas limit over the estimate


class Outbox:
    """One account's transactions. Not thread-safe; ``database`` is a path or an open connection to share.

    ``confirmations`` is how many blocks deep a transaction is no longer watched for a reorganisation.
    """

    def __init__(
        self,
        rpc: RpcLike,
        signer: Signer,
        database: Path | str | sqlite3.Connection,
        *,
        chain_id: int,
        fees: FeeCaps | None = None,
        confirmations: int = 12,
    ) -> None:
        self._rpc, self._signer, self._chain_id = rpc, signer, chain_id
        self._fees = fees or FeeCaps()
        self._confirmations = confirmations
        self._book = IntentBook(database)
        self._log = structlog.get_logger().bind(account=signer.address)

    @property
    def address(self) -> str:
        return str(self._signer.address)

    # --- intents ------------------------------------------------------------------------------------------------

    def submit(
        self,
        key: str,
        call: Call,
        *,
        block: int = 0,
        deadline: int | None = None,
        gas: int | None = None,
        max_fee: int | None = None,
    ) -> Intent:
        """Writes an intent; ``tick`` sends it. A known key is returned as it stands, whatever the call.

        ``block`` is the head's, for the order; ``deadline`` the last block in which being mined is of use; ``gas``
        replaces the estimate; ``max_fee`` is the wei per gas above which it is not worth being mined: it then ends, and
        makes room for what comes after it.
        """
        self._book.add(key, call, gas, deadline, block, max_fee)
        return cast(Intent, self._book.get(key))

    def get(self, key: str) -> Intent | None:
        return self._book.get(key)

    def pending(self) -> list[Intent]:
        """What is not mined yet, oldest first."""
        return self._book.in_states("new", "sent")

    def history(self, what: str | None = None) -> list[Intent]:
        """All intents, oldest first, optionally of one kind."""
        return self._book.all(what)

    def forget(self, key: str) -> None:
        """Drops an intent that ended without effect, so that its key can be used again."""
        self._book.forget(key)

    def prune(self, before: int) -> None:
        """Drops what was mined before a block and is watched no more."""
        self._book.prune(before)

    # --- progress -----------------------------------------------------------------------------------------------

    def tick(self, block: int, base_fee: int) -> list[Intent]:
        """Looks for receipts, resends what hangs, sends what is new. Returns intents whose state changed.

        ``block`` and ``base_fee`` (wei) are the head's. Raises RpcUnreachable with everything safely on disk.
        """
        before = {i.key: i.state for i in self._book.in_states("new", "sent", "mined")}
        if not before:
            return []
        self._receipts(block)
        self._resend(block, base_fee)
        for intent in self._book.in_states("new"):
            self._send_new(intent, block, base_fee)
        now = (self.get(key) for key in before)
        return [i for i in now if i is not None and i.state != before[i.key]]

    def wait(
        self, key: str, *, poll: float = 0.2, timeout: float = 120.0, sleep: Callable[[float], None] = time.sleep
    ) -> Intent:
        """Ticks until the intent is mined. Raises Reverted if it was refused, Transient when the time is over."""
        limit = time.monotonic() + timeout
        while True:
            head = self._rpc.call("eth_getBlockByNumber", ["latest", False])
            self.tick(int(head["number"], 16), int(head.get("baseFeePerGas", "0x0"), 16))
            intent = self.get(key)
            if intent is None:
                raise Transient(f"no intent has the key {key}")
            if intent.refusal is not None:
                raise intent.refusal
            if intent.done and not intent.succeeded:
                raise Transient(f"{intent.what} is {intent.state}", hint="try again")
            if intent.done:
                return intent
            if time.monotonic() > limit:
                raise Transient(f"{intent.what} was not mined in {timeout:.0f} s", hint="it stays in the outbox")
            sleep(poll)

    def _receipts(self, block: int) -> None:
        attempts = self._book.attempts("sent", "mined")
        if not attempts:
            return
        # the count of an older block: an endpoint that serves it has the receipts of every transaction in it
        asked: list[tuple[str, Any]] = [("eth_getTransactionCount", (self.address, hex(max(0, block - 2))))]
        asked += [("eth_getTransactionReceipt", (a.tx,)) for a in attempts]
        answers = self._rpc.batch(asked)
        for answer in answers:
            if isinstance(answer, RpcError):
                raise answer
        used = int(cast(str, answers[0]), 16)
        found = {a.key: (a, r) for a, r in zip(attempts, answers[1:], strict=True) if r is not None}
        for key, nonce in {a.key: a.nonce for a in attempts}.items():
            intent = cast(Intent, self._book.get(key))
            if key in found:
                attempt, receipt = found[key]
                self._mined(intent, attempt, cast("dict[str, Any]", receipt), block)
            elif intent.state == "mined":  # its block was reorganised away: the same bytes are sent again
                self._book.set(key, state="sent", mined_block=None)
                self._log.info("outbox_unmined", intent=key)
                for attempt in attempts:
                    if attempt.key == key:
                        self._push(attempt)
            elif nonce < used:
                self._book.set(key, state="lost")
                self._log.warning("outbox_lost", intent=key, nonce=nonce)

    def _mined(self, intent: Intent, attempt: Attempt, receipt: dict[str, Any], block: int) -> None:
        at, gas_used = int(receipt["blockNumber"], 16), int(receipt["gasUsed"], 16)
        state = "mined"
        if attempt.cancel:
            state = "expired"
        elif int(receipt["status"], 16) != 1:
            state = "failed"
        elif block - at >= self._confirmations:
            state = "final"
        self._book.set(intent.key, state=state, tx=attempt.tx, mined_block=at, gas_used=gas_used)
        if state == "failed":
            self._book.refuse(intent.key, self._why(intent, at))
        if intent.state == "sent":
            self._log.info(f"outbox_{state}", intent=intent.key, tx=attempt.tx, block=at, gas=gas_used)

    def _why(self, intent: Intent, block: int) -> Reverted:
        fault = self._simulate("eth_call", intent, hex(block))
        return fault if isinstance(fault, Reverted) else Reverted("OutOfGasOrTime", {"block": block}, what=intent.what)

    def _simulate(self, method: str, intent: Intent, *block: str) -> Reverted | int:
        """The refusal of a call, or the number in the endpoint's answer (0 where it is none)."""
        request = {"from": self.address, "to": intent.target, "data": "0x" + intent.data.hex()}
        if intent.value != "0":
            request["value"] = hex(int(intent.value))
        answer = self._rpc.batch([(method, (request, *block))])[0]
        if not isinstance(answer, RpcError):
            return int(answer, 16) if method == "eth_estimateGas" else 0
        fault = as_revert(answer, intent.what)
        if isinstance(fault, Reverted):
            return fault
        raise fault

    # --- sending ------------------------------------------------------------------------------------------------

    def _resend(self, block: int, base_fee: int) -> None:
        latest = {a.key: a for a in self._book.attempts("sent")}
        for attempt in latest.values():
            intent = cast(Intent, self._book.get(attempt.key))
            least, tip = int(attempt.max_fee * self._fees.bump) + 1, int(attempt.tip * self._fees.bump) + 1
            late = intent.deadline is not None and block >= intent.deadline
            ends = not attempt.cancel and (late or self._worthless(intent, attempt, least, base_fee))
            if not ends and block - attempt.sent_block < self._fees.resend_after:
                continue
            cancel = ends or bool(attempt.cancel)
            max_fee = min(max(least, 2 * base_fee + tip), self._fees.max_fee if cancel else self._cap(intent))
            if max_fee < least:
                self._push(attempt)
                self._book.pushed_again(attempt.tx, block)
                continue
            self._sign_and_push(intent, attempt.nonce, max_fee, min(tip, max_fee), block, cancel)

    def _cap(self, intent: Intent) -> int:
        return self._fees.max_fee if intent.max_fee is None else min(intent.max_fee, self._fees.max_fee)

    def _worthless(self, intent: Intent, attempt: Attempt, least: int, base_fee: int) -> bool:
        """Whether it cannot be mined now for what it is worth, and all that comes after its nonce would wait for it."""
        stuck = base_fee > attempt.max_fee and least > self._cap(intent)
        return intent.max_fee is not None and (base_fee > self._cap(intent) or stuck)

    def _send_new(self, intent: Intent, block: int, base_fee: int) -> None:
        if intent.deadline is not None and block >= intent.deadline:
            self._book.set(intent.key, state="expired")
            self._log.warning("outbox_expired", intent=intent.key, deadline=intent.deadline)
            return
        max_fee = min(2 * base_fee + self._fees.tip, self._cap(intent))
        if max_fee < base_fee or (max_fee == base_fee and intent.max_fee is None):
            self._log.warning("outbox_fee_cap", intent=intent.key, base_fee=base_fee, cap=self._cap(intent))
            if intent.max_fee is not None:
                self._book.set(intent.key, state="expired")
            return
        gas = intent.gas
        if gas is None:
            estimate = self._simulate("eth_estimateGas", intent)
            if isinstance(estimate, Reverted):
                self._book.refuse(intent.key, estimate)
                self._log.warning("outbox_refused", intent=intent.key, reason=str(estimate))
                return
            gas = min(GAS_CAP, int(estimate * self._fees.headroom) + 5_000)
        chain = int(self._rpc.call("eth_getTransactionCount", (self.address, "latest")), 16)
        ours = self._book.highest_nonce()
        nonce = max(chain, ours + 1 if ours is not None else 0)
        self._sign_and_push(intent, nonce, max_fee, min(self._fees.tip, max_fee), block, False, gas)

    def _sign_and_push(
        self, intent: Intent, nonce: int, max_fee: int, tip: int, block: int, cancel: bool, gas: int | None = None
    ) -> None:
        signed = self._signer.sign_transaction(
            {
                "type": 2,
                "chainId": self._chain_id,
                "nonce": nonce,
                "to": self._signer.address if cancel else intent.target,
                "value": 0 if cancel else int(intent.value),
                "data": b"" if cancel else intent.data,
                "gas": 21_000 if cancel else gas or intent.gas,
                "maxFeePerGas": max_fee,
                "maxPriorityFeePerGas": tip,
            }
        )
        raw = bytes(signed.raw_transaction)
        attempt = Attempt("0x" + keccak(raw).hex(), intent.key, raw, nonce, max_fee, tip, block, int(cancel))
        self._book.signed(attempt, gas)
        self._push(attempt)
        self._log.info("outbox_sent", intent=intent.key, tx=attempt.tx, nonce=nonce, cancel=cancel)

    def _push(self, attempt: Attempt) -> None:
        answer = self._rpc.batch([("eth_sendRawTransaction", ("0x" + attempt.raw.hex(),))])[0]
        if isinstance(answer, RpcError) and not any(word in answer.text.lower() for word in _KNOWN):
            self._log.warning("outbox_push_refused", intent=attempt.key, says=answer.text)
