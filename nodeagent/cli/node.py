"""``nodeagent``: the operator's command line. Commands are imported when they are used."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from nodeagent import __version__
from nodeagent.cli.common import LazyGroup, run_command

COMMANDS = {
    "init": ("node_init", "init", "make a node's home: keys, configuration, runtime"),
    "seats": ("node_seats", "seats", "take, leave and show seats (registers the node the first time)"),
    "run": ("node_run", "run", "work until stopped"),
    "status": ("node_status", "status", "what the node is and does"),
    "doctor": ("node_doctor", "doctor", "check this machine, the chain and the node, and say what to do"),
    "pause": ("node_duty", "pause", "leave the draw from the next epoch on"),
    "resume": ("node_duty", "resume", "join the draw again"),
    "withdraw": ("node_duty", "withdraw", "send earnings and rewards to the operator"),
    "appeals": ("node_appeals", "appeals", "cases it is accuser, judge or accused in; how far it may appeal"),
    "content": ("content", "content", "the files it keeps: add, fetch, list, verify, pin, export, import"),
    "key": ("node_key", "key", "the node's hot key: show, rotate"),
}


@click.group(cls=LazyGroup, lazy=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="nodeagent")
@click.option(
    "--home",
    type=click.Path(path_type=Path),
    envvar="NODEAGENT_HOME",
    help="folder of this node [env: NODEAGENT_HOME]",
)
@click.pass_context
def nodeagent(ctx: click.Context, home: Path | None) -> None:
    """Earn by computing: be drawn, answer, be paid.

    From nothing to earning: nodeagent init, nodeagent seats take, nodeagent run.
    """
    ctx.obj = home


def main(args: Sequence[str] | None = None) -> None:
    """Entry point; exits."""
    run_command(nodeagent, args)


if __name__ == "__main__":
    main()
