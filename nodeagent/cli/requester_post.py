"""``quorate job post``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nodeagent.cli.common import print_json, say
from nodeagent.cli.requester_common import Session, confirm_no
from nodeagent.cli.requester_inputs import format_option, how_of, input_options, labels_option, read_labels
from nodeagent.cli.requester_quote import (
    TermOptions,
    make_quote,
    options_of,
    read_job,
    show_quote,
    term_options,
)

if TYPE_CHECKING:
    from nodeagent.chain.events import JobPosted
    from nodeagent.client.gathering import How
    from nodeagent.client.jobstate import JobState
    from nodeagent.client.plan import JobPlan
    from nodeagent.client.posting import Poster
    from nodeagent.client.quote import Quote

PUBLIC = "models and inputs are public: anyone can fetch them, nodes must"


@click.command("post")
@click.option("--model", required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path), help="ONNX model")
@input_options(required=True)
@labels_option
@term_options
@click.option("--runtime", default="onnx-canonical", show_default=True, help="what nodes compute with")
@click.option("--title", help="a line for people, in the manifest")
@click.option("--wait", is_flag=True, help="serve the payloads and wait for the results")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="folder for the results")
@format_option
@click.option("--new", is_flag=True, help="post again, even when this very job runs or ran already")
@click.option("--approve", is_flag=True, help="use approve instead of a permit signature")
@click.option("--yes", "-y", is_flag=True, help="do not ask")
@click.option("--json", "as_json", is_flag=True, help="print the job as JSON")
@click.pass_obj
def post(
    session: Session,
    /,
    model: Path,
    inputs: Path,
    runtime: str,
    title: str | None,
    labels: tuple[str, ...],
    wait: bool,
    out: Path | None,
    formats: tuple[str, ...],
    new: bool,
    approve: bool,
    yes: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """Post a job; started again with the same arguments it attaches to the same job.

    Inputs are an array per model input (.npz, .npy), a table (.csv, .parquet) or a folder of files with a named
    pre-processing, which is done here and recorded in the manifest. A bad file or row is named by its number.

    With --wait, results go to --out: outputs.npz (the model's outputs, and __status__ per task), results.bin and
    receipts.json for quorate verify, and tasks.jsonl, which says what each task was made of.
    """
    options, how = options_of(given), how_of(given)
    if runtime != "onnx-canonical":
        raise click.UsageError(
            f"--runtime {runtime}: only onnx-canonical gives the same bytes on every machine; "
            "others need numeric tolerance, which this version does not have"
        )
    if (out is not None or formats) and not wait:
        raise click.UsageError("--out and --format need --wait; later, use: quorate job fetch JOB --out DIR")
    if formats and out is None:
        raise click.UsageError("--format needs --out")
    plan, sources = plan_job(session, model, inputs, options, how, title=title, labels=labels)
    job = post_or_attach(session, plan, options, out=out, new=new, approve=approve, yes=yes)
    if out is not None and sources:
        from nodeagent.client.outputs import write_sources

        write_sources(out, sources)
    if as_json and not wait:
        print_json({"job": int(job.job), "manifest": plan.cid, "tx": job.at.tx})
    if not wait:
        if not as_json:
            click.echo(int(job.job))
        say(f"now serve its payloads: quorate serve; then: quorate job fetch {job.job} --out DIR")
        return
    from nodeagent.cli.requester_wait import wait_and_fetch

    wait_and_fetch(session, job, plan.manifest, out, as_json=as_json, probe=plan.cid, formats=formats)


def plan_job(
    session: Session,
    model: Path,
    inputs: Path,
    options: TermOptions,
    how: How | None = None,
    *,
    title: str | None = None,
    labels: tuple[str, ...] = (),
) -> tuple[JobPlan, tuple[str, ...]]:
    """What would be posted, and what each task is made of where inputs are files or rows."""
    from nodeagent.client.gathering import How
    from nodeagent.client.plan import canonical_runtime, make_plan

    say("looking into the model in a process of its own")
    facts, gathered = read_job(session, model, inputs, how or How())
    plan = make_plan(
        model,
        gathered.inputs,
        facts,
        canonical_runtime(session.runtimes),
        session.store,
        shard_size=options.shard_size,
        units=None if options.units == "auto" else int(options.units),
        title=title,
        preprocessing=gathered.preprocessing,
        labels=read_labels(labels, [output.name for output in facts.outputs]),
    )
    return plan, gathered.sources


def post_or_attach(
    session: Session,
    plan: JobPlan,
    options: TermOptions,
    *,
    out: Path | None = None,
    new: bool = False,
    approve: bool = False,
    yes: bool = False,
) -> JobPosted:
    """The job of this plan: the one that is there, or, after a quote and a yes, a new one."""
    from nodeagent.client.posting import Poster

    fresh = _state(session, plan, out)
    poster = Poster(session.rpc, session.deployment, session.wallet, session.states, say)
    made = make_quote(session, options, plan.manifest.tasks, plan.manifest.units)
    state: JobState = fresh if new else session.states.load(fresh)
    if not new:
        found = poster.attach(state, made)
        if found is not None:
            say(f"attached to job {found.job}, posted in {found.at.tx}; nothing is paid again")
            return found
    say(PUBLIC)
    show_quote(session, made, plan)
    confirm_no(f"Pay {session.money(made.escrow)} into escrow and post?", yes)
    return _pay(session, poster, state, made, plan, approve)


def post_again(session: Session, plan: JobPlan, options: TermOptions) -> JobPosted:
    """Posts a job that this session has planned and quoted before, without asking or showing the quote again."""
    from nodeagent.client.posting import Poster

    poster = Poster(session.rpc, session.deployment, session.wallet, session.states, say)
    made = make_quote(session, options, plan.manifest.tasks, plan.manifest.units)
    return _pay(session, poster, _state(session, plan, None), made, plan, approve=False)


def _state(session: Session, plan: JobPlan, out: Path | None) -> JobState:
    from nodeagent.client.jobstate import JobState

    return JobState(
        chain_id=session.deployment.chain_id,
        market=session.deployment.market,
        requester=session.address,
        manifest=plan.digest.hex(),
        title=plan.manifest.title,
        out=str(out.resolve()) if out else None,
    )


def _pay(session: Session, poster: Poster, state: JobState, made: Quote, plan: JobPlan, approve: bool) -> JobPosted:
    from nodeagent.cli.requester_serve import serving
    from nodeagent.client.posting import announce

    with serving(session, plan.cid) as endpoint:
        announce(session.rpc, session.deployment, session.wallet, endpoint)
        posted = poster.post(state, made, use_permit=not approve)
    say(f"posted job {posted.job.job} in {posted.job.at.tx}")
    return posted.job
