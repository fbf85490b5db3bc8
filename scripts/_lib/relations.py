"""Relations between parameters, as the contracts enforce them, said before any gas is spent.

The defaults that a job's life is computed from (attempts, work, judges' work, appeal) are protocol section 11's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

HISTORY = 8191  # block hashes that EIP-2935 serves
SEATS_LIMIT = 8
MAX_COMMITTEE = 15
MAX_FEE_BPS = 1_000

# A default job: three attempts of one work epoch, seven epochs of appeal, one work epoch for its judges.
ATTEMPTS, WORK, APPEAL, JUDGES_WORK = 3, 1, 7, 1


def default_job_life(settle_grace: int, report_epochs: int, court: bool = True) -> int:
    """Epochs a default job lives from its first attempt; where there is a court, its appeal and case included."""
    stride = WORK + 2
    appeal = APPEAL if court else 0
    return ATTEMPTS * (stride + JUDGES_WORK + 2) + 2 * settle_grace + appeal + report_epochs


def relations(constructor: Mapping[str, Mapping[str, Any]], pools: Sequence[Any], fee_bps: int) -> list[str]:
    """Every relation that does not hold, in words. Values have their ABI types already."""
    faults: list[str] = []
    registry, ledger, market = (constructor[name] for name in ("NodeRegistry", "CommitLedger", "JobMarket"))
    blocks, ring, lead = registry["epochBlocks"], registry["ring"], registry["lead"]

    def within(place: str, low: int, high: int, value: int) -> None:
        if not low <= value <= high:
            faults.append(f"{place}: expected {low} to {high}, found {value}")

    within("NodeRegistry.epochBlocks", 3, 3_600, blocks)
    within("NodeRegistry.lead (less than epochBlocks)", 1, blocks - 1, lead)
    if ring < 16:
        faults.append(f"NodeRegistry.ring: expected at least 16, found {ring}")
    if (ring + 1) * blocks > HISTORY:
        faults.append(
            f"NodeRegistry.ring: (ring + 1) * epochBlocks = {(ring + 1) * blocks} is over the {HISTORY} blocks whose "
            f"hashes EIP-2935 keeps, so old seeds could not be proven; with epochBlocks {blocks} the ring can be at "
            f"most {HISTORY // blocks - 1}"
        )
    within("CommitLedger.revealGrace", 2, 15, ledger["revealGrace"])
    within("CommitLedger.unrevealedBps", 1, 10_000, ledger["unrevealedBps"])
    within("JobMarket.settleGrace (at most ring / 4)", 1, ring // 4, market["settleGrace"])
    within("JobMarket.reportEpochs (at most ring / 4)", 1, ring // 4, market["reportEpochs"])
    within("JobMarket.settleFeeBps", 0, MAX_FEE_BPS, market["settleFeeBps"])
    within("JobMarket.absentBps", 1, MAX_FEE_BPS, market["absentBps"])
    court = constructor.get("Court")
    if court is not None:
        within("Court.judges", 1, MAX_COMMITTEE, court["judges"])
        within("Court.wrongBps", 1, 10_000, court["wrongBps"])
    life = default_job_life(market["settleGrace"], market["reportEpochs"], court is not None)
    if life >= ring:
        faults.append(
            f"NodeRegistry.ring: a default job lives {life} epochs with settleGrace {market['settleGrace']} and "
            f"reportEpochs {market['reportEpochs']}, which must be under ring {ring}; raise ring or lower them"
        )
    within("fee.bps", 0, MAX_FEE_BPS, fee_bps)
    token = constructor["QuorateToken"]
    if token["supply"] > token["cap"]:
        faults.append(f"QuorateToken.supply {token['supply']} is over its cap {token['cap']}")
    return faults + _pool_faults(pools)


def _pool_faults(pools: Sequence[Any]) -> list[str]:
    faults: list[str] = []
    owners: dict[int, str] = {}
    for pool in pools:
        place = f"pools.{pool.name}"
        if pool.id in owners:
            faults.append(f"{place}.id: {pool.id} is {owners[pool.id]}'s already")
        owners[pool.id] = pool.name
        checks = (
            ("id", 1, 2**16 - 1, pool.id),
            ("seatStake", 1, (2**96 - 1) // SEATS_LIMIT, pool.terms["seatStake"]),
            ("maxShardPay", 1, (2**88 - 1) // 17, pool.terms["maxShardPay"]),
            ("maxSeatsPerNode", 1, SEATS_LIMIT, pool.terms["maxSeatsPerNode"]),
        )
        for name, low, high, value in checks:
            if not low <= value <= high:
                faults.append(f"{place}.{name}: expected {low} to {high}, found {value}")
    return faults
