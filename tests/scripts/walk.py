"""Who walks through the story, with what: the cast, the job, and the bytes that people sign or show."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from eth_account import Account
from eth_account.messages import encode_typed_data
from support import rpc

from nodeagent.protocol.results import ResultTree
from nodeagent.protocol.settlement import settlement_tree
from nodeagent.protocol.types import Task

EPOCH_BLOCKS = 10
TASKS, SHARD_SIZE, UNITS, UNIT_PRICE = 5, 2, 3, 1_000
SHARDS, COMMITTEE, QUORUM = 3, 3, 2
PRICE = UNITS * UNIT_PRICE
GROSS = TASKS * COMMITTEE * PRICE
MANIFEST = b"\x4d" * 32


@dataclass
class World:
    """The deployed contracts and who acts on them."""

    url: str
    market: Any
    registry: Any
    ledger: Any
    token: Any
    payment: Any
    deployer: Any
    requester: Any
    operators: list[Any]
    keys: list[Any]

    def epoch(self) -> int:
        return int(rpc(self.url, "eth_blockNumber"), 16) // EPOCH_BLOCKS

    def to_epoch(self, epoch: int) -> None:
        """Mines until the next block is the second of ``epoch``."""
        missing = epoch * EPOCH_BLOCKS - int(rpc(self.url, "eth_blockNumber"), 16)
        assert missing > 0, "time only moves forward"
        for start in range(0, missing, 100):  # no single call takes long, however busy the machine
            rpc(self.url, "anvil_mine", hex(min(100, missing - start)))


def consent(world: World, operator: Any, key: Any, deadline: int) -> bytes:
    """The hot key's EIP-712 consent to act for the operator's node."""
    message = encode_typed_data(
        domain_data={
            "name": "Quorate NodeRegistry",
            "version": "1",
            "chainId": 31337,
            "verifyingContract": world.registry.address,
        },
        message_types={
            "KeyConsent": [
                {"name": "operator", "type": "address"},
                {"name": "key", "type": "address"},
                {"name": "deadline", "type": "uint256"},
            ]
        },
        message_data={"operator": operator.address, "key": key.address, "deadline": deadline},
    )
    return bytes(Account.sign_message(message, key.private_key).signature)


def spec(**changes: Any) -> tuple[Any, ...]:
    """A job in the order of IJobMarket.JobSpec."""
    fields = {
        "pool": 1,
        "class": 0,
        "tasks": TASKS,
        "shardSize": SHARD_SIZE,
        "pace": SHARDS,
        "committee": COMMITTEE,
        "quorum": QUORUM,
        "work": 1,
        "maxAttempts": 2,
        "appealEpochs": 0,
        "units": UNITS,
        "unitPrice": UNIT_PRICE,
        "manifest": MANIFEST,
        **changes,
    }
    return tuple(fields.values())


def task_proof(settled: SimpleNamespace, trees: list[ResultTree], task: int) -> tuple[Any, ...]:
    """TaskProof of IJobMarket: the receipt and the path inside the shard."""
    shard = task // SHARD_SIZE
    leaf = settled.leaves[shard]
    path = settlement_tree(settled.leaves).proof(shard)
    return ((leaf.attempt, leaf.paid_slots, leaf.root, path), trees[shard].proof(Task(task)))
