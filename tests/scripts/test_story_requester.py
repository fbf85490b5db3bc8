"""A requester who runs no node appeals: ``quorate job appeal``, ``why``, ``resolve``, ``report``, ``account collect``.

Two of three members of a committee sell a wrong answer, and nobody else appeals. The requester does, with its own
account and the commands it has; judges overturn the answer. Each step is a fixture on the one before.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from bench_of_judges import MANIFEST, SEAT_STAKE, Bench
from eth_account import Account
from support import DEPLOYER, Run, rpc

from nodeagent.chain import events as ev
from nodeagent.chain.deployment import load_deployment, verify_deployment
from nodeagent.chain.doors import Doors
from nodeagent.chain.rpc import Rpc
from nodeagent.protocol import epochs
from nodeagent.protocol.leaves import Leaf
from nodeagent.protocol.results import ResultTree, TaskResult
from nodeagent.protocol.types import PoolId, Shard, Task

POOL = PoolId(78)
OPERATOR = Account.from_key(b"\x0a" * 32).address
PRICE, TASKS = 3_000, 3
PAY = PRICE * TASKS
BOND = 5 * PAY + 5 * PAY // 100
SHARD_PRICE = 2 * PAY + 2 * PAY // 100
ONLY = Shard(0)
RIGHT = ResultTree(Task(0), [TaskResult(0, bytes([task]) * 40) for task in range(TASKS)]).root
WRONG = ResultTree(Task(0), [TaskResult(0, b"cheap") for _ in range(TASKS)]).root


class Requester:
    """A home with an account, and the command line."""

    def __init__(self, home: Path, url: str, record: Path) -> None:
        self.home = home
        home.mkdir()
        (home / "password").write_text("correct horse")
        self.address = self.said("account", "new")
        self.said("connect", "--rpc-url", url, "--deployment", str(record))
        rpc(url, "anvil_setBalance", self.address, hex(10**20))

    def __call__(self, *words: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "nodeagent.cli.requester", "--home", str(self.home), *words]
        env = {**os.environ, "QUORATE_PASSWORD_FILE": str(self.home / "password")}
        return subprocess.run(argv, env=env, capture_output=True, text=True, timeout=120, check=False)

    def said(self, *words: str) -> str:
        done = self(*words)
        assert done.returncode == 0, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout.strip()

    def refused(self, *words: str) -> str:
        done = self(*words)
        assert done.returncode != 0, done.stdout
        return done.stderr


@pytest.fixture(scope="module")
def bench(deployed: Run, folder: Path, url: str) -> Bench:
    """Nine nodes: a committee, five judges and one over."""
    deployment = verify_deployment(Rpc(url), load_deployment(folder / "31337.json"))
    found = Bench(url, Doors.of(Rpc(url), deployment), deployment, OPERATOR, POOL)
    found.found_pool(9)
    found.to_epoch(found.epoch() + 2)
    return found


@pytest.fixture(scope="module")
def requester(bench: Bench, folder: Path, url: str, tmp_path_factory: pytest.TempPathFactory) -> Requester:
    return Requester(tmp_path_factory.mktemp("requester") / "home", url, folder / "31337.json")


def answered(bench: Bench, terms: Any, job: int, roots: Sequence[bytes], slots: Sequence[Any], start: int) -> None:
    """Slots answer ``roots`` in the attempt that starts in ``start``; the first answer settles."""
    for node, root in zip(slots, roots, strict=False):
        bench.commit(node, start, Leaf(job, ONLY, root))
    bench.to_epoch(start + 1)
    for node, _ in zip(slots, roots, strict=False):
        bench.reveal(node, start)
    bench.settle(Leaf(job, ONLY, roots[0]), 0, slots, start)


@pytest.fixture(scope="module")
def posted(bench: Bench, requester: Requester) -> ev.JobPosted:
    """A shard that settled with a wrong answer, and money left for one bond."""
    market, payment = bench.doors.market, bench.doors.payment_token
    spec = {
        "pool": POOL, "class": 0, "tasks": TASKS, "shardSize": TASKS, "pace": 1, "committee": 3, "quorum": 2,
        "work": 1, "maxAttempts": 3, "appealEpochs": 7, "units": 3, "unitPrice": 1_000, "manifest": MANIFEST,
    }  # fmt: skip
    escrow = market.quote_escrow(spec)
    bench.send(DEPLOYER, payment.call("transfer", requester.address, escrow + BOND))
    bench.send(requester.address, payment.call("approve", market.address, escrow))
    (event,) = bench.send(requester.address, market.post(spec))
    assert isinstance(event, ev.JobPosted)
    start = epochs.attempt_start(event.terms, ONLY, 0)
    bench.to_epoch(start)
    slots = bench.seats().committee(bench.seed(start), event.job, ONLY, 3, start)
    answered(bench, event.terms, event.job, (WRONG, WRONG, RIGHT), slots, start)
    return event


@pytest.fixture(scope="module")
def appealed(requester: Requester, posted: ev.JobPosted) -> SimpleNamespace:
    asked = requester.refused("job", "appeal", str(posted.job), "0")  # nobody is there to say yes
    assert "was not appealed" in requester.refused("job", "report", str(posted.job), "0")
    told = json.loads(requester.said("job", "appeal", str(posted.job), "0", "--yes", "--json"))
    return SimpleNamespace(asked=asked, told=told)


@pytest.fixture(scope="module")
def judged(bench: Bench, appealed: SimpleNamespace) -> ev.CasePosted:
    """Four judges compute the right root, the fifth is absent; their case settles."""
    (case,) = (e for e in bench.scan() if isinstance(e, ev.CasePosted) and e.case_job == appealed.told["case"])
    (appeal,) = (e for e in bench.scan() if isinstance(e, ev.Appealed) and e.case_job == case.case_job)
    start = epochs.attempt_start(case.terms, ONLY, 0)
    bench.to_epoch(start)
    slots = bench.seats().committee(
        bench.seed(start), case.case_job, ONLY, 5, start, excluded=appeal.committee, held_before=appeal.held_before
    )
    answered(bench, case.terms, case.case_job, (RIGHT,) * 4, slots, start)
    return case


@pytest.fixture(scope="module")
def resolved(requester: Requester, posted: ev.JobPosted, judged: ev.CasePosted) -> dict[str, Any]:
    early = requester.refused("job", "report", str(posted.job), "0")
    assert "no verdict" in early and f"quorate job resolve {posted.job} 0" in early
    found: dict[str, Any] = json.loads(requester.said("job", "resolve", str(posted.job), "0", "--json"))
    return found


@pytest.fixture(scope="module")
def reported(requester: Requester, posted: ev.JobPosted, resolved: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(requester.said("job", "report", str(posted.job), "0", "--json"))
    return found


def why(requester: Requester, job: int) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(requester.said("job", "why", str(job), "0", "--json"))
    return found


def test_job_appeal__not_confirmed__says_what_it_costs_and_does_nothing(appealed: SimpleNamespace) -> None:
    assert "Pay 0.04545 TUSD and appeal?" in appealed.asked
    assert "brings back no more" in appealed.asked, "the pay of two members covers no five judges"


def test_job_appeal__confirmed__pays_the_bond_from_the_account(
    bench: Bench, requester: Requester, posted: ev.JobPosted, appealed: SimpleNamespace
) -> None:
    assert (appealed.told["bond"], appealed.told["covered"]) == (BOND, 2 * PAY)
    assert len(appealed.told["tx"]) == 2, "the allowance and the appeal"
    (appeal,) = (e for e in bench.scan() if isinstance(e, ev.Appealed) and e.job == posted.job)
    assert (appeal.accuser.lower(), appeal.bond) == (requester.address.lower(), BOND)
    assert bench.doors.payment_token.balance_of(requester.address) == 0
    assert "was appealed already" in requester.refused("job", "appeal", str(posted.job), "0", "--yes")
    about = f"is the case about job {posted.job}, shard 0\n  next: quorate job why {posted.job} 0"
    assert about in requester.refused("job", "watch", str(appealed.told["case"]))


def test_job_resolve__judges_agreed__overturns_and_says_so(
    bench: Bench, requester: Requester, posted: ev.JobPosted, resolved: dict[str, Any]
) -> None:
    assert (resolved["case"], resolved["forfeited"]) == ("resolved", 2 * PAY)
    (verdict,) = (e for e in bench.scan() if isinstance(e, ev.Resolved) and e.job == posted.job)
    assert verdict.overturned and verdict.forfeited == 2 * PAY
    told = why(requester, posted.job)
    assert told["status"] == "FINAL" and told["case"]["overturned"] is True
    assert told["case"]["verdict"] == "0x" + RIGHT.hex()
    assert [len(a["answers"]) for a in told["attempts"]] == [3]
    assert [paid["amount"] for paid in told["settled"]["paid"]] == [PAY, PAY]
    assert [paid["node"] for paid in told["settled"]["paid"]] == told["attempts"][0]["members"][:2]
    assert bench.doors.court is not None
    view, held = bench.doors.court.case_of(posted.job, ONLY), bench.doors.market.job_view(told["case"]["job"])["held"]
    assert view is not None and told["case"]["returned"]["accuser"] == BOND - view.accuser_due == 2 * PAY
    assert told["case"]["earned"] == BOND - held == 4 * PAY + 4 * PAY // 100
    assert sum(told["case"]["to_come"].values()) == held
    assert any(line.startswith("Verdict: the settled root is OVERTURNED") for line in told["story"]), told["story"]


def test_job_resolve__too_early_to_close__says_from_when(
    requester: Requester, posted: ev.JobPosted, resolved: dict[str, Any]
) -> None:
    assert "from epoch" in requester.refused("job", "resolve", str(posted.job), "0")


def test_job_report__by_the_accuser__costs_both_liars_half_their_stake_and_pays_a_tenth_of_that(
    bench: Bench, requester: Requester, posted: ev.JobPosted, reported: dict[str, Any]
) -> None:
    marks = {e.node for e in bench.scan() if isinstance(e, ev.WrongReported) and e.job == posted.job}
    assert set(reported["nodes"]) == marks and len(reported["nodes"]) == 2 and reported["rewarded"]
    assert [bench.doors.registry.node_view(node)["stake"] for node in marks] == [SEAT_STAKE // 2] * 2
    assert bench.doors.registry.reward_of(requester.address) == 2 * SEAT_STAKE // 20
    assert "holds no opening that is wrong" in requester.refused("job", "report", str(posted.job), "0")


def test_job_resolve__deadlines_over__brings_back_what_judges_did_not_earn(
    bench: Bench, requester: Requester, posted: ev.JobPosted, judged: ev.CasePosted, reported: dict[str, Any]
) -> None:
    deployment = bench.deployment
    bench.to_epoch(epochs.closable_from(judged.terms, deployment.settle_grace, deployment.report_epochs))
    closed = json.loads(requester.said("job", "resolve", str(posted.job), "0", "--json"))
    assert closed["case"] == "closed"
    assert "closed already" in requester.refused("job", "resolve", str(posted.job), "0")
    collected = json.loads(requester.said("account", "collect", "--json"))
    unearned = BOND - 4 * PAY - 4 * PAY // 100
    assert collected["collected"] == 2 * PAY + unearned <= BOND, "forfeited pay and the absent judge's part"
    assert collected["rewards"] == 2 * SEAT_STAKE // 20
    assert bench.doors.payment_token.balance_of(requester.address) == collected["collected"]
