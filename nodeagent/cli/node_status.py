"""``nodeagent status``."""

from __future__ import annotations

from pathlib import Path

import click

from nodeagent.cli.common import print_json
from nodeagent.cli.node_common import Node, home_option


@click.command()
@home_option
@click.option("--json", "as_json", is_flag=True, help="print as JSON")
@click.pass_context
def status(ctx: click.Context, own_home: Path | None, as_json: bool) -> None:
    """Show what the node is and does: from its records and the chain, whether or not the agent runs."""
    from nodeagent.worker.status import status as read

    node = Node.of(ctx, own_home)
    found = read(node.home, node.config)
    if as_json:
        print_json(found)
        return
    problems, passed = found.pop("problems"), found.pop("passed")
    for name, value in found.items():
        click.echo(f"{name:<14} {value if value is not None else '-'}")
    for row in passed:
        shard = "" if row["shard"] is None else f", shard {row['shard']}"
        click.echo(f"passed         job {row['job']}{shard}: {row['reason']}")
    for about, message in problems.items():
        click.echo(f"problem        {about}: {message}")
