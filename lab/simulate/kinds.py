"""Who is in the pool and what each kind answers.

An answer is a small code, equal exactly when the roots would be: 0 nothing opened, 1 the right root, 2 the
cartel's root of that shard, and one code of its own for every other wrong answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lab.simulate.draws import Ints, Nodes
from nodeagent.errors import Fatal

Codes = NDArray[np.uint8]
NOTHING, RIGHT, CARTEL_ROOT = 0, 1, 2
OWN_ROOT: Final = 3
"""First code of answers that nobody else gives; slot and attempt are added."""
JUDGE_ROOT: Final = 100
"""Likewise for judges."""


class BadMix(Fatal):
    """The population cannot be made as it was described."""


class Kind(IntEnum):
    """How a node behaves. ``NOBODY`` is the kind of a void slot."""

    NOBODY = 0
    HONEST = 1
    LAZY = 2
    """Answers at random, without computing."""
    CARTEL = 3
    """Signs one wrong root per shard, together with all of its kind, also as judge."""
    WITHHOLDER = 4
    """Commits and never reveals."""
    GHOST = 5
    """Holds seats and is never there; does not come back once it is paused."""
    FLIPFLOP = 6
    """Right, but wrong on every n-th answer."""
    FISHER = 7
    """Right as a member, and appeals right results of committees without its own; lies where a court is its own."""

    @property
    def title(self) -> str:
        return self.name.lower()


def _fished(members: Ints, size: int, court_quorum: int) -> Codes:
    """What fishers answer, ``(m, 1)``, from how many of them there are: a lie where a court is theirs, nothing where
    they can keep it from a verdict and have it drawn again."""
    if not court_quorum:
        return np.full((len(members), 1), RIGHT, np.uint8)
    blocked = np.where(members > size - court_quorum, NOTHING, RIGHT)
    return np.where(members >= court_quorum, CARTEL_ROOT, blocked).astype(np.uint8)[:, None]


def parse_mix(text: str) -> dict[Kind, float]:
    """``kind=share,…`` as shares of stake; what is left is honest.

    :raises BadMix: an unknown kind or one named twice, a share that is no number in [0, 1], or more than everything
    """
    names = {kind.title: kind for kind in Kind if kind is not Kind.NOBODY}
    mix: dict[Kind, float] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, value = part.partition("=")
        if name.strip() not in names:
            raise BadMix(f"unknown kind {name.strip()!r} in the mix", hint=f"kinds are {', '.join(names)}")
        try:
            share = float(value)
        except ValueError:
            share = -1.0
        if not 0 <= share <= 1:
            raise BadMix(f"share {value.strip()!r} of {name.strip()} is not a number from 0 to 1")
        if names[name.strip()] in mix:
            raise BadMix(f"{name.strip()} is twice in the mix", hint="give each kind one share")
        mix[names[name.strip()]] = share
    rest = 1 - sum(share for kind, share in mix.items() if kind is not Kind.HONEST)
    if rest < -1e-9:
        raise BadMix(f"the shares add up to {sum(mix.values()):g}", hint="give shares that add up to at most 1")
    if Kind.HONEST in mix and abs(mix[Kind.HONEST] - rest) > 1e-9:
        raise BadMix(
            f"the shares add up to {sum(mix.values()):g}", hint="give shares that add up to 1, or leave honest out"
        )
    return {Kind.HONEST: max(0.0, rest), **{k: v for k, v in mix.items() if k is not Kind.HONEST and v > 0}}


def parse_seats(text: str) -> dict[int, float]:
    """Weights of nodes by seats: ``1-4`` (evenly), ``2`` or ``1:3,4:1`` (three nodes of one seat for one of four).

    :raises BadMix: not such a text
    """
    try:
        if ":" in text:
            pairs = [part.split(":") for part in text.split(",")]
            weights = {int(seats): float(weight) for seats, weight in pairs}
        else:
            low, _, high = text.partition("-")
            weights = dict.fromkeys(range(int(low), int(high or low) + 1), 1.0)
    except ValueError:
        weights = {}
    if not weights or min(weights) < 1 or max(weights) > 8 or min(weights.values()) < 0 or not sum(weights.values()):
        raise BadMix(f"seats {text!r} are not a distribution over 1 to 8 seats", hint="for example 1-4, or 1:3,4:1")
    return weights


@dataclass(frozen=True, slots=True)
class Population:
    """All nodes. Index 0 is nobody, node ids count from 1.

    ``turn`` is each node's count of answers so far: what a flip-flopper is wrong by.
    """

    kinds: NDArray[np.uint8]
    seats: Ints
    turn: Ints
    every: int

    @classmethod
    def make(
        cls, nodes: int, mix: Mapping[Kind, float], seats: Mapping[int, float], every: int, rng: np.random.Generator
    ) -> Population:
        """Nodes with seats drawn from a distribution, and kinds by shares of all seats (within one node's)."""
        sizes, weights = np.array(list(seats)), np.array(list(seats.values()))
        held = np.zeros(nodes + 1, np.int64)
        held[1:] = rng.choice(sizes, nodes, p=weights / weights.sum())
        order = rng.permutation(nodes) + 1
        middle = (np.cumsum(held[order]) - held[order] / 2) / held.sum()
        bounds = np.cumsum(list(mix.values()))[:-1]
        kinds = np.zeros(nodes + 1, np.uint8)
        kinds[order] = np.array([int(kind) for kind in mix], np.uint8)[np.searchsorted(bounds, middle)]
        return cls(kinds, held, rng.integers(0, every, nodes + 1), every)

    def of(self, kind: Kind) -> NDArray[np.bool_]:
        """Which nodes are of a kind, as a mask over node ids."""
        return np.asarray(self.kinds == kind, np.bool_)

    def answers(self, committees: Nodes, own: int, court_quorum: int = 0) -> Codes:
        """Codes of a batch of committees, in order; moves the flip-floppers' turns.

        :param own: first code for answers that nobody else gives, one per slot
        :param court_quorum: of the judges, when that is what they are
        """
        kinds = self.kinds[committees]
        codes: Codes = np.zeros(kinds.shape, np.uint8)
        codes[kinds == Kind.HONEST] = RIGHT
        codes[kinds == Kind.CARTEL] = CARTEL_ROOT
        fishers = kinds == Kind.FISHER
        codes = np.where(fishers, _fished(fishers.sum(axis=1), kinds.shape[1], court_quorum), codes)
        own_codes = np.broadcast_to((own + np.arange(kinds.shape[1])).astype(np.uint8), kinds.shape)
        lazy = kinds == Kind.LAZY
        codes[lazy] = own_codes[lazy]
        flips = kinds == Kind.FLIPFLOP
        if flips.any():
            wrong = self._turns(committees[flips])
            codes[flips] = np.where(wrong, own_codes[flips], RIGHT)
        return codes

    def _turns(self, nodes: Nodes) -> NDArray[np.bool_]:
        """Whether each of these answers, in order, is its node's n-th."""
        order = np.argsort(nodes, kind="stable")
        ranked = nodes[order]
        first = np.r_[True, ranked[1:] != ranked[:-1]]
        starts = np.flatnonzero(first)
        rank = np.arange(len(ranked)) - np.repeat(starts, np.diff(np.r_[starts, len(ranked)]))
        position = np.empty(len(nodes), np.int64)
        position[order] = self.turn[ranked] + rank + 1
        self.turn[ranked[starts]] += np.diff(np.r_[starts, len(ranked)])
        return np.asarray(position % self.every == 0, np.bool_)
