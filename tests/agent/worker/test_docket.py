"""What a node's operator is told of its cases: part, state, money, next deadline; from records that may be missing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from scene import ME, OTHER_ROOT, ROOT, at, operator

from nodeagent.chain import events as ev
from nodeagent.chain.court import CaseView
from nodeagent.chain.decoding import TOPIC_OF, decode_at
from nodeagent.chain.deployment import Deployment
from nodeagent.chain.scan import Cursor
from nodeagent.config import Home
from nodeagent.protocol.leaves import Leaf, pack_leaves
from nodeagent.protocol.types import Epoch, JobId, NodeId, Shard, ShardStatus
from nodeagent.worker.appealbook import SENT, Appeal, AppealBook
from nodeagent.worker.docket import Records, dues, read_records, roles_of, state_of
from nodeagent.worker.ledger import Batch, Ledger
from nodeagent.worker.status import _records

OPENED = ev.Appealed(
    at(1), JobId(1), Shard(2), JobId(9), operator(ME), 606, ROOT, (NodeId(1), NodeId(2), NodeId(3)), Epoch(10)
)
OPEN = CaseView(JobId(9), operator(ME), ROOT, None, Epoch(130), None, 0, 6, False, 606, 0)
OVERTURNED = replace(OPEN, verdict=OTHER_ROOT, ended=Epoch(120), accuser_due=300)
UPHELD = replace(OPEN, verdict=ROOT, ended=Epoch(120))
DEPLOYMENT = Deployment(1, "x", 0, "", "", "", "", "", parameters={"REPORT_EPOCHS": 4})


@pytest.mark.parametrize(
    ("own", "judged", "account", "expected"),
    [
        (OTHER_ROOT, False, operator(ME), ["accuser", "outvoted"]),
        (ROOT, False, operator(2), ["accused"]),
        (None, True, operator(2), ["judge"]),
        (None, False, operator(2), []),
        (None, True, operator(ME).upper().replace("0X", "0x"), ["accuser", "judge"]),
    ],
)
def test_roles_of__by_what_it_paid_opened_and_sealed(
    own: bytes | None, judged: bool, account: str, expected: list[str]
) -> None:
    assert roles_of(OPENED, own, judged, account) == expected


@pytest.mark.parametrize(
    ("view", "status", "word"),
    [
        (OPEN, ShardStatus.APPEALED, "open"),
        (OPEN, ShardStatus.CONTESTED, "over"),
        (replace(OPEN, burned=True), ShardStatus.CONTESTED, "burned"),
        (UPHELD, ShardStatus.FINAL, "upheld"),
        (OVERTURNED, ShardStatus.FINAL, "overturned"),
    ],
)
def test_state_of__every_case__one_word(view: CaseView, status: ShardStatus, word: str) -> None:
    assert state_of(view, status) == word


def test_dues__open__the_bond_and_the_judges_last_epoch() -> None:
    told = dues(OPEN, ["accuser"], OTHER_ROOT, 120, False, DEPLOYMENT, Epoch(115))
    assert (told["due"], told["deadline"]) == (606, 130) and "judges" in told["then"]
    assert dues(OPEN, ["judge"], None, 0, False, DEPLOYMENT, Epoch(115))["due"] == 0


def test_dues__overturned__the_claim_first_and_then_the_rest_of_the_bond() -> None:
    told = dues(OVERTURNED, ["accuser", "outvoted"], OTHER_ROOT, 120, False, DEPLOYMENT, Epoch(124))
    assert (told["due"], told["deadline"]) == (420, 124) and "claim" in told["then"]
    told = dues(OVERTURNED, ["accuser", "outvoted"], OTHER_ROOT, 120, False, DEPLOYMENT, Epoch(125))
    assert (told["due"], told["deadline"]) == (300, 135) and "comes back" in told["then"]
    told = dues(OVERTURNED, ["outvoted"], OTHER_ROOT, 120, False, DEPLOYMENT, Epoch(122))
    assert told["due"] == 120, "another accuser, the same claim"
    assert dues(OVERTURNED, ["accused"], ROOT, 120, False, DEPLOYMENT, Epoch(122))["due"] == 0


def test_dues__upheld_burned_closed__nothing_but_the_accusers_rest() -> None:
    assert dues(UPHELD, ["outvoted"], OTHER_ROOT, 120, False, DEPLOYMENT, Epoch(122))["due"] == 0
    assert dues(UPHELD, ["accuser"], None, 0, False, DEPLOYMENT, Epoch(122))["due"] == 606
    nothing = {"due": 0, "deadline": None, "then": None}
    assert dues(UPHELD, ["accuser"], None, 0, True, DEPLOYMENT, Epoch(140)) == nothing
    assert dues(replace(OPEN, burned=True), ["accuser"], None, 0, False, DEPLOYMENT, Epoch(140)) == nothing


# --- records ----------------------------------------------------------------------------------------------------------


def log(name: str, block: int, topics: tuple[int, ...], *words: int) -> ev.Event:
    packed = TOPIC_OF[name] + b"".join(t.to_bytes(32, "big") for t in topics)
    data = b"".join(word.to_bytes(32, "big") for word in words)
    event = decode_at(ev.At(block, 0, f"0x{block:064x}", packed, data))
    assert event is not None
    return event


def test_read_records__no_agent_ever_ran__empty(tmp_path: Path) -> None:
    home = Home(tmp_path)
    assert read_records(home) == Records()
    (tmp_path / "agent.db").touch()
    assert read_records(home) == Records(), "a file without tables"


def test_read_records__beside_the_running_agent__events_answers_and_outvoted(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "agent.db")
    ledger.apply([log("Resolved", 5, (1, 2, 9), 7, 1, 3)], Cursor(5, "0x5"))
    ledger.seal(Batch(Epoch(10), pack_leaves([Leaf(JobId(1), Shard(2), ROOT)]), b"", b"", b"", b""))
    AppealBook(ledger.connection).put(Appeal(JobId(1), Shard(2), ROOT, None, SENT, "the answer stands"))
    found = read_records(Home(tmp_path))
    assert [type(event) for event in found.events] == [ev.Resolved] and found.answers == {(1, 2): ROOT}
    assert found.outvoted == ({"job": 1, "shard": 2, "state": SENT, "why": "the answer stands"},)


def test_prune__job_is_over__what_the_court_did_stays(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "agent.db")
    ledger.apply([log("Resolved", 5, (1, 2, 9), 7, 1, 3), log("JobCancelled", 6, (1,), 4, 0)], Cursor(6, "0x6"))
    ledger.prune(100, [JobId(1)])
    assert [type(event) for event in ledger.events()] == [ev.Resolved]


def test_status__own_slashes_and_forfeits__added_up(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "agent.db")
    ledger.set_meta("node", "7")
    AppealBook(ledger.connection).put(Appeal(JobId(1), Shard(2), ROOT, None, SENT, ""))
    ledger.connection.executescript(
        "CREATE TABLE intents(key TEXT, tx TEXT, mined_block INTEGER, what TEXT, state TEXT, nonce INTEGER)"
    )
    events = [log("Slashed", b, (n, 5), amount, 1) for b, n, amount in ((1, 7, 50), (2, 7, 25), (3, 8, 99))]
    ledger.apply([*events, log("Forfeited", 4, (7,), 24), log("Forfeited", 5, (8,), 24)], Cursor(5, "0x5"))
    found = _records(Home(tmp_path))
    assert (found["slashed"], found["forfeited"]) == (75, 24)
    assert found["appeals"] == {"outvoted": 0, "sent": 1, "won": 0, "lost": 0, "taken": 0}
