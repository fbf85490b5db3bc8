"""The chance that a committee is wrong, from the real seats of a pool.

A committee is ``c`` distinct nodes; every next one is drawn in proportion to its seats among those not drawn
yet. That is the order of independent exponential clocks whose rates are the seats. In ``u = 1 - exp(-t)`` a
node of ``w`` seats has rung with probability ``1 - (1-u)**w``, so the chance of every composition is the
integral over ``u`` in [0, 1] of a polynomial: Gauss-Legendre gives it to float precision in a small pool,
Gauss-Laguerre in a large one.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nodeagent.protocol.jobword import case_quorum

Floats = NDArray[np.float64]
LEGENDRE: Any = np.polynomial.legendre  # untyped in some numpy releases
LAGUERRE: Any = np.polynomial.laguerre
MAX_POINTS = 400  # exact up to 799 seats
LAGUERRE_POINTS = 100  # beyond that everything happens near u = 0, on a scale of one seat


def wrong_shard_binomial(share: float, committee: int, quorum: int) -> float:
    """Chance that ``quorum`` of ``committee`` members are dishonest in an endless pool with that share of
    bad seats.

    For 3 members and a quorum of 2 this is ``3a^2 - 2a^3``.
    """
    return math.fsum(
        math.comb(committee, k) * share**k * (1 - share) ** (committee - k) for k in range(quorum, committee + 1)
    )


def wrong_shard(honest: Sequence[int], dishonest: Sequence[int], committee: int, quorum: int) -> float:
    """Chance that at least ``quorum`` of ``committee`` distinct nodes are dishonest.

    :param honest: seats of each honest node
    :param dishonest: seats of each dishonest node
    :raises ValueError: fewer nodes than the committee has members
    """
    if len(honest) + len(dishonest) < committee:
        raise ValueError(f"a committee of {committee} needs as many nodes: have {len(honest) + len(dishonest)}")
    if len(dishonest) < quorum:
        return 0.0
    seats = sum(honest) + sum(dishonest)
    u, weights = _quadrature(seats)
    good, bad = Counter(honest), Counter(dishonest)
    total = _last_from(bad, good, u, committee, quorum - 1) + _last_from(
        good, bad, u, committee, quorum, last_is_bad=False
    )
    return float(min(1.0, max(0.0, np.dot(weights, total))))


def _quadrature(seats: int) -> tuple[Floats, Floats]:
    """Points and weights of the integral over ``u`` in [0, 1]."""
    if seats < 2 * MAX_POINTS:
        nodes, weights = LEGENDRE.leggauss(seats // 2 + 1)
        return (nodes + 1) / 2, weights / 2
    scaled, weights = LAGUERRE.laggauss(LAGUERRE_POINTS)
    time = scaled / seats
    return -np.expm1(-time), weights / seats * np.exp(scaled - time)  # du = exp(-t) dt


def _last_from(
    last: Counter[int],
    other: Counter[int],
    u: Floats,
    committee: int,
    bad_before: int,
    last_is_bad: bool = True,
) -> Floats:
    """Density that the committee's last member comes from ``last`` and at least ``bad_before`` of the
    earlier ones are dishonest."""
    result = np.zeros_like(u)
    for seats in last:
        rest = last.copy()
        rest[seats] -= 1
        mine, theirs = _rung(rest, u, committee), _rung(other, u, committee)
        bad, good = (mine, theirs) if last_is_bad else (theirs, mine)
        before = sum((bad[k] * good[committee - 1 - k] for k in range(bad_before, committee)), start=np.zeros_like(u))
        result += last[seats] * seats * (1 - u) ** (seats - 1) * before
    return result


def _rung(side: Counter[int], u: Floats, committee: int) -> list[Floats]:
    """``[k]``: chance that exactly ``k < committee`` nodes of one side have rung by ``u``."""
    out = [np.ones_like(u)] + [np.zeros_like(u) for _ in range(committee - 1)]
    for seats, count in side.items():
        if count == 0:
            continue
        late = (1 - u) ** seats
        one = [
            float(math.comb(count, k)) * (1 - late) ** k * late ** (count - k)
            for k in range(min(count, committee - 1) + 1)
        ]
        out = [
            sum((out[k - j] * one[j] for j in range(min(k, len(one) - 1) + 1)), start=np.zeros_like(u))
            for k in range(committee)
        ]
    return out


def _ruled(captured: float, honest: float, attempts: int) -> float:
    """Chance that a court ends captured, by those of one attempt; one without two thirds is followed by the next."""
    again = max(0.0, 1 - captured - honest)
    return captured * math.fsum(again**i for i in range(attempts))


def captured_binomial(share: float, judges: int, attempts: int) -> float:
    """Chance ``K`` that a court in an endless pool rules as its dishonest judges like."""
    need = case_quorum(judges)
    one, other = (wrong_shard_binomial(a, judges, need) for a in (share, 1 - share))
    return _ruled(one, other, attempts)


def captured(honest: Sequence[int], dishonest: Sequence[int], judges: int, attempts: int) -> float:
    """The same from real seats; the court is taken as drawn from all of them.

    :raises ValueError: fewer nodes than the court needs
    """
    need = case_quorum(judges)
    one, other = wrong_shard(honest, dishonest, judges, need), wrong_shard(dishonest, honest, judges, need)
    return _ruled(one, other, attempts)


def wrong_final_binomial(share: float, committee: int, quorum: int, judges: int, attempts: int) -> float:
    """Chance that a wrong root becomes final in an endless pool, if an outvoted honest member appeals: nobody honest
    was on the committee, or the court confirms it.

    ``a^3 + 3a^2(1-a)K`` for 3 and 2, with ``K`` the chance that the court is captured. Without judges: that it settles.
    """
    settled = wrong_shard_binomial(share, committee, quorum)
    if not judges:
        return settled
    every = share**committee
    return every + (settled - every) * captured_binomial(share, judges, attempts)


def wrong_final(
    honest: Sequence[int], dishonest: Sequence[int], committee: int, quorum: int, judges: int, attempts: int
) -> float:
    """The same from real seats.

    :raises ValueError: fewer nodes than a committee or the court needs
    """
    settled = wrong_shard(honest, dishonest, committee, quorum)
    if not judges:
        return settled
    every = wrong_shard(honest, dishonest, committee, committee)
    return every + (settled - every) * captured(honest, dishonest, judges, attempts)


def any_wrong(shard: float, shards: int) -> float:
    """Chance that at least one of independent ``shards`` is wrong."""
    return -math.expm1(shards * math.log1p(-shard)) if shard < 1 else 1.0


def seats_to_corrupt(honest: Sequence[int], committee: int, quorum: int, chance: float = 0.5) -> int:
    """Fewest new seats, on new nodes of one seat each, that win a given shard with at least that chance."""
    low, high = 0, 1
    while wrong_shard(honest, [1] * high, committee, quorum) < chance:
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        if wrong_shard(honest, [1] * middle, committee, quorum) < chance:
            low = middle
        else:
            high = middle
    return high
