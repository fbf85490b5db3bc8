"""Computes and commits, and never opens what it sealed."""

from __future__ import annotations

from lab.agents.plug import start, swap
from nodeagent.worker import lifecycle as life

honest = life.decide


def withhold(state: life.State, facts: life.Facts, now: life.Clock) -> list[life.Action]:
    """What an honest node does, without openings."""
    found: list[life.Action] = []
    for action in honest(state, facts, now):
        if isinstance(action, life.Turn):
            found.append(life.Commit(action.epoch, action.deadline))
        elif not isinstance(action, life.Reveal):
            found.append(action)
    return found


if __name__ == "__main__":
    swap(life, "decide", withhold)
    start()
