"""The demo from files to report. Everything it starts it ends, whatever happens."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nodeagent.chain.rpc import Rpc
from nodeagent.cli.requester_common import Session
from nodeagent.cli.requester_post import plan_job, post_or_attach
from nodeagent.cli.requester_quote import TermOptions
from nodeagent.cli.requester_serve import serving
from nodeagent.cli.requester_wait import result_fetcher
from nodeagent.client.fetching import fetch_all
from nodeagent.client.history import Follower, History
from nodeagent.client.inputs import npz_bytes
from nodeagent.client.outputs import OUTPUTS, RECEIPTS, STATUS, read_outputs, write_out
from nodeagent.client.progress import progress_of
from nodeagent.client.verifying import load_receipts, verify
from nodeagent.demo.check import LocalCheck, same, seconds_per_task
from nodeagent.demo.files import INPUT, OUTPUT, FoundFile, Magika, default_roots, every_file, some_files
from nodeagent.demo.ledgerbook import committees, transactions
from nodeagent.demo.report import Answered, Run, empty_report, make_report
from nodeagent.demo.show import LiveView
from nodeagent.demo.terms import ATTEMPTS, COMMITTEE, QUORUM, DemoTerms, choose_terms, usable_cores
from nodeagent.devnet.agents import statuses
from nodeagent.devnet.network import Devnet, Options
from nodeagent.devnet.state import DevnetState
from nodeagent.runtimes.install import install

SEATS = 4
POLL_S = 0.3
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """:param files: folder to classify; None takes some files of this machine
    :param out: where the report, the results and the devnet's folder go
    """

    project: Path
    out: Path
    files: Path | None = None
    nodes: int = 5
    keep: bool = False


def run_demo(options: DemoOptions, say: Say) -> dict[str, Any]:
    """Runs it all and writes ``report.json``; returns the report.

    :raises NoFiles: there is nothing to classify
    :raises QuorateError: whatever else stopped it; nothing is left running
    """
    started = time.monotonic()
    options.out.mkdir(parents=True, exist_ok=True)
    magika = Magika()
    found = _look(options, magika, say)
    sent = [f for f in found if f.features is not None]
    if not sent:
        say("no file needs the model: nothing is posted")
        return _write(options.out, empty_report([_unsent(f) for f in found]))
    model, inputs = _stage(options.out, magika, sent)
    rows = np.stack([f.features for f in sent if f.features is not None])
    runtimes = options.project / "build" / "runtimes"
    install(runtimes)
    say("timing a few tasks on this machine")
    pace = seconds_per_task(options.out, runtimes, model, rows)
    load = max(0.0, os.getloadavg()[0] - 1)
    terms = choose_terms(len(sent), options.nodes * SEATS, pace, usable_cores(), options.nodes, load)
    say(f"{len(sent)} tasks, each computed by {COMMITTEE} nodes: about {terms.seconds:.0f} s")
    local = LocalCheck(options.out, runtimes, model, inputs)
    network = Devnet(options.out / "devnet", say, options.project)
    network.down()
    try:
        state = network.up(Options(nodes=options.nodes, seats=SEATS, block_time=terms.block_time))
        say("appealEpochs = 0: an answer is final as soon as it is settled; appeals: make demo APPEAL=1")
        scores = local.answers()
        ready = time.monotonic()
        session = Session(home=state.requester_home)
        history = _job(session, model, inputs, terms)
        answers = _answers(options.out, session, history, magika, found, scores, say)
        run = _gather(options, network, state, session, history, answers, terms, ready - started, ready)
        report = _write(options.out, make_report(run))
    finally:
        local.stop()
        if not options.keep:
            network.down()
    return report


def _look(options: DemoOptions, magika: Magika, say: Say) -> list[FoundFile]:
    if options.files is None:
        paths, unreadable = some_files(default_roots()), list[FoundFile]()
        say(f"{len(paths)} files of this machine")
    else:
        paths, unreadable = every_file(options.files)
        say(f"{len(paths)} files in {options.files}")
    found = [magika.look(path) for path in paths] + unreadable
    for file in found:
        if file.features is None:
            say(f"not sent: {file.path}: {file.note}" + (f" ({file.label})" if file.label else ""))
    return found


def _stage(out: Path, magika: Magika, sent: Sequence[FoundFile]) -> tuple[Path, Path]:
    """The model and the inputs as files: what ``quorate job post`` takes."""
    model, inputs = out / "model.onnx", out / "inputs.npz"
    shutil.copyfile(magika.model, model)
    inputs.write_bytes(npz_bytes({INPUT: np.stack([f.features for f in sent if f.features is not None])}))
    return model, inputs


def _job(session: Session, model: Path, inputs: Path, terms: DemoTerms) -> History:
    """Posts and waits, showing how it goes."""
    options = TermOptions(
        pool="cpu",
        shard_size=terms.shard_size,
        committee=COMMITTEE,
        quorum=QUORUM,
        pace=0,
        work=terms.work,
        attempts=ATTEMPTS,
        appeal_epochs="0",
        units="auto",
        unit_price=None,
        max_price=None,
    )
    plan, _ = plan_job(session, model, inputs, options, title="Magika: what kind of file is it")
    job = post_or_attach(session, plan, options, yes=True)
    follower, view = Follower(session.rpc, session.deployment, job), LiveView(session.deployment)
    with serving(session, plan.cid):
        while True:
            history = follower.read()
            view.show(history)
            if progress_of(history, session.deployment).ended:
                view.end()
                return history
            time.sleep(POLL_S)


def _answers(
    out: Path,
    session: Session,
    history: History,
    magika: Magika,
    found: Sequence[FoundFile],
    local: np.ndarray[Any, Any],
    say: Say,
) -> list[Answered]:
    """Fetches, verifies with the chain and compares with the local check, file by file."""
    fetcher = result_fetcher(session, history.posted.requester)
    manifest = fetcher.manifest(history.posted.manifest)
    shards = fetch_all(fetcher, history, manifest, lambda s: None if not s.rejected else say(f"refused {s.rejected}"))
    write_out(out / "results", session.deployment, history, manifest, shards)
    say("asking the chain about every task")
    receipts, results = load_receipts(out / "results" / RECEIPTS)
    proven = {v.task for v in verify(session.rpc, session.deployment, receipts, results) if v.problem is None}
    arrays = read_outputs(out / "results" / OUTPUTS)
    answers, task = [], 0
    for file in found:
        if file.features is None:
            answers.append(_unsent(file))
            continue
        if arrays[STATUS][task]:
            answers.append(Answered(file, task, None, None))
        else:
            label, score = magika.answer(arrays[OUTPUT][task])
            equal = same(label, score, *magika.answer(local[task]))
            answers.append(Answered(file, task, label, score, task in proven, equal))
        task += 1
    return answers


def _unsent(file: FoundFile) -> Answered:
    return Answered(file, None, file.label, None)


def _gather(
    options: DemoOptions,
    network: Devnet,
    state: DevnetState,
    session: Session,
    history: History,
    answers: Sequence[Answered],
    terms: DemoTerms,
    setup_s: float,
    ready: float,
) -> Run:
    wall_s = time.monotonic() - ready
    rpc: Rpc = session.rpc
    wiring = network.wiring(Options(nodes=options.nodes, seats=SEATS))
    return Run(
        deployment=session.deployment,
        history=history,
        found=transactions(rpc, session.deployment, history.posted.at.block, rpc.block_number()),
        committees=committees(rpc, session.deployment, history),
        agents=state.agents,
        statuses=statuses(state.agents, wiring),
        answers=answers,
        receipts=options.out / "results" / RECEIPTS,
        setup_s=setup_s,
        wall_s=wall_s,
        block_time=terms.block_time,
    )


def _write(out: Path, report: dict[str, Any]) -> dict[str, Any]:
    partial = out / ".report.json.new"
    partial.write_text(json.dumps(report, indent=1, ensure_ascii=False))
    os.replace(partial, out / "report.json")
    return report
