"""Carries out what was decided: writes batches, publishes results, hands transactions to the outbox."""

from __future__ import annotations

import secrets
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import structlog

from nodeagent.chain.deployment import Deployment
from nodeagent.chain.doors import Call, Doors
from nodeagent.chain.headers import header_rlp
from nodeagent.chain.intents import Intent
from nodeagent.chain.outbox import Outbox
from nodeagent.chain.rpc import Rpc, to_bytes
from nodeagent.content import LayeredStore
from nodeagent.content.errors import StoreFailed
from nodeagent.errors import Fatal
from nodeagent.protocol.constants import MAX_LEAVES
from nodeagent.protocol.documents import Content
from nodeagent.protocol.epochs import seed_block
from nodeagent.protocol.leaves import Leaf, commit_digest, pack_leaves
from nodeagent.protocol.manifest import BatchLeaf, BatchManifest, encode_manifest, parse_batch_manifest
from nodeagent.protocol.types import Epoch, JobId, NodeId
from nodeagent.worker import lifecycle as life
from nodeagent.worker.compute import results_label, results_path
from nodeagent.worker.ledger import Batch, Ledger

ENDED = ("failed", "expired", "lost")
WEI = 10**18
MOST_WEI = 2**63 - 1  # of a price of gas, as SQLite keeps it

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Hands:
    """Everything an action needs. ``block`` is the head's and is set before each round."""

    rpc: Rpc
    deployment: Deployment
    doors: Doors
    outbox: Outbox
    ledger: Ledger
    store: LayeredStore
    pending: Path
    node: NodeId
    block: int = 0
    _stake_decimals: int | None = None

    def stake_in_wei(self, tokens: int, price: float) -> int:
        """What an amount of the stake token is worth, at ``price`` ether for a whole one."""
        if self._stake_decimals is None:
            self._stake_decimals = self.doors.stake_token.describe()[1]
        return tokens * round(price * WEI) // int(10**self._stake_decimals)

    def seal(self, action: life.Seal) -> Batch:
        """Writes the epoch's batch with a fresh salt; on disk when this returns. An existing one stays."""
        known = self.ledger.batch(action.epoch)
        if known is not None:
            return known
        results = self.ledger.results()
        chosen = [results[key] for key in sorted(action.shards)[:MAX_LEAVES]]
        leaves = pack_leaves([Leaf(r.job, r.shard, r.root) for r in chosen])
        document = BatchManifest(
            node=self.node,
            epoch=action.epoch,
            leaves=tuple(
                BatchLeaf(job=r.job, shard=r.shard, root="0x" + r.root.hex(), results=Content(cid=r.cid, bytes=r.bytes))
                for r in chosen
            ),
        )
        manifest, manifest_digest = encode_manifest(document)
        salt = secrets.token_bytes(32)
        digest = commit_digest(
            self.deployment.chain_id,
            to_bytes(self.deployment.ledger),
            self.node,
            action.epoch,
            leaves,
            manifest_digest,
            salt,
        )
        batch = self.ledger.seal(Batch(action.epoch, leaves, manifest, manifest_digest, salt, digest))
        log.info("batch_sealed", epoch=action.epoch, leaves=len(chosen))
        return batch

    def commit(self, action: life.Commit) -> None:
        batch = self._batch(action.epoch)
        call = self.doors.ledger.commit(action.epoch, batch.digest)
        self.submit(life.commit_key(action.epoch), call, action.deadline)

    def reveal(self, action: life.Reveal) -> None:
        batch = self._batch(action.epoch)
        self.publish(batch)
        call = self.doors.ledger.reveal(self.node, action.epoch, batch.leaves, batch.manifest_digest, batch.salt)
        self.submit(life.reveal_key(action.epoch), call, action.deadline)

    def turn(self, action: life.Turn) -> None:
        opening, sealing = self._batch(Epoch(action.epoch - 1)), self._batch(action.epoch)
        self.publish(opening)
        call = self.doors.ledger.turn(
            action.epoch, opening.leaves, opening.manifest_digest, opening.salt, sealing.digest
        )
        self.submit(life.turn_key(action.epoch), call, action.deadline)

    def resume(self, action: life.Resume) -> None:
        call = self.doors.registry.call("resumeNode", self.node)
        self.submit(life.resume_key(action.epoch), call, None)

    def record_seed(self, epoch: Epoch) -> None:
        """Proves an epoch's seed to the ledger from the header of its second block."""
        key = f"seed:{epoch}"
        known = self.outbox.get(key)
        if known is None or known.state in ENDED:
            header = header_rlp(self.rpc.block(seed_block(epoch, self.deployment.epoch_blocks)))
            self.submit(key, self.doors.ledger.record_seed(header), None)

    def commit_block(self, epoch: Epoch) -> int:
        """Block in which this epoch's batch was sealed, as far as the outbox knows; else 0."""
        for key in (life.commit_key(epoch), life.turn_key(epoch)):
            intent = self.outbox.get(key)
            if intent is not None and intent.succeeded and intent.mined_block is not None:
                return intent.mined_block
        return 0

    def publish(self, batch: Batch) -> None:
        """Puts a batch's manifest and results files into the served store: only now may they be seen.

        A store that refuses holds back no opening: others serve the same results, and a sealed batch costs stake.
        """
        try:
            leaves = parse_batch_manifest(batch.manifest).leaves
            for leaf in leaves:
                path = results_path(self.pending, leaf.job, leaf.shard)
                found = str(self.store.put_file(path, results_label(leaf.job))) if path.exists() else "no file"
                if found != leaf.results.cid:
                    log.error("results_lost", job=leaf.job, shard=leaf.shard, expected=leaf.results.cid, found=found)
            empty = results_label(0)  # no job's
            labels = sorted({results_label(leaf.job) for leaf in leaves}) or [empty]
            manifest = self.store.put_bytes(batch.manifest, labels[0])
            for label in labels[1:]:
                self.store.local.pin(manifest, label)
        except StoreFailed as fault:
            log.error("results_not_served", epoch=batch.epoch, reason=str(fault))

    def give_up(self, jobs: Collection[JobId]) -> None:
        """Drops results of jobs that are over and were not published."""
        for job, shard in self.ledger.results():
            if job in jobs:
                results_path(self.pending, job, shard).unlink(missing_ok=True)

    def submit(self, key: str, call: Call, deadline: int | None, max_fee: int | None = None) -> Intent:
        """Hands a call to the outbox. One that ended without effect is tried again, once a block."""
        known = self.outbox.get(key)
        if known is not None and known.state in ENDED:
            self.outbox.forget(key)
        most = None if max_fee is None else min(max_fee, MOST_WEI)
        return self.outbox.submit(key, call, block=self.block, deadline=deadline, max_fee=most)

    def _batch(self, epoch: Epoch) -> Batch:
        batch = self.ledger.batch(epoch)
        if batch is None:
            raise Fatal(f"no opening of epoch {epoch} is on disk", hint="restore agent.db: sealed stake is at risk")
        return batch
