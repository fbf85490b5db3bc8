"""Waiting for a job and writing its results, as ``job post --wait``, ``job watch`` and ``job fetch`` do."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nodeagent.cli.common import print_json, say
from nodeagent.cli.requester_common import Session
from nodeagent.cli.requester_serve import serving

if TYPE_CHECKING:
    from nodeagent.chain.events import JobPosted
    from nodeagent.client.fetching import ResultFetcher, ShardResults
    from nodeagent.client.history import History
    from nodeagent.client.progress import Progress
    from nodeagent.protocol.manifest import JobManifest

POLL_S = 0.5  # one light batch to the endpoint each


def wait_and_fetch(
    session: Session,
    job: JobPosted,
    manifest: JobManifest,
    out: Path | None,
    *,
    as_json: bool,
    probe: str,
    formats: tuple[str, ...] = (),
) -> None:
    """Serves, waits until every shard ended, then fetches into ``out``. Raises what fetching raises."""
    with serving(session, probe) as endpoint:
        from nodeagent.client.posting import announce

        announce(session.rpc, session.deployment, session.wallet, endpoint)
        try:
            history = watch(session, job)
        except KeyboardInterrupt:
            say(f"\njob {job.job} goes on, but its payloads are not served any more;")
            say("start the same command again, or: quorate serve")
            raise
    finish(session, history, manifest, out, as_json=as_json, formats=formats)


def watch(session: Session, job: JobPosted) -> History:
    """Shows the job's progress until it ended."""
    from nodeagent.client.history import Follower
    from nodeagent.client.progress import bar, progress_of

    follower = Follower(session.rpc, session.deployment, job)
    live, shown = sys.stderr.isatty(), ""
    while True:
        history = follower.read()
        progress = progress_of(history, session.deployment)
        line = f"job {job.job} {bar(progress)}"
        if line != shown:
            click.echo(f"\r\x1b[2K{line}" if live else line, err=True, nl=not live)
            shown = line
        if progress.ended:
            if live:
                click.echo(err=True)
            return history
        time.sleep(POLL_S)


def result_fetcher(session: Session, requester: str) -> ResultFetcher:
    """Fetches from nodes' endpoints, then the requester's, into the home's store."""
    from nodeagent.client.fetching import ResultFetcher
    from nodeagent.client.history import announced_endpoint, node_endpoints
    from nodeagent.content.backends import Backends
    from nodeagent.content.fetch import Fetcher

    own = announced_endpoint(session.rpc, session.deployment, requester)
    endpoints = node_endpoints(session.rpc, session.deployment)
    store = session.store
    backends = Backends(kubo=store.kubo is not None)
    return ResultFetcher(store, Fetcher(store, kubo=store.kubo), endpoints, [own] if own else [], backends)


def finish(
    session: Session,
    history: History,
    manifest: JobManifest,
    out: Path | None,
    *,
    as_json: bool,
    formats: tuple[str, ...] = (),
) -> None:
    """Fetches what is settled, writes it and says what came of the job. Exit code 1 when tasks lack an answer."""
    from nodeagent.client.fetching import fetch_all
    from nodeagent.client.outputs import RECEIPTS, write_out
    from nodeagent.client.progress import progress_of
    from nodeagent.client.rows import convert
    from nodeagent.protocol.types import ShardStatus

    job, terms = int(history.posted.job), history.terms
    progress = progress_of(history, session.deployment)
    summary: dict[str, object] = {
        "job": job,
        "tasks": history.posted.terms.tasks,
        "shards": terms.shards,
        "settled_shards": len(history.settled),
        "out": None,
    }
    if out is not None:
        fetcher = result_fetcher(session, history.posted.requester)
        contested = [s.shard for s in progress.shards if s.status is ShardStatus.CONTESTED]
        shards = fetch_all(fetcher, history, manifest, _tell, contested)
        receipts = write_out(out, session.deployment, history, manifest, shards)
        failed = sum(1 for task in receipts.tasks if task.status)
        summary |= {"out": str(out), "answered_tasks": len(receipts.tasks), "failed_tasks": failed}
        say(f"wrote {out}: {len(receipts.tasks)} answers, {failed} of them about a faulty payload")
        for path in convert(out, formats, manifest):
            say(f"wrote {path}")
        say(f"check them: quorate verify {out / RECEIPTS}")
    if as_json:
        print_json(summary)
    missing = terms.shards - len(history.settled)
    _say_what_can_change(job, progress)
    if missing and progress.ended:
        say(f"{missing} of {terms.shards} shards found no quorum; their price comes back with quorate job close {job}")
    elif missing:
        say(f"{missing} of {terms.shards} shards are not settled yet: quorate job watch {job}, then fetch again")
    if missing:
        raise click.exceptions.Exit(1)


def _say_what_can_change(job: int, progress: Progress) -> None:
    """Settled shards that are not final, and contested ones."""
    from nodeagent.protocol.types import ShardStatus

    for status, words in (
        (ShardStatus.SETTLED, f"can still be appealed: quorate job watch {job}"),
        (ShardStatus.APPEALED, f"are being appealed: quorate job why {job} SHARD"),
        (ShardStatus.CONTESTED, "are contested and never become final: their appeal ended without verdict"),
    ):
        shards = [s.shard for s in progress.shards if s.status is status]
        if shards:
            say(f"{len(shards)} shards (first: {shards[0]}) {words}")


def _tell(shard: ShardResults) -> None:
    for why in shard.rejected:
        say(f"shard {shard.shard}: refused {why}")
