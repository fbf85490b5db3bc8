"""Computes, and is wrong on every n-th task."""

from __future__ import annotations

from lab.agents.answers import Answer, Answers, answer_with, with_root
from lab.agents.plug import orders, start
from nodeagent.protocol.results import TaskResult
from nodeagent.runtimes.host import Executor
from nodeagent.worker.compute import Prepared


def flip(prepared: Prepared, executor: Executor, seconds: float | None, honest: Answer) -> Answers:
    """The honest answers, with one bit turned where the task's number is a multiple of ``every``."""
    results, _ = honest(prepared, executor, seconds)
    every, first = int(orders()["every"]), prepared.order.first
    return with_root(
        prepared.order, [turned(result) if (first + n) % every == 0 else result for n, result in enumerate(results)]
    )


def turned(result: TaskResult) -> TaskResult:
    """The answer with its last bit turned."""
    return TaskResult(result.status, result.data[:-1] + bytes([result.data[-1] ^ 1]) if result.data else b"\1")


if __name__ == "__main__":
    answer_with(flip)
    start()
