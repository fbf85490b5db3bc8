"""The demo's arithmetic: how its job is cut, what gas a shard costs, and what makes it fail."""

from __future__ import annotations

from typing import Any

import pytest

from nodeagent.client.history import History
from nodeagent.demo.ledgerbook import Committees, Transaction, gas_by_step
from nodeagent.demo.report import disagreements, passes
from nodeagent.demo.terms import COMMITTEE, FASTEST, MOST_WORK, SLOWEST, choose_terms


@pytest.mark.parametrize("tasks", [1, 2, 12, 13, 14, 299, 300, 5000])
def test_choose_terms__any_number_of_tasks__starts_every_shard_in_one_epoch(tasks: int) -> None:
    terms = choose_terms(tasks, seats=20, task_seconds=0.035, cores=2, nodes=5)
    shards = -(-tasks // terms.shard_size)
    assert 1 <= shards <= 2 * 20 // COMMITTEE
    assert terms.shard_size <= tasks


def test_choose_terms__two_idle_cores__fits_the_minute() -> None:
    terms = choose_terms(300, seats=20, task_seconds=0.035, cores=2, nodes=5)
    assert terms.seconds < 45


def test_choose_terms__busy_machine__counts_that_one_process_was_slowed_more_than_five() -> None:
    naive, aware = (choose_terms(300, 20, 0.1, 2, 5, load).block_time for load in (0.0, 4.0))
    assert choose_terms(300, 20, 0.04, 2, 5).block_time < aware < naive


def test_choose_terms__slow_machine__beats_slower_but_within_bounds() -> None:
    slow = choose_terms(300, 20, 0.3, 2, 5)
    assert slow.block_time > choose_terms(300, 20, 0.035, 2, 5).block_time
    assert slow.work == MOST_WORK
    assert choose_terms(300, 20, 1000.0, 1, 5).block_time == SLOWEST
    few = choose_terms(10, 20, 0.035, 2, 5)
    assert few.block_time == FASTEST
    assert few.work < 4


def test_gas_by_step__mixed__counts_work_per_shard_without_post_and_seeds() -> None:
    found = [
        Transaction("0x1", "post", 1, 100_000),
        Transaction("0x2", "commit", 2, 30_000),
        Transaction("0x3", "turn", 3, 50_000),
        Transaction("0x4", "reveal", 3, 40_000),
        Transaction("0x5", "record_seed", 3, 60_000),
        Transaction("0x6", "settle", 4, 120_000),
    ]
    gas = gas_by_step(found, shards=4, tasks=10)
    assert gas["post"] == 100_000
    assert gas["record_seed"] == [60_000]
    assert gas["per_shard"] == 60_000
    assert gas["per_task"] == 24_000


def test_tasks_drawn__two_attempts__counts_a_shard_once(history: History) -> None:
    drawn = {(0, 0): (1, 2, 3), (0, 1): (2, 3, 4), (2, 0): (1, 0, 2)}
    counted = Committees(drawn, {}).tasks_drawn(history)
    assert counted == {1: 3, 2: 3, 3: 2, 4: 2}  # shard 2 has one task; slot 0 of nobody is left out


def good() -> dict[str, Any]:
    node = {"pid": 1, "home": "a", "content_root": "a/c", "operator": "0x1", "id": 1, "inferences": 5, "drawn": 5}
    other = {"pid": 2, "home": "b", "content_root": "b/c", "operator": "0x2", "id": 2, "inferences": 4, "drawn": 4}
    return {"tasks": 5, "verified": 5, "matches_local_onnxruntime": 5, "nodes": [node, other]}


def test_disagreements__all_well__is_empty() -> None:
    assert disagreements(good()) == []
    assert passes(good()) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"verified": 4}, "verified is 4, tasks are 5"),
        ({"matches_local_onnxruntime": 4}, "matches_local_onnxruntime is 4"),
    ],
)
def test_disagreements__a_count_differs__is_named(change: dict[str, int], words: str) -> None:
    assert any(words in line for line in disagreements({**good(), **change}))


@pytest.mark.parametrize("field", ["pid", "home", "content_root", "operator"])
def test_disagreements__two_nodes_share_something__is_named(field: str) -> None:
    report = good()
    report["nodes"][1][field] = report["nodes"][0][field]
    assert disagreements(report) == [f"two nodes share their {field}"]


def test_disagreements__a_node_ran_more_than_it_was_drawn_for__is_named() -> None:
    report = good()
    report["nodes"][1]["inferences"] = 9
    assert disagreements(report) == ["node 2 ran 9 tasks and was drawn for 4"]


def test_passes__a_node_ran_less__is_told_and_no_disagreement() -> None:
    report = good()
    report["nodes"][1]["inferences"] = 1
    assert passes(report) == ["node 2 passed on 3 of 4 tasks"]
    assert disagreements(report) == []
