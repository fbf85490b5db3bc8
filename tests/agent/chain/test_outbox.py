"""Outbox

submit
├── new key              → written, not sent
└── known key            → as it stands, whatever the call
tick
├── new                  → estimate, sign, write, only then send
│   ├── refused          → failed with the contract's error, no nonce used
│   ├── over 2^24 gas    → capped
│   └── base fee over cap → waits
├── process dies after writing, before sending → the same bytes go out after a restart, once
├── unmined for a while  → same nonce, higher fee
├── deadline passed      → cancelled under the same nonce: expired
├── mined → deep enough  → final; status 0 → failed
├── block reorganised    → same bytes again
└── nonce taken by another transaction → lost
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from eth_abi.abi import encode
from fakechain import FakeChain, account, decode

from nodeagent.chain.doors import Call
from nodeagent.chain.errors import Reverted, RpcError
from nodeagent.chain.outbox import GAS_CAP, FeeCaps, Outbox
from nodeagent.errors import Transient
from nodeagent.protocol.keccak import keccak

CALL = Call("0x" + "22" * 20, b"\x01\x02", "commit")
OTHER = Call("0x" + "33" * 20, b"\x03", "commit")


class Killed(BaseException):
    """The process ends here."""


@pytest.fixture
def chain() -> FakeChain:
    return FakeChain()


def outbox(chain: FakeChain, folder: Path, *, confirmations: int = 4, fees: FeeCaps | None = None) -> Outbox:
    return Outbox(
        chain, account(), folder / "outbox.db", chain_id=31337, fees=fees or FeeCaps(), confirmations=confirmations
    )


def tick(box: Outbox, chain: FakeChain) -> None:
    box.tick(chain.head, 7)


def state(box: Outbox, key: str = "a") -> str:
    intent = box.get(key)
    assert intent is not None
    return intent.state


def test_submit__known_key__keeps_the_first_call(chain: FakeChain, tmp_path: Path) -> None:
    box = outbox(chain, tmp_path)
    box.submit("a", CALL)
    tick(box, chain)
    again = box.submit("a", OTHER)
    assert again.target == CALL.to and again.state == "sent"
    tick(box, chain)
    assert len(chain.mempool) == 1


def test_tick__new_intent__is_on_disk_before_it_leaves(chain: FakeChain, tmp_path: Path) -> None:
    seen: list[tuple[str, bytes]] = []

    def look(raw: bytes) -> None:
        other = sqlite3.connect(tmp_path / "outbox.db")  # what another process would find after a crash
        seen.append((other.execute("SELECT state FROM intents").fetchone()[0],
                     other.execute("SELECT raw FROM attempts").fetchone()[0]))  # fmt: skip
        assert seen[-1][1] == raw
        other.close()

    chain.on_push = look
    box = outbox(chain, tmp_path)
    box.submit("a", CALL)
    assert chain.pushed == []
    tick(box, chain)
    assert [s for s, _ in seen] == ["sent"]


def test_tick__killed_between_writing_and_sending__same_bytes_once(chain: FakeChain, tmp_path: Path) -> None:
    def die(_: bytes) -> None:
        raise Killed

    chain.on_push = die
    box = outbox(chain, tmp_path)
    box.submit("a", CALL)
    with pytest.raises(Killed):
        tick(box, chain)
    written = sqlite3.connect(tmp_path / "outbox.db").execute("SELECT tx, raw FROM attempts").fetchall()
    chain.on_push = lambda raw: None
    restarted = outbox(chain, tmp_path, fees=FeeCaps(max_fee=8, tip=1))  # no room to bump: the very bytes go out
    restarted.submit("a", OTHER)
    for _ in range(4):
        chain.mine()
        tick(restarted, chain)
    assert chain.pushed[0] == written[0][0] and set(chain.pushed) == {written[0][0]}
    assert state(restarted) in ("mined", "final") and chain.nonce() == 1


def test_tick__two_intents__nonces_in_order(chain: FakeChain, tmp_path: Path) -> None:
    box = outbox(chain, tmp_path)
    box.submit("a", CALL)
    box.submit("b", OTHER)
    tick(box, chain)
    chain.mine()
    chain.mine()
    tick(box, chain)
    assert [i.nonce for i in box.history()] == [0, 1] and [i.state for i in box.history()] == ["mined", "mined"]


def test_tick__refused_by_the_contract__failed_with_fields_and_no_nonce(chain: FakeChain, tmp_path: Path) -> None:
    data = keccak(b"WrongEpoch(uint32,uint32)")[:4] + encode(["uint32", "uint32"], [102, 101])
    chain.gas_estimate = RpcError("eth_estimateGas", 3, "execution reverted", data)
    box = outbox(chain, tmp_path)
    box.submit("a", CALL)
    tick(box, chain)
    refusal = box.get("a").refusal  # type: ignore[union-attr]
    assert refusal is not None and refusal.name == "WrongEpoch" and refusal.fields == {"expected": 102, "actual": 101}
    chain.gas_estimate = 50_000
    box.submit("b", CALL)
    tick(box, chain)
    assert box.get("b").nonce == 0  # type: ignore[union-attr]
    box.forget("a")
    assert box.submit("a", CALL).state == "new"


def test_tick__endpoint_fails_to_estimate__stays_new(chain: FakeChain, tmp_path: Path) -> None:
    chain.gas_estimate = RpcError("eth_estimateGas", -32000, "header not found")
    box = outbox(chain, tmp_path)
    box.submit("a", CALL)
    with pytest.raises(RpcError):
        tick(box, chain)
    assert state(box) == "new"


def test_tick__estimate_near_the_cap__capped(chain: FakeChain, tmp_path: Path) -> None:
    chain.gas_estimate = GAS_CAP - 10
    box = outbox(chain, tmp_path)
    box.submit("a", CALL)
    tick(box, chain)
    assert decode(next(iter(chain.mempool.values())))["gas"] == GAS_CAP


def test_tick__base_fee_over_the_cap__waits(chain: FakeChain, tmp_path: Path) -> None:
    box = outbox(chain, tmp_path, fees=FeeCaps(max_fee=100))
    box.submit("a", CALL)
    box.tick(chain.head, 100)
    assert state(box) == "new" and chain.pushed == []
    box.tick(chain.head, 10)
    assert state(box) == "sent"


def test_tick__unmined_for_a_while__same_nonce_higher_fee(chain: FakeChain, tmp_path: Path) -> None:
    box = outbox(chain, tmp_path)
    box.submit("a", CALL)
    tick(box, chain)
    chain.mine(take=False)
    tick(box, chain)
    assert len(chain.mempool) == 1, "too early"
    chain.mine(take=False)
    chain.mine(take=False)
    tick(box, chain)
    first, second = (decode(raw) for raw in chain.mempool.values())
    assert first["nonce"] == second["nonce"] == 0 and first["data"] == second["data"]
    assert second["maxFeePerGas"] >= first["maxFeePerGas"] * 1.125
    assert second["maxPriorityFeePerGas"] >= first["maxPriorityFeePerGas"] * 1.125
    chain.mine()
    tick(box, chain)
    assert state(box) == "mined" and chain.nonce() == 1


def test_tick__deadline_passed_unmined__cancelled_under_its_nonce(chain: FakeChain, tmp_path: Path) -> None:
    box = outbox(chain, tmp_path)
    box.submit("a", CALL, deadline=chain.head + 2)
    tick(box, chain)
    chain.mine(take=False)
    chain.mine(take=False)
    tick(box, chain)
    cancel = decode(list(chain.mempool.values())[-1])
    assert cancel["nonce"] == 0 and cancel["gas"] == 21_000 and bytes(cancel["data"]) == b""
    chain.mine()
    tick(box, chain)
    assert state(box) == "expired" and chain.nonce() == 1


def test_tick__deadline_passed_unsent__expired(chain: FakeChain, tmp_path: Path) -> None:
    box = outbox(chain, tmp_path)
    box.submit("a", CALL, deadline=chain.head)
    tick(box, chain)
    assert state(box) == "expired" and chain.pushed == []


def test_tick__mined_deep_enough__final(chain: FakeChain, tmp_path: Path) -> None:
    box = outbox(chain, tmp_path, confirmations=3)
    box.submit("a", CALL)
    tick(box, chain)
    chain.mine()
    tick(box, chain)
    assert state(box) == "mined"
    for _ in range(3):
        chain.mine()
    tick(box, chain)
    assert state(box) == "final"


def test_tick__mined_with_status_0__failed(chain: FakeChain, tmp_path: Path) -> None:
    chain.fail_status.add(0)
    box = outbox(chain, tmp_path)
    box.submit("a", CALL)
    tick(box, chain)
    chain.mine()
    tick(box, chain)
    intent = box.get("a")
    assert intent is not None and intent.state == "failed" and intent.refusal is not None and intent.gas_used == 21_000


def test_tick__its_block_reorganised_away__same_bytes_again(chain: FakeChain, tmp_path: Path) -> None:
    box = outbox(chain, tmp_path)
    box.submit("a", CALL)
    tick(box, chain)
    chain.mine()
    tick(box, chain)
    tx = box.get("a").tx  # type: ignore[union-attr]
    chain.fork(0)
    chain.mine()
    tick(box, chain)
    assert state(box) == "sent" and set(chain.mempool) == {tx}
    chain.mine()
    tick(box, chain)
    assert state(box) == "mined" and box.get("a").tx == tx  # type: ignore[union-attr]


def test_tick__nonce_taken_by_another_transaction__lost(chain: FakeChain, tmp_path: Path) -> None:
    box = outbox(chain, tmp_path)
    box.submit("a", CALL)
    tick(box, chain)
    chain.mempool.clear()
    foreign = outbox(chain, _folder(tmp_path / "else"))
    foreign.submit("x", OTHER)
    tick(foreign, chain)
    for _ in range(3):
        chain.mine()
    tick(box, chain)
    assert state(box) == "lost"


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


def test_wait__refused__raises_the_contracts_error(chain: FakeChain, tmp_path: Path) -> None:
    data = keccak(b"NotPaused(uint32)")[:4] + encode(["uint32"], [7])
    chain.gas_estimate = RpcError("eth_estimateGas", 3, "execution reverted", data)
    box = outbox(chain, tmp_path)
    box.submit("a", CALL)
    with pytest.raises(Reverted, match="NotPaused"):
        box.wait("a", sleep=lambda _: None)


def test_wait__mined_later__returns_it(chain: FakeChain, tmp_path: Path) -> None:
    box = outbox(chain, tmp_path)
    box.submit("a", CALL)
    assert box.wait("a", sleep=lambda _: chain.mine()).succeeded


def test_wait__never_mined__transient_and_still_there(chain: FakeChain, tmp_path: Path) -> None:
    box = outbox(chain, tmp_path)
    box.submit("a", CALL)
    with pytest.raises(Transient, match="not mined"):
        box.wait("a", timeout=0.0, sleep=lambda _: None)
    assert state(box) == "sent"
