"""What theory says: the chance that a shard settles wrong, and that it stays wrong, from the actual seats.

Committees are drawn without replacement: every next member in proportion to seats among the nodes not drawn yet,
which is the order of independent exponential clocks with seats as rates. With ``u = 1 - exp(-t)`` a node of ``s``
seats has rung by ``t`` with probability ``1 - (1-u)**s``, so the chance of every composition by type is one
integral of a polynomial in ``u``: Gauss-Legendre is exact for small pools. In large ones all the weight sits near
``u = 0``, and Gauss-Laguerre in ``t`` times all seats is exact to float precision instead.

Counts may be fractions: a court is drawn from the pool without the appealed committee's *average* seats.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lab.simulate.kinds import Kind

Floats = NDArray[np.float64]
Types = list[dict[int, float]]
"""Per type: how many nodes of how many seats."""
Pool = Mapping[tuple[Kind, int], int]
"""Nodes by kind and seats."""
Committee = tuple[tuple[int, int, int], ...]
"""Who sat on a committee: (camp, seats or 0 for any, members)."""
POLYNOMIALS: Any = np.polynomial  # untyped in some numpy releases
SMALL_POOL = 799  # seats up to which 400 points integrate exactly
LAGUERRE_POINTS = 80
LEVEL = 0.999
"""Of intervals. A report compares some forty counts: at 95 % two of them would lie outside by chance."""
EXACT_CLASSES = 1_000  # compositions, and
EXACT_SEATS = 200  # seats, up to which kinds are told apart by seats too

CAMP_NUMBERS = range(5)
OTHER, CARTEL, HONEST, FLIPFLOP, FISHER = CAMP_NUMBERS
CAMPS = {Kind.CARTEL: CARTEL, Kind.HONEST: HONEST, Kind.FLIPFLOP: FLIPFLOP, Kind.FISHER: FISHER}


def compositions(types: Types, size: int) -> tuple[NDArray[np.int64], Floats]:
    """Every composition of a committee by type, ``(m, types)``, and its chance, ``(m,)``.

    The chances add up to 1 when the pool has at least ``size`` nodes.
    """
    seats = sum(s * n for kind in types for s, n in kind.items())
    if seats > SMALL_POOL:
        tau, weights = POLYNOMIALS.laguerre.laggauss(LAGUERRE_POINTS)
        time = tau / seats
        weights = weights / seats * np.exp(tau - time)  # du = exp(-t) dt
    else:
        nodes, weights = POLYNOMIALS.legendre.leggauss(max(1, math.ceil(seats / 2) + 1))
        time, weights = -np.log1p(-(nodes + 1) / 2), weights / 2
    rung = [_rung(kind, time, size) for kind in types]
    last = [_last(kind, time, size) for kind in types]
    chosen = np.array(
        [np.bincount(c, minlength=len(types)) for c in combinations_with_replacement(range(len(types)), size)]
    )
    total = np.zeros((len(chosen), len(time)))
    for of in range(len(types)):
        part = last[of][chosen[:, of]].copy()
        for other in range(len(types)):
            if other != of:
                part *= rung[other][chosen[:, other]]
        total += part
    return chosen, np.clip(total @ weights, 0.0, 1.0)


def _rung(kind: Mapping[int, float], time: Floats, size: int) -> Floats:
    """``[k]``: chance that exactly ``k <= size`` nodes of a type have rung by ``time``."""
    out = np.zeros((size + 1, len(time)))
    out[0] = 1.0
    for seats, count in kind.items():
        if count <= 0:
            continue
        early = -np.expm1(-seats * time)
        one = np.zeros_like(out)
        factor = 1.0
        for k in range(size + 1):
            if count - k < 0 or factor <= 0:
                break
            one[k] = factor * early**k * np.exp(-seats * time * (count - k))
            factor *= (count - k) / (k + 1)
        out = np.stack([sum((out[k - j] * one[j] for j in range(k + 1)), np.zeros(len(time))) for k in range(size + 1)])
    return out


def _last(kind: Mapping[int, float], time: Floats, size: int) -> Floats:
    """``[k]``: density in ``u`` that the last member is of a type of which ``k - 1`` have rung before."""
    out = np.zeros((size + 1, len(time)))
    for seats, count in kind.items():
        if count <= 0:
            continue
        rest = _rung({**kind, seats: count - 1}, time, size)
        out[1:] += count * seats * np.exp(-(seats - 1) * time) * rest[:-1]
    return out


@dataclass(frozen=True, slots=True)
class Chances:
    """Of one attempt of a shard.

    ``unappealed``: settles wrong and nobody appeals; ``appealed``: chance of every committee, as
    (camp, seats or 0 for any, members), whose result is appealed.
    """

    wrong: float
    right: float
    unappealed: float
    appealed: tuple[tuple[Committee, float], ...]

    @property
    def failed(self) -> float:
        """No quorum."""
        return max(0.0, 1 - self.wrong - self.right)


@dataclass(frozen=True, slots=True)
class Theory:
    """The terms that the chances depend on. Appeal chances are per member, and of the requester.

    ``flip``: share of a flip-flopper's answers that are wrong; ``appeals``: whether results can be appealed.
    """

    committee: int
    quorum: int
    judges: int
    case_quorum: int
    attempts: int
    flip: float
    appeals: bool
    honest_appeals: float
    requester_appeals: float
    false_appeals: float
    fishing: float

    def chances(self, pool: Pool) -> Chances:
        """From how many nodes there are of each kind and number of seats."""
        names, types = _types(pool, self.committee)
        chosen, weights = compositions(types, self.committee)
        camps = [camp for camp, _ in names]
        members = np.stack([chosen[:, [c == camp for c in camps]].sum(axis=1) for camp in CAMP_NUMBERS], axis=1)
        wrong = members[:, CARTEL] >= self.quorum
        right = np.where(wrong, 0.0, self._right(members, self.quorum, members[:, FISHER]))
        fished = any(kind is Kind.FISHER and count for (kind, _), count in pool.items())
        unappealed, appealed = 0.0, []
        for row in np.flatnonzero(weights > 0).tolist():
            part = float(weights[row] * (1.0 if wrong[row] else right[row]))
            chance = self._appealed(members[row], bool(wrong[row]), fished)
            unappealed += part * (1 - chance) if wrong[row] else 0.0
            if part * chance > 0:
                who = tuple((*name, n) for name, n in zip(names, chosen[row].tolist(), strict=True) if n)
                appealed.append((who, part * chance))
        return Chances(float(weights[wrong].sum()), float(weights @ right), unappealed, tuple(appealed))

    def court(self, pool: Pool, without: Committee) -> tuple[float, float, float]:
        """Chances that one attempt of a case ends wrong, right, or without a quorum, its judges being drawn from the
        pool without the appealed committee."""
        left: dict[tuple[int, int], float] = {}
        for (kind, seats), count in pool.items():
            left[_camp(kind), seats] = left.get((_camp(kind), seats), 0) + count
        for camp, seats, gone in without:
            same = {s: n for (c, s), n in left.items() if c == camp and seats in (0, s)}
            total = sum(s * n for s, n in same.items())
            for s, n in same.items():
                left[camp, s] = max(0.0, n - gone * s * n / total)
        types: Types = [{} for _ in CAMP_NUMBERS]
        for (camp, seats), n in left.items():
            types[camp][seats] = n
        chosen, weights = compositions(types, self.judges)
        fishers = chosen[:, FISHER]
        wrong = (chosen[:, CARTEL] >= self.case_quorum) | (fishers >= self.case_quorum)
        helping = np.where(fishers > self.judges - self.case_quorum, 0, fishers)
        right = np.where(wrong, 0.0, self._right(chosen, self.case_quorum, helping))
        bad, good = float(weights[wrong].sum()), float(weights @ right)
        return bad, good, max(0.0, 1 - bad - good)

    def _appealed(self, members: NDArray[np.int64], wrong: bool, fished: bool) -> float:
        if not self.appeals:
            return 0.0
        if wrong:
            return 1 - float((1 - self.honest_appeals) ** int(members[HONEST])) * (1 - self.requester_appeals)
        left = float((1 - self.false_appeals) ** int(members[CARTEL]))
        return 1 - left * (1 - self.fishing if fished and not members[FISHER] else 1)

    def _right(self, members: NDArray[np.int64], quorum: int, others: NDArray[np.int64]) -> Floats:
        """Chance that enough of the honest, of the flip-floppers on a good turn and of ``others`` answer right."""
        out = np.zeros(len(members))
        for good in range(int(members[:, FLIPFLOP].max(initial=0)) + 1):
            flips = members[:, FLIPFLOP]
            chance = np.array([math.comb(n, good) if good <= n else 0 for n in flips.tolist()], float)
            chance *= (1 - self.flip) ** good * self.flip ** np.maximum(flips - good, 0)
            out += np.where(members[:, HONEST] + others + good >= quorum, chance, 0.0)
        return out


def _camp(kind: Kind) -> int:
    return CAMPS.get(kind, OTHER)


def _types(pool: Pool, size: int) -> tuple[list[tuple[int, int]], Types]:
    """Types of nodes, each with its camp and its seats where compositions are few enough to tell those apart."""
    fine: dict[tuple[int, int], float] = {}
    for (kind, seats), count in pool.items():
        if count and seats:
            fine[_camp(kind), seats] = fine.get((_camp(kind), seats), 0) + count
    small = sum(seats * count for (_, seats), count in fine.items()) <= EXACT_SEATS
    if small and math.comb(len(fine) + size - 1, size) <= EXACT_CLASSES:
        return list(fine), [{seats: count} for (_, seats), count in fine.items()]
    merged: Types = [{} for _ in CAMP_NUMBERS]
    for (camp, seats), nodes in fine.items():
        merged[camp][seats] = nodes
    return [(camp, 0) for camp in CAMP_NUMBERS], merged


# --- intervals ----------------------------------------------------------------------------------------------


def binomial_interval(n: int, p: float, level: float = LEVEL) -> tuple[int, int]:
    """Fewest and most of ``n`` that lie within the middle ``level`` of a binomial distribution."""
    if n <= 0 or p <= 0:
        return 0, 0
    if p >= 1:
        return n, n
    spread = 12 * math.sqrt(n * p * (1 - p)) + 30
    low, high = max(0, math.floor(n * p - spread)), min(n, math.ceil(n * p + spread))
    k = np.arange(low, high + 1)
    steps = np.log((n - k[:-1]) / (k[:-1] + 1)) + math.log(p) - math.log1p(-p)
    logs = np.r_[0.0, np.cumsum(steps)]
    mass = np.exp(logs - logs.max())
    total = np.cumsum(mass / mass.sum())
    tail = (1 - level) / 2
    first, last = int(np.searchsorted(total, tail)), int(np.searchsorted(total, 1 - tail))
    return int(k[first]), int(k[min(last, len(k) - 1)])
