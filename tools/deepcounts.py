"""How often the actions of an invariant suite succeeded, and which of them too seldom."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

CALLS = 10_000_000
EACH = 300  # successes of every action in CALLS calls


@dataclass(slots=True)
class Suite:
    """What one suite did: calls its handler was given, those refused, what succeeded how often."""

    name: str
    calls: int = 0
    reverts: int = 0
    actions: dict[str, int] = field(default_factory=dict)

    def add(self, calls: int, reverts: int, actions: dict[str, int]) -> None:
        self.calls += calls
        self.reverts += reverts
        for action, times in actions.items():
            self.actions[action] = self.actions.get(action, 0) + times


def read_counts(text: str) -> dict[str, int]:
    """Return how often each action succeeded, over all runs: `calls=N;action=N;…` a line.

    Forge plays the last run of each invariant again after it passed: a line that stands twice is one run.
    """
    total: Counter[str] = Counter()
    for line in set(text.splitlines()):
        for part in line.split(";"):
            action, _, times = part.rpartition("=")
            total[action] += int(times)
    total.pop("calls", None)
    return dict(total)


def counted_actions(source: str) -> list[str]:
    """Return what the protocol's suite counts, from the rows of `Counts.sol`."""
    return re.findall(r'= Row\("([^"]+)", \d+\);', source)


def too_seldom(suite: Suite, actions: Iterable[str], each: int = EACH) -> list[str]:
    """Return the actions of a suite that succeeded less often than their share; `actions` must be among them."""
    least = max(1, each * suite.calls // CALLS)
    done = dict.fromkeys(actions, 0) | suite.actions
    return [
        f"{suite.name}: '{action}' succeeded {times} times in {suite.calls} calls, not {least}"
        for action, times in sorted(done.items())
        if times < least
    ]
