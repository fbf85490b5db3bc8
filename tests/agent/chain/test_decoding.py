"""Every event of the four contracts, encoded from the generated ABI, is decoded field by field."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from eth_abi.abi import encode

from nodeagent.chain.abi import load_abi, signature_of, type_of
from nodeagent.chain.decoding import TOPICS, decode_at, decode_log
from nodeagent.chain.errors import RpcGarbled
from nodeagent.chain.events import Appealed, CasePosted, JobPosted, PoolSet, Revealed, Settled
from nodeagent.protocol.jobword import case_terms, pack_job_word
from nodeagent.protocol.keccak import keccak
from nodeagent.protocol.settlement import SettledLeaf
from nodeagent.protocol.sortition import pack_slots
from nodeagent.protocol.types import AnswerClass, Epoch, JobId, JobTerms, NodeId, PoolId, Shard

# set once by whoever deploys or administers, or of no use to a node
IGNORED = {
    "AuthorityUpdated", "Wired", "Paused", "Unpaused", "ProtocolFeeSet", "Collected", "StakeAdded", "StakeUnbonding",
    "StakeWithdrawn", "RewardCollected", "EIP712DomainChanged",
}  # fmt: skip
TERMS = JobTerms(12, 300, 64, Epoch(9), 8, PoolId(1), 3, 2, 1, 3, AnswerClass.EXACT, 6)  # task_price … appeal_epochs


def events() -> list[dict[str, Any]]:
    return [
        entry
        for contract in ("JobMarket", "NodeRegistry", "CommitLedger", "Court")
        for entry in load_abi(contract).entries
        if entry["type"] == "event"
    ]


def sample(kind: str, salt: int) -> Any:
    """A value of an ABI type, different for each argument."""
    if kind.startswith("("):
        return tuple(sample(part, salt + i) for i, part in enumerate(kind[1:-1].split(",")))
    if kind == "address":
        return "0x" + f"{salt:02x}" * 20
    if kind == "bytes32":
        return bytes([salt]) * 32
    if kind == "string":
        return f"http://node-{salt}.example"
    if kind == "bytes":
        return bytes([salt]) * 44 * 2
    return True if kind == "bool" else salt


def raw_log(entry: dict[str, Any], values: list[Any]) -> dict[str, Any]:
    topics = [keccak(signature_of(entry).encode())]
    body: list[tuple[str, Any]] = []
    for item, value in zip(entry["inputs"], values, strict=True):
        if item["indexed"]:
            topics.append(encode([type_of(item)], [value]))
        else:
            body.append((type_of(item), value))
    return {
        "blockNumber": "0x10",
        "logIndex": "0x2",
        "transactionHash": "0x" + "ab" * 32,
        "topics": ["0x" + t.hex() for t in topics],
        "data": "0x" + encode([k for k, _ in body], [v for _, v in body]).hex(),
    }


def test_decoders__abi__cover_every_event_but_the_ignored() -> None:
    known = {signature_of(e) for e in events() if keccak(signature_of(e).encode()) in TOPICS}
    missing = {e["name"] for e in events() if signature_of(e) not in known}
    assert missing <= IGNORED
    assert len(known) == len(TOPICS), "a decoder is for an event that no contract has"


OTHERS = {"JobPosted", "CasePosted", "Settled", "PoolCreated", "PoolTuned", "Appealed"}
PLAIN = [e for e in events() if e["name"] not in IGNORED | OTHERS]


@pytest.mark.parametrize("entry", PLAIN, ids=lambda e: str(e["name"]))
def test_decode_log__plain_event__every_field(entry: dict[str, Any]) -> None:
    values = [sample(type_of(item), 17 + i) for i, item in enumerate(entry["inputs"])]
    event = decode_log(raw_log(entry, values))
    assert event is not None and type(event).__name__ == entry["name"]
    fields = [getattr(event, f.name) for f in dataclasses.fields(event) if f.name != "at"]
    assert fields == values
    assert (event.at.block, event.at.index, event.at.tx) == (16, 2, "0x" + "ab" * 32)
    assert decode_at(event.at) == event, "the kept log gives the same event"


def entry_of(name: str) -> dict[str, Any]:
    return next(e for e in events() if e["name"] == name)


def test_decode_log__pool_created__terms_in_order() -> None:
    event = decode_log(raw_log(entry_of("PoolCreated"), [1, (10**20, 5, 10**8, 4, True)]))
    assert isinstance(event, PoolSet)
    assert (event.pool, event.seat_stake, event.floor, event.max_shard_pay) == (1, 10**20, 5, 10**8)
    assert (event.max_seats_per_node, event.open) == (4, True)


def test_decode_log__job_posted__terms_from_the_word() -> None:
    values = [3, "0x" + "0a" * 20, b"\x05" * 32, pack_job_word(TERMS), 12, 1]
    event = decode_log(raw_log(entry_of("JobPosted"), values))
    assert isinstance(event, JobPosted)
    assert event.terms == TERMS and event.terms.shards == 5
    assert (event.job, event.units, event.unit_price) == (3, 12, 1)
    assert event.manifest == b"\x05" * 32 and event.requester == "0x" + "0a" * 20


def test_decode_log__case_posted__terms_from_the_word() -> None:
    case = case_terms(TERMS, Shard(4), Epoch(30), 5)
    event = decode_log(raw_log(entry_of("CasePosted"), [8, 3, 4, pack_job_word(case)]))
    assert isinstance(event, CasePosted)
    assert (event.case_job, event.job, event.shard) == (8, 3, 4)
    assert event.terms == case and event.terms.is_case and event.terms.tasks == 44


@pytest.mark.parametrize("members", [[3], [7, 1, 9], list(range(20, 35))])
def test_decode_log__appealed__committee_slot_by_slot(members: list[int]) -> None:
    low, high = pack_slots([NodeId(node) for node in members])
    values = [3, 4, 8, "0x" + "0a" * 20, 10**9, b"\x07" * 32, low, high, 21]
    event = decode_log(raw_log(entry_of("Appealed"), values))
    assert isinstance(event, Appealed)
    assert event.committee == tuple(members)
    assert (event.job, event.shard, event.case_job, event.held_before) == (3, 4, 8, 21)
    assert (event.accuser, event.bond, event.settled_root) == ("0x" + "0a" * 20, 10**9, b"\x07" * 32)


def test_decode_log__settled__leaves() -> None:
    leaves = (SettledLeaf(JobId(1), Shard(0), 0, 7, b"\x01" * 32), SettledLeaf(JobId(1), Shard(2), 1, 5, b"\x02" * 32))
    packed = b"".join(leaf.pack() for leaf in leaves)
    event = decode_log(raw_log(entry_of("Settled"), [b"\x09" * 32, 103, 7, 42, packed]))
    assert isinstance(event, Settled)
    assert event.shards == leaves and (event.root, event.epoch, event.payee, event.fee) == (b"\x09" * 32, 103, 7, 42)


def test_decode_log__data_cut_short__refused() -> None:
    log = raw_log(entry_of("Revealed"), [7, 101, bytes(88), bytes(32)])
    assert isinstance(decode_log(log), Revealed)
    with pytest.raises(RpcGarbled, match=r"missing|promises"):
        decode_log({**log, "data": log["data"][:-120]})


@pytest.mark.parametrize(
    "wrong",
    [{"topics": ["0xzz"]}, {"topics": 5}, {"blockNumber": "many"}, {"data": None}, {"data": "0x1"}],
    ids=lambda wrong: str(wrong),
)
def test_decode_log__not_a_log__is_the_endpoints_fault(wrong: dict[str, Any]) -> None:
    with pytest.raises(RpcGarbled, match="cannot be one"):
        decode_log({**raw_log(entry_of("AbsentMarked"), [7, 101]), **wrong})


def test_decode_log__a_field_missing__is_the_endpoints_fault() -> None:
    log = raw_log(entry_of("AbsentMarked"), [7, 101])
    del log["logIndex"]
    with pytest.raises(RpcGarbled, match="logIndex"):
        decode_log(log)


def test_decode_log__no_topics__none() -> None:
    log = raw_log(entry_of("AbsentMarked"), [7, 101])
    assert decode_log({**log, "topics": []}) is None
