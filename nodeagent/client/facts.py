"""The market and a pool as they stand, read at one block: what a quote needs."""

from __future__ import annotations

from typing import Any

from nodeagent.chain.deployment import Deployment
from nodeagent.chain.doors import Doors
from nodeagent.chain.rpc import Rpc, RpcLike
from nodeagent.client.quote import MarketFacts, Seating
from nodeagent.protocol.epochs import counting_epoch
from nodeagent.protocol.types import PoolId

PACE_BLOCKS = (4, 12, 100)
"""Numbers of last blocks over which the time between blocks is measured: the fewest that take ``PACE_S``, for
timestamps are whole seconds, and older blocks may have come at another pace."""
PACE_S = 6


def read_facts(rpc: Rpc, deployment: Deployment, pool: int) -> MarketFacts:
    """Reads everything at the latest block. Raises Reverted for an unknown pool."""
    doors = Doors.of(rpc, deployment)
    tip = rpc.block("latest")
    block = int(tip["number"], 16)
    view = doors.registry.pool_view(PoolId(pool), block)
    coming = counting_epoch(block, deployment.epoch_blocks, deployment.lead) + 1
    seats = doors.registry.read_many([("seatAt", (pool, i)) for i in range(view["length"])], block=block)
    held: dict[int, int] = {}
    for node, since, until, _ in seats:
        if node and since <= coming < until:
            held[node] = held.get(node, 0) + 1
    nodes = sorted(held)
    views = doors.registry.read_many([("nodeView", (node,)) for node in nodes], block=block)
    fee = _protocol_fee(doors, pool, block)
    terms = view["terms"]
    return MarketFacts(
        block=block,
        block_seconds=_block_seconds(rpc, block, int(tip["timestamp"], 16)),
        epoch_blocks=deployment.epoch_blocks,
        ring=deployment.ring,
        lead=deployment.lead,
        settle_grace=deployment.settle_grace,
        report_epochs=deployment.report_epochs,
        settle_fee_bps=deployment.settle_fee_bps,
        protocol_fee_bps=fee,
        judges=doors.court.judges(block) if doors.court else 0,
        pool_open=terms["open"],
        seat_stake=terms["seatStake"],
        floor=terms["floor"],
        max_shard_pay=terms["maxShardPay"],
        list_length=view["length"],
        seating=tuple(
            Seating(node, facts["operator"], held[node])
            for node, facts in zip(nodes, views, strict=True)
            if not facts["paused"]
        ),
    )


def _protocol_fee(doors: Doors, pool: int, block: int) -> int:
    """Basis points. Only ``quoteEscrow`` tells them: asked for 10,000 tasks at one base unit each."""
    spec = spec_of(pool=pool, tasks=10_000, shard_size=1, unit_price=1)
    fee, escrow = doors.market.read_many([("SETTLE_FEE_BPS", ()), ("quoteEscrow", (spec,))], block=block)
    return int(escrow) - 10_000 - int(fee)


def spec_of(
    *,
    pool: int,
    tasks: int,
    shard_size: int,
    unit_price: int,
    pace: int = 0,
    committee: int = 1,
    quorum: int = 1,
    work: int = 1,
    attempts: int = 1,
    appeal_epochs: int = 0,
    units: int = 1,
    manifest: bytes = bytes(32),
) -> dict[str, Any]:
    """``IJobMarket.JobSpec`` by field name, class EXACT."""
    return {
        "pool": pool,
        "class": 0,
        "tasks": tasks,
        "shardSize": shard_size,
        "pace": pace,
        "committee": committee,
        "quorum": quorum,
        "work": work,
        "maxAttempts": attempts,
        "appealEpochs": appeal_epochs,
        "units": units,
        "unitPrice": unit_price,
        "manifest": manifest,
    }


def _block_seconds(rpc: RpcLike, block: int, time: int) -> float:
    took, back = 0, 0
    for wanted in PACE_BLOCKS:
        back = min(wanted, block)
        if back == 0:
            return 1.0
        took = time - int(rpc.call("eth_getBlockByNumber", [hex(block - back), False])["timestamp"], 16)
        if took >= PACE_S:
            break
    return max(0.0, took / back)
