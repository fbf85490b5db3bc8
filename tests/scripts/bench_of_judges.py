"""A pool of its own with nodes enough for a court, and who acts in it: the agent's own doors, over real RPC.

Keys and accounts are the chain's to send for (anvil impersonates them); what they sign themselves, they sign.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from eth_account import Account
from eth_account.messages import encode_typed_data
from support import DEPLOYER, rpc

from nodeagent.chain.doors import Call, Doors
from nodeagent.chain.events import Event
from nodeagent.chain.headers import header_rlp
from nodeagent.chain.rpc import Rpc
from nodeagent.chain.scan import Cursor, Scanner
from nodeagent.protocol import leaves as batches
from nodeagent.protocol.epochs import seed_block
from nodeagent.protocol.keccak import keccak
from nodeagent.protocol.leaves import Leaf
from nodeagent.protocol.settlement import LaneKey, OpenBatch, SettledLeaf, SettleEntry, build_settle
from nodeagent.protocol.sortition import SeatList, seed_from_randao
from nodeagent.protocol.types import Epoch, NodeId, PoolId

EPOCH_BLOCKS = 10
POOL = PoolId(77)
SEAT_STAKE = 100 * 10**18
GAS = 3_000_000  # given, not estimated: the block of an estimate may lie in another epoch than the one it is mined in
MANIFEST = b"\x4d" * 32


class Memory:
    """Everything the one scan path read, in order."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._cursor: list[Cursor] = []

    def marks(self) -> Sequence[Cursor]:
        return self._cursor

    def apply(self, events: Sequence[Event], cursor: Cursor) -> None:
        self.events += events
        self._cursor = [cursor]

    def rewind(self, block: int) -> None:
        raise AssertionError(f"the chain of this test was reorganised to {block}")


@dataclass
class Bench:
    """Nodes by their id, their keys, and what each has sealed, by epoch."""

    url: str
    doors: Doors
    deployment: Any
    operator: str
    pool: PoolId = POOL
    keys: dict[NodeId, Any] = field(default_factory=dict)
    sealed: dict[tuple[NodeId, Epoch], tuple[tuple[Leaf, ...], bytes]] = field(default_factory=dict)
    memory: Memory = field(default_factory=Memory)

    def __post_init__(self) -> None:
        chain = Rpc(self.url)
        self._scanner = Scanner(chain, self.deployment.addresses, self.memory, start=self.deployment.start_block)

    # --- the chain ------------------------------------------------------------------------------------------------

    def send(self, sender: str, call: Call) -> list[Event]:
        """Sends, and returns the events of that transaction as the scan reads them."""
        if sender != DEPLOYER:
            rpc(self.url, "anvil_setBalance", sender, hex(10**20))
            rpc(self.url, "anvil_impersonateAccount", sender)
        fields = {"from": sender, "to": call.to, "data": "0x" + call.data.hex(), "gas": hex(GAS)}
        tx = rpc(self.url, "eth_sendTransaction", fields)
        while (receipt := rpc(self.url, "eth_getTransactionReceipt", tx)) is None:
            pass  # anvil mines it at once, and answers before it has
        assert receipt["status"] == "0x1", f"{call.what} failed"
        return [event for event in self.scan() if event.at.tx == tx]

    def scan(self) -> list[Event]:
        """All events so far."""
        self._scanner.catch_up()
        return self.memory.events

    def epoch(self) -> Epoch:
        return Epoch(int(rpc(self.url, "eth_blockNumber"), 16) // EPOCH_BLOCKS)

    def to_epoch(self, epoch: int) -> None:
        """Mines the block that carries the seed of ``epoch``, its second."""
        missing = seed_block(Epoch(epoch), EPOCH_BLOCKS) - int(rpc(self.url, "eth_blockNumber"), 16)
        assert missing > 0, "time only moves forward"
        for start in range(0, missing, 100):
            rpc(self.url, "anvil_mine", hex(min(100, missing - start)))

    def seed(self, epoch: Epoch) -> bytes:
        """Records the seed of an epoch on chain unless it is there, and returns it."""
        block = rpc(self.url, "eth_getBlockByNumber", hex(seed_block(epoch, EPOCH_BLOCKS)), False)
        if self.doors.ledger.seed_of(epoch) is None:
            self.send(DEPLOYER, self.doors.ledger.record_seed(header_rlp(block)))
        seed = seed_from_randao(epoch, bytes.fromhex(block["mixHash"][2:]))
        assert self.doors.ledger.seed_of(epoch) == seed
        return seed

    # --- nodes ----------------------------------------------------------------------------------------------------

    def found_pool(self, nodes: int) -> None:
        """A pool with so many nodes of one seat each, all of one operator."""
        registry, token = self.doors.registry, self.doors.stake_token
        terms = (SEAT_STAKE, 1, 10**8, 4, True)
        self.send(DEPLOYER, registry.call("createPool", self.pool, terms))
        self.send(DEPLOYER, token.call("transfer", self.operator, nodes * SEAT_STAKE))
        self.send(self.operator, token.call("approve", registry.address, nodes * SEAT_STAKE))
        for i in range(nodes):
            self.register(Account.from_key(keccak(b"judge %d of %d" % (i, self.pool))))

    def register(self, key: Any) -> None:
        deadline = int(rpc(self.url, "eth_getBlockByNumber", "latest", False)["timestamp"], 16) + 10_000
        message = self.doors.registry.consent_message(31337, self.operator, key.address, deadline)
        signed = key.sign_message(encode_typed_data(full_message=message))
        call = self.doors.registry.register(self.pool, 1, key.address, deadline, signed.signature, "", bytes(32))
        events = self.send(self.operator, call)
        self.keys[next(e.node for e in events if hasattr(e, "key"))] = key

    def seats(self) -> SeatList:
        """The pool's list as its events tell it."""
        found = SeatList()
        for event in self.scan():
            if getattr(event, "pool", None) != self.pool:
                continue
            if type(event).__name__ == "SeatTaken":
                found.seat_taken(event.node, event.seat, event.since, event.held_since)
            elif type(event).__name__ == "ListResized":
                found.resized(event.length, event.from_epoch)
        return found

    def commit(self, node: NodeId, epoch: Epoch, leaf: Leaf) -> None:
        salt = keccak(b"salt %d %d" % (node, epoch))
        ledger = bytes.fromhex(self.doors.ledger.address[2:])
        packed = batches.pack_leaves((leaf,))
        digest = batches.commit_digest(31337, ledger, node, epoch, packed, MANIFEST, salt)
        self.send(self.keys[node].address, self.doors.ledger.commit(epoch, digest))
        self.sealed[node, epoch] = ((leaf,), salt)

    def reveal(self, node: NodeId, epoch: Epoch) -> None:
        leaves, salt = self.sealed[node, epoch]
        call = self.doors.ledger.reveal(node, epoch, batches.pack_leaves(leaves), MANIFEST, salt)
        self.send(self.keys[node].address, call)

    def settle(self, answer: Leaf, attempt: int, committee: Sequence[NodeId], epoch: Epoch) -> SettledLeaf:
        """Settles one shard with the openings that agree; the first member that does earns the fee."""
        shown = tuple(LaneKey(node, epoch) if node else None for node in committee)
        agreeing = [node for node in committee if self.sealed.get((node, epoch), ((), b""))[0] == (answer,)]
        opened = [OpenBatch(LaneKey(node, epoch), (answer,)) for node in agreeing]
        made = build_settle([SettleEntry(answer.job, answer.shard, attempt, answer.root, shown)], opened)
        call = self.doors.market.settle(made.entries, made.lanes, made.openings, agreeing[0])
        (event,) = (e for e in self.send(self.keys[agreeing[0]].address, call) if hasattr(e, "shards"))
        return SettledLeaf(*event.shards[0])
