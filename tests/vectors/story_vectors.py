"""The worked example in real bytes: one job, three nodes, from task results to a verified task.

Posted in block 1003 with epochs of 10 blocks and one work epoch: drawn and committed in epoch 101, revealed
and settled in 102. Job 1 has three tasks in shards of two, both starting in epoch 101. Two nodes agree on
both shards, one disagrees on shard 0 and agrees on shard 1.
"""

from __future__ import annotations

from dataclasses import dataclass

from nodeagent.protocol import epochs, payout
from nodeagent.protocol.cids import raw_cid
from nodeagent.protocol.constants import DEFAULT_REPORT_EPOCHS, DEFAULT_RING, DEFAULT_SETTLE_GRACE
from nodeagent.protocol.documents import Content, sha256_digest
from nodeagent.protocol.jobword import pack_job_word
from nodeagent.protocol.keccak import keccak, words
from nodeagent.protocol.lanes import Lane, pack_lane
from nodeagent.protocol.leaves import BATCH_TYPE, Leaf, commit_digest, leaf_hashes, leaves_root, pack_leaves
from nodeagent.protocol.manifest import (
    BATCH_VERSION,
    BatchLeaf,
    BatchManifest,
    InputTensor,
    JobManifest,
    OutputTensor,
    Runtime,
    encode_manifest,
)
from nodeagent.protocol.results import (
    ResultTree,
    TaskResult,
    chunk_leaves,
    chunk_root,
    encode_results,
    task_leaf,
)
from nodeagent.protocol.settlement import (
    LaneKey,
    OpenBatch,
    SettledLeaf,
    SettleEntry,
    build_claim_opening,
    build_settle,
    settlement_tree,
)
from nodeagent.protocol.sortition import draw, draw_words, seed_from_randao
from nodeagent.protocol.types import AnswerClass, Epoch, JobId, JobTerms, NodeId, PoolId, Shard, Task

CHAIN_ID = 31337
EPOCH_BLOCKS = 10
LEAD = 4
SETTLE_FEE_BPS = 100
POST_BLOCK = 1003
JOB = JobId(1)
UNITS = 12
UNIT_PRICE = 1000
LEDGER = bytes.fromhex("1ed6e40000000000000000000000000000000001")
PAYEE = NodeId(1)
SEATS = (1, 2, 0, 3)
"""Node at each index of the pool's list in epoch 101: four seats of which one is a hole."""

TERMS = JobTerms(
    task_price=UNITS * UNIT_PRICE,
    tasks=3,
    shard_size=2,
    post_epoch=epochs.counting_epoch(POST_BLOCK, EPOCH_BLOCKS, LEAD),
    pace=2,
    pool=PoolId(1),
    committee=3,
    quorum=2,
    work=1,
    max_attempts=3,
    answer_class=AnswerClass.EXACT,
    appeal_epochs=0,
)
RESULTS = (
    (TaskResult(0, bytes(i % 251 for i in range(1500))), TaskResult(0, b"\x01\x02\x03\x04\x05")),
    (TaskResult(2, b""),),
)
"""Results of shard 0 and shard 1: two chunks, five bytes, and a refused input without bytes."""
DISSENT = (TaskResult(0, bytes(1500)), RESULTS[0][1])
"""What the third node found for shard 0."""


def _hex(data: bytes) -> str:
    return "0x" + data.hex()


def _word(value: int) -> str:
    return f"0x{value:064x}"


@dataclass(frozen=True, slots=True)
class Batch:
    """What one node seals in epoch 101."""

    node: NodeId
    leaves: tuple[Leaf, ...]
    packed: bytes
    manifest: bytes
    salt: bytes

    @property
    def manifest_digest(self) -> bytes:
        return sha256_digest(self.manifest)


def _content(data: bytes) -> Content:
    return Content(cid=raw_cid(sha256_digest(data)), bytes=len(data))


def _batch(node: NodeId, epoch: Epoch, results: tuple[tuple[TaskResult, ...], ...]) -> Batch:
    leaves = []
    items = []
    for shard, answers in enumerate(results):
        root = ResultTree(Task(shard * TERMS.shard_size), answers).root
        leaves.append(Leaf(JOB, Shard(shard), root))
        items.append(BatchLeaf(job=JOB, shard=shard, root=_hex(root), results=_content(encode_results(answers))))
    manifest, _ = encode_manifest(BatchManifest(version=BATCH_VERSION, node=node, epoch=epoch, leaves=tuple(items)))
    salt = keccak(b"Quorate worked example: salt of node %d" % node)
    return Batch(node, tuple(leaves), pack_leaves(leaves), manifest, salt)


def job_manifest() -> bytes:
    """The example's job manifest; model and inputs stand for files of a few bytes."""
    manifest = JobManifest(
        runtime=Runtime(name="onnx-canonical", id=_hex(keccak(b"Quorate worked example: runtime"))),
        model=_content(b"Quorate worked example: model"),
        inputs=(InputTensor(name="bytes", dtype="int32", shape=(2048,)),),
        outputs=(OutputTensor(name="target_label", dtype="float32"),),
        tasks=TERMS.tasks,
        shard_size=TERMS.shard_size,
        units=UNITS,
        max_output_bytes=65536,
        shards=tuple(_content(b"Quorate worked example: inputs of shard %d" % s) for s in range(TERMS.shards)),
    )
    return encode_manifest(manifest)[0]


def _post() -> dict[str, object]:
    manifest = job_manifest()
    cost = payout.escrow(TERMS.tasks, TERMS.committee, UNITS, UNIT_PRICE, SETTLE_FEE_BPS)
    return {
        "chainId": CHAIN_ID,
        "epochBlocks": EPOCH_BLOCKS,
        "lead": LEAD,
        "ring": DEFAULT_RING,
        "postBlock": POST_BLOCK,
        "postEpoch": TERMS.post_epoch,
        "job": JOB,
        "tasks": TERMS.tasks,
        "shardSize": TERMS.shard_size,
        "pace": TERMS.pace,
        "pool": TERMS.pool,
        "committee": TERMS.committee,
        "quorum": TERMS.quorum,
        "work": TERMS.work,
        "maxAttempts": TERMS.max_attempts,
        "units": UNITS,
        "unitPrice": UNIT_PRICE,
        "settleFeeBps": SETTLE_FEE_BPS,
        "jobWord": _word(pack_job_word(TERMS)),
        "escrow": cost.total,
        "jobManifest": manifest.decode(),
        "jobManifestDigest": _hex(sha256_digest(manifest)),
        "jobManifestCid": raw_cid(sha256_digest(manifest)),
        "lastEpoch": epochs.last_epoch(TERMS, Shard(0), DEFAULT_SETTLE_GRACE),
        "closableFrom": epochs.closable_from(TERMS, DEFAULT_SETTLE_GRACE, DEFAULT_REPORT_EPOCHS),
    }


def _draw(start: Epoch, randao: bytes) -> tuple[dict[str, object], list[tuple[NodeId, ...]]]:
    seed = seed_from_randao(start, randao)
    heads = [keccak(words(seed, JOB, shard)) for shard in range(TERMS.shards)]
    committees = [
        draw(seed, JOB, Shard(s), TERMS.committee, len(SEATS), lambda i: NodeId(SEATS[i])) for s in range(TERMS.shards)
    ]
    asked = [draw_words(seed, JOB, Shard(s), start, TERMS.pool, TERMS.committee) for s in range(TERMS.shards)]
    return {
        "attemptEpoch": start,
        "seedBlock": epochs.seed_block(start, EPOCH_BLOCKS),
        "prevRandao": _hex(randao),
        "seed": _hex(seed),
        "seats": list(SEATS),
        "drawHeads": [_hex(head) for head in heads],
        "drawStream": [_hex(keccak(words(head, 0))) for head in heads],
        "drawWords": [_word(item) for pair in asked for item in pair],
        "slots": [node for slots in committees for node in slots],
    }, committees


def _results() -> dict[str, object]:
    flat = [result for answers in RESULTS for result in answers]
    trees = [ResultTree(Task(s * TERMS.shard_size), answers) for s, answers in enumerate(RESULTS)]
    return {
        "resultStatus": [result.status for result in flat],
        "resultData": [_hex(result.data) for result in flat],
        "chunkLeaves": [_hex(leaf) for leaf in chunk_leaves(flat[0].data)],
        "chunkRoots": [_hex(chunk_root(result.data)) for result in flat],
        "taskLeaves": [_hex(task_leaf(Task(i), result)) for i, result in enumerate(flat)],
        "resultRoots": [_hex(tree.root) for tree in trees],
        "resultsFiles": [_hex(encode_results(answers)) for answers in RESULTS],
        "dissentData": _hex(DISSENT[0].data),
        "dissentRoot": _hex(ResultTree(Task(0), DISSENT).root),
    }


def _commits(batches: list[Batch], epoch: Epoch) -> dict[str, object]:
    digests = [commit_digest(CHAIN_ID, LEDGER, b.node, epoch, b.packed, b.manifest_digest, b.salt) for b in batches]
    roots = [leaves_root(b.packed) for b in batches]
    sealed = [pack_lane(Lane(epoch, 0, digest)) for digest in digests]
    opened = [pack_lane(Lane(epoch, 1, root[:27])) for root in roots]
    return {
        "batchType": _hex(BATCH_TYPE),
        "ledger": _hex(LEDGER),
        "commitEpoch": epoch,
        "nodes": [b.node for b in batches],
        "leaves": [_hex(b.packed) for b in batches],
        "leafHashes": [_hex(leaf) for b in batches for leaf in leaf_hashes(b.packed)],
        "batchRoots": [_hex(root) for root in roots],
        "batchManifests": [b.manifest.decode() for b in batches],
        "manifestDigests": [_hex(b.manifest_digest) for b in batches],
        "salts": [_hex(b.salt) for b in batches],
        "digests": [_hex(digest) for digest in digests],
        "lanesSealed": [_word(lane) for lane in sealed],
        "revealEpoch": epoch + 1,
        "lanesOpen": [_word(lane) for lane in opened],
    }


def _settle(batches: list[Batch], committees: list[tuple[NodeId, ...]], epoch: Epoch) -> dict[str, object]:
    entries = [
        SettleEntry(JOB, leaf.shard, 0, leaf.root, tuple(LaneKey(node, epoch) for node in committees[leaf.shard]))
        for leaf in batches[0].leaves
    ]
    call = build_settle(entries, [OpenBatch(LaneKey(b.node, epoch), b.leaves) for b in batches])
    agreeing = [{b.node for b in batches if entry.leaf in b.leaves} for entry in entries]
    settled = [
        SettledLeaf(
            JOB,
            entry.shard,
            0,
            sum(1 << slot for slot, node in enumerate(committees[entry.shard]) if node in agreeing[i]),
            entry.root,
        )
        for i, entry in enumerate(entries)
    ]
    tree = settlement_tree(settled)
    pays = [payout.member_pay(TERMS, entry.shard) for entry in entries]
    fees = [
        payout.settle_fee(pay, len(agreeing[i] & set(committees[entries[i].shard])), SETTLE_FEE_BPS)
        for i, pay in enumerate(pays)
    ]
    return {
        "payee": PAYEE,
        "settleEpoch": epoch + 1,
        "settleEntries": _hex(call.entries),
        "settleLanes": _hex(call.lanes),
        "settleOpenings": _hex(call.openings),
        "settleCalldata": _hex(call.calldata(PAYEE)),
        "settledLeaves": _hex(b"".join(leaf.pack() for leaf in settled)),
        "paidSlots": [leaf.paid_slots for leaf in settled],
        "settlementLeaves": [_hex(leaf.hash()) for leaf in settled],
        "settlementRoot": _hex(tree.root),
        "memberPay": pays,
        "settleFees": fees,
        "claimOpening": _hex(build_claim_opening(batches[0].leaves[1], batches[0].leaves)),
        "proofSettlementPath": [_hex(node) for node in tree.proof(0)],
    }


def build() -> dict[str, object]:
    """The whole example as one flat object, in the order of the story."""
    randao = keccak(b"Quorate worked example: prevRandao of block 1011")
    start = epochs.attempt_start(TERMS, Shard(0), 0)
    commit = epochs.commit_epoch(TERMS, Shard(0), 0)
    drawn, committees = _draw(start, randao)
    batches = [
        _batch(NodeId(1), commit, RESULTS),
        _batch(NodeId(2), commit, RESULTS),
        _batch(NodeId(3), commit, (DISSENT, RESULTS[1])),
    ]
    tree = ResultTree(Task(0), RESULTS[0])
    proof = {
        "proofTaskPath": [_hex(node) for node in tree.proof(Task(0))],
        "proofChunkPath": [_hex(node) for node in tree.chunk_proof(Task(0), 1)],
    }
    return {
        **_post(),
        **drawn,
        **_results(),
        **_commits(batches, commit),
        **_settle(batches, committees, commit),
        **proof,
    }
