"""The Court's door: what it reads comes as typed values, what it sends is the ABI's calldata."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from eth_abi.abi import encode

from nodeagent.chain.abi import load_abi, signature_of, type_of
from nodeagent.chain.court import NO_VERDICT, CaseView, CourtDoor, Exclusions
from nodeagent.chain.deployment import Deployment
from nodeagent.chain.doors import Doors, Market, Receipt
from nodeagent.chain.errors import Reverted, RpcError
from nodeagent.protocol.keccak import keccak
from nodeagent.protocol.sortition import pack_slots
from nodeagent.protocol.types import JobId, NodeId, ShardStatus, Task

COURT = "0x" + "c0" * 20
ACCUSER = "0x" + "ac" * 20
ROOT, VERDICT = b"\x01" * 32, b"\x02" * 32
RECEIPT = Receipt(1, 0b101, ROOT, (b"\x08" * 32, b"\x09" * 32))


class Contract:
    """Answers calls of one contract with given values, encoded by its ABI; an Exception is what it reverts with."""

    def __init__(self, name: str, **values: Any) -> None:
        self._functions = {
            keccak(signature_of(e).encode())[:4].hex(): e for e in load_abi(name).entries if e["type"] == "function"
        }
        self._values = values
        self.asked: list[bytes] = []

    def call(self, method: str, params: Sequence[Any] = ()) -> Any:
        return self.batch([(method, params)])[0]

    def batch(self, calls: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        return [self._answer(params[0]["data"]) for _, params in calls]

    def _answer(self, data: str) -> Any:
        entry = self._functions[data[2:10]]
        self.asked.append(bytes.fromhex(data[2:]))
        value = self._values[entry["name"]]
        if isinstance(value, RpcError):
            return value
        return "0x" + encode([type_of(output) for output in entry["outputs"]], value).hex()


def refusal(error: str, *args: Any) -> RpcError:
    entry = next(e for e in load_abi("Court").entries if e["type"] == "error" and e["name"] == error)
    data = keccak(signature_of(entry).encode())[:4] + encode([type_of(i) for i in entry["inputs"]], args)
    return RpcError("eth_call", 3, "execution reverted", data)


@pytest.mark.parametrize(("told", "expected"), [
    ((0, bytes(32), 0), (ShardStatus.NONE, None, None)),
    ((7, bytes(32), 0), (ShardStatus.APPEALED, None, None)),
    ((8, bytes(32), 127), (ShardStatus.CONTESTED, None, 127)),
    ((9, VERDICT, 113), (ShardStatus.FINAL, VERDICT, 113)),
])  # fmt: skip
def test_status__every_standing__names_the_verdict_only_when_it_stands(told: Any, expected: Any) -> None:
    assert CourtDoor(Contract("Court", status=told), COURT).status(JobId(3), 4) == expected


def case(**changes: Any) -> tuple[Any, ...]:
    fields = {
        "caseJob": 9, "accuser": ACCUSER, "settledRoot": ROOT, "verdict": bytes(32), "last": 127, "ended": 0,
        "attempt": 1, "paidSlots": 0b101, "burned": False, "accuserDue": 30_300, "requesterDue": 0, **changes,
    }  # fmt: skip
    return (tuple(fields.values()),)


def test_case_of__open_case__has_no_verdict_yet() -> None:
    found = CourtDoor(Contract("Court", caseOf=case()), COURT).case_of(JobId(3), 4)
    assert found == CaseView(JobId(9), ACCUSER, ROOT, None, 127, None, 1, 0b101, False, 30_300, 0)  # type: ignore[arg-type]


def test_case_of__resolved__has_its_verdict_and_dues() -> None:
    values = case(verdict=VERDICT, ended=113, accuserDue=5, requesterDue=6)
    found = CourtDoor(Contract("Court", caseOf=values), COURT).case_of(JobId(3), 4)
    assert found is not None
    assert (found.verdict, found.ended, found.accuser_due, found.requester_due) == (VERDICT, 113, 5, 6)


def test_case_of__no_case__is_none_and_another_refusal_is_raised() -> None:
    assert CourtDoor(Contract("Court", caseOf=refusal("NoCase", 3, 4)), COURT).case_of(JobId(3), 4) is None
    with pytest.raises(Reverted, match="NotACase"):
        CourtDoor(Contract("Court", caseOf=refusal("NotACase", 3)), COURT).case_of(JobId(3), 4)


def test_exclusions__fifteen_members__are_a_set_without_voids() -> None:
    members = [NodeId(node) for node in (4, 9, 1)]
    words = pack_slots(members)
    found = CourtDoor(Contract("Court", exclusions=(21, *words)), COURT).exclusions(JobId(9))
    assert found == Exclusions(21, frozenset(members))  # type: ignore[arg-type]
    full = [NodeId(node) for node in range(1, 16)]
    found = CourtDoor(Contract("Court", exclusions=(21, *pack_slots(full))), COURT).exclusions(JobId(9))
    assert found.nodes == set(full)


def test_numbers__bond_judges_and_share__are_plain() -> None:
    door = CourtDoor(Contract("Court", bondOf=(30_300,), JUDGES=(5,), WRONG_BPS=(5_000,)), COURT)
    assert (door.bond_of(JobId(3), 4), door.judges(), door.wrong_bps()) == (30_300, 5, 5_000)


def test_calls__each__decodes_to_what_was_meant() -> None:
    door, abi = CourtDoor(Contract("Court"), COURT), load_abi("Court")
    receipt = {"attempt": 1, "paidSlots": 0b101, "resultRoot": ROOT, "path": RECEIPT.path}
    appeal = door.appeal(JobId(3), 4, RECEIPT)
    assert (appeal.to, appeal.what, appeal.value) == (COURT, "appeal", 0)
    assert abi.decode_input(appeal.data) == ("appeal", {"job": 3, "shard": 4, "receipt": receipt})
    resolve = door.resolve(JobId(3), 4, RECEIPT)
    assert abi.decode_input(resolve.data) == ("resolve", {"job": 3, "shard": 4, "verdict": receipt})
    assert door.resolve(JobId(3), 4, None).data == door.resolve(JobId(3), 4, NO_VERDICT).data
    assert abi.decode_input(door.close_case(JobId(3), 4).data) == ("closeCase", {"job": 3, "shard": 4})
    told = {"job": 3, "shard": 4, "attempt": 1, "slot": 2, "resultRoot": ROOT, "opening": b"\0\1"}
    assert abi.decode_input(door.report_wrong(JobId(3), 4, 1, 2, ROOT, b"\0\1").data) == ("reportWrong", told)


def test_task_status__proof__is_sent_and_the_number_named() -> None:
    contract = Contract("JobMarket", taskStatus=(7,))
    path = [b"\x05" * 32]
    found = Market(contract, COURT).task_status(JobId(3), Task(8), 0, b"answer", RECEIPT, path)
    assert found is ShardStatus.APPEALED
    name, sent = load_abi("JobMarket").decode_input(contract.asked[0])
    assert (name, sent["job"], sent["task"]) == ("taskStatus", 3, 8)
    assert sent["result"] == {"status": 0, "data": b"answer"}
    assert sent["proof"]["receipt"]["resultRoot"] == ROOT and tuple(sent["proof"]["path"]) == tuple(path)


@pytest.mark.parametrize(("told", "expected"), [(0, None), (103, 103)])
def test_settlement_epoch__unknown_root__is_none(told: int, expected: int | None) -> None:
    assert Market(Contract("JobMarket", settlementEpoch=(told,)), COURT).settlement_epoch(ROOT) == expected


def test_job_word__stored_word__is_returned_whole() -> None:
    assert Market(Contract("JobMarket", jobWord=(2**256 - 7,)), COURT).job_word(JobId(3)) == 2**256 - 7


def test_reports__calls_to_ledger_and_market__carry_their_arguments() -> None:
    doors = Doors.of(Contract("Court"), Deployment(31337, "local", 0, *[f"0x{n:040x}" for n in range(1, 6)]))
    assert doors.court is None
    sealed = doors.ledger.report_unrevealed(NodeId(4), 101)
    assert load_abi("CommitLedger").decode_input(sealed.data) == ("reportUnrevealed", {"node": 4, "epoch": 101})
    absent = doors.market.report_absent(JobId(3), 4, RECEIPT, 2)
    name, sent = load_abi("JobMarket").decode_input(absent.data)
    assert (name, sent["slot"], sent["receipt"]["paidSlots"]) == ("reportAbsent", 2, 0b101)
    paid = doors.market.collect(ACCUSER)
    assert load_abi("JobMarket").decode_input(paid.data) == ("collect", {"account": ACCUSER})


def test_doors__deployment_with_a_court__opens_it() -> None:
    addresses = [f"0x{n:040x}" for n in range(1, 6)]
    doors = Doors.of(Contract("Court"), Deployment(31337, "local", 0, *addresses, court=COURT))
    assert doors.court is not None and doors.court.address == COURT
