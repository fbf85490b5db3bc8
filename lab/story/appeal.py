"""The story of an appeal, played by real processes and told as it happens.

Shards are posted until a committee holds both liars. They agree, so their wrong answer settles. The third member was
outvoted: its agent computes again in a fresh process, appeals, five others judge, the verdict overturns, the liars pay.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lab.story.books import Money, events_since, money_of
from lab.story.cast import Cast
from nodeagent.chain.errors import RpcError
from nodeagent.chain.events import Slashed
from nodeagent.cli.common import whole
from nodeagent.cli.requester_common import Session
from nodeagent.cli.requester_post import post_or_attach
from nodeagent.cli.requester_quote import TermOptions
from nodeagent.cli.requester_serve import serving
from nodeagent.cli.requester_wait import result_fetcher
from nodeagent.client.fetching import fetch_all, holders
from nodeagent.client.history import Follower, History
from nodeagent.client.inputs import npz_bytes
from nodeagent.client.outputs import RECEIPTS, write_out
from nodeagent.client.progress import bar, progress_of
from nodeagent.client.verifying import load_receipts, verify
from nodeagent.client.why import gather, tell
from nodeagent.demo.files import INPUT, Magika, default_roots, some_files
from nodeagent.devnet.network import Devnet
from nodeagent.errors import Transient
from nodeagent.runtimes.install import install

FILES, SHARD, WORK = 24, 2, 2
EPOCH_S = 6.0  # for a machine that is idle: nine agents share its cores
MOST_JOBS, PATIENCE_S, POLL_S = 20, 300.0, 0.3
Say = Callable[[str], None]
PASSING = ("is computing", "sealed", "draw can no longer", "can be appealed", "is open until")  # soon untrue
POURED = ("returned", "refunded", "burned")
"""Where what is forfeited goes, and what the judges did not earn."""


@dataclass(frozen=True, slots=True)
class Told:
    """How the story ended."""

    history: History
    shard: int
    liars: tuple[int, ...]
    members: tuple[int, ...]
    judges: tuple[int, ...]
    money: Money
    final: int  # tasks of the shard that the chain calls final
    honest_slashed: int


def run_story(project: Path, out: Path, keep: bool, say: Say) -> dict[str, Any]:
    """Plays it and writes ``appeal.json``; returns the report.

    :raises QuorateError: whatever stopped it; nothing is left running
    """
    out.mkdir(parents=True, exist_ok=True)
    model, inputs = _stage(out)
    install(project / "build" / "runtimes")
    devnet = Devnet(out / "appeal-devnet", say, project)
    devnet.down()
    try:
        cast = Cast(devnet, _block_time())
        liars = " and ".join(str(n) for n in cast.liars)
        say(f"nodes {liars} run a changed model: they answer wrong, and alike")
        told = _play(cast, out, model, inputs, say)
    finally:
        if not keep:
            devnet.down()
    report = _report(told)
    partial = out / ".appeal.json.new"
    partial.write_text(json.dumps(report, indent=1))
    os.replace(partial, out / "appeal.json")
    return report


def faults(report: dict[str, Any]) -> list[str]:
    """What did not come out as it must."""
    found = []
    if not report["overturned"]:
        found.append("the verdict did not overturn the liars' answer")
    if sorted(report["slashed"]) != sorted(str(n) for n in report["liars"]):
        found.append(f"slashed were {report['slashed']}, the liars are {report['liars']}")
    if report["honest_slashed"]:
        found.append(f"honest nodes lost {report['honest_slashed']} of stake")
    taken, given = sum(report["forfeited"].values()) + report["unearned"], sum(report[k] for k in POURED)
    if taken != given:
        found.append(f"the case took {taken} and gave out {given}")
    if report["final_tasks"] != report["tasks"]:
        found.append(f"{report['final_tasks']} of {report['tasks']} tasks are final")
    return found


def _block_time() -> float:
    """Seconds between blocks: longer where something else keeps the machine busy."""
    busy = max(0.0, os.getloadavg()[0] - 1) / (os.cpu_count() or 1)
    return round(EPOCH_S / 10 * min(4.0, 1 + busy), 2)


def _stage(out: Path) -> tuple[Path, Path]:
    magika = Magika()
    found = [magika.look(path) for path in some_files(default_roots(), FILES * 2)]
    rows = [f.features for f in found if f.features is not None][:FILES]
    model, inputs = out / "appeal-model.onnx", out / "appeal-inputs.npz"
    shutil.copyfile(magika.model, model)
    inputs.write_bytes(npz_bytes({INPUT: np.stack(rows)}))
    return model, inputs


def _play(cast: Cast, out: Path, model: Path, inputs: Path, say: Say) -> Told:
    session = Session(home=cast.state.requester_home)
    started = cast.rpc.block_number()
    history, shard, manifest = _until_a_lie_settles(cast, session, model, inputs, say)
    follower = Follower(session.rpc, session.deployment, history.posted)
    with serving(session, manifest):
        history = _follow(cast, follower, shard, say)
    case = history.cases[shard]
    facts = gather(cast.rpc, cast.deployment, history, shard)
    final = _final_tasks(session, history, shard, out, say)
    events = events_since(cast.rpc, cast.deployment, case.at.block)
    money = money_of(history.posted.job, case, history.posted.requester, events)
    honest = set(cast.honest)
    since = events_since(cast.rpc, cast.deployment, started)
    slashed = sum(e.amount for e in since if isinstance(e, Slashed) and int(e.node) in honest)
    members = facts.attempts[-1].members or ()
    judges = facts.trials[-1].members or ()
    told = Told(
        history, shard, tuple(cast.liars), tuple(int(m.node) for m in members), tuple(int(m.node) for m in judges),
        money, final, slashed,
    )  # fmt: skip
    _tell_money(cast, session, told, say)
    return told


def _until_a_lie_settles(cast: Cast, session: Session, model: Path, inputs: Path, say: Say) -> tuple[History, int, str]:
    """Posts the same job again and again, until a shard settles whose committee held both liars."""
    terms = TermOptions(
        pool="cpu", shard_size=SHARD, committee=3, quorum=2, pace=0, work=WORK, attempts=3, appeal_epochs="auto",
        units="auto", unit_price=None, max_price=None,
    )  # fmt: skip
    for _ in range(MOST_JOBS):
        posted, plan = post_or_attach(session, model, inputs, terms, title="a story of an appeal", new=True, yes=True)
        follower = Follower(session.rpc, session.deployment, posted)
        shown = ""
        with serving(session, plan.cid):
            deadline = time.monotonic() + PATIENCE_S
            while time.monotonic() < deadline:
                history = follower.read()
                progress = progress_of(history, session.deployment)
                if bar(progress) != shown:
                    shown = bar(progress)
                    say(f"job {posted.job} {shown}")
                lies = [s for s in sorted(history.settled) if _both_lied(cast, history, s)]
                if lies:
                    say(f"shard {lies[0]} of job {posted.job} was settled by both liars; what happened to it:")
                    return history, lies[0], plan.cid
                if history.done or progress.ended:
                    break
                time.sleep(POLL_S)
        say(f"no committee of job {posted.job} held both liars, or they were outvoted: posting once more")
    raise Transient(f"{MOST_JOBS} jobs settled without both liars in one committee", hint="run the demo again")


def _both_lied(cast: Cast, history: History, shard: int) -> bool:
    """Whether the liars' common answer is the one that settled."""
    return {int(answer.node) for _, answer in holders(history, shard)} >= set(cast.liars)


def _follow(cast: Cast, follower: Follower, shard: int, say: Say) -> History:
    """Tells what is new until the liars are reported, and the member that was right has its pay."""
    told: set[str] = set()
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        try:
            history = follower.read()
            lines = tell(gather(cast.rpc, cast.deployment, history, shard))
        except (Transient, RpcError):
            time.sleep(POLL_S)
            continue
        for line in lines[1:]:
            if line not in told and not any(words in line for words in PASSING):
                say(f"  epoch {history.head.block // cast.deployment.epoch_blocks}: {line.strip()}")
            told.add(line)
        case = history.cases.get(shard)
        if case is not None and case.verdict is not None:
            reported = {int(w.node) for w in case.wrong} >= set(cast.liars)
            claimed = any(c.shard == shard for c in history.claims)
            if not case.overturned or (reported and claimed):
                return history
        time.sleep(POLL_S)
    raise Transient("the appeal did not end in time: this machine was too slow or too busy", hint="run it again")


def _final_tasks(session: Session, history: History, shard: int, out: Path, say: Say) -> int:
    """Fetches the verdict's results and asks the chain about each task of the shard."""
    fetcher = result_fetcher(session, history.posted.requester)
    manifest = fetcher.manifest(history.posted.manifest)
    others = [s for s in range(history.terms.shards) if s != shard]
    shards = fetch_all(fetcher, history, manifest, lambda _: None, others)
    write_out(out / "appeal-results", session.deployment, history, manifest, shards)
    receipts, results = load_receipts(out / "appeal-results" / RECEIPTS)
    verdicts = list(verify(session.rpc, session.deployment, receipts, results))
    for verdict in verdicts:
        say(f"  the chain about task {verdict.task}: {verdict.problem or 'FINAL, by the verdict'}")
    return sum(v.problem is None for v in verdicts)


def _tell_money(cast: Cast, session: Session, told: Told, say: Say) -> None:
    money, (stake, decimals) = told.money, cast.doors.stake_token.describe()

    def staked(amount: int) -> str:
        return f"{whole(amount, decimals)} {stake}"

    case = told.history.cases[told.shard]
    say("the money:")
    say(f"  the accuser {case.accuser} paid a bond of {session.money(money.bond)}, which paid the judges")
    for node, amount in money.forfeited.items():
        say(f"  {cast.name(node)} forfeited {session.money(amount)} of pay that had not matured")
    say(
        f"  of that {session.money(money.returned)} went to the accuser, {session.money(money.refunded)} to the "
        f"requester, {session.money(money.burned)} to nobody"
    )
    for node, amount in money.slashed.items():
        say(f"  {cast.name(node)} lost {staked(amount)} of stake: a tenth to the accuser, the rest burned")
    say(f"  the accuser's tenth: {staked(money.reward)}")
    for node, amount in money.claimed.items():
        say(f"  {cast.name(node)} was right and claimed its pay of {session.money(amount)}")
    say(f"  stake lost by honest nodes: {staked(told.honest_slashed)}")


def _report(told: Told) -> dict[str, Any]:
    history, case = told.history, told.history.cases[told.shard]
    return {
        "job": int(history.posted.job),
        "shard": told.shard,
        "case": int(case.job),
        "liars": list(told.liars),
        "members": list(told.members),
        "judges": list(told.judges),
        "accuser": case.accuser,
        "settled_root": "0x" + case.settled_root.hex(),
        "verdict": "0x" + (case.verdict or b"").hex(),
        "overturned": case.overturned,
        "unearned": case.refund or 0,
        "tasks": len(range(SHARD)),
        "final_tasks": told.final,
        "honest_slashed": told.honest_slashed,
        **{k: {str(n): v for n, v in x.items()} if isinstance(x, dict) else x for k, x in told.money.as_json().items()},
    }
