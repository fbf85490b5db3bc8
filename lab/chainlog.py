"""Everything the contracts said since they were deployed, in order: as events by name, and folded into a world."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from eth_abi.abi import decode

from nodeagent.chain.abi import load_abi, signature_of, type_of
from nodeagent.chain.decoding import decode_log
from nodeagent.chain.deployment import Deployment
from nodeagent.chain.errors import RpcError
from nodeagent.chain.events import Event
from nodeagent.chain.headers import prev_randao
from nodeagent.chain.rpc import Rpc, RpcLike, to_bytes
from nodeagent.protocol.epochs import attempt_start, epoch_of, seed_block
from nodeagent.protocol.keccak import keccak
from nodeagent.protocol.sortition import seed_from_randao
from nodeagent.protocol.types import Epoch, NodeId, PoolId, Shard
from nodeagent.worker.draws import Draw, committee
from nodeagent.worker.world import Job, World

NODE_ZERO = NodeId(0)
"""A world of nobody's own."""


@dataclass(frozen=True, slots=True)
class Said:
    """One event with its arguments by name, whatever they are."""

    name: str
    block: int
    index: int
    tx: str
    args: dict[str, Any]

    def epoch(self, epoch_blocks: int) -> int:
        """Epoch of its block."""
        return self.block // epoch_blocks


class ChainLog:
    """Read once, at the head. ``said`` has every event; ``world`` what agents make of them."""

    def __init__(self, rpc: Rpc, deployment: Deployment, pool: int) -> None:
        self.rpc, self.deployment = rpc, deployment
        self.head = rpc.block_number()
        query = {"address": deployment.addresses, "fromBlock": hex(deployment.start_block), "toBlock": hex(self.head)}
        raw = rpc.call("eth_getLogs", [query])
        raw.sort(key=lambda log: (int(log["blockNumber"], 16), int(log["logIndex"], 16)))
        self.said = [said for said in map(_named, raw) if said is not None]
        self.events: list[Event] = [event for event in map(decode_log, raw) if event is not None]
        self.world = World(NODE_ZERO, PoolId(pool), deployment.epoch_blocks)
        self.world.apply(self.events)
        self._seeds: dict[Epoch, bytes] = {}

    @property
    def now(self) -> Epoch:
        """Epoch of the head."""
        return epoch_of(self.head, self.deployment.epoch_blocks)

    def named(self, *names: str) -> Iterator[Said]:
        """Events of these names, in order."""
        return (said for said in self.said if said.name in names)

    def seed(self, epoch: Epoch) -> bytes:
        """From the header of the epoch's second block."""
        if epoch not in self._seeds:
            header = self.rpc.block(seed_block(epoch, self.deployment.epoch_blocks))
            self._seeds[epoch] = seed_from_randao(epoch, prev_randao(header))
        return self._seeds[epoch]

    @property
    def seeds(self) -> dict[Epoch, bytes]:
        """Those that were asked for."""
        return self._seeds

    def draw(self, job: Job, shard: Shard, attempt: int) -> Draw:
        """Who sat in an attempt, by the agents' own code."""
        return committee(self.world, job, shard, attempt, self.seed(attempt_start(job.terms, shard, attempt)))

    def begun(self, job: Job, shard: Shard) -> int:
        """Attempts of a shard that were drawn before it settled, or until now."""
        settled = self.world.settled.get((job.id, shard))
        if settled is not None:
            return settled.leaf.attempt + 1
        starts = (attempt_start(job.terms, shard, attempt) for attempt in range(job.terms.max_attempts))
        return sum(seed_block(start, self.deployment.epoch_blocks) <= self.head for start in starts)


def late_commits(rpc: RpcLike, deployment: Deployment, first: int, last: int) -> Iterator[str]:
    """Senders, in lower case, of commits in blocks ``first`` to ``last`` for an epoch before their block's that the
    ledger refused: mined, and reverted."""
    found: list[tuple[str, str]] = []
    for block in _all(rpc, [("eth_getBlockByNumber", [hex(number), True]) for number in range(first, last + 1)]):
        now = epoch_of(int(block["number"], 16), deployment.epoch_blocks)
        for sent in block["transactions"]:
            data = to_bytes(sent["input"])
            commits = (sent["to"] or "").lower() == deployment.ledger.lower() and data[:4] == _COMMIT
            if commits and int.from_bytes(data[4:36], "big") < now:
                found.append((sent["from"].lower(), sent["hash"]))
    receipts = _all(rpc, [("eth_getTransactionReceipt", [tx]) for _, tx in found])
    return (sender for (sender, _), receipt in zip(found, receipts, strict=True) if int(receipt["status"], 16) == 0)


def _all(rpc: RpcLike, calls: list[tuple[str, list[Any]]]) -> list[Any]:
    answers = rpc.batch(calls)
    for answer in answers:
        if isinstance(answer, RpcError):
            raise answer
    return answers


def _named(raw: dict[str, Any]) -> Said | None:
    entry = _EVENTS.get(to_bytes(raw["topics"][0]))
    if entry is None:
        return None
    inputs = entry["inputs"]
    topics = [to_bytes(topic) for topic in raw["topics"][1:]]
    indexed = [i for i in inputs if i["indexed"]]
    plain = [i for i in inputs if not i["indexed"]]
    args = {i["name"]: decode([type_of(i)], word)[0] for i, word in zip(indexed, topics, strict=True)}
    values = decode([type_of(i) for i in plain], to_bytes(raw["data"]))
    args |= {i["name"]: value for i, value in zip(plain, values, strict=True)}
    where = int(raw["blockNumber"], 16), int(raw["logIndex"], 16)
    return Said(entry["name"], *where, raw["transactionHash"], args)


_COMMIT = keccak(b"commit(uint32,bytes27)")[:4]
_EVENTS: dict[bytes, dict[str, Any]] = {
    keccak(signature_of(entry).encode()): entry
    for contract in ("NodeRegistry", "CommitLedger", "JobMarket", "Court")
    for entry in load_abi(contract).entries
    if entry.get("type") == "event"
}
