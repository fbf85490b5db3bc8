"""Answers at random and computes nothing."""

from __future__ import annotations

from lab.agents.answers import Answer, Answers, answer_with, random_answers
from lab.agents.plug import start
from nodeagent.runtimes.host import Executor
from nodeagent.worker.compute import Prepared


def guess(prepared: Prepared, executor: Executor, seconds: float | None, honest: Answer) -> Answers:
    """A guess."""
    del executor, seconds, honest
    return random_answers(prepared.order, prepared.spec.count)


if __name__ == "__main__":
    answer_with(guess)
    start()
