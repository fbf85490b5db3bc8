"""A recorded run played again: equal to the unit, every difference named, nothing believed that the rules forbid."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lab.simulate.compare import differences
from lab.simulate.record import BadRecord, Record, read_record
from lab.simulate.replay import Replay
from tests.agent.lab.recorded import made

Change = Callable[[dict[str, Any]], None]


def played(raw: dict[str, Any]) -> list[str]:
    record = Record.model_validate(raw)
    return differences(record, Replay(record).play())


def act(raw: dict[str, Any], name: str, number: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = [a for a in raw["acts"] if a["act"] == name][number]
    return found


def test_replay__a_hand_made_run__agrees_committee_by_committee_and_account_by_account() -> None:
    assert played(made()) == []


def test_read_record__the_same_as_a_file__is_equal(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text(json.dumps(made()))
    record = read_record(path)
    assert record == Record.model_validate(made())
    assert differences(record, Replay(record).play()) == []


def test_read_record__amounts_as_decimal_texts__are_whole_numbers(tmp_path: Path) -> None:
    raw = made()
    raw["balances"]["burned_stake"] = str(raw["balances"]["burned_stake"])
    (tmp_path / "run.json").write_text(json.dumps(raw))
    assert isinstance(read_record(tmp_path / "run.json").balances.burned_stake, int)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda r: r["committees"][0]["slots"].reverse(), "committee of job 1, shard 0, attempt 0: drew"),
        (lambda r: r["committees"].pop(), "committee of job 2, shard 0, attempt 0 is not in the record"),
        (lambda r: r["balances"]["nodes"][4].update(stake=1), "node 5 stake: replayed"),
        (lambda r: r["balances"]["nodes"].pop(6), "node 7 has money and is not in"),
        (lambda r: r["balances"]["owed"].update({"0xacc": 0}), "owed to 0xacc: replayed"),
        (lambda r: r["balances"]["owed"].update({"0xnew": 1}), "owed to 0xnew: replayed 0, chain 1"),
        (lambda r: r["balances"]["rewards"].pop("0xrep"), "rewards of 0xrep: replayed 10000, chain 0"),
        (lambda r: r["balances"]["held"].update({"2": 9}), "escrow of job 2: replayed 0, chain 9"),
        (lambda r: r["balances"].update(burned=7), "burned: replayed 0, chain 7"),
        (lambda r: r["balances"].update(burned_stake=7), "burned stake: replayed"),
        (lambda r: r["acts"].remove(act(r, "collect")), "owed to 0xset: replayed"),
    ],
)
def test_differences__one_thing_is_otherwise__names_it_and_nothing_else(change: Change, line: str) -> None:
    raw = made()
    change(raw)
    (found,) = played(raw)
    assert found.startswith(line)


def test_replay__a_seat_taken_since_counts_as_held_before__draws_other_judges() -> None:
    raw = made()
    raw["pools"][0]["seats"][-1]["held_since"] = 90
    raw["pools"][0]["lengths"] = [[90, 14]]  # and was in the list
    with pytest.raises(BadRecord, match="did not open the root that it is paid for"):
        played(raw)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: act(r, "settle")["entries"][0].update(paid=[0, 2]), "slot 2 of shard 0 of job 1 did not open"),
        (lambda r: act(r, "settle")["entries"][1].update(paid=[0, 2]), "slot 2 of shard 1 of job 1 did not open"),
        (lambda r: act(r, "settle")["entries"][0].update(paid=[0]), "2 different ones must"),
        (lambda r: act(r, "settle")["entries"][0].update(paid=[0, 0]), "2 different ones must"),
        (lambda r: act(r, "settle", 1)["entries"][0].update(paid=[0, 1, 2]), "4 different ones must"),
        (lambda r: r["batches"][0].update(delay=3), "slot 0 of shard 0 of job 1 did not open"),
        (lambda r: r["acts"].insert(17, dict(act(r, "settle"))), "settles a second time"),
        (lambda r: act(r, "claim").update(slot=1), "claims for another answer"),
        (lambda r: r["acts"].append({**act(r, "claim"), "epoch": 384}), "is paid already"),
        (lambda r: act(r, "wrong", 1).update(slot=0), "was punished for its lane"),
        (lambda r: act(r, "wrong").update(slot=2), "opened nothing in epoch 101 that a verdict calls wrong"),
        (lambda r: act(r, "unrevealed").update(epoch=109), "did not withhold"),
        (lambda r: act(r, "unrevealed").update(node=act(r, "settle")["payee"]), "did not withhold"),
        (lambda r: r["acts"].append({**act(r, "appeal"), "epoch": 384}), "was appealed before"),
        (lambda r: r["acts"].remove(act(r, "post")), "job 1 was not posted before"),
        (lambda r: r["acts"].append({**act(r, "post"), "epoch": 384}), "posted twice"),
        (lambda r: r["acts"].append({**act(r, "resolve"), "shard": 1, "epoch": 384}), "has no case"),
        (lambda r: r["seeds"].pop("104"), "the seed of epoch 104 is missing"),
    ],
)
def test_replay__what_the_rules_forbid__is_refused_with_the_act(change: Change, message: str) -> None:
    raw = made()
    change(raw)
    with pytest.raises(BadRecord, match=message) as caught:
        played(raw)
    assert caught.value.message.startswith("act ")


def test_replay__a_case_without_settlement__burns_the_bond() -> None:
    raw = made()
    raw["acts"] = [a for a in raw["acts"] if a["act"] in ("stake", "post", "settle", "appeal", "resolve")]
    raw["acts"].remove(act(raw, "settle", 1))
    record = Record.model_validate(raw)
    replay = Replay(record).play()
    assert replay.books.burned == 10 * 12_347 + 10 * 12_347 // 100
    assert not replay.books.tally.forfeited.any()


def test_replay__absence__pays_a_thousandth_and_only_of_who_was_absent() -> None:
    raw = made()
    one = raw["committees"][1]["slots"]
    raw["batches"] = [b for b in raw["batches"] if b["node"] != one[2] or b["epoch"] != 101]
    raw["acts"].remove(act(raw, "unrevealed"))
    raw["acts"].append({"act": "absent", "epoch": 384, "job": 1, "shard": 1, "slot": 2, "reporter": "0xrep"})
    replay = Replay(Record.model_validate(raw)).play()
    assert replay.books.tally.slashed[one[2]] == 1_001 and replay.books.rewards["0xrep"] == 100
    raw["acts"][-1]["slot"] = 1
    with pytest.raises(BadRecord, match="was not absent in epoch 101"):
        played(raw)


def test_replay__a_cancelled_job__keeps_what_may_still_run() -> None:
    raw = made()
    raw["jobs"].append({**raw["jobs"][0], "job": 9, "protocol_fee_bps": 50})
    raw["acts"] += [
        {"act": "post", "epoch": 384, "job": 9},
        {"act": "cancel", "epoch": 384, "job": 9, "counting": 99},
    ]
    replay = Replay(Record.model_validate(raw)).play()
    assert replay.books.jobs[9].held == 0 and replay.books.tally.received["0xreq"] >= 9 * 12_347


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r.update(extra=1), "extra"),
        (lambda r: r["rules"].pop("ring"), "rules.ring"),
        (lambda r: r["batches"][0]["leaves"][0].update(root="0x12"), "batches.0.leaves.0.root"),
        (lambda r: r["acts"][0].update(act="steal"), "acts.0"),
        (lambda r: r.update(format="quorate/run/9"), "format"),
    ],
)
def test_read_record__not_a_record__names_the_field(change: Change, message: str, tmp_path: Path) -> None:
    raw = made()
    change(raw)
    (tmp_path / "run.json").write_text(json.dumps(raw))
    with pytest.raises(BadRecord, match=message):
        read_record(tmp_path / "run.json")


def test_read_record__no_file__says_so(tmp_path: Path) -> None:
    with pytest.raises(BadRecord, match="cannot be read"):
        read_record(tmp_path / "none.json")
