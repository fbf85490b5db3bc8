"""What is to be expected of a small pool, before a run: exact, from its actual seats, without replacement.

A committee is distinct nodes, each next one drawn in proportion to seats among those not drawn yet. Pools of the lab
have a handful of types of nodes (camp and seats), so every composition is enumerated with its chance as a fraction.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from nodeagent.protocol.payout import settle_fee

HONEST, LIAR, MUTE = "honest", "liar", "mute"
"""Camps: answers right and appeals when outvoted; signs one wrong root with all of its camp; never makes a quorum."""
Type = tuple[str, int]
"""Camp and seats of a node."""
Pool = Mapping[Type, int]
"""How many nodes of each type there are."""
Drawn = tuple[tuple[Type, int], ...]
"""How many nodes of each type were drawn, sorted."""


@dataclass(frozen=True, slots=True)
class Rules:
    """Terms of the job and of cases about it. ``liars_judge``: whether liars sign their root as judges, or pass."""

    committee: int = 3
    quorum: int = 2
    attempts: int = 3
    appeals: bool = True
    judges: int = 5
    case_quorum: int = 4
    liars_judge: bool = True


@dataclass(frozen=True, slots=True)
class Chances:
    """Of one shard: that it settles wrong, is wrong for ever, ends contested; that it finds no quorum at all."""

    wrong_settled: Fraction
    wrong_final: Fraction
    contested: Fraction
    expired: Fraction


def committees(pool: Pool, size: int) -> dict[Drawn, Fraction]:
    """Chance of every composition of ``size`` distinct nodes; fewer where the pool has not as many."""
    types = sorted(kind for kind, count in pool.items() if count)
    found: dict[tuple[int, ...], Fraction] = {(0,) * len(types): Fraction(1)}
    for _ in range(min(size, sum(pool.values()))):
        following: defaultdict[tuple[int, ...], Fraction] = defaultdict(Fraction)
        for chosen, chance in found.items():
            weights = [(pool[kind] - taken) * kind[1] for kind, taken in zip(types, chosen, strict=True)]
            for at, weight in enumerate(weights):
                if weight:
                    more = (*chosen[:at], chosen[at] + 1, *chosen[at + 1 :])
                    following[more] += chance * Fraction(weight, sum(weights))
        found = dict(following)
    return {tuple((kind, n) for kind, n in zip(types, chosen, strict=True) if n): p for chosen, p in found.items()}


def camp(drawn: Drawn, name: str) -> int:
    """How many of a camp were drawn."""
    return sum(count for (who, _), count in drawn if who == name)


def slots_per_node(pool: Pool, size: int) -> dict[Type, Fraction]:
    """How many slots of one committee a node of each type fills on average."""
    filled: defaultdict[Type, Fraction] = defaultdict(Fraction)
    for drawn, chance in committees(pool, size).items():
        for kind, count in drawn:
            filled[kind] += chance * count
    return {kind: filled[kind] / count for kind, count in pool.items() if count}


def chances(pool: Pool, rules: Rules) -> Chances:
    """What becomes of a shard. All attempts are drawn from the same pool."""
    wrong = final = contested = failed = Fraction(0)
    for drawn, chance in committees(pool, rules.committee).items():
        if camp(drawn, LIAR) >= rules.quorum:
            verdict_wrong, open_end = _after(pool, drawn, rules)
            wrong, final, contested = wrong + chance, final + chance * verdict_wrong, contested + chance * open_end
        elif camp(drawn, HONEST) < rules.quorum:
            failed += chance
    again = sum((failed**attempt for attempt in range(rules.attempts)), Fraction(0))
    return Chances(wrong * again, final * again, contested * again, failed**rules.attempts)


def _after(pool: Pool, drawn: Drawn, rules: Rules) -> tuple[Fraction, Fraction]:
    """Chances that a shard settled wrong by these members stays wrong for ever, and that it ends contested."""
    if not rules.appeals or not camp(drawn, HONEST):
        return Fraction(1), Fraction(0)
    rest = Counter(pool)
    rest.subtract(dict(drawn))
    upheld = overturned = Fraction(0)
    for judges, chance in committees(rest, rules.judges).items():
        if rules.liars_judge and camp(judges, LIAR) >= rules.case_quorum:
            upheld += chance
        elif camp(judges, HONEST) >= rules.case_quorum:
            overturned += chance
    failed = 1 - upheld - overturned
    again = sum((failed**attempt for attempt in range(rules.attempts)), Fraction(0))
    return upheld * again, failed**rules.attempts


def forgone_fee(pay: int, agreeing: int, paid: int, settle_fee_bps: int) -> int:
    """What a settler gives up by paying ``paid`` of the ``agreeing`` slots of a shard, in payment-token units."""
    return settle_fee(pay, agreeing, settle_fee_bps) - settle_fee(pay, paid, settle_fee_bps)
