"""What a node's operator is told of its cases: part, state, money, next deadline; from records that may be missing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from scene import EB, ME, OTHER_ROOT, ROOT, at, operator, terms

from nodeagent.chain import events as ev
from nodeagent.chain.court import CaseView
from nodeagent.chain.decoding import TOPIC_OF, decode_at
from nodeagent.chain.deployment import Deployment
from nodeagent.chain.scan import Cursor
from nodeagent.config import Home
from nodeagent.protocol.jobword import case_terms, pack_job_word
from nodeagent.protocol.leaves import Leaf, pack_leaves
from nodeagent.protocol.types import Epoch, JobId, NodeId, Shard, ShardStatus
from nodeagent.worker.appealbook import SENT, Appeal, AppealBook
from nodeagent.worker.docket import Own, Records, cases_of, dues, opening_of, read_records, roles_of, state_of
from nodeagent.worker.ledger import Batch, Ledger
from nodeagent.worker.lifecycle import Lane
from nodeagent.worker.status import _records

OPENED = ev.Appealed(
    at(1), JobId(1), Shard(2), JobId(9), operator(ME), 606, ROOT, (NodeId(1), NodeId(2), NodeId(3)), Epoch(10)
)
OPEN = CaseView(JobId(9), operator(ME), ROOT, None, Epoch(130), None, 0, 6, False, 606, 0)
OVERTURNED = replace(OPEN, verdict=OTHER_ROOT, ended=Epoch(120), accuser_due=300)
UPHELD = replace(OPEN, verdict=ROOT, ended=Epoch(120))
DEPLOYMENT = Deployment(1, "x", 0, "", "", "", "", "", parameters={"REPORT_EPOCHS": 4})
TERMS = case_terms(terms(work=2, appeal_epochs=7), Shard(2), Epoch(112), 5)
COMMIT = 11  # the appealed attempt started in 10, and two epochs of work were given to it
KEY = (COMMIT, 1, 2)


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


def due(
    view: CaseView, state: str, now: int, *, roles: tuple[str, ...] = (), own: bytes | None = None, pay: int = 0
) -> tuple[int, int | None, str]:
    found = dues(view, state, list(roles), own, pay, DEPLOYMENT, Epoch(now))
    return found["due"], found["deadline"], found["then"] or ""


def test_dues__open__the_bond_and_the_judges_last_epoch() -> None:
    amount, deadline, then = due(OPEN, "open", 115, roles=("accuser",), own=OTHER_ROOT, pay=120)
    assert (amount, deadline) == (606, 130) and "judges" in then
    assert due(OPEN, "open", 115, roles=("judge",))[0] == 0


def test_dues__overturned__the_claim_first_and_then_the_rest_of_the_bond() -> None:
    both = ("accuser", "outvoted")
    amount, deadline, then = due(OVERTURNED, "overturned", 124, roles=both, own=OTHER_ROOT, pay=120)
    assert (amount, deadline) == (420, 124) and "claim" in then
    amount, deadline, then = due(OVERTURNED, "overturned", 125, roles=both, own=OTHER_ROOT, pay=120)
    assert (amount, deadline) == (300, 135) and "comes back" in then
    amount, _, _ = due(OVERTURNED, "overturned", 122, roles=("outvoted",), own=OTHER_ROOT, pay=120)
    assert amount == 120, "another accuser, the same claim"
    assert due(OVERTURNED, "overturned", 122, roles=("accused",), own=ROOT, pay=120)[0] == 0


def test_dues__upheld__the_accusers_rest_and_the_claim_of_a_member_that_was_left_out() -> None:
    assert due(UPHELD, "upheld", 122, roles=("outvoted",), own=OTHER_ROOT, pay=120)[0] == 0
    assert due(UPHELD, "upheld", 122, roles=("accuser",))[:2] == (606, 135)
    amount, deadline, then = due(UPHELD, "upheld", 124, roles=("accused",), own=ROOT, pay=120)
    assert (amount, deadline) == (120, 124) and "claim" in then
    assert due(UPHELD, "upheld", 125, roles=("accused",), own=ROOT, pay=120) == (0, None, "")


@pytest.mark.parametrize(("view", "state"), [(OPEN, "over"), (replace(OPEN, burned=True, accuser_due=0), "burned")])
def test_dues__contested__nothing_of_the_bond_but_the_claim_of_a_member_that_was_left_out(
    view: CaseView, state: str
) -> None:
    assert due(view, state, 131, roles=("accuser",)) == (0, None, "")
    amount, deadline, then = due(view, state, 134, roles=("accuser", "accused"), own=ROOT, pay=120)
    assert (amount, deadline) == (120, 134) and "claim" in then
    assert due(view, state, 135, roles=("accused",), own=ROOT, pay=120)[0] == 0
    assert due(view, state, 134, roles=("outvoted",), own=OTHER_ROOT, pay=120)[0] == 0


def test_dues__closed__nothing() -> None:
    assert due(UPHELD, "closed", 140, roles=("accuser", "accused"), own=ROOT, pay=120) == (0, None, "")


# --- the node's own part ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answers", "opened", "node", "expected"),
    [
        ({KEY: OTHER_ROOT}, {COMMIT: 1}, 1, Own(OTHER_ROOT, timely=True)),
        ({KEY: OTHER_ROOT}, {COMMIT: 2}, 1, Own(OTHER_ROOT, timely=True)),
        ({KEY: OTHER_ROOT}, {COMMIT: 3}, 1, Own(OTHER_ROOT, timely=False)),
        ({KEY: OTHER_ROOT}, {COMMIT: None}, 1, Own(OTHER_ROOT, timely=False)),  # over a ring ago
        ({KEY: OTHER_ROOT}, {}, 1, None),  # sealed, and never mined or never opened
        ({KEY: OTHER_ROOT}, {COMMIT: 1}, 4, None),  # did not sit on that committee
        ({(7, 1, 2): OTHER_ROOT}, {7: 1, COMMIT: 1}, 1, None),  # answered an earlier attempt, and passed this time
        ({(7, 1, 2): ROOT, KEY: OTHER_ROOT}, {7: 1, COMMIT: 1}, 1, Own(OTHER_ROOT, timely=True)),
    ],
)
def test_opening_of__appealed_attempt__what_its_member_opened_for_that_epoch(
    answers: dict[tuple[int, int, int], bytes], opened: dict[int, int | None], node: int, expected: Own | None
) -> None:
    assert opening_of(Records(answers=answers, opened=opened), OPENED, TERMS.work, node) == expected


@dataclass(frozen=True)
class Court:
    """Says the same of every case."""

    view: CaseView = OVERTURNED

    def case_of(self, job: int, shard: int) -> CaseView:
        del job, shard
        return self.view

    def status(self, job: int, shard: int) -> tuple[ShardStatus, bytes | None, Epoch | None]:
        del job, shard
        found = ShardStatus.FINAL if self.view.ended else ShardStatus.CONTESTED
        return found, self.view.verdict, self.view.ended


def told(records: Records, view: CaseView = OVERTURNED, now: int = 122) -> list[dict[str, Any]]:
    """Of this node, when another one's operator had appealed; by default it won."""
    events = (ev.CasePosted(at(1), JobId(9), JobId(1), Shard(2), TERMS), OPENED, *records.events)
    found = replace(records, events=events)
    return list(cases_of(found, Court(view), DEPLOYMENT, ME, operator(2), Epoch(now)))  # type: ignore[arg-type]


def test_cases_of__outvoted_and_then_right__its_pay_is_to_come() -> None:
    (case,) = told(Records(answers={KEY: OTHER_ROOT}, opened={COMMIT: 2}))
    assert (case["roles"], case["due"], case["deadline"]) == (["outvoted"], 24, 124)


@pytest.mark.parametrize(
    ("view", "now", "state", "deadline"),
    [(UPHELD, 122, "upheld", 124), (OPEN, 133, "over", 134), (replace(OPEN, burned=True), 133, "burned", 134)],
)
def test_cases_of__left_out_by_the_settler__its_pay_is_to_come(
    view: CaseView, now: int, state: str, deadline: int
) -> None:
    """Node 1 has slot 0; the settle call paid slots 1 and 2."""
    right = Records(answers={KEY: ROOT}, opened={COMMIT: 1})
    (case,) = told(right, view, now)
    assert (case["state"], case["roles"], case["due"], case["deadline"]) == (state, ["accused"], 24, deadline)
    (case,) = told(right, replace(view, paid_slots=0b011), now)
    assert (case["due"], case["deadline"]) == (0, None), "paid at once"
    claimed = ev.Claimed(at(2), JobId(1), Shard(2), NodeId(ME), 0, 24)
    assert told(replace(right, events=(claimed,)), view, now)[0]["due"] == 0
    assert told(replace(right, opened={COMMIT: 3}), view, now)[0]["due"] == 0, "too late to count"


def test_cases_of__opened_too_late__could_be_proven_wrong_but_nothing_is_to_come() -> None:
    (case,) = told(Records(answers={KEY: OTHER_ROOT}, opened={COMMIT: 3}))
    assert (case["roles"], case["due"], case["deadline"]) == (["outvoted"], 0, None)


@pytest.mark.parametrize(
    "records",
    [
        Records(answers={KEY: OTHER_ROOT}),
        Records(answers={(7, 1, 2): OTHER_ROOT}, opened={7: 1}),
    ],
)
def test_cases_of__never_opened_or_of_an_earlier_attempt__has_no_part(records: Records) -> None:
    assert told(records) == []


def test_cases_of__sealed_an_answer_to_the_case__judges() -> None:
    (case,) = told(Records(answers={(113, 9, 0): OTHER_ROOT}))
    assert (case["roles"], case["due"]) == (["judge"], 0)


# --- records ----------------------------------------------------------------------------------------------------------


def log(name: str, block: int, topics: tuple[int, ...], *words: int) -> ev.Event:
    packed = TOPIC_OF[name] + b"".join(t.to_bytes(32, "big") for t in topics)
    data = b"".join(word.to_bytes(32, "big") for word in words)
    event = decode_at(ev.At(block, 0, f"0x{block:064x}", packed, data))
    assert event is not None
    return event


def test_read_records__no_agent_ever_ran__empty(tmp_path: Path) -> None:
    home = Home(tmp_path)
    assert read_records(home, ME, EB) == Records()
    (tmp_path / "agent.db").touch()
    assert read_records(home, ME, EB) == Records(), "a file without tables"


def test_read_records__beside_the_running_agent__events_answers_and_outvoted(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "agent.db")
    ledger.apply([log("Resolved", 5, (1, 2, 9), 7, 1, 3)], Cursor(5, "0x5"))
    ledger.seal(Batch(Epoch(10), pack_leaves([Leaf(JobId(1), Shard(2), ROOT)]), b"", b"", b"", b""))
    AppealBook(ledger.connection).put(Appeal(JobId(1), Shard(2), ROOT, None, SENT, "the answer stands"))
    found = read_records(Home(tmp_path), ME, EB)
    assert [type(event) for event in found.events] == [ev.Resolved] and found.answers == {(10, 1, 2): ROOT}
    assert found.opened == {}, "sealed is not opened"
    assert found.outvoted == ({"job": 1, "shard": 2, "state": SENT, "why": "the answer stands"},)


def test_read_records__own_openings__with_their_delay_as_long_as_their_events_are_kept(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "agent.db")
    said = [log("Revealed", block, (node, epoch), 64, 0, 0) for block, node, epoch in ((125, 1, 11), (126, 2, 12))]
    said += [log("UnrevealedReported", 150, (1, 5, 7)), log("AbsentMarked", 151, (1, 6))]
    ledger.apply(said, Cursor(151, "0x97"))
    ledger.note_lanes({Epoch(epoch): Lane.SEALED if epoch == 4 else Lane.OPEN for epoch in (3, 4, 5, 6, 11)})
    assert read_records(Home(tmp_path), ME, EB).opened == {3: None, 11: 1}


def test_prune__job_is_over__what_the_court_did_stays(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "agent.db")
    case = log("CasePosted", 4, (9, 1, 2), pack_job_word(TERMS))
    closing = [log("Resolved", 5, (1, 2, 9), 7, 1, 3), log("JobCancelled", 6, (1,), 4, 0)]
    ledger.apply([case, *closing], Cursor(6, "0x6"))
    ledger.prune(100, [JobId(1)])
    assert [type(event) for event in ledger.events()] == [ev.CasePosted, ev.Resolved]


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
