"""A node before the Court, on a chain that answers what it reads: real outbox, real records, real calldata."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from eth_abi.abi import encode
from fakechain import FakeChain, account, decode
from scene import (
    EB,
    ME,
    OTHER_ROOT,
    ROOT,
    appealed,
    committed,
    pool_of,
    posted,
    revealed,
    seeds,
    settled,
    world,
)

from nodeagent.chain.abi import load_abi, signature_of
from nodeagent.chain.deployment import Deployment
from nodeagent.chain.doors import Doors
from nodeagent.chain.outbox import Outbox
from nodeagent.content import open_content
from nodeagent.protocol.keccak import keccak
from nodeagent.protocol.settlement import SettledLeaf
from nodeagent.protocol.types import JobId, Shard
from nodeagent.worker.appealbook import SENT, Appeal, AppealBook
from nodeagent.worker.appeals import Policy
from nodeagent.worker.courtroom import Courtroom, Recheck
from nodeagent.worker.draws import DrawBook
from nodeagent.worker.hands import Hands
from nodeagent.worker.ledger import Ledger
from nodeagent.worker.sender import Sender
from nodeagent.worker.world import World

COURT = "0x" + "44" * 20
RING = 100
KEY = (JobId(1), Shard(2))
CASE = JobId(9)
NOW = 1130  # a block in which an appeal counts
NAMES = {
    keccak(signature_of(entry).encode())[:4]: entry["name"]
    for contract in ("Court", "JobMarket", "CommitLedger")
    for entry in load_abi(contract).entries
    if entry["type"] == "function"
}


class Chain(FakeChain):
    """Answers what the courtroom reads; every other call succeeds or is refused as ``gas_estimate`` says."""

    def __init__(self) -> None:
        super().__init__()
        self.says = {"bondOf(uint64,uint32)": 121, "allowance(address,address)": 10**6, "balanceOf(address)": 10**6}
        self.stake = 100 * 10**18

    def _eth_call(self, request: Any, block: str) -> Any:
        for signature, value in self.says.items():
            if request["data"].startswith("0x" + keccak(signature.encode())[:4].hex()):
                return "0x" + encode(["uint256"], [value]).hex()
        if request["data"].startswith("0x" + keccak(b"earningsOf(uint32)")[:4].hex()):
            return "0x" + encode(["uint256", "uint256"], [0, 24]).hex()
        if request["data"].startswith("0x" + keccak(b"symbol()")[:4].hex()):
            return "0x" + encode(["string"], ["TOK"]).hex()
        if request["data"].startswith("0x" + keccak(b"decimals()")[:4].hex()):
            return "0x" + encode(["uint8"], [18]).hex()
        if request["data"].startswith("0x" + keccak(b"nodeView(uint32)")[:4].hex()):
            kind = "(address,address,uint16,uint96,uint96,uint32,uint32[],uint64[4],bool)"
            view = (COURT, COURT, 1, self.stake, 0, 0, [0], [0] * 4, False)
            return "0x" + encode([kind], [view]).hex()
        return super()._eth_call(request, block)

    def sent(self) -> list[str]:
        """Functions that what waits in the mempool calls, oldest first."""
        return [NAMES[bytes(decode(raw)["data"])[:4]] for raw in self.mempool.values()]


def room(chain: Chain, home: Path, policy: Policy | None = None, serve: bool = True) -> Courtroom:
    """As after a start: everything read from the home."""
    names = ("registry", "ledger", "market", "stake_token", "payment_token")
    numbers = {"EPOCH_BLOCKS": EB, "RING": RING, "LEAD": 4, "SETTLE_GRACE": 8, "REPORT_EPOCHS": 4, "WRONG_BPS": 5_000}
    numbers |= {"REVEAL_GRACE": 8, "UNREVEALED_BPS": 1_000, "ABSENT_BPS": 10}
    home.mkdir(exist_ok=True)
    addresses = dict.fromkeys(names, "0x" + "33" * 20)
    deployment = Deployment(31337, "local", 0, parameters=numbers, court=COURT, **addresses)  # type: ignore[arg-type]
    ledger = Ledger(home / "agent.db")
    doors = Doors.of(chain, deployment)
    outbox = Outbox(chain, account(), ledger.connection, chain_id=31337)
    hands = Hands(chain, deployment, doors, outbox, ledger, open_content(home), home / "pending", ME)  # type: ignore[arg-type]
    assert doors.court is not None
    return Courtroom(hands, Sender(hands), doors.court, AppealBook(ledger.connection), policy or Policy(), 2, serve)


def scene(mine: bytes = OTHER_ROOT) -> tuple[World, DrawBook]:
    """Shard 2 settled in epoch 112 with what nodes 2 and 3 opened; this node opened ``mine``."""
    w = world([*pool_of(8), posted(1, appeal_epochs=6, committee=8, quorum=5)])
    w.apply([revealed(n, 10, {(1, 2): mine if n == ME else ROOT}) for n in range(1, 9)])
    w.apply([settled(1125, SettledLeaf(*KEY, 0, 6, ROOT))])
    committed(w, 10, *range(1, 9))
    return w, DrawBook(w, seeds(*range(9, 30)))


def tick(r: Courtroom, w: World, book: DrawBook, block: int = NOW) -> list[Recheck]:
    r.sender.turn(block, 7)
    found = r.tick(w, book, block)
    r.hands.outbox.tick(0, 7)
    return found


def with_case(tmp_path: Path, by: int = ME) -> tuple[Chain, World, DrawBook, Courtroom]:
    chain, (w, book) = Chain(), scene()
    r = room(chain, tmp_path)
    if by == ME:
        r.book.put(Appeal(*KEY, OTHER_ROOT, OTHER_ROOT, SENT))
    w.apply(appealed(w, 1140, by=by))
    return chain, w, book, r
