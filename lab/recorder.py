"""Writes a run down as ``lab.simulate.record`` has it, so that the simulation's draws and books can replay it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from lab.chainlog import ChainLog, Said
from lab.net import LabNet
from lab.simulate.compare import differences
from lab.simulate.record import Record, read_record
from lab.simulate.replay import Replay
from nodeagent.chain.doors import Door
from nodeagent.chain.rpc import to_bytes
from nodeagent.errors import JobFault
from nodeagent.protocol.constants import OPEN_ENDED
from nodeagent.protocol.epochs import attempt_start, counting_epoch
from nodeagent.protocol.keccak import keccak
from nodeagent.protocol.lanes import ABSENT_PUNISHED, unpack_lane
from nodeagent.protocol.leaves import parse_leaves
from nodeagent.protocol.settlement import parse_settled
from nodeagent.protocol.sortition import draw_words, parse_slots
from nodeagent.protocol.types import JobId, NodeId, Shard

DEAD = "0x000000000000000000000000000000000000dead"
TRANSFER = keccak(b"Transfer(address,address,uint256)")
MOST_PAIRS, MOST_DRAWS = 1_000, 64
Row = dict[str, Any]


def write_record(path: Path, net: LabNet, log: ChainLog) -> list[str]:
    """Writes the run up to ``log``'s head; returns where a replay of the file comes out otherwise than the chain."""
    Recorder(net, log).record(path)
    found = read_record(path)
    try:
        return differences(found, Replay(found).play())
    except JobFault as fault:  # what the simulation holds to be against the rules, and the chain allowed
        return [fault.message]


class Recorder:
    """One run."""

    def __init__(self, net: LabNet, log: ChainLog) -> None:
        self.net, self.log, self.doors = net, log, net.doors
        self.nodes = [NodeId(n) for n in range(1, net.doors.registry.read("nodeCount") + 1)]
        self.cases = {case.case_job for case in log.world.cases.values()}

    def record(self, path: Path) -> None:
        """Writes the file."""
        p = self.net.deployment.parameters
        names = ("RING", "REVEAL_GRACE", "SETTLE_GRACE", "REPORT_EPOCHS", "SETTLE_FEE_BPS", "ABSENT_BPS")
        rules = {name.lower(): p[name] for name in (*names, "UNREVEALED_BPS", "WRONG_BPS", "JUDGES")}
        committees = self._committees()
        record = Record.model_validate(
            {
                "rules": rules,
                "seeds": {epoch: _hex(seed) for epoch, seed in sorted(self.log.seeds.items())},
                "pools": [self._pool()],
                "pauses": self._pauses(),
                "jobs": [
                    {"job": said.args["job"], "word": said.args["word"], "requester": said.args["requester"].lower()}
                    for said in self.log.named("JobPosted")
                ],
                "batches": self._batches(),
                "acts": [act for said in self.log.said for act in self._acts(said)],
                "committees": committees,
                "balances": self._balances(),
            }
        )
        path.write_text(record.model_dump_json() + "\n")

    # --- what went in ---------------------------------------------------------------------------------------

    def _pool(self) -> Row:
        seats: list[Row] = []
        for said in self.log.named("SeatTaken", "SeatEnded"):
            if said.name == "SeatTaken":
                names = {"seat": "seat", "node": "node", "since": "since", "held_since": "heldSince"}
                seats.append({ours: said.args[theirs] for ours, theirs in names.items()} | {"until": OPEN_ENDED})
            else:
                next(s for s in reversed(seats) if s["seat"] == said.args["seat"])["until"] = said.args["until"]
        lengths = [(said.args["fromEpoch"], said.args["length"]) for said in self.log.named("ListResized")]
        return {"pool": self.log.world.pool, "lengths": lengths, "seats": seats}

    def _pauses(self) -> list[Row]:
        found: list[Row] = []
        for said in self.log.named("NodePaused", "NodeResumed"):
            node, epoch = said.args["node"], said.args["fromEpoch"]
            if said.name == "NodePaused":
                found.append({"node": node, "start": epoch, "end": OPEN_ENDED})
            else:
                next(p for p in reversed(found) if p["node"] == node)["end"] = epoch
        return found

    def _batches(self) -> list[Row]:
        """What was opened, and lanes that are still sealed."""
        found, seen = [], set()
        for said in self.log.named("Revealed"):
            node, epoch = said.args["node"], said.args["epoch"]
            seen.add((node, epoch))
            leaves = [
                {"job": leaf.job, "shard": leaf.shard, "root": _hex(leaf.root)}
                for leaf in parse_leaves(said.args["leaves"])
            ]
            found.append({"node": node, "epoch": epoch, "delay": self._epoch(said) - epoch, "leaves": leaves})
        first = min(self.log.seeds, default=self.log.now)
        asked = [(node, epoch) for epoch in range(first, self.log.now + 1) for node in self.nodes]
        words = [w for part in _parts(asked, MOST_PAIRS) for w in self.doors.ledger.lanes(part)]
        for (node, epoch), word in zip(asked, words, strict=True):
            lane = unpack_lane(word)
            if lane.epoch == epoch and not lane.has(ABSENT_PUNISHED) and (node, epoch) not in seen:
                found.append({"node": node, "epoch": epoch, "delay": None})
        return found

    # --- what was done --------------------------------------------------------------------------------------

    def _acts(self, said: Said) -> list[Row]:
        make = _ACTS.get(said.name)
        if make is None or (said.name == "JobClosed" and said.args["job"] in self.cases):
            return []
        return [{"epoch": self._epoch(said), **make(self, said)}]

    def _epoch(self, said: Said) -> int:
        return said.block // self.net.deployment.epoch_blocks

    def counting(self, said: Said) -> int:
        """Epoch that an act of its block counts for."""
        return counting_epoch(said.block, self.net.deployment.epoch_blocks, self.net.deployment.lead)

    def slot(self, said: Said, attempt: int | None = None) -> int:
        """Slot of the event's node in an attempt of the event's shard: the settled one when none is named."""
        job, shard = JobId(said.args["job"]), Shard(said.args["shard"])
        tried = self.log.world.settled[job, shard].leaf.attempt if attempt is None else attempt
        return self.log.draw(self.log.world.jobs[job], shard, tried).slots.index(said.args["node"])

    def reporter(self, said: Said) -> str:
        """Who earns by the event's report: a node's key reports for its operator."""
        return str(self.doors.registry.read("payeeOf", said.args["reporter"])).lower()

    def sender(self, said: Said) -> str:
        """Who sent the event's transaction."""
        return str(self.net.rpc.call("eth_getTransactionByHash", [said.tx])["from"]).lower()

    # --- what came out --------------------------------------------------------------------------------------

    def _committees(self) -> list[Row]:
        """Of every attempt that began, as the registry draws them."""
        asked, words = [], list[int]()
        for job in self.log.world.jobs.values():
            for number in range(job.terms.shards):
                for attempt in range(self.log.begun(job, Shard(number))):
                    start = attempt_start(job.terms, Shard(number), attempt)
                    seed, size, pool = self.log.seed(start), job.terms.committee, job.terms.pool
                    words += draw_words(seed, job.id, Shard(number), start, pool, size, job.terms.is_case)
                    asked.append((job.id, number, attempt, size))
        drawn = [w for part in _parts(words, 2 * MOST_DRAWS) for w in self.doors.registry.committees(part)]
        return [
            {
                "job": job,
                "shard": shard,
                "attempt": attempt,
                "slots": list(parse_slots(drawn[2 * at : 2 * at + 2], size)),
            }
            for at, (job, shard, attempt, size) in enumerate(asked)
        ]

    def _balances(self) -> Row:
        doors, jobs = self.doors, self.log.world.jobs
        accounts = {agent.operator.lower() for agent in self.net.agents.values() if agent.operator}
        keys = {self.net.key_of(number).lower() for number in self.net.agents}
        everybody = sorted(accounts | keys | {str(self.net.state.requester).lower()})
        owed = {account: doors.market.owed_to(account) for account in everybody}
        rewards = {account: int(doors.registry.read("rewardOf", account)) for account in everybody}
        return {
            "epoch": self.log.now,
            "nodes": [self._node(node) for node in self.nodes],
            "owed": {account: amount for account, amount in owed.items() if amount},
            "rewards": {account: amount for account, amount in rewards.items() if amount},
            "held": {job: int(doors.market.job_view(job)["held"]) for job in jobs},
            "burned": doors.payment_token.balance_of(DEAD) + doors.market.owed_to(DEAD),
            "burned_stake": self._burned(doors.stake_token),
        }

    def _node(self, node: NodeId) -> Row:
        matured, maturing = self.doors.market.earnings_of(node)
        view = self.doors.registry.node_view(node)
        stake = {"stake": view["stake"], "unbonding": view["unbonding"]}
        return {"node": node, "matured": matured, "maturing": maturing, **stake}

    def _burned(self, token: Door) -> int:
        nobody = _hex(bytes(32))
        query = {"address": token.address, "fromBlock": "0x0", "topics": [_hex(TRANSFER), None, nobody]}
        return sum(int.from_bytes(to_bytes(log["data"]), "big") for log in self.net.rpc.call("eth_getLogs", [query]))


def _settled(recorder: Recorder, said: Said) -> Row:
    payee = said.args["payee"]
    entries = [
        {
            "job": leaf.job, "shard": leaf.shard, "attempt": leaf.attempt, "root": _hex(leaf.root),
            "paid": [slot for slot in range(16) if leaf.paid_slots >> slot & 1],
        }
        for leaf in parse_settled(said.args["leaves"])
    ]  # fmt: skip
    return {"act": "settle", "payee": payee, "sender": recorder.sender(said), "entries": entries}


def _of(act: str, *names: str, **others: str) -> Callable[[Recorder, Said], Row]:
    """An act whose fields are the event's arguments, ``others`` by another name."""
    pairs = {**{name: name for name in names}, **others}

    def make(recorder: Recorder, said: Said) -> Row:
        del recorder
        return {"act": act, **{field: _plain(said.args[name]) for field, name in pairs.items()}}

    return make


def _with(
    make: Callable[[Recorder, Said], Row], **more: Callable[[Recorder, Said], int | str]
) -> Callable[[Recorder, Said], Row]:
    return lambda recorder, said: make(recorder, said) | {name: of(recorder, said) for name, of in more.items()}


_ACTS: dict[str, Callable[[Recorder, Said], Row]] = {
    "StakeAdded": _of("stake", "node", "amount"),
    "StakeUnbonding": _of("unbond", "node", "amount"),
    "StakeWithdrawn": _of("unstake", "node"),
    "JobPosted": _of("post", "job"),
    "JobCancelled": _with(_of("cancel", "job"), counting=Recorder.counting),
    "JobClosed": _of("close", "job"),
    "Settled": _settled,
    "Claimed": _of("claim", "job", "shard", "slot"),
    "AbsentReported": _with(_of("absent", "job", "shard"), reporter=Recorder.reporter, slot=Recorder.slot),
    "UnrevealedReported": _with(_of("unrevealed", "node", commit_epoch="epoch"), reporter=Recorder.reporter),
    "Appealed": _with(_of("appeal", "job", "shard", "accuser", case_job="caseJob"), counting=Recorder.counting),
    "Resolved": _of("resolve", "job", "shard"),
    "EndedWithoutVerdict": _of("resolve", "job", "shard"),
    "CaseClosed": _of("close_case", "job", "shard"),
    "WrongReported": _with(
        _of("wrong", "job", "shard", "attempt"),
        slot=lambda recorder, said: recorder.slot(said, said.args["attempt"]),
        reporter=Recorder.reporter,
    ),
    "EarningsWithdrawn": _of("withdraw", "node"),
    "Collected": _of("collect", "account"),
    "RewardCollected": _of("collect_reward", account="reporter"),
}


def _plain(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _hex(data: bytes) -> str:
    return "0x" + data.hex()


def _parts(items: list[Any], size: int) -> Iterable[list[Any]]:
    return (items[start : start + size] for start in range(0, len(items), size))
