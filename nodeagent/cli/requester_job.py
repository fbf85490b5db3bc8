"""``quorate job``: everything about posted jobs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nodeagent.cli.common import WholeNumber, print_json, say
from nodeagent.cli.requester_appeal import appeal, report, resolve
from nodeagent.cli.requester_common import Session, confirm_no, table
from nodeagent.cli.requester_inputs import format_option
from nodeagent.cli.requester_post import post
from nodeagent.cli.requester_why import why
from nodeagent.errors import Transient

if TYPE_CHECKING:
    from nodeagent.chain.events import JobPosted
    from nodeagent.client.wallet import Sent


class TooEarly(Transient):
    """The job still has a deadline ahead."""


@click.group()
def job() -> None:
    """Post, watch, fetch, appeal, report, cancel and close jobs."""


for command in (post, appeal, resolve, report, why):
    job.add_command(command)


@job.command("list")
@click.option("--requester", help="another account's jobs (default: this home's)")
@click.option("--json", "as_json", is_flag=True, help="print JSON")
@click.pass_obj
def list_jobs(session: Session, requester: str | None, as_json: bool) -> None:
    """Every job this account posted."""
    from nodeagent.client.history import find_jobs

    found = find_jobs(session.rpc, session.deployment, requester or session.address)
    rows = [_row(session, posted) for posted in found]
    if as_json:
        print_json(rows)
    elif not rows:
        say("no jobs yet: quorate job post")
    else:
        keys = list(rows[0])
        click.echo(table([keys, *([str(row[key]) for key in keys] for row in rows)]))


def _row(session: Session, posted: JobPosted) -> dict[str, Any]:
    """A job as the chain holds it now."""
    from nodeagent.protocol.epochs import epoch_of

    view = session.doors.market.job_view(posted.job)
    shards = -(-view["tasks"] // view["shardSize"]) if view["tasks"] else 0
    settled = sum(session.doors.market.settled([(posted.job, s) for s in range(shards)]))
    now = epoch_of(session.rpc.block_number(), session.deployment.epoch_blocks)
    closable = now >= view["closableFrom"]
    return {
        "job": int(posted.job),
        "tasks": view["tasks"],
        "shards": shards,
        "settled": settled,
        "epoch": int(posted.terms.post_epoch),
        "held": session.money(view["held"]),
        "state": "settled" if settled == shards else "ended" if closable else "running",
        "closable_from": view["closableFrom"],
    }


@job.command("watch")
@click.argument("number", type=WholeNumber(1), metavar="JOB")
@click.option("--once", is_flag=True, help="show where it stands and stop")
@click.option("--json", "as_json", is_flag=True, help="print JSON (with --once)")
@click.pass_obj
def watch_job(session: Session, number: int, once: bool, as_json: bool) -> None:
    """Show a job's progress until it ended."""
    from nodeagent.client.history import Follower
    from nodeagent.client.progress import bar, progress_of

    posted = _posted(session, number)
    if not (once or as_json):
        from nodeagent.cli.requester_wait import watch

        watch(session, posted)
        return
    progress = progress_of(Follower(session.rpc, session.deployment, posted).read(), session.deployment)
    if not as_json:
        click.echo(f"job {number} {bar(progress)}")
        return
    shards = [
        {"shard": s.shard, "status": s.status.name, "attempt": s.attempt, "answers": s.answers} for s in progress.shards
    ]
    print_json({"job": number, "epoch": progress.epoch, "tasks": progress.tasks, "shards": shards})


@job.command("fetch")
@click.argument("number", type=WholeNumber(1), metavar="JOB")
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="folder for the results")
@format_option
@click.option("--json", "as_json", is_flag=True, help="print a summary as JSON")
@click.pass_obj
def fetch(session: Session, number: int, out: Path, formats: tuple[str, ...], as_json: bool) -> None:
    """Fetch the results of everything that is settled, checked against the settled roots."""
    from nodeagent.cli.requester_wait import finish, result_fetcher

    history = session.history(number)
    fetcher = result_fetcher(session, history.posted.requester)
    manifest = fetcher.manifest(history.posted.manifest)
    finish(session, history, manifest, out, as_json=as_json, formats=formats)


@job.command("cancel")
@click.argument("number", type=WholeNumber(1), metavar="JOB")
@click.option("--yes", "-y", is_flag=True, help="do not ask")
@click.option("--json", "as_json", is_flag=True, help="print JSON")
@click.pass_obj
def cancel(session: Session, number: int, yes: bool, as_json: bool) -> None:
    """End the shards that have not started, and collect their price."""
    from nodeagent.chain.events import JobCancelled

    _posted(session, number)
    confirm_no(f"End the shards of job {number} that start later than the next epoch?", yes)
    sent = session.wallet.send(session.doors.market.call("cancel", number))
    refund = next(e.refund for e in _events(sent) if isinstance(e, JobCancelled))
    _collect(session, number, refund, sent, as_json)


@job.command("close")
@click.argument("number", type=WholeNumber(1), metavar="JOB")
@click.option("--yes", "-y", is_flag=True, help="do not ask")
@click.option("--json", "as_json", is_flag=True, help="print JSON")
@click.pass_obj
def close(session: Session, number: int, yes: bool, as_json: bool) -> None:
    """Take back what a job did not spend, once none of its deadlines is left."""
    from nodeagent.chain.events import JobClosed
    from nodeagent.protocol.epochs import epoch_of

    view = session.doors.market.job_view(_posted(session, number).job)
    if view["held"] == 0:
        say(f"job {number} has spent or returned its whole escrow")
        _collect(session, number, 0, None, as_json)
        return
    now = epoch_of(session.rpc.block_number(), session.deployment.epoch_blocks)
    if now < view["closableFrom"]:
        raise TooEarly(
            f"job {number} can be closed from epoch {view['closableFrom']} on: it is epoch {now}",
            hint="until then shards may still be settled, claimed or reported",
        )
    confirm_no(f"Close job {number} and take back {session.money(view['held'])}?", yes)
    sent = session.wallet.send(session.doors.market.call("close", number))
    refund = next(e.refund for e in _events(sent) if isinstance(e, JobClosed))
    _collect(session, number, refund, sent, as_json)


def _collect(session: Session, number: int, refund: int, sent: Sent | None, as_json: bool) -> None:
    """Pays out everything the market owes this account."""
    owed = session.doors.market.owed_to(session.address)
    paid = session.wallet.send(session.doors.market.call("collect", session.address)) if owed else None
    if as_json:
        txs = [s.tx for s in (sent, paid) if s]
        print_json({"job": number, "refund": refund, "collected": owed, "transactions": txs})
        return
    say(f"job {number}: {session.money(refund)} refunded, {session.money(owed)} collected")


def _events(sent: Sent) -> list[object]:
    from nodeagent.chain.decoding import decode_log

    return [decode_log(log) for log in sent.logs]


def _posted(session: Session, number: int) -> JobPosted:
    """Its posting. Raises NoSuchJob, IsACase."""
    from nodeagent.client.history import find_job

    return find_job(session.rpc, session.deployment, number)
