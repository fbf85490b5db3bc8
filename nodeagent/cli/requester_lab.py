"""``quorate lab``: attacks on a network of real agents. The lab that does it is not in the wheel."""

from __future__ import annotations

from pathlib import Path

import click

from nodeagent.cli.common import print_json, say
from nodeagent.cli.requester_simulate import load_lab

OUT = Path("build") / "lab"


@click.command("lab")
@click.option("--scenario", "names", multiple=True, help="one attack by its name; may be repeated")
@click.option("--all", "everything", is_flag=True, help="all of them, one after the other")
@click.option("--epochs", type=click.IntRange(1, 60), help="in which shards start (default: each scenario's own)")
@click.option("--seed", default=1, show_default=True, type=click.IntRange(0), help="of models, inputs and guesses")
@click.option("--list", "only_list", is_flag=True, help="name the scenarios and stop")
@click.option("--out", default=OUT, show_default=True, type=click.Path(file_okay=False, path_type=Path))
@click.option("--keep", is_flag=True, help="leave the last network's homes and logs in place")
@click.option("--json", "as_json", is_flag=True, help="print the report as JSON")
def lab(
    names: tuple[str, ...],
    everything: bool,
    epochs: int | None,
    seed: int,
    only_list: bool,
    out: Path,
    keep: bool,
    as_json: bool,
) -> None:
    """Attack a network of real agents, and see what it costs the attacker.

    Starts a local chain with nine agents or more, some of which misbehave, and holds what they gained against what
    honest ones did, and wrong results against their expected number. Writes OUT/report.json and a recording of each
    run. Exit code 1 when anything comes out otherwise than it must. Needs a checkout and the toolkit extra. The chain's
    randomness is its own: a seed repeats models, inputs and guesses, not draws.
    """
    if names and everything:
        raise click.UsageError("--scenario names some and --all means all of them: give one of the two")
    command = load_lab("lab.command")
    if only_list:
        found = command.list_scenarios()
        if as_json:
            print_json(found)
        else:
            click.echo("\n".join(f"{row['name']:<20} {row['about']}" for row in found))
        return
    if not names and not everything:
        raise click.UsageError("name a --scenario, or --all of them; --list shows their names")
    options = command.LabOptions(names, epochs, seed, out / "devnet", out, keep)
    from nodeagent.cli.devnet import terminable

    with terminable():
        report = command.perform(options, say)
    if as_json:
        print_json(report)
    else:
        command.print_summary(report)
    if not all(scenario["passed"] for scenario in report["scenarios"]):
        raise click.exceptions.Exit(1)
