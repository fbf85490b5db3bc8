"""The story of an appeal, played by real processes and told as it happens.

Shards are posted until a committee holds both liars. They agree, so their wrong answer settles. The third member was
outvoted: its agent computes again in a fresh process, appeals, five others judge, the verdict overturns, the liars pay.
A job has one lie at most: a second case about the same batch would share the money that this one tells of.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lab.chainlog import ChainLog
from lab.story.account import Account, account_of
from lab.story.account import faults as money_faults
from lab.story.books import events_since
from lab.story.cast import Cast, StoryNet
from lab.story.following import follow, looks
from lab.story.liar import chosen
from lab.story.telling import tell
from nodeagent.chain.events import JobPosted, Slashed
from nodeagent.cli.common import whole
from nodeagent.cli.requester_common import Session
from nodeagent.cli.requester_post import plan_job, post_again, post_or_attach
from nodeagent.cli.requester_quote import TermOptions
from nodeagent.cli.requester_serve import serving
from nodeagent.cli.requester_wait import result_fetcher
from nodeagent.client.attempts import Attempt
from nodeagent.client.cases import Settlement
from nodeagent.client.fetching import fetch_all, holders
from nodeagent.client.history import Follower, History
from nodeagent.client.inputs import npz_bytes
from nodeagent.client.outputs import RECEIPTS, write_out
from nodeagent.client.progress import bar, progress_of
from nodeagent.client.verifying import load_receipts, verify
from nodeagent.client.why import gather
from nodeagent.demo.files import INPUT, Magika, default_roots, some_files
from nodeagent.errors import Transient
from nodeagent.protocol.types import JobId, NodeId, Shard
from nodeagent.runtimes.install import install

FILES, SHARD, WORK = 24, 2, 2
EPOCH_S = 6.0  # for a machine that is idle: nine agents share its cores
MOST_JOBS = 20
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Told:
    """How the story ended."""

    history: History
    shard: int
    liars: tuple[int, ...]
    members: tuple[int, ...]
    judges: tuple[int, ...]
    account: Account
    final: int  # tasks of the shard that the chain calls final


def run_story(project: Path, out: Path, keep: bool, say: Say) -> dict[str, Any]:
    """Plays it and writes ``appeal.json``; returns the report.

    :raises QuorateError: whatever stopped it; nothing is left running
    """
    out.mkdir(parents=True, exist_ok=True)
    model, inputs = _stage(out)
    install(project / "build" / "runtimes")
    devnet = StoryNet(out / "appeal-devnet", say, project)
    devnet.down()
    try:
        cast = Cast(devnet, _block_time(), say)
        liars = " and ".join(str(n) for n in cast.liars)
        say(
            f"nodes {liars} are of one party: in the first shard of a job that drew both, they change what they "
            "computed, in the same way; in all others they are honest"
        )
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
    found += report["does_not_add_up"]
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
        history = follow(cast, follower, shard, say)
    facts = gather(cast.rpc, cast.deployment, history, shard)
    final = _final_tasks(session, history, shard, out, say)
    honest = set(cast.honest)
    since = events_since(cast.rpc, cast.deployment, started)
    slashed = sum(e.amount for e in since if isinstance(e, Slashed) and int(e.node) in honest)
    members = _drawn(facts.attempts, history.settled[shard])
    judges = _drawn(facts.trials, history.cases[shard].settlement)
    account = account_of(cast, history, shard, judges, slashed)
    _tell_money(cast, session, account, say)
    return Told(history, shard, tuple(cast.liars), members, judges, account, final)


def _tell_money(cast: Cast, session: Session, account: Account, say: Say) -> None:
    symbol, decimals = session.token
    stake, places = cast.doors.stake_token.describe()

    def coins(amount: int) -> str:
        return f"{amount / 10**decimals:.{decimals}f} {symbol}"

    say(f"the money (a unit is {whole(1, decimals)} {symbol}):")
    for line in tell(account, coins, lambda amount: f"{whole(amount, places)} {stake}", cast.name):
        say(f"  {line}")


def _drawn(attempts: Sequence[Attempt], settled: Settlement | None) -> tuple[NodeId, ...]:
    """The committee of the attempt that settled, slot by slot."""
    ended = (a for a in attempts if settled is not None and a.number == settled.entry.attempt)
    return tuple(member.node for attempt in ended for member in attempt.members or ())


def _until_a_lie_settles(cast: Cast, session: Session, model: Path, inputs: Path, say: Say) -> tuple[History, int, str]:
    """Posts the same job again and again, until a shard settles whose committee held both liars."""
    terms = TermOptions(
        pool="cpu", shard_size=SHARD, committee=3, quorum=2, pace=0, work=WORK, attempts=3, appeal_epochs="auto",
        units="auto", unit_price=None, max_price=None,
    )  # fmt: skip
    plan, _ = plan_job(session, model, inputs, terms, title="a story of an appeal")
    posted = post_or_attach(session, plan, terms, new=True, yes=True)
    for number in range(MOST_JOBS):
        if number:
            posted = post_again(session, plan, terms)
        with serving(session, plan.cid):
            history, lie = _until_it_ends(cast, session, posted, say)
        if lie is not None and _settled_by(history, lie, cast):
            say(f"shard {lie} of job {posted.job} was settled by both liars; what happened to it:")
            return history, lie, plan.cid
        why = "no committee drew both liars" if lie is None else f"a liar was late in shard {lie}"
        say(f"job {posted.job} has no wrong answer, {why}: another one is needed")
    raise Transient(f"{MOST_JOBS} jobs settled without both liars in one committee", hint="run the demo again")


def _until_it_ends(cast: Cast, session: Session, posted: JobPosted, say: Say) -> tuple[History, int | None]:
    """Watches a job until the liars' answer or everything settled; returns the shard that they lie in, too."""
    shown, lie = "", None
    for history in looks(Follower(session.rpc, session.deployment, posted)):
        progress = progress_of(history, session.deployment)
        if bar(progress) != shown:
            shown = bar(progress)
            say(f"job {posted.job} {shown}")
        if history.settled and lie is None:
            lie = lie_in(ChainLog(cast.rpc, cast.deployment, posted.terms.pool), posted.job, set(cast.liars))
        if history.done or progress.ended or (lie is not None and _settled_by(history, lie, cast)):
            return history, lie
    raise AssertionError("looks() ends by raising")


def lie_in(log: ChainLog, job: JobId, liars: set[int]) -> int | None:
    """The shard of a job that the liars lie in, by the draws and the rule that they have."""
    known = log.world.jobs[job]
    begun = [shard for shard in map(Shard, range(known.terms.shards)) if log.begun(known, shard)]
    return chosen((log.draw(known, shard, 0) for shard in begun), job, known.terms.quorum, set(map(NodeId, liars)))


def _settled_by(history: History, shard: int, cast: Cast) -> bool:
    """Whether the answer that both liars gave is the one that settled."""
    return shard in history.settled and {int(a.node) for _, a in holders(history, shard)} >= set(cast.liars)


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


def _report(told: Told) -> dict[str, Any]:
    history, case, money = told.history, told.history.cases[told.shard], told.account.money
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
        "honest_slashed": told.account.honest_slashed,
        "held": told.account.held,
        "accuser_node": told.account.accuser,
        "accuser_before": asdict(told.account.before),
        "accuser_after": asdict(told.account.after),
        "accuser_moves": told.account.moves,
        "does_not_add_up": money_faults(told.account),
        **{k: {str(n): v for n, v in x.items()} if isinstance(x, dict) else x for k, x in money.as_json().items()},
    }
