"""``quorate demo``: five agents classify real files, and every number is checked."""

from __future__ import annotations

from pathlib import Path

import click

from nodeagent.cli.common import make_folder, say
from nodeagent.cli.devnet import PROJECT, terminable


@click.command()
@click.option(
    "--files",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="folder whose files are classified (default: a few hundred found on this machine)",
)
@click.option("--nodes", default=5, show_default=True, type=click.IntRange(3, 20), help="agents")
@click.option("--appeal", is_flag=True, help="instead: nine agents, two of which lie alike, and what becomes of that")
@click.option("--keep", is_flag=True, help="leave the devnet running (stop it with quorate devnet down --dir)")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="folder for everything [build/demo]")
@PROJECT
def demo(files: Path | None, nodes: int, appeal: bool, keep: bool, out: Path | None, project: Path | None) -> None:
    """Five agents on a local chain classify the files of a folder with Magika's model.

    Writes report.json. Exit code 1 when the numbers do not agree. With --appeal a wrong answer settles, an honest agent
    appeals, and the liars pay: told step by step, and written to appeal.json.
    """
    from nodeagent.demo.report import disagreements, passes
    from nodeagent.demo.run import DemoOptions, run_demo
    from nodeagent.demo.show import print_tables
    from nodeagent.devnet.contracts import find_ape, find_project

    find_ape()
    project = project or find_project()
    place = (out or project / "build" / "demo").resolve()
    make_folder(place)
    if appeal:
        _appeal(project, place, keep)
        return
    with terminable():
        report = run_demo(DemoOptions(project, place, files, nodes, keep), say)
    print_tables(report, lambda amount: f"{amount / 10**6:.6f} TUSD")
    for line in passes(report):
        click.echo(f"note: {line} (this machine was too slow or too busy)")
    click.echo(f"report: {place / 'report.json'}")
    wrong = disagreements(report)
    for line in wrong:
        click.echo(f"does not agree: {line}", err=True)
    if wrong:
        raise click.exceptions.Exit(1)


def _appeal(project: Path, place: Path, keep: bool) -> None:
    """The story is played with liars, who are not part of the package: it lives in the lab."""
    from nodeagent.cli.requester_simulate import load_lab

    story = load_lab("lab.story.appeal")
    with terminable():
        report = story.run_story(project, place, keep, say)
    click.echo(f"report: {place / 'appeal.json'}")
    wrong = story.faults(report)
    for line in wrong:
        click.echo(f"not as it must be: {line}", err=True)
    if wrong:
        raise click.exceptions.Exit(1)
