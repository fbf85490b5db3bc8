"""Computes, and is wrong on every n-th task, each node in its own way: two that erred alike would be a cartel."""

from __future__ import annotations

from lab.agents.answers import Answer, Answers, answer_with, with_root
from lab.agents.plug import orders, start
from nodeagent.protocol.results import TaskResult
from nodeagent.runtimes.host import Executor
from nodeagent.worker.compute import Prepared


def flip(prepared: Prepared, executor: Executor, seconds: float | None, honest: Answer) -> Answers:
    """The honest answers, with a byte changed where the task's number is a multiple of ``every``."""
    results, _ = honest(prepared, executor, seconds)
    every, node, first = int(orders()["every"]), int(orders()["node"]), prepared.order.first
    return with_root(
        prepared.order,
        [turned(result, node) if (first + n) % every == 0 else result for n, result in enumerate(results)],
    )


def turned(result: TaskResult, node: int) -> TaskResult:
    """The answer with its last byte as only this node (of the first 255) changes it."""
    last = result.data[-1:] or b"\0"
    return TaskResult(result.status, result.data[:-1] + bytes([last[0] ^ (node % 255 + 1)]))


if __name__ == "__main__":
    answer_with(flip)
    start()
