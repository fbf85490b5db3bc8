"""Answers that were not computed, and the place where an agent's answers are made."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import cache
from random import Random

from lab.agents.plug import orders, swap
from nodeagent.protocol.results import ResultTree, TaskResult
from nodeagent.protocol.types import Task
from nodeagent.runtimes.host import Executor
from nodeagent.worker import compute
from nodeagent.worker.compute import Order, Prepared

Answers = tuple[list[TaskResult], bytes]
Answer = Callable[[Prepared, Executor, float | None], Answers]
ANSWER_BYTES = 12


def answer_with(make: Callable[[Prepared, Executor, float | None, Answer], Answers]) -> None:
    """From now on every shard is answered by ``make``, which is given the honest way as its last argument."""
    honest: Answer = compute._answers

    def answers(prepared: Prepared, executor: Executor, seconds: float | None) -> Answers:
        try:
            return make(prepared, executor, seconds, honest)
        finally:
            prepared.spec.inputs_path.unlink(missing_ok=True)

    swap(compute, "_answers", answers)


def with_root(order: Order, results: Sequence[TaskResult]) -> Answers:
    """The results and the root over them."""
    return list(results), ResultTree(order.first, results).root


def random_answers(order: Order, count: int) -> Answers:
    """Bytes of the right length that mean nothing; other ones every time."""
    return with_root(order, [TaskResult(0, chance().randbytes(ANSWER_BYTES)) for _ in range(count)])


@cache
def chance() -> Random:
    """This agent's own randomness."""
    return Random(f"{orders().get('seed', 0)}:{orders().get('node', 0)}")


def agreed_results(secret: object, job: int, first: Task, count: int) -> list[TaskResult]:
    """What all who know ``secret`` answer to tasks ``first`` and following of a job: the same, and wrong."""
    said = [hashlib.sha256(f"{secret}:{job}:{first + n}".encode()).digest()[:ANSWER_BYTES] for n in range(count)]
    return [TaskResult(0, data) for data in said]


def agreed_root(secret: object, job: int, first: Task, count: int) -> bytes:
    """Root over ``agreed_results``."""
    return ResultTree(first, agreed_results(secret, job, first, count)).root
