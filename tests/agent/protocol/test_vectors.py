"""Golden vectors: regenerating gives the committed bytes, and the Python side agrees with each."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nodeagent.protocol import epochs, payout, trees
from nodeagent.protocol.jobword import case_word, pack_job_word, unpack_job_word
from nodeagent.protocol.keccak import keccak
from nodeagent.protocol.lanes import unpack_lane
from nodeagent.protocol.leaves import leaves_root, parse_leaves
from nodeagent.protocol.manifest import parse_batch_manifest, parse_job_manifest
from nodeagent.protocol.openings import opening_root, parse_calldata, parse_settle
from nodeagent.protocol.results import TaskResult, chunk_root, parse_results, task_leaf
from nodeagent.protocol.settlement import parse_settled
from nodeagent.protocol.sortition import draw, parse_slots
from nodeagent.protocol.types import Epoch, JobId, NodeId, Shard, Task

VECTORS = Path(__file__).parents[2] / "vectors"


def load(name: str) -> dict[str, Any]:
    return json.loads((VECTORS / f"{name}.json").read_text())  # type: ignore[no-any-return]


def raw(text: str) -> bytes:
    return bytes.fromhex(text[2:])


@pytest.fixture(scope="module")
def story() -> dict[str, Any]:
    return load("story")


def test_generate__again__gives_the_committed_bytes() -> None:
    command = [sys.executable, str(VECTORS / "generate.py"), "--check"]
    done = subprocess.run(command, cwd=VECTORS.parents[1], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)


@pytest.mark.parametrize("name", ["story", "sortition", "trees", "results", "payout", "epochs"])
def test_vectors__every_file__is_flat_for_forge(name: str) -> None:
    for key, value in load(name).items():
        items = value if isinstance(value, list) else [value]
        assert len({type(item) for item in items}) == 1, key
        assert all(isinstance(item, str) or (isinstance(item, int) and item < 2**53) for item in items), key


# --- story --------------------------------------------------------------------------------------------------


def test_story__job_word__holds_the_terms(story: dict[str, Any]) -> None:
    terms = unpack_job_word(int(story["jobWord"], 16))
    assert (terms.tasks, terms.shard_size, terms.post_epoch, terms.pace) == (3, 2, 100, 2)
    assert (terms.committee, terms.quorum, terms.work, terms.max_attempts) == (3, 2, 1, 3)
    assert terms.task_price == story["units"] * story["unitPrice"]
    manifest = parse_job_manifest(story["jobManifest"].encode())
    assert (manifest.tasks, manifest.shard_size, manifest.units) == (terms.tasks, terms.shard_size, story["units"])


def test_story__draw__gives_the_slots(story: dict[str, Any]) -> None:
    for shard in range(2):
        slots = draw(raw(story["seed"]), JobId(1), Shard(shard), 3, 4, lambda i: NodeId(story["seats"][i]))
        assert list(slots) == story["slots"][3 * shard : 3 * shard + 3]


def test_story__results_to_batches__lead_to_the_open_lanes(story: dict[str, Any]) -> None:
    results = [parse_results(raw(story["resultsFiles"][0]), 2), parse_results(raw(story["resultsFiles"][1]), 1)]
    flat = [result for answers in results for result in answers]
    assert [_hex(task_leaf(Task(i), result)) for i, result in enumerate(flat)] == story["taskLeaves"]
    assert _hex(trees.sorted_root([raw(leaf) for leaf in story["taskLeaves"][:2]])) == story["resultRoots"][0]
    assert story["resultRoots"][1] == story["taskLeaves"][2]
    for i, node in enumerate(story["nodes"]):
        packed = raw(story["leaves"][i])
        manifest = parse_batch_manifest(story["batchManifests"][i].encode())
        assert (manifest.node, manifest.epoch, manifest.packed_leaves()) == (node, 101, packed)
        opened = unpack_lane(int(story["lanesOpen"][i], 16))
        assert (opened.epoch, opened.delay, opened.value) == (101, 1, leaves_root(packed)[:27])
        sealed = unpack_lane(int(story["lanesSealed"][i], 16))
        assert (sealed.epoch, sealed.state, _hex(sealed.value)) == (101, 0, story["digests"][i])
    assert _hex(parse_leaves(raw(story["leaves"][2]))[0].root) == story["dissentRoot"]


def test_story__settle__opens_every_lane_and_pays_who_agreed(story: dict[str, Any]) -> None:
    call, payee = parse_calldata(raw(story["settleCalldata"]))
    parsed = parse_settle(call, lambda job: 3)
    assert payee == story["payee"]
    assert [_hex(blob) for blob in (call.entries, call.lanes, call.openings)] == [
        story["settleEntries"], story["settleLanes"], story["settleOpenings"]
    ]  # fmt: skip
    for opening, word in zip(parsed.openings, story["lanesOpen"], strict=True):
        assert opening_root(opening, parsed.entries) == unpack_lane(int(word, 16)).value
    paid = []
    for i, entry in enumerate(parsed.entries):
        agreeing = {opening.lane for opening in parsed.openings if i in opening.entries}
        paid.append(sum(1 << slot for slot, hint in enumerate(entry.hints) if hint in agreeing))
        assert [parsed.lanes[hint].node for hint in entry.hints if hint is not None] == story["slots"][
            3 * i : 3 * i + 3
        ]
    assert paid == story["paidSlots"] == [0b011, 0b111]
    leaves = parse_settled(raw(story["settledLeaves"]))
    assert [leaf.paid_slots for leaf in leaves] == paid
    assert [_hex(leaf.hash()) for leaf in leaves] == story["settlementLeaves"]


def test_story__task_0__is_proven_by_its_paths(story: dict[str, Any]) -> None:
    leaf = raw(story["taskLeaves"][0])
    assert trees.sorted_verify(leaf, [raw(n) for n in story["proofTaskPath"]], raw(story["resultRoots"][0]))
    settled = raw(story["settlementLeaves"][0])
    assert trees.sorted_verify(settled, [raw(n) for n in story["proofSettlementPath"]], raw(story["settlementRoot"]))
    chunk = raw(story["chunkLeaves"][1])
    assert trees.sorted_verify(chunk, [raw(n) for n in story["proofChunkPath"]], raw(story["chunkRoots"][0]))


def test_story__money__is_within_the_escrow(story: dict[str, Any]) -> None:
    slots = [bits.bit_count() for bits in story["paidSlots"]]
    spent = sum(n * pay for n, pay in zip(slots, story["memberPay"], strict=True)) + sum(story["settleFees"])
    assert spent == 24_000 * 2 + 12_000 * 3 + 480 + 360
    assert story["escrow"] == 109_080


# --- libraries ----------------------------------------------------------------------------------------------


def test_sortition__every_draw__matches() -> None:
    v = load("sortition")
    at = 0
    for i, length in enumerate(v["tableLength"]):
        table = v["table"][at : at + length]
        at += length
        size = v["drawSize"][i]
        seed, job = raw(v["drawSeed"][i]), JobId(int(v["drawJob"][i], 16))
        slots = draw(seed, job, Shard(v["drawShard"][i]), size, length, table.__getitem__)
        assert list(slots) == v["slots"][15 * i : 15 * i + size]
        assert parse_slots([int(w, 16) for w in v["slotWords"][2 * i : 2 * i + 2]], size) == slots
    assert len(v["tableLength"]) >= 80


def test_sortition__vectors__cover_holes_pauses_voids_and_full_committees() -> None:
    v = load("sortition")
    slots = [v["slots"][15 * i : 15 * i + size] for i, size in enumerate(v["drawSize"])]
    assert any(0 in s and any(s) for s in slots)
    assert any(len(s) == 15 and 0 not in s for s in slots)
    assert any(s and not any(s) for s in slots)
    assert sum(v["poolPauses"]) > 5
    assert 0 in v["seatNode"]


def test_trees__every_proof__leads_to_its_root() -> None:
    v = load("trees")
    leaves = [raw(leaf) for leaf in v["leaves"]]
    at = 0
    for n, i, length in zip(v["sortedCount"], v["sortedIndex"], v["sortedProofLength"], strict=True):
        proof = [raw(node) for node in v["sortedProofs"][at : at + length]]
        at += length
        assert trees.sorted_verify(leaves[i], proof, raw(v["sortedRoots"][n - 1]))
    at = 0
    for n, first, count, root, length in zip(
        v["rangeCount"], v["rangeFirst"], v["rangeLength"], v["rangeRoots"], v["rangeProofLength"], strict=True
    ):
        proof = [raw(node) for node in v["rangeProofs"][at : at + length]]
        at += length
        assert trees.range_root(n, first, leaves[first : first + count], proof) == raw(root)
    for n, root in zip(v["batchCount"], v["batchRoots"], strict=True):
        assert trees.batch_root(leaves[:n]) == raw(root)
    assert v["batchRoots"][0] == _hex(keccak(b""))


def test_results__every_length__matches() -> None:
    v = load("results")
    for task, status, length, root, leaf in zip(
        v["task"], v["status"], v["byteLength"], v["chunkRoots"], v["taskLeaves"], strict=True
    ):
        data = bytes(i % 251 for i in range(length))
        assert chunk_root(data) == raw(root)
        assert task_leaf(Task(task), TaskResult(status, data)) == raw(leaf)


def test_payout__every_case__matches() -> None:
    v = load("payout")
    columns = [v[f"escrow{key}"] for key in ("Tasks", "Committee", "Units", "UnitPrice", "SettleBps", "ProtocolBps")]
    for *case, total in zip(*columns, v["escrowTotal"], strict=True):
        assert payout.escrow(*case).total == int(total, 16)
    for *case, fee in zip(v["feePay"], v["feePaidSlots"], v["feeBps"], v["fee"], strict=True):
        assert payout.settle_fee(*case) == fee
    buckets = payout.Buckets()
    for now, amount, matured, word in zip(
        v["bucketEpoch"], v["bucketCredit"], v["bucketMatured"], v["bucketWord"], strict=True
    ):
        buckets, rolled = payout.credit(buckets, amount, Epoch(now), v["maturity"])
        assert (rolled, buckets.pack()) == (matured, int(word, 16))


def test_court__every_case__matches() -> None:
    v = load("court")
    for i, text in enumerate(v["jobWord"]):
        word, shard, judges = int(text, 16), Shard(v["shard"][i]), v["caseJudges"][i]
        job = unpack_job_word(word)
        case = unpack_job_word(case_word(word, shard, Epoch(v["caseEpoch"][i]), judges))
        assert pack_job_word(case) == int(v["caseWord"][i], 16)
        assert (case.is_case, case.tasks, case.shards, case.appeal_epochs) == (True, v["caseTasks"][i], 1, 0)
        assert (case.committee, case.quorum) == (judges, v["caseQuorum"][i])
        assert epochs.appeal_until(job, Epoch(v["settledAt"][i])) == v["appealUntil"][i]
        assert epochs.last_epoch(case, Shard(0), v["settleGrace"]) == v["caseLast"][i]
        assert epochs.attempt_start(case, Shard(0), case.max_attempts - 1) == v["caseStart"][i]
        assert payout.bond(job, shard, judges, v["settleFeeBps"]) == int(v["caseBond"][i], 16)
    assert len(v["jobWord"]) == 40
    for now, settled, resolved, status in zip(
        v["standingNow"], v["standingSettled"], v["standingResolved"], v["standing"], strict=True
    ):
        case = unpack_job_word(int(v["standingWord"], 16))
        assert epochs.case_status(case, Epoch(now), v["settleGrace"], bool(settled), bool(resolved)) == status
    assert set(v["standing"]) == {7, 8, 9}
    for before, after in zip(v["laneBefore"], v["laneWrong"], strict=True):
        assert int(before, 16) | 0x40 << 216 == int(after, 16)


def test_court__money__matches() -> None:
    v = load("court")
    columns = [v[f"price{key}"] for key in ("Pay", "Paid", "SettleBps", "ProtocolBps")]
    for *case, price in zip(*columns, v["price"], strict=True):
        assert payout.shard_price(*case) == int(price, 16)
    names = ("Amount", "AccuserDue", "RequesterDue", "Accuser", "Requester", "Burned")
    for row in zip(*(v[f"pour{name}"] for name in names), strict=True):
        numbers = [int(word, 16) for word in row]
        assert payout.pour(*numbers[:3]) == payout.Poured(*numbers[3:])
    for word, now, after, taken, matured in zip(
        *(v[f"forfeit{name}"] for name in ("Word", "Epoch", "After", "Taken", "Matured")), strict=True
    ):
        found = payout.forfeit(payout.unpack_buckets(int(word, 16)), Epoch(now), v["maturity"])
        assert (found[0].pack(), found[1], found[2]) == (int(after, 16), int(taken, 16), int(matured, 16))


def test_court__every_draw_of_judges__matches() -> None:
    v = load("court")
    at = 0
    for i, length in enumerate(v["tableLength"]):
        table, size = v["table"][at : at + length], v["drawSize"][i]
        at += length
        barred = set(parse_slots([int(v["barredLow"][i], 16), int(v["barredHigh"][i], 16)], 15)) - {0}
        seed, job = raw(v["drawSeed"][i]), JobId(v["drawJob"][i])
        slots = draw(seed, job, Shard(0), size, length, table.__getitem__, barred)
        assert list(slots) == v["slots"][15 * i : 15 * i + size]
        assert parse_slots([int(w, 16) for w in v["slotWords"][2 * i : 2 * i + 2]], size) == slots
        assert int(v["drawWords"][2 * i + 1], 16) & 1 == 1
        first = sum(v["listSeats"][: v["drawList"][i]])
        own = range(first, first + v["listSeats"][v["drawList"][i]])
        young = {v["seatNode"][s] for s in own if v["seatHeldSince"][s] >= v["drawHeldBefore"][i]}
        old = {v["seatNode"][s] for s in own if v["seatHeldSince"][s] < v["drawHeldBefore"][i]}
        assert not (young - old | barred) & set(slots)
    assert sum(not any(v["slots"][15 * i : 15 * i + 15]) for i in range(len(v["drawJob"]))) >= 4
    assert sum(since != held for since, held in zip(v["seatSince"], v["seatHeldSince"], strict=True)) > 20


def test_epochs__every_status__matches() -> None:
    v = load("epochs")
    jobs = [unpack_job_word(int(word, 16)) for word in v["jobWords"]]
    seen = set()
    for j, shard, now, settled, status in zip(
        v["statusJob"], v["statusShard"], v["statusNow"], v["statusSettledAt"], v["status"], strict=True
    ):
        at = Epoch(settled) if settled else None
        assert epochs.shard_status(jobs[j], Shard(shard), Epoch(now), v["settleGrace"], at) == status
        seen.add(status)
    assert seen == {1, 2, 3, 4, 5, 6, 9, 10, 11}


def _hex(data: bytes) -> str:
    return "0x" + data.hex()
