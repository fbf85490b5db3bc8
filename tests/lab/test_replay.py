"""Recorded runs of the real chain, replayed: committees shard by shard, balances account by account."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lab.simulate.compare import differences
from lab.simulate.record import BadRecord, Record, read_record
from lab.simulate.replay import Replay

DATA = Path(__file__).parent / "data"
RECORDS = sorted(DATA.glob("*.record.json"))


def replayed(document: dict[str, Any]) -> list[str]:
    record = Record.model_validate(document)
    return differences(record, Replay(record).play())


@pytest.fixture
def document() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((DATA / "case-staller.record.json").read_text())
    return found


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.name.split(".")[0])
def test_replay__recorded_run__draws_the_same_and_comes_to_the_same_balances(path: Path) -> None:
    record = read_record(path)
    assert differences(record, Replay(record).play()) == []
    assert record.committees and record.balances.nodes


def test_replay__recorded_cartel__has_every_step_of_a_case(document: dict[str, Any]) -> None:
    """What is replayed is worth it: appeals, verdicts, forfeits, slashes, claims."""
    acts = {act["act"] for act in document["acts"]}
    assert acts >= {"stake", "post", "settle", "appeal", "resolve", "wrong", "claim", "close_case"}
    assert document["balances"]["burned_stake"] > 0


def test_replay__another_seed__draws_other_committees(document: dict[str, Any]) -> None:
    epoch = sorted(document["seeds"])[-1]
    document["seeds"][epoch] = "0x" + bytes(32).hex()
    try:
        found = replayed(document)
    except BadRecord as fault:
        found = [fault.message]
    assert found


@pytest.mark.parametrize("field", ["matured", "maturing", "stake"])
def test_replay__one_balance_off_by_one__names_the_account(document: dict[str, Any], field: str) -> None:
    node = document["balances"]["nodes"][3]
    node[field] += 1
    assert replayed(document) == [f"node {node['node']} {field}: replayed {node[field] - 1}, chain {node[field]}"]


def test_replay__a_settlement_that_pays_another_slot__is_refused(document: dict[str, Any]) -> None:
    """A cartel's shard, paid to the member who answered otherwise."""
    wrong = next(act for act in document["acts"] if act["act"] == "appeal")
    for act in document["acts"]:
        for entry in act.get("entries", ()):
            if (entry["job"], entry["shard"]) == (wrong["job"], wrong["shard"]):
                entry["paid"] = [0, 1, 2]
    with pytest.raises(BadRecord, match="did not open the root"):
        replayed(document)
