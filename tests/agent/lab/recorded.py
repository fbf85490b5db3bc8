"""A small run made by hand: two shards, one settled wrong and overturned, a withheld batch, everything closed.

Committees come from the protocol's own draw, balances from arithmetic written out here; nothing of the lab's draws
or books is used.
"""

from __future__ import annotations

from typing import Any

from nodeagent.protocol.jobword import pack_job_word
from nodeagent.protocol.keccak import keccak
from nodeagent.protocol.sortition import draw
from nodeagent.protocol.types import AnswerClass, Epoch, JobId, JobTerms, NodeId, PoolId, Shard

P = 12_347
STAKE = 1_000_003
OPEN = 4_294_967_295
RIGHT, WRONG = ("0x" + digit * 64 for digit in "1a")
NODES = 14
LATE = 14
"""Takes its seat after the appealed attempt began: it may compute later shards, and judge nothing here."""
PAUSED = 13
TERMS = JobTerms(
    task_price=P, tasks=3, shard_size=2, post_epoch=Epoch(100), pace=2, pool=PoolId(1), committee=3, quorum=2, work=1,
    max_attempts=3, answer_class=AnswerClass.EXACT, appeal_epochs=7,
)  # fmt: skip


def seats(epoch: int, without: tuple[int, ...] = (), held_before: int | None = None) -> list[NodeId]:
    """One seat a node, in order; the late one's begins in 103, the paused one is out from 95 to 104."""
    table = []
    for node in range(1, NODES + 1):
        since = 103 if node == LATE else 90
        out = since > epoch or (node == PAUSED and 95 <= epoch < 104) or node in without
        table.append(NodeId(0 if out or (held_before is not None and since >= held_before) else node))
    return table[: 13 if (held_before or epoch) < 103 else 14]  # judges: over the list as it was


def committee(seed: bytes, job: int, shard: int, size: int, table: list[NodeId]) -> tuple[int, ...]:
    return tuple(draw(seed, JobId(job), Shard(shard), size, len(table), table.__getitem__))


def seeds() -> tuple[bytes, bytes]:
    """Of epochs 101 and 104: two committees that share nobody, and judges among whom the late one would have been."""
    for trial in range(10_000):
        first, second = keccak(b"first%d" % trial), keccak(b"second%d" % trial)
        a, b = (committee(first, 1, shard, 3, seats(101)) for shard in (0, 1))
        if not set(a) & set(b) and LATE in committee(second, 2, 0, 5, seats(104)):
            return first, second
    raise AssertionError("no such seeds")


def made() -> dict[str, Any]:
    """The record, as JSON."""
    first, second = seeds()
    zero, one = (committee(first, 1, shard, 3, seats(101)) for shard in (0, 1))
    judges = committee(second, 2, 0, 5, seats(104, zero, 101))
    return {
        "format": "quorate/run/1",
        "rules": {
            "ring": 128, "reveal_grace": 8, "settle_grace": 8, "report_epochs": 4, "settle_fee_bps": 100,
            "absent_bps": 10, "unrevealed_bps": 1000, "wrong_bps": 5000, "judges": 5,
        },
        "seeds": {"101": "0x" + first.hex(), "104": "0x" + second.hex()},
        "pools": [{
            "pool": 1,
            "lengths": [[90, 13], [103, 14]],
            "seats": [
                {"seat": n - 1, "node": n, "since": 103 if n == LATE else 90, "until": OPEN,
                 "held_since": 103 if n == LATE else 90}
                for n in range(1, NODES + 1)
            ],
        }],
        "pauses": [{"node": PAUSED, "start": 95, "end": 104}],
        "jobs": [{"job": 1, "word": pack_job_word(TERMS), "requester": "0xreq"}],
        "batches": batches(zero, one, judges),
        "acts": acts(one),
        "committees": [
            {"job": 1, "shard": 0, "attempt": 0, "slots": list(zero)},
            {"job": 1, "shard": 1, "attempt": 0, "slots": list(one)},
            {"job": 2, "shard": 0, "attempt": 0, "slots": list(judges)},
        ],
        "balances": balances(zero, one, judges),
    }  # fmt: skip


def batches(zero: tuple[int, ...], one: tuple[int, ...], judges: tuple[int, ...]) -> list[dict[str, Any]]:
    """Slots 0 and 1 of shard 0 are wrong; slot 2 of shard 1 never opens; the last judge passes."""
    found = []
    for slot, node in enumerate(zero):
        leaf = {"job": 1, "shard": 0, "root": RIGHT if slot == 2 else WRONG}
        found.append({"node": node, "epoch": 101, "delay": 1, "leaves": [leaf]})
    for slot, node in enumerate(one):
        leaves = [] if slot == 2 else [{"job": 1, "shard": 1, "root": RIGHT}]
        found.append({"node": node, "epoch": 101, "delay": None if slot == 2 else 1, "leaves": leaves})
    for slot, node in enumerate(judges):
        leaves = [] if slot == 4 else [{"job": 2, "shard": 0, "root": RIGHT.upper().replace("0X", "0x")}]
        found.append({"node": node, "epoch": 104, "delay": 2, "leaves": leaves})
    return found


def acts(one: tuple[int, ...]) -> list[dict[str, Any]]:
    """In chain order."""
    shard0 = {"job": 1, "shard": 0}
    return [
        *({"act": "stake", "epoch": 89, "node": n, "amount": STAKE} for n in range(1, NODES + 1)),
        {"act": "post", "epoch": 100, "job": 1},
        {"act": "settle", "epoch": 103, "payee": one[0], "sender": "0xkey", "entries": [
            {**shard0, "attempt": 0, "root": WRONG, "paid": [0, 1]},
            {"job": 1, "shard": 1, "attempt": 0, "root": RIGHT, "paid": [0, 1]},
        ]},
        {"act": "appeal", "epoch": 103, "counting": 103, **shard0, "case_job": 2, "accuser": "0xacc"},
        {"act": "settle", "epoch": 106, "payee": 0, "sender": "0xset", "entries": [
            {"job": 2, "shard": 0, "attempt": 0, "root": RIGHT, "paid": [0, 1, 2, 3]},
        ]},
        {"act": "resolve", "epoch": 106, **shard0},
        {"act": "wrong", "epoch": 106, **shard0, "attempt": 0, "slot": 0, "reporter": "0xrep"},
        {"act": "wrong", "epoch": 107, **shard0, "attempt": 0, "slot": 1, "reporter": "0xrep"},
        {"act": "claim", "epoch": 107, **shard0, "slot": 2},
        {"act": "unrevealed", "epoch": 110, "node": one[2], "commit_epoch": 101, "reporter": "0xrep"},
        {"act": "close_case", "epoch": 130, **shard0},
        {"act": "close", "epoch": 150, "job": 1},
        {"act": "unbond", "epoch": 150, "node": 1, "amount": 1000},
        {"act": "collect", "epoch": 151, "account": "0xset"},
        {"act": "withdraw", "epoch": 384, "node": one[0]},
    ]  # fmt: skip


def balances(zero: tuple[int, ...], one: tuple[int, ...], judges: tuple[int, ...]) -> dict[str, Any]:
    """What each account must have in epoch 383, in units; nothing that settled with appeals had matured before."""
    stake = dict.fromkeys(range(1, NODES + 1), STAKE)
    matured = dict.fromkeys(range(1, NODES + 1), 0)
    for node in zero[:2]:
        stake[node] -= 500_002  # half, rounded up
    stake[one[2]] -= 100_001  # a tenth, rounded up
    matured[zero[2]] += 2 * P
    matured[one[1]] += P  # one[0] has withdrawn its own
    for node in judges[:4]:
        if node != one[0]:  # a judge as well, perhaps
            matured[node] += 2 * P
    bond, escrow = 10 * P + 10 * P // 100, 9 * P + 9 * P // 100
    judged = 8 * P + 8 * P // 100
    settled = 4 * P + 4 * P // 100 + 2 * P + 2 * P // 100
    return {
        "epoch": 384,
        "nodes": [
            {"node": n, "matured": matured[n], "maturing": 0, "stake": stake[n] - (1000 if n == 1 else 0),
             "unbonding": 1000 if n == 1 else 0}
            for n in range(1, NODES + 1)
        ],
        "owed": {"0xacc": 4 * P + bond - judged, "0xreq": escrow - settled - 2 * P},
        "rewards": {"0xacc": 2 * 50_000, "0xrep": 10_000},
        "held": {"1": 0, "2": 0},
        "burned": 0,
        "burned_stake": 2 * (500_002 - 50_000) + 100_001 - 10_000,
    }  # fmt: skip
