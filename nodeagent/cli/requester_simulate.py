"""``quorate simulate``: the protocol's rules at scale, without a chain. The lab that does it is not in the wheel."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import click

from nodeagent.cli.common import print_json
from nodeagent.errors import Fatal

LAB = "lab.simulate.command"


class NoLab(Fatal):
    """The lab is not here: it comes with a source checkout."""


def load_lab(module: str = LAB) -> Any:
    """A module of the lab: the one on the path, else of the checkout around the working directory.

    :raises NoLab: there is no checkout, or a package that the lab needs is not installed
    """
    from nodeagent.devnet.contracts import find_project
    from nodeagent.devnet.state import DevnetFault

    try:
        project = find_project()
    except DevnetFault:
        project = None
    if project is not None and (project / "lab" / "__init__.py").is_file() and str(project) not in sys.path:
        sys.path.insert(0, str(project))
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing == "lab":
            raise NoLab(
                "the lab is not part of the installed package: it lives in a source checkout",
                hint="get the source, run make setup in it, and run this inside it",
            ) from None
        raise NoLab(
            f"the lab needs {missing}, which is not installed",
            hint="install the extra: pip install 'quorate[toolkit]', or make setup in a checkout",
        ) from None


CHANCE = click.FloatRange(0, 1)
MIX = "cartel=0.2,lazy=0.05,withholder=0.05,ghost=0.03,flipflop=0.03"


@click.command()
@click.option("--nodes", default=60_000, show_default=True, type=click.IntRange(2))
@click.option("--shards", default=1_000_000, show_default=True, type=click.IntRange(1))
@click.option("--mix", default=MIX, show_default=True, help="kind=share of stake, …; the rest is honest")
@click.option(
    "--sweep", default="0.05:0.5:0.05", show_default=True, help="a cartel's shares: from:to:step, a list, or off"
)
@click.option("--seats", default="1-4", show_default=True, help="of a node: 1-4, 2, or 1:3,4:1 with weights")
@click.option("--committee", default=3, show_default=True, type=click.IntRange(2, 15))
@click.option("--quorum", type=int, help="equal answers that settle a shard (default: a majority)")
@click.option("--judges", default=5, show_default=True, type=click.IntRange(2, 15))
@click.option("--attempts", default=3, show_default=True, type=click.IntRange(1, 4))
@click.option("--work", default=1, show_default=True, type=click.IntRange(1, 8), help="epochs to compute")
@click.option("--appeal-epochs", default=7, show_default=True, type=click.IntRange(0, 255), help="0: no appeals")
@click.option("--shard-size", default=1, show_default=True, type=click.IntRange(1), help="tasks in a shard")
@click.option("--pace", default=0, type=click.IntRange(0), help="shards that start per epoch (default: a twentieth)")
@click.option("--price", default="0.01", show_default=True, help="coins a member earns for a task")
@click.option("--seat-stake", default="100", show_default=True, help="coins staked for a seat")
@click.option("--appeals", default=1.0, show_default=True, type=CHANCE, help="chance an outvoted honest node appeals")
@click.option(
    "--requester-appeals", default=0.0, show_default=True, type=CHANCE, help="that the requester does when none did"
)
@click.option(
    "--false-appeals", default=0.0, show_default=True, type=CHANCE, help="that an outvoted cartel node appeals"
)
@click.option(
    "--fishing", default=1.0, show_default=True, type=CHANCE, help="that fishers appeal a result of others' committee"
)
@click.option("--every", default=5, show_default=True, type=click.IntRange(2), help="a flipflop is wrong on each n-th")
@click.option("--restock/--no-restock", default=True, help="the slashed top up and stay, or drop out  [restock]")
@click.option("--seed", default=1, show_default=True, type=click.IntRange(0))
@click.option("--out", default="build/lab", show_default=True, type=click.Path(file_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="print the report as JSON instead of tables")
def simulate(as_json: bool, **given: Any) -> None:
    """Wrong results and what cheating earns, by the exact rules, for given mixes of adversaries.

    Kinds: honest, lazy (random answers), cartel (one wrong root per shard), withholder (never reveals), ghost (never
    there), flipflop (wrong on each n-th), fisher (appeals right results, lies where it has captured the court). Writes
    simulate.json and simulate.png. Money is in coins; pay and stake count alike.
    """
    command = load_lab()
    report = command.perform(command.understand(given), as_json)
    if as_json:
        print_json(report)
