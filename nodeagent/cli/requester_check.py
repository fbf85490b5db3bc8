"""``quorate verify``, ``quorate check`` and ``quorate schema``: answers checked against proofs, chain and
this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from nodeagent.cli.common import WholeNumber, print_json, say
from nodeagent.cli.requester_common import Session
from nodeagent.cli.requester_inputs import how_of, input_options, tell_skipped

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.argument("receipts", type=FILE)
@click.option("--task", type=WholeNumber(0), help="only this task")
@click.option("--offline", is_flag=True, help="recompute the proofs and do not ask the chain")
@click.option("--json", "as_json", is_flag=True, help="print JSON")
@click.pass_obj
def verify(session: Session, receipts: Path, task: int | None, offline: bool, as_json: bool) -> None:
    """Check RECEIPTS (receipts.json, with results.bin beside it), task by task.

    Recomputes every proof, then asks the market whether each task is a final, verified answer. Exit code 0
    only if all are.
    """
    from nodeagent.client.verifying import check_offline, load_receipts
    from nodeagent.client.verifying import verify as ask

    document, results = load_receipts(receipts)
    if offline:
        verdicts = list(check_offline(document, results, task))
    else:
        verdicts = list(ask(session.rpc, session.deployment, document, results, task))
    bad = [v for v in verdicts if v.problem is not None]
    if as_json:
        problems = [{"task": v.task, "shard": v.shard, "problem": v.problem} for v in bad]
        by = "proofs" if offline else "proofs and chain"
        print_json(
            {
                "job": document.job,
                "tasks": len(verdicts),
                "verified": len(verdicts) - len(bad),
                "by": by,
                "problems": problems,
            }
        )
    else:
        for verdict in bad:
            click.echo(f"task {verdict.task} (shard {verdict.shard}): {verdict.problem}")
        words = "have sound proofs" if offline else "are final, verified answers"
        click.echo(f"{len(verdicts) - len(bad)} of {len(verdicts)} tasks of job {document.job} {words}")
    if bad or not verdicts:
        raise click.exceptions.Exit(1)


@click.command()
@click.option("--model", required=True, type=FILE, help="ONNX model")
@input_options(required=True)
@click.option(
    "--runtime",
    type=click.Choice(["onnx-native", "onnx-canonical"]),
    default="onnx-native",
    show_default=True,
    help="what computes: this machine's own floats, or what nodes run",
)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="write the outputs as .npz")
@click.option("--against", type=FILE, help="outputs.npz of a job, to compare with")
@click.option("--tolerance", default=1e-4, show_default=True, help="largest difference that counts as equal")
@click.option("--json", "as_json", is_flag=True, help="print JSON")
@click.pass_obj
def check(
    session: Session,
    /,
    model: Path,
    inputs: Path,
    runtime: str,
    out: Path | None,
    against: Path | None,
    tolerance: float,
    as_json: bool,
    **given: Any,
) -> None:
    """Run a model on this machine, in the Executor, and write or compare its outputs."""
    from nodeagent.client.local import compare, run_here
    from nodeagent.client.outputs import STATUS, read_outputs, write_outputs

    ran = run_here(session.home, session.runtimes, model, inputs, runtime, how_of(given))
    tell_skipped(ran.gathered)
    outputs, tasks = ran.outputs, len(ran.outputs[STATUS])
    summary: dict[str, object] = {"tasks": tasks, "runtime": runtime, "task_seconds": round(ran.task_seconds, 5)}
    if out is not None:
        write_outputs(out, outputs)
        say(f"wrote {out}")
    if against is not None:
        same = compare(outputs, read_outputs(against), tolerance)
        summary["equal"] = same
    if as_json:
        print_json(summary)
    elif against is not None:
        click.echo(f"{summary['equal']} of {tasks} tasks are equal within {tolerance:g}")
    else:
        click.echo(f"{tasks} tasks computed by {runtime}")
    if against is not None and summary["equal"] != tasks:
        raise click.exceptions.Exit(1)


@click.command()
@click.argument("document", type=click.Choice(["job", "batch", "receipts"]))
def schema(document: str) -> None:
    """Print the JSON schema of a published DOCUMENT."""
    from nodeagent.protocol.documents import Document
    from nodeagent.protocol.manifest import BatchManifest, JobManifest
    from nodeagent.protocol.receipts import Receipts

    kinds: dict[str, type[Document]] = {"job": JobManifest, "batch": BatchManifest, "receipts": Receipts}
    print_json(kinds[document].model_json_schema(by_alias=True))
