"""A pool of nodes that answer whatever they are told, for measurements: every transaction is real."""

from __future__ import annotations

from bench.chain import Chain, Sent
from nodeagent.chain.doors import Call
from nodeagent.protocol.keccak import keccak
from nodeagent.protocol.leaves import Leaf, commit_digest, pack_leaves
from nodeagent.protocol.settlement import LaneKey, OpenBatch, SettleEntry, build_settle
from nodeagent.protocol.sortition import draw_words, parse_slots
from nodeagent.protocol.types import VOID, Epoch, JobId, NodeId, PoolId, Shard

OPERATOR, REQUESTER, FIRST_KEY = 1, 2, 3
SEATS = 4
POOL = PoolId(1)
NO_MANIFEST = bytes(32)


class Network:
    """A pool of ``nodes`` nodes with four seats each, whose members answer whatever root they are told."""

    def __init__(self, chain: Chain, nodes: int) -> None:
        self.chain = chain
        self.nodes = [NodeId(i + 1) for i in range(nodes)]
        self.sealed: dict[NodeId, tuple[int, bytes]] = {}
        self._fund()
        self._register()
        self._fill_rings()

    # --- set-up ---------------------------------------------------------------------------------------------------

    def _fund(self) -> None:
        doors, chain = self.chain.doors, self.chain
        big = 1 << 200
        chain.send(
            [
                (0, doors.stake_token.call("transfer", chain.account(OPERATOR), 10**24)),
                (0, doors.payment_token.call("transfer", chain.account(REQUESTER), 10**14)),
                (OPERATOR, doors.stake_token.call("approve", doors.registry.address, big)),
                (REQUESTER, doors.payment_token.call("approve", doors.market.address, 2**256 - 1)),
            ]
        )

    def _register(self) -> None:
        chain, registry = self.chain, self.chain.doors.registry
        operator, deadline = chain.account(OPERATOR), 2**40
        for node in self.nodes:
            key = chain.keys[self.key_of(node)]
            message = registry.consent_message(chain.deployment.chain_id, operator, key.address, deadline)
            consent = bytes(key.sign_typed_data(full_message=message).signature)
            chain.send([(OPERATOR, registry.register(POOL, SEATS, key.address, deadline, consent, "", NO_MANIFEST))])

    def _fill_rings(self) -> None:
        """One whole round of the rings: every lane and every seed slot has been written before."""
        epoch = self.chain.next_epoch + 1
        for step in range(self.chain.deployment.ring + 1):
            self.chain.to_epoch(epoch + step, 3)
            self.chain.send(
                [(0, self.chain.record_seed(epoch + step)), *[(self.key_of(n), self._turn(n, b"")) for n in self.nodes]]
            )
        self._open_rest()

    def key_of(self, node: NodeId) -> int:
        return FIRST_KEY + node - 1

    # --- what nodes send ------------------------------------------------------------------------------------------

    def _digest(self, node: NodeId, epoch: int, leaves: bytes) -> bytes:
        chain = self.chain
        ledger = bytes.fromhex(chain.doors.ledger.address[2:])
        salt = _salt(node, epoch)
        return commit_digest(chain.deployment.chain_id, ledger, node, Epoch(epoch), leaves, NO_MANIFEST, salt)

    def commit(self, node: NodeId, leaves: bytes) -> Call:
        epoch = self.chain.next_epoch
        self.sealed[node] = (epoch, leaves)
        return self.chain.doors.ledger.commit(epoch, self._digest(node, epoch, leaves))

    def reveal(self, node: NodeId) -> Call:
        epoch, leaves = self.sealed.pop(node)
        return self.chain.doors.ledger.reveal(node, epoch, leaves, NO_MANIFEST, _salt(node, epoch))

    def _turn(self, node: NodeId, leaves: bytes) -> Call:
        epoch = self.chain.next_epoch
        opened = self.sealed.get(node, (0, b""))[1]
        self.sealed[node] = (epoch, leaves)
        digest = self._digest(node, epoch, leaves)
        return self.chain.doors.ledger.turn(epoch, opened, NO_MANIFEST, _salt(node, epoch - 1), digest)

    # --- a round --------------------------------------------------------------------------------------------------

    def post(self, jobs: int, shards: int, committee: int, *, appeal_epochs: int = 0) -> tuple[list[JobId], list[Sent]]:
        spec = {
            "pool": POOL,
            "class": 0,
            "tasks": shards,
            "shardSize": 1,
            "pace": 0,
            "committee": committee,
            "quorum": committee // 2 + 1,
            "work": 1,
            "maxAttempts": 3,
            "appealEpochs": appeal_epochs,
            "units": 10,
            "unitPrice": 100,
            "manifest": keccak(b"manifest"),
        }
        first = self.chain.doors.market.read("jobCount") + 1
        hashes = self.chain.send([(REQUESTER, self.chain.doors.market.post(spec))] * jobs)
        return [JobId(first + i) for i in range(jobs)], self.chain.measure(hashes)

    def round(self, jobs: int, shards: int, committee: int, *, turn: bool) -> dict[str, list[Sent]]:
        """Posts, seals, opens and settles; ``turn`` opens a batch and seals the next in one transaction.

        A job of more shards than the pool's pace starts them over several epochs; all are settled in one call.
        """
        chain = self.chain
        chain.to_epoch(chain.next_epoch + 1, 3)
        ids, posted = self.post(jobs, shards, committee)
        work = chain.next_epoch + 1
        pace = 2 * len(self.nodes) * SEATS // committee
        waves = -(-shards // pace)
        steps: dict[str, list[Sent]] = {"post": posted, "record_seed": [], "commit": [], "reveal": [], "turn": []}
        entries: list[SettleEntry] = []
        opened: list[OpenBatch] = []
        sealed: dict[NodeId, list[Leaf]] = {}
        for wave in range(waves + 1):
            chain.to_epoch(work + wave, 3)
            answers: dict[NodeId, list[Leaf]] = {}
            if wave < waves:
                steps["record_seed"] += chain.measure(chain.send([(0, chain.record_seed(work + wave))]))
                asked = [(job, Shard(s)) for job in ids for s in range(wave * pace, min(shards, (wave + 1) * pace))]
                found, answers = self._answers(asked, committee, work + wave)
                entries += found
            if sealed:
                opened += [OpenBatch(LaneKey(n, Epoch(work + wave - 1)), tuple(b)) for n, b in sealed.items()]
            self._open_and_seal(steps, sealed, answers, turn)
            sealed = answers
        call = build_settle(sorted(entries, key=lambda e: (e.job, e.shard)), opened)
        payee = opened[0].lane.node
        settle = chain.doors.market.settle(call.entries, call.lanes, call.openings, payee)
        steps["settle"] = chain.measure(chain.send([(self.key_of(payee), settle)]))
        self._open_rest()
        return steps

    def _open_and_seal(
        self,
        steps: dict[str, list[Sent]],
        sealed: dict[NodeId, list[Leaf]],
        answers: dict[NodeId, list[Leaf]],
        turn: bool,
    ) -> None:
        """An epoch's transactions: ``sealed`` is opened and ``answers`` is sealed, apart or at once."""
        chain = self.chain
        if not turn:
            if sealed:
                steps["reveal"] += chain.measure(chain.send([(self.key_of(n), self.reveal(n)) for n in sealed]))
            if answers:
                commits = [(self.key_of(n), self.commit(n, pack_leaves(b))) for n, b in answers.items()]
                steps["commit"] += chain.measure(chain.send(commits))
            return
        if not sealed:
            chain.send([(self.key_of(n), self.commit(n, pack_leaves(b))) for n, b in answers.items()])
            return
        # In the steady state a batch of about the same size is sealed for the next epoch.
        turns = [(self.key_of(n), self._turn(n, pack_leaves(answers.get(n, b)))) for n, b in sealed.items()]
        steps["turn"] += chain.measure(chain.send(turns))
        late = [n for n in answers if n not in sealed]
        if late:
            chain.send([(self.key_of(n), self.commit(n, pack_leaves(answers[n]))) for n in late])

    def _open_rest(self) -> None:
        """Opens what the last turns sealed, so that no lane is left sealed when its slot comes round."""
        if self.sealed:
            self.chain.to_epoch(self.chain.next_epoch + 1, 3)
            self.chain.send([(self.key_of(n), self.reveal(n)) for n in list(self.sealed)])

    def _answers(
        self, asked: list[tuple[JobId, Shard]], committee: int, epoch: int
    ) -> tuple[list[SettleEntry], dict[NodeId, list[Leaf]]]:
        """What the members of the shards' committees answer, all alike."""
        seed = self.chain.doors.ledger.seed_of(epoch)
        assert seed is not None
        words: list[int] = []
        for job, shard in asked:
            words += draw_words(seed, job, shard, Epoch(epoch), POOL, committee)
        slots = self.chain.doors.registry.committees(words)
        entries: list[SettleEntry] = []
        batches: dict[NodeId, list[Leaf]] = {}
        for i, (job, shard) in enumerate(asked):
            members = parse_slots(slots[2 * i : 2 * i + 2], committee)
            root = keccak(b"answer" + job.to_bytes(8, "big") + shard.to_bytes(4, "big"))
            lanes = tuple(None if n == VOID else LaneKey(n, Epoch(epoch)) for n in members)
            entries.append(SettleEntry(job, shard, 0, root, lanes))
            for node in (n for n in members if n != VOID):
                batches.setdefault(node, []).append(Leaf(job, shard, root))
        return entries, dict(sorted(batches.items()))


def _salt(node: int, epoch: int) -> bytes:
    return keccak(node.to_bytes(4, "big") + epoch.to_bytes(4, "big"))
