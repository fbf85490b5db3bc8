"""``nodeagent pause``, ``resume`` and ``withdraw``: one transaction from the node's own key each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from nodeagent.cli.common import print_json, say
from nodeagent.cli.node_common import Node, home_option
from nodeagent.cli.node_seats import own_node

_password = click.option(
    "--password-file", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="of the node key"
)
_json = click.option("--json", "as_json", is_flag=True, help="print the result as JSON")


@click.command()
@home_option
@_password
@_json
@click.pass_context
def pause(ctx: click.Context, own_home: Path | None, password_file: Path | None, as_json: bool) -> None:
    """Leave the draw from the next epoch on. Duties already drawn stand: keep the agent running until they are done."""
    _send(Node.of(ctx, own_home), password_file, as_json, "pauseNode")


@click.command()
@home_option
@_password
@_json
@click.pass_context
def resume(ctx: click.Context, own_home: Path | None, password_file: Path | None, as_json: bool) -> None:
    """Join the draw again."""
    _send(Node.of(ctx, own_home), password_file, as_json, "resumeNode")


@click.command()
@home_option
@_password
@_json
@click.pass_context
def withdraw(ctx: click.Context, own_home: Path | None, password_file: Path | None, as_json: bool) -> None:
    """Send matured earnings and settle fees to the operator's address."""
    from nodeagent.cli.common import whole

    node = Node.of(ctx, own_home)
    _, _, doors = node.chain
    number = own_node(node)
    operator = doors.registry.node_view(number)["operator"]
    matured, maturing = doors.market.earnings_of(number)
    owed = doors.market.owed_to(operator)
    calls = [doors.market.call("withdraw", number)] if matured else []
    calls += [doors.market.call("collect", operator)] if owed else []
    done = node.send(node.account(password_file), calls) if calls else []
    result: dict[str, Any] = {
        "node": number,
        "operator": operator,
        "withdrawn": matured,
        "collected": owed,
        "maturing": maturing,
        "txs": [intent.tx for intent in done],
    }
    if as_json:
        print_json(result)
        return
    symbol, decimals = doors.payment_token.describe()
    say(f"{whole(matured + owed, decimals)} {symbol} to {operator}; {whole(maturing, decimals)} still maturing")


def _send(node: Node, password_file: Path | None, as_json: bool, function: str) -> None:
    _, _, doors = node.chain
    number = own_node(node)
    done = node.send(node.account(password_file), [doors.registry.call(function, number)])
    result = {"node": number, "paused": doors.registry.node_view(number)["paused"], "tx": done[0].tx}
    if as_json:
        print_json(result)
    else:
        say(f"node {number}: {'out of' if result['paused'] else 'in'} the draw from the next epoch on")
