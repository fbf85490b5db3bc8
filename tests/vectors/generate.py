"""Writes the golden vectors: ``python tests/vectors/generate.py`` (``--check`` only compares).

Each file is one flat JSON object of numbers, strings and arrays of them, so that forge's
``vm.parseJson…Array`` reads it without structs. Lists of lists are one flat array beside an array of counts.
Numbers that may pass 2**53 are 0x words. Everything is derived from the fixed texts and seeds in this folder:
a second run gives the same bytes.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import court_vectors
import draw_vectors
import story_vectors

from nodeagent.protocol import epochs, payout, trees
from nodeagent.protocol.constants import (
    CHUNK_BYTES,
    DEFAULT_REPORT_EPOCHS,
    DEFAULT_RING,
    DEFAULT_SETTLE_GRACE,
)
from nodeagent.protocol.jobword import pack_job_word
from nodeagent.protocol.keccak import keccak, words
from nodeagent.protocol.results import TaskResult, chunk_leaf, chunk_root, task_leaf
from nodeagent.protocol.types import AnswerClass, Epoch, JobTerms, PoolId, Shard, Task

HERE = Path(__file__).parent
Vectors = dict[str, object]


def _hex(data: bytes) -> str:
    return "0x" + data.hex()


def _hexes(items: Iterable[bytes]) -> list[str]:
    return [_hex(item) for item in items]


# --- trees --------------------------------------------------------------------------------------------------


def tree_vectors() -> Vectors:
    """Sorted trees of 1 to 33 leaves with every proof, ranges of every batch up to 9 and of some larger ones."""
    leaves = [keccak(words(i)) for i in range(512)]
    sorted_cases = [(n, i) for n in range(1, 34) for i in range(n)]
    paths = [trees.sorted_proof(leaves[:n], i) for n, i in sorted_cases]
    ranges = [(n, f, c) for n in range(1, 10) for f in range(n) for c in range(1, n - f + 1)]
    rng = random.Random("Quorate range vectors")
    for n in (10, 16, 17, 31, 33, 64, 100, 255, 256, 257, 511, 512):
        first = rng.randrange(n)
        ranges += [(n, 0, n), (n, n - 1, 1), (n, first, rng.randint(1, n - first))]
    proofs = [trees.range_proof(leaves[:n], f, c) for n, f, c in ranges]
    sizes = [*range(41), 64, 100, 255, 256, 257, 511, 512]
    return {
        "leaves": _hexes(leaves),
        "sortedRoots": _hexes(trees.sorted_root(leaves[:n]) for n in range(1, 34)),
        "sortedCount": [n for n, _ in sorted_cases],
        "sortedIndex": [i for _, i in sorted_cases],
        "sortedProofLength": [len(path) for path in paths],
        "sortedProofs": _hexes(node for path in paths for node in path),
        "batchCount": sizes,
        "batchRoots": _hexes(trees.batch_root(leaves[:n]) for n in sizes),
        "rangeCount": [n for n, _, _ in ranges],
        "rangeFirst": [f for _, f, _ in ranges],
        "rangeLength": [c for _, _, c in ranges],
        "rangeRoots": _hexes(trees.batch_root(leaves[:n]) for n, _, _ in ranges),
        "rangeProofLength": [len(proof) for proof in proofs],
        "rangeProofs": _hexes(node for proof in proofs for node in proof),
    }


def result_vectors() -> Vectors:
    """Chunk roots and task leaves of results around every chunk boundary; byte ``i`` of the data is ``i mod
    251``.
    """
    lengths = [0, 1, 31, 32, 33, 1023, 1024, 1025, 2047, 2048, 2049, 3000, 4096, 5000, 10240]
    cases = [(i * 7, i % 5, bytes(b % 251 for b in range(n))) for i, n in enumerate(lengths)]
    largest = cases[-1][2]
    chunks = [largest[at : at + CHUNK_BYTES] for at in range(0, len(largest), CHUNK_BYTES)]
    return {
        "task": [task for task, _, _ in cases],
        "status": [status for _, status, _ in cases],
        "byteLength": lengths,
        "chunkRoots": _hexes(chunk_root(data) for _, _, data in cases),
        "taskLeaves": _hexes(task_leaf(Task(task), TaskResult(status, data)) for task, status, data in cases),
        "chunkLeavesOfLast": _hexes(chunk_leaf(i, chunk) for i, chunk in enumerate(chunks)),
    }


# --- money --------------------------------------------------------------------------------------------------


def payout_vectors() -> Vectors:
    """Escrows, fees and penalties with their rounding, and one node's buckets through credits and gaps."""
    rng = random.Random("Quorate payout vectors")
    costs = [(1, 1, 1, 1, 0, 0), (1, 1, 1, 1, 9999, 1), (3, 3, 12, 1000, 100, 0), (300, 3, 12, 1, 100, 250)]
    costs += [
        (rng.randrange(1, 10**5), rng.randrange(1, 16), rng.randrange(1, 10**4), rng.randrange(1, 10**3),
         rng.randrange(0, 1001), rng.randrange(0, 1001))
        for _ in range(40)
    ]  # fmt: skip
    fees = [(rng.randrange(1, 10**12), rng.randrange(1, 16), rng.randrange(0, 1001)) for _ in range(40)]
    stakes = [(1, 1), (9_999, 10), (10_000, 10), (10**24, 5_000)]
    stakes += [(rng.randrange(1, 10**24), rng.randrange(1, 10_001)) for _ in range(20)]
    penalties = [payout.penalty(stake, bps) for stake, bps in stakes]
    return {
        "escrowTasks": [c[0] for c in costs],
        "escrowCommittee": [c[1] for c in costs],
        "escrowUnits": [c[2] for c in costs],
        "escrowUnitPrice": [c[3] for c in costs],
        "escrowSettleBps": [c[4] for c in costs],
        "escrowProtocolBps": [c[5] for c in costs],
        "escrowTotal": [f"0x{payout.escrow(*c).total:064x}" for c in costs],
        "feePay": [f[0] for f in fees],
        "feePaidSlots": [f[1] for f in fees],
        "feeBps": [f[2] for f in fees],
        "fee": [payout.settle_fee(*f) for f in fees],
        "penaltyStake": [f"0x{stake:064x}" for stake, _ in stakes],
        "penaltyBps": [bps for _, bps in stakes],
        "penaltyAmount": [f"0x{amount:064x}" for amount, _ in penalties],
        "penaltyReward": [f"0x{reward:064x}" for _, reward in penalties],
        **_bucket_vectors(rng),
    }


def _bucket_vectors(rng: random.Random) -> Vectors:
    now = 0
    buckets = payout.Buckets()
    columns: dict[str, list[object]] = {
        key: [] for key in ("bucketEpoch", "bucketCredit", "bucketMatured", "bucketWord")
    }
    for step in (1, 5, 100, 22, 0, 128, 127, 1, 255, 256, 257, 3, 300, 1000, 64, 64, 128, 128, 2):
        now += step
        amount = rng.randrange(0, 10**9)
        buckets, matured = payout.credit(buckets, amount, Epoch(now), DEFAULT_RING)
        columns["bucketEpoch"].append(now)
        columns["bucketCredit"].append(amount)
        columns["bucketMatured"].append(matured)
        columns["bucketWord"].append(f"0x{buckets.pack():064x}")
    return {"maturity": DEFAULT_RING, **columns}


# --- clock --------------------------------------------------------------------------------------------------

JOBS = [
    # post epoch, pace, work, attempts, tasks, shard size, appeal epochs
    (100, 2, 1, 3, 3, 2, 0),
    (100, 1, 1, 1, 5, 1, 0),
    (7, 3, 8, 4, 100, 9, 0),
    (1, 65535, 2, 2, 1000, 7, 0),
    (50, 1, 1, 3, 4, 2, 7),
]


def _terms(post: int, pace: int, work: int, attempts: int, tasks: int, size: int, appeal: int) -> JobTerms:
    return JobTerms(1, tasks, size, Epoch(post), pace, PoolId(1), 3, 2, work, attempts, AnswerClass.EXACT, appeal)


def epoch_vectors() -> Vectors:
    """Block to epoch, attempts of five jobs, and the status of first, second and last shard in every epoch of
    a job.
    """
    jobs = [_terms(*job) for job in JOBS]
    blocks = [0, 1, 5, 6, 9, 10, 995, 996, 999, 1000, 1003, 1005, 1006, 1009, 1010, 1011, 1019, 1020]
    attempts = [(j, s, a) for j, job in enumerate(jobs) for s in _shards(job) for a in range(job.max_attempts)]
    cases: list[tuple[int, int, int, int, int]] = []
    for j, job in enumerate(jobs):
        for shard in [*_shards(job), job.shards]:
            end = epochs.last_epoch(job, Shard(shard), DEFAULT_SETTLE_GRACE) + 3
            for now in range(job.post_epoch, end):
                status = epochs.shard_status(job, Shard(shard), Epoch(now), DEFAULT_SETTLE_GRACE)
                cases.append((j, shard, now, 0, status))
        settled = job.post_epoch + job.work + 2
        for now in range(settled, settled + job.appeal_epochs + 3):
            status = epochs.shard_status(job, Shard(0), Epoch(now), DEFAULT_SETTLE_GRACE, Epoch(settled))
            cases.append((j, 0, now, settled, status))
    return {
        "epochBlocks": 10,
        "lead": 4,
        "settleGrace": DEFAULT_SETTLE_GRACE,
        "reportEpochs": DEFAULT_REPORT_EPOCHS,
        "block": blocks,
        "epoch": [epochs.epoch_of(block, 10) for block in blocks],
        "countingEpoch": [epochs.counting_epoch(block, 10, 4) for block in blocks],
        "jobWords": [f"0x{pack_job_word(job):064x}" for job in jobs],
        "jobShards": [job.shards for job in jobs],
        "jobStride": [epochs.stride(job) for job in jobs],
        "jobLife": [epochs.job_life(job, DEFAULT_SETTLE_GRACE, DEFAULT_REPORT_EPOCHS) for job in jobs],
        "jobClosableFrom": [epochs.closable_from(job, DEFAULT_SETTLE_GRACE, DEFAULT_REPORT_EPOCHS) for job in jobs],
        "attemptJob": [j for j, _, _ in attempts],
        "attemptShard": [s for _, s, _ in attempts],
        "attempt": [a for _, _, a in attempts],
        "attemptStart": [epochs.attempt_start(jobs[j], s, a) for j, s, a in attempts],
        "attemptCommit": [epochs.commit_epoch(jobs[j], s, a) for j, s, a in attempts],
        "attemptLast": [epochs.last_epoch(jobs[j], s, DEFAULT_SETTLE_GRACE) for j, s, _ in attempts],
        "statusJob": [c[0] for c in cases],
        "statusShard": [c[1] for c in cases],
        "statusNow": [c[2] for c in cases],
        "statusSettledAt": [c[3] for c in cases],
        "status": [int(c[4]) for c in cases],
    }


def _shards(job: JobTerms) -> list[Shard]:
    return [Shard(s) for s in sorted({0, min(1, job.shards - 1), job.shards - 1})]


# --- files --------------------------------------------------------------------------------------------------

FILES: dict[str, Callable[[], Vectors]] = {
    "story.json": story_vectors.build,
    "sortition.json": draw_vectors.build,
    "trees.json": tree_vectors,
    "results.json": result_vectors,
    "payout.json": payout_vectors,
    "epochs.json": epoch_vectors,
    "court.json": court_vectors.build,
}


def render(vectors: Vectors) -> str:
    """One key per line, so that a change shows where it is."""
    lines = [f"{json.dumps(key)}:{json.dumps(value, separators=(',', ':'))}" for key, value in vectors.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def main(arguments: list[str]) -> int:
    """Writes the files, or with ``--check`` names those that differ and returns 1."""
    check = arguments == ["--check"]
    stale = []
    for name, make in FILES.items():
        text = render(make())
        path = HERE / name
        if check and (not path.exists() or path.read_text() != text):
            stale.append(name)
        elif not check:
            path.write_text(text)
    for name in stale:
        print(f"tests/vectors/{name} is stale: run python tests/vectors/generate.py")
    return 1 if stale else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
