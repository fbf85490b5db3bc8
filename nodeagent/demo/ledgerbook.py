"""What the demo reads off the chain afterwards: every transaction with its gas, and who was drawn for what."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from nodeagent.chain.abi import load_abi
from nodeagent.chain.deployment import Deployment
from nodeagent.chain.doors import Registry
from nodeagent.chain.errors import RpcError
from nodeagent.chain.headers import prev_randao
from nodeagent.chain.rpc import Json, Rpc, to_bytes
from nodeagent.client.history import History
from nodeagent.errors import QuorateError, Transient
from nodeagent.protocol.epochs import attempt_start, epoch_of, seed_block
from nodeagent.protocol.sortition import draw_words, parse_slots, seed_from_randao
from nodeagent.protocol.types import Shard

STEPS = {
    "post": "post",
    "postWithPermit": "post",
    "turn": "turn",
    "commit": "commit",
    "reveal": "reveal",
    "recordSeed": "record_seed",
    "settle": "settle",
    "claim": "claim",
}
WORK = ("turn", "commit", "reveal", "settle")  # what a shard costs; seeds are the network's, the post its requester's


@dataclass(frozen=True, slots=True)
class Transaction:
    """A mined, successful transaction to the market's contracts."""

    hash: str
    step: str
    epoch: int
    gas: int


@dataclass(frozen=True, slots=True)
class Committees:
    """:param drawn: node ids by (shard, attempt), slot by slot, 0 where a slot is void
    :param paid: nodes paid for a settled shard
    """

    drawn: Mapping[tuple[int, int], tuple[int, ...]]
    paid: Mapping[int, tuple[int, ...]]

    def tasks_drawn(self, history: History) -> dict[int, int]:
        """Tasks each node was drawn for, a shard counted once however many attempts it took."""
        shards: dict[int, set[int]] = defaultdict(set)
        for (shard, _), nodes in self.drawn.items():
            for node in nodes:
                shards[node].add(shard)
        terms = history.terms
        return {n: sum(terms.tasks_in(Shard(s)) for s in mine) for n, mine in shards.items() if n}


def transactions(rpc: Rpc, deployment: Deployment, first: int, last: int) -> list[Transaction]:
    """All of them in blocks ``first`` to ``last``, in order. Raises the endpoint's Transient faults."""
    doors = {
        deployment.market.lower(): load_abi("JobMarket"),
        deployment.ledger.lower(): load_abi("CommitLedger"),
    }
    found: list[tuple[str, str]] = []
    for block in _answers(rpc.batch([("eth_getBlockByNumber", [hex(n), True]) for n in range(first, last + 1)])):
        for tx in block["transactions"]:
            abi = doors.get(str(tx.get("to") or "").lower())
            if abi is None:
                continue
            try:
                name, _ = abi.decode_input(to_bytes(tx["input"]))
            except QuorateError:
                continue
            if name in STEPS:
                found.append((tx["hash"], STEPS[name]))
    receipts = _answers(rpc.batch([("eth_getTransactionReceipt", [tx]) for tx, _ in found]))
    return [
        Transaction(tx, step, epoch_of(int(r["blockNumber"], 16), deployment.epoch_blocks), int(r["gasUsed"], 16))
        for (tx, step), r in zip(found, receipts, strict=True)
        if int(r["status"], 16)
    ]


def _answers(answers: Iterable[object]) -> list[Json]:
    out = []
    for answer in answers:
        if isinstance(answer, RpcError):
            raise answer
        if not isinstance(answer, dict):
            raise Transient("the endpoint has lost a block it had", hint="run the demo again")
        out.append(answer)
    return out


def gas_by_step(found: Sequence[Transaction], shards: int, tasks: int) -> dict[str, object]:
    """Gas of every transaction by step, and what a shard and a task cost (without post and seeds)."""
    steps: dict[str, list[int]] = {step: [] for step in dict.fromkeys(STEPS.values())}
    for tx in found:
        steps[tx.step].append(tx.gas)
    work = sum(sum(steps[step]) for step in WORK)
    return {
        **steps,
        "post": sum(steps["post"]),
        "per_shard": round(work / max(1, shards)),
        "per_task": round(work / max(1, tasks)),
    }


def committees(rpc: Rpc, deployment: Deployment, history: History) -> Committees:
    """Who was drawn for every attempt that was made, redrawn by the registry itself from the headers' randomness."""
    terms, job = history.terms, history.posted.job
    asked: list[tuple[int, int]] = []
    for number, settlement in sorted(history.settled.items()):
        asked += [(number, attempt) for attempt in range(settlement.entry.attempt + 1)]
    starts = {key: attempt_start(terms, Shard(key[0]), key[1]) for key in asked}
    epochs = sorted(set(starts.values()))
    headers = [rpc.block(seed_block(epoch, deployment.epoch_blocks)) for epoch in epochs]
    seeds = {epoch: seed_from_randao(epoch, prev_randao(header)) for epoch, header in zip(epochs, headers, strict=True)}
    words: list[int] = []
    for key in asked:
        start = starts[key]
        words += draw_words(seeds[start], job, Shard(key[0]), start, terms.pool, terms.committee)
    answer = Registry(rpc, deployment.registry).committees(words)
    drawn = {}
    for index, key in enumerate(asked):
        drawn[key] = tuple(int(n) for n in parse_slots(answer[2 * index : 2 * index + 2], terms.committee))
    paid = {}
    for number, settlement in history.settled.items():
        slots = drawn[number, settlement.entry.attempt]
        paid[number] = tuple(n for i, n in enumerate(slots) if settlement.entry.paid_slots >> i & 1)
    for claim in history.claims:
        paid[int(claim.shard)] = (*paid[int(claim.shard)], int(claim.node))
    return Committees(drawn, paid)
