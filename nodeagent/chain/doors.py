"""Typed doors to the contracts: reads at a block, and calldata for what a caller wants to send.

A read raises Reverted when the contract refuses, RpcError or RpcUnreachable when the endpoint does. Amounts are in the
smallest unit of their token.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nodeagent.chain.court import CaseView, CourtDoor
from nodeagent.chain.deployment import Deployment
from nodeagent.chain.door import Call, Door, Receipt, simulate
from nodeagent.chain.errors import Reverted
from nodeagent.chain.rpc import BlockId, RpcLike
from nodeagent.protocol.types import Epoch, JobId, NodeId, PoolId, ShardStatus, Task

__all__ = [
    "Call",
    "CaseView",
    "CourtDoor",
    "Door",
    "Doors",
    "Ledger",
    "Market",
    "Receipt",
    "Registry",
    "Token",
    "simulate",
]


class Registry(Door):
    """NodeRegistry."""

    contract = "NodeRegistry"

    def committees(self, draws: Sequence[int], block: BlockId = "latest") -> list[int]:
        """Two words per draw in, two words per draw out; see ``INodeRegistry.committees``."""
        return list(self.read("committees", list(draws), block=block))

    def pool_view(self, pool: PoolId, block: BlockId = "latest") -> dict[str, Any]:
        """Fields ``terms`` (seatStake, floor, maxShardPay, maxSeatsPerNode, open), ``length``, ``nodes``."""
        return dict(self.read("poolView", pool, block=block))

    def node_view(self, node: NodeId, block: BlockId = "latest") -> dict[str, Any]:
        """Fields operator, key, pool, stake, unbonding, unlockEpoch, seats, pauses, paused."""
        return dict(self.read("nodeView", node, block=block))

    def register(
        self, pool: PoolId, seats: int, key: str, deadline: int, consent: bytes, endpoint: str, metadata: bytes
    ) -> Call:
        return self.call("register", pool, seats, key, deadline, consent, endpoint, metadata)

    def reward_of(self, account: str, block: BlockId = "latest") -> int:
        """Stake tokens that reports have earned ``account`` and that it was not paid yet."""
        return int(self.read("rewardOf", account, block=block))

    def collect_reward(self, account: str) -> Call:
        """Pays ``account`` its rewards. Anyone may send it."""
        return self.call("collectReward", account)

    def consent_message(self, chain_id: int, operator: str, key: str, deadline: int) -> dict[str, Any]:
        """EIP-712 document that the node's key signs."""
        return {
            "domain": _domain("Quorate NodeRegistry", chain_id, self.address),
            "primaryType": "KeyConsent",
            "types": {
                "EIP712Domain": _DOMAIN_TYPE,
                "KeyConsent": [
                    {"name": "operator", "type": "address"},
                    {"name": "key", "type": "address"},
                    {"name": "deadline", "type": "uint256"},
                ],
            },
            "message": {"operator": operator, "key": key, "deadline": deadline},
        }


class Ledger(Door):
    """CommitLedger."""

    contract = "CommitLedger"

    def node_of(self, key: str, block: BlockId = "latest") -> NodeId:
        """0 where the key acts for nobody."""
        return NodeId(self.read("nodeOf", key, block=block))

    def lanes(self, pairs: Sequence[tuple[NodeId, int]], block: BlockId = "latest") -> list[int]:
        """Lane words of (node, epoch) pairs: ``epoch << 224 | state << 216 | digest or root``."""
        packed = b"".join(n.to_bytes(4, "big") + e.to_bytes(4, "big") for n, e in pairs)
        return list(self.read("lanes", packed, block=block))

    def seed_of(self, epoch: int, block: BlockId = "latest") -> bytes | None:
        """None where it is not recorded (or no longer held)."""
        try:
            return bytes(self.read("seedOf", epoch, block=block))
        except Reverted as fault:
            if fault.name in ("SeedUnknown", "SeedOverwritten"):
                return None
            raise

    def record_seed(self, header: bytes) -> Call:
        return self.call("recordSeed", header)

    def commit(self, epoch: int, digest: bytes) -> Call:
        return self.call("commit", epoch, digest)

    def reveal(self, node: NodeId, epoch: int, leaves: bytes, manifest: bytes, salt: bytes) -> Call:
        return self.call("reveal", node, epoch, leaves, manifest, salt)

    def report_unrevealed(self, node: NodeId, epoch: int) -> Call:
        return self.call("reportUnrevealed", node, epoch)

    def turn(self, epoch: int, leaves: bytes, manifest: bytes, salt: bytes, digest: bytes) -> Call:
        return self.call("turn", epoch, leaves, manifest, salt, digest)


class Market(Door):
    """JobMarket. A ``spec`` is a mapping with the fields of ``IJobMarket.JobSpec``."""

    contract = "JobMarket"

    def job_view(self, job: JobId, block: BlockId = "latest") -> dict[str, Any]:
        return dict(self.read("jobView", job, block=block))

    def quote_escrow(self, spec: Mapping[str, Any], block: BlockId = "latest") -> int:
        return int(self.read("quoteEscrow", dict(spec), block=block))

    def earnings_of(self, node: NodeId, block: BlockId = "latest") -> tuple[int, int]:
        """(matured, maturing)."""
        matured, maturing = self.read("earningsOf", node, block=block)
        return int(matured), int(maturing)

    def owed_to(self, account: str, block: BlockId = "latest") -> int:
        return int(self.read("owedTo", account, block=block))

    def status(self, job: JobId, shard: int, receipt: Receipt | None = None, block: BlockId = "latest") -> int:
        """``ShardStatus`` as a number, by the receipt where there is one."""
        if receipt is None:
            return int(self.read("shardStatus(uint64,uint32)", job, shard, block=block))
        overload = "shardStatus(uint64,uint32,(uint8,uint16,bytes32,bytes32[]))"
        return int(self.read(overload, job, shard, receipt.as_tuple(), block=block))

    def job_word(self, job: JobId, block: BlockId = "latest") -> int:
        """The job as stored; see ``nodeagent.protocol.jobword``."""
        return int(self.read("jobWord", job, block=block))

    def settlement_epoch(self, root: bytes, block: BlockId = "latest") -> Epoch | None:
        """Epoch in which a settlement root was stored; None where none was."""
        return Epoch(int(self.read("settlementEpoch", root, block=block))) or None

    def task_status(
        self,
        job: JobId,
        task: Task,
        status: int,
        data: bytes,
        receipt: Receipt,
        path: Sequence[bytes],
        block: BlockId = "latest",
    ) -> ShardStatus:
        """What is known of a task's answer ``(status, data)``: NONE, SETTLED, APPEALED, CONTESTED or FINAL.

        ``receipt`` is the shard's own; ``path`` leads from the task to the shard's root, or to its verdict's.
        """
        proof = (receipt.as_tuple(), list(path))
        return ShardStatus(self.read("taskStatus", job, task, (status, data), proof, block=block))

    def settled(self, shards: Sequence[tuple[JobId, int]], block: BlockId = "latest") -> list[bool]:
        """The settled bit of each (job, shard)."""
        return [bool(v) for v in self.read_many([("isSettled", s) for s in shards], block=block)]

    def post(self, spec: Mapping[str, Any]) -> Call:
        return self.call("post", dict(spec))

    def post_with_permit(self, spec: Mapping[str, Any], deadline: int, v: int, r: bytes, s: bytes) -> Call:
        return self.call("postWithPermit", dict(spec), deadline, v, r, s)

    def settle(self, entries: bytes, lanes: bytes, openings: bytes, payee: NodeId) -> Call:
        return self.call("settle", entries, lanes, openings, payee)

    def claim(self, job: JobId, shard: int, receipt: Receipt, slot: int, opening: bytes) -> Call:
        return self.call("claim", job, shard, receipt.as_tuple(), slot, opening)

    def report_absent(self, job: JobId, shard: int, receipt: Receipt, slot: int) -> Call:
        return self.call("reportAbsent", job, shard, receipt.as_tuple(), slot)

    def collect(self, account: str) -> Call:
        """Pays ``account`` what it is owed: refunds, fees, and what a case assigned to it."""
        return self.call("collect", account)


class Token(Door):
    """An ERC-20 with permit; the stake token and the devnet's payment token both are."""

    contract = "QuorateToken"

    def balance_of(self, account: str, block: BlockId = "latest") -> int:
        return int(self.read("balanceOf", account, block=block))

    def allowance(self, owner: str, spender: str, block: BlockId = "latest") -> int:
        return int(self.read("allowance", owner, spender, block=block))

    def describe(self) -> tuple[str, int]:
        """(symbol, decimals)."""
        symbol, decimals = self.read_many([("symbol", ()), ("decimals", ())])
        return str(symbol), int(decimals)

    def permit_message(self, chain_id: int, owner: str, spender: str, value: int, deadline: int) -> dict[str, Any]:
        """EIP-2612 document, with the owner's nonce read from the token. Raises Reverted where it has no permit."""
        name, nonce = self.read_many([("name", ()), ("nonces", (owner,))])
        return {
            "domain": _domain(name, chain_id, self.address),
            "primaryType": "Permit",
            "types": {
                "EIP712Domain": _DOMAIN_TYPE,
                "Permit": [
                    {"name": "owner", "type": "address"},
                    {"name": "spender", "type": "address"},
                    {"name": "value", "type": "uint256"},
                    {"name": "nonce", "type": "uint256"},
                    {"name": "deadline", "type": "uint256"},
                ],
            },
            "message": {"owner": owner, "spender": spender, "value": value, "nonce": nonce, "deadline": deadline},
        }


@dataclass(frozen=True, slots=True)
class Doors:
    """All of a deployment. ``court`` is None where jobs cannot be appealed."""

    registry: Registry
    ledger: Ledger
    market: Market
    stake_token: Token
    payment_token: Token
    court: CourtDoor | None = None

    @classmethod
    def of(cls, rpc: RpcLike, deployment: Deployment) -> Doors:
        return cls(
            Registry(rpc, deployment.registry),
            Ledger(rpc, deployment.ledger),
            Market(rpc, deployment.market),
            Token(rpc, deployment.stake_token),
            Token(rpc, deployment.payment_token),
            CourtDoor(rpc, deployment.court) if deployment.court else None,
        )


_DOMAIN_TYPE = [
    {"name": "name", "type": "string"},
    {"name": "version", "type": "string"},
    {"name": "chainId", "type": "uint256"},
    {"name": "verifyingContract", "type": "address"},
]


def _domain(name: str, chain_id: int, address: str) -> dict[str, Any]:
    return {"name": name, "version": "1", "chainId": chain_id, "verifyingContract": address}
