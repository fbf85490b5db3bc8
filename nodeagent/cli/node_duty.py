"""``nodeagent pause``, ``resume`` and ``withdraw``: transactions from the node's own key."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from nodeagent.cli.common import print_json, say
from nodeagent.cli.node_common import Node, home_option
from nodeagent.cli.node_seats import own_node
from nodeagent.errors import QuorateError

if TYPE_CHECKING:
    from nodeagent.chain.doors import Call

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
    """Send matured earnings, settle fees, rewards for reports and whatever else is owed to the operator's address.

    One call that is refused does not hold the others up: what was paid is told, then the command fails.
    """
    from nodeagent.cli.common import whole

    node = Node.of(ctx, own_home)
    _, _, doors = node.chain
    number = own_node(node)
    operator = doors.registry.node_view(number)["operator"]
    matured, maturing = doors.market.earnings_of(number)
    dues = {
        "withdrawn": (matured, doors.market.call("withdraw", number)),
        "collected": (doors.market.owed_to(operator), doors.market.collect(operator)),
        "rewards": (doors.registry.reward_of(operator), doors.registry.collect_reward(operator)),
    }
    paid, txs, faults = _pull(node, password_file, {name: due for name, due in dues.items() if due[0]})
    paid = dict.fromkeys(dues, 0) | paid
    if as_json:
        print_json({"node": number, "operator": operator, **paid, "maturing": maturing, "txs": txs})
    else:
        symbol, decimals = doors.payment_token.describe()
        money = whole(paid["withdrawn"] + paid["collected"], decimals)
        say(f"{money} {symbol} to {operator}; {whole(maturing, decimals)} still maturing")
        if paid["rewards"]:
            symbol, decimals = doors.stake_token.describe()
            say(f"{whole(paid['rewards'], decimals)} {symbol} of rewards to {operator}")
    if faults:
        raise faults[0]


def _pull(
    node: Node, password_file: Path | None, dues: dict[str, tuple[int, Call]]
) -> tuple[dict[str, int], list[str | None], list[QuorateError]]:
    """Sends what pays each amount. What was paid, its transactions, and what went wrong."""
    from nodeagent.chain.errors import Reverted

    paid: dict[str, int] = {}
    txs: list[str | None] = []
    faults: list[QuorateError] = []
    if not dues:  # no password is asked for
        return paid, txs, faults
    account = node.account(password_file)
    for name, (amount, call) in dues.items():
        try:
            txs += [intent.tx for intent in node.send(account, [call])]
            paid[name] = amount
        except Reverted as fault:
            if fault.name != "NothingToWithdraw":  # else somebody paid it out meanwhile, such as the running agent
                faults.append(fault)
        except QuorateError as fault:  # the call may still be on its way: nothing is sent after it
            faults.append(fault)
            break
    return paid, txs, faults


def _send(node: Node, password_file: Path | None, as_json: bool, function: str) -> None:
    _, _, doors = node.chain
    number = own_node(node)
    done = node.send(node.account(password_file), [doors.registry.call(function, number)])
    result = {"node": number, "paused": doors.registry.node_view(number)["paused"], "tx": done[0].tx}
    if as_json:
        print_json(result)
    else:
        say(f"node {number}: {'out of' if result['paused'] else 'in'} the draw from the next epoch on")
