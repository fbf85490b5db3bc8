"""``nodeagent appeals``: the cases a node has a part in, and how far its operator lets it appeal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from nodeagent.cli.common import confirm, print_json, say, whole
from nodeagent.cli.node_common import Node, home_option, key_options, token_units


@click.group(invoke_without_command=True)
@home_option
@click.option("--json", "as_json", is_flag=True, help="print as JSON")
@click.pass_context
def appeals(ctx: click.Context, own_home: Path | None, as_json: bool) -> None:
    """Show the cases this node has a part in: as accuser, judge, accused or outvoted.

    A running agent that was outvoted computes the shard again and, if its answer stands, appeals by itself. The bond is
    its operator's: the agent can spend it only as far as the operator allows the Court to.

    \b
      nodeagent appeals allow 50          let bonds of up to 50 in all be taken
      nodeagent appeals allow 0           appeal no more
      nodeagent init --set appeal=off     the same by configuration; further settings: appeal_max_bond,
                                          appeal_confidence, appeal_stake_price, appeal_max_lost,
                                          appeal_max_cost

    It must bring more than its gas on average: appeal_stake_price (in payment tokens) and report_stake_price (in ether)
    say together what gas is worth. Of several wrong shards in one batch only the first has the wrong members' money to
    pay for its judges; with appeal_max_cost you pay for others up to that much each.

    What a won appeal brings is owed to the operator; the agent collects it, and so does nodeagent withdraw.
    """
    ctx.obj = own_home or ctx.obj
    if ctx.invoked_subcommand is not None:
        return
    from nodeagent.worker.docket import docket

    node = Node.of(ctx, own_home)
    found = docket(node.home, node.config)
    if as_json:
        print_json(found)
        return
    symbol, decimals = node.chain[2].payment_token.describe()
    _show(found, symbol, decimals)


@appeals.command()
@click.argument("amount")
@home_option
@key_options
@click.option("--yes", "-y", is_flag=True, help="do not ask")
@click.option("--json", "as_json", is_flag=True, help="print the result as JSON")
@click.pass_context
def allow(
    ctx: click.Context,
    amount: str,
    own_home: Path | None,
    operator_keystore: Path | None,
    operator_password_file: Path | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Let the Court take bonds of up to AMOUNT in all from the operator, in whole payment tokens; 0 stops it.

    A bond pays five judges for the shard. It comes back if the appeal wins and is spent if it loses. Every node of this
    operator draws on the same allowance; a new one replaces what is left of the old.
    """
    from nodeagent.worker.docket import NoCourt

    node = Node.of(ctx, own_home)
    _, _, doors = node.chain
    if doors.court is None:
        raise NoCourt("this deployment has no Court", hint="nothing can be appealed here")
    symbol, decimals = doors.payment_token.describe()
    units = token_units(amount, decimals)
    operator = node.operator(operator_keystore, operator_password_file)
    have = doors.payment_token.balance_of(operator.address)
    if units > have:
        say(
            f"note: the operator {operator.address} has {whole(have, decimals)} {symbol}; more than that is never taken"
        )
    confirm(f"Let the Court take up to {whole(units, decimals)} {symbol} from {operator.address}?", yes)
    done = node.send(operator, [doors.payment_token.call("approve", doors.court.address, units)])
    allowance = doors.payment_token.allowance(operator.address, doors.court.address)
    result = {"operator": operator.address, "court": doors.court.address, "allowance": allowance, "tx": done[-1].tx}
    if as_json:
        print_json(result)
    else:
        say(f"the Court may take up to {whole(allowance, decimals)} {symbol} from {operator.address}")


def _show(found: dict[str, Any], symbol: str, decimals: int) -> None:
    def money(amount: int) -> str:
        return f"{whole(amount, decimals)} {symbol}"

    limit = money(found["max_bond"]) if found["max_bond"] else "the allowance"
    click.echo(f"appeals are {found['appeal']}; allowance {money(found['allowance'])}, a bond at most {limit}")
    if found["owed"]:
        click.echo(f"{money(found['owed'])} are owed to the operator: nodeagent withdraw")
    for case in found["cases"]:
        click.echo(f"case {case['case']}: job {case['job']}, shard {case['shard']}: {case['state']}")
        click.echo(f"  part      {', '.join(case['roles'])}")
        click.echo(f"  bond      {money(case['bond'])} of {case['accuser']}")
        if case["wrong"]:
            click.echo(f"  wrong     nodes {', '.join(map(str, case['wrong']))}")
        if case["due"]:
            click.echo(f"  to come   {money(case['due'])} at most")
        if case["deadline"] is not None:
            click.echo(f"  next      epoch {case['deadline']} (now {found['epoch']}): {case['then']}")
    for row in found["outvoted"]:
        click.echo(f"outvoted in job {row['job']}, shard {row['shard']}: {row['state']}: {row['why']}")
    if not found["cases"] and not found["outvoted"]:
        click.echo("no cases")
