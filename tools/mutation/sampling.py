"""A seeded order of all mutants whose every prefix is a stratified sample."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable

from tools.mutation.mutants import Mutant


def order(mutants: Iterable[Mutant], seed: int) -> list[Mutant]:
    """Order mutants so that each prefix takes from every (file, operator) stratum by its size.

    Element k of a shuffled stratum of size s stands at (k + u) / s, u uniform per stratum: a prefix
    holds within one of its share of each stratum. One mutant of each file and of each operator
    comes first, so that no sample is without one.
    """
    draws = random.Random(seed)
    strata: dict[tuple[str, str], list[Mutant]] = defaultdict(list)
    for mutant in mutants:
        strata[mutant.file, mutant.operator].append(mutant)

    placed: list[tuple[float, int, Mutant]] = []
    for name in sorted(strata):
        stratum = strata[name]
        draws.shuffle(stratum)
        offset = draws.random()
        placed += [((k + offset) / len(stratum), len(placed) + k, mutant) for k, mutant in enumerate(stratum)]
    ordered = [mutant for _, _, mutant in sorted(placed, key=lambda entry: entry[:2])]

    first: list[Mutant] = []
    files: set[str] = set()
    operators: set[str] = set()
    for mutant in ordered:
        if mutant.file not in files or mutant.operator not in operators:
            first.append(mutant)
            files.add(mutant.file)
            operators.add(mutant.operator)
    chosen = set(first)
    return first + [mutant for mutant in ordered if mutant not in chosen]
