"""``nodeagent seats``: the operator's stake. The first ``take`` registers the node and gives its key gas money."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nodeagent.cli.common import WholeNumber, confirm, print_json, say, whole
from nodeagent.cli.node_common import Node, home_option, key_options
from nodeagent.protocol.types import NodeId, PoolId

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

    from nodeagent.chain.doors import Call

CONSENT_S = 3600


@click.group()
def seats() -> None:
    """Seats are stake and chances: each one is one ticket in every draw of the pool."""


@seats.command()
@click.argument("count", type=WholeNumber(1, 8), default=1)
@home_option
@key_options
@click.option("--password-file", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="of the node key")
@click.option("--fund-key", default="0.02", help="ether for the node key when it registers [default: 0.02]")
@click.option("--yes", "-y", is_flag=True, help="do not ask")
@click.option("--json", "as_json", is_flag=True, help="print the result as JSON")
@click.pass_context
def take(
    ctx: click.Context,
    count: int,
    own_home: Path | None,
    operator_keystore: Path | None,
    operator_password_file: Path | None,
    password_file: Path | None,
    fund_key: str,
    yes: bool,
    as_json: bool,
) -> None:
    """Take COUNT more seats; the stake that is missing is pulled from the operator."""
    node = Node.of(ctx, own_home)
    operator = node.operator(operator_keystore, operator_password_file)
    _, deployment, doors = node.chain
    pool = PoolId(deployment.pool_id(node.config.pool))
    account = node.account(password_file)
    terms = doors.registry.pool_view(pool)["terms"]
    known = doors.ledger.node_of(account.address)
    need = _missing_stake(doors, known, terms["seatStake"], count)
    symbol, decimals = doors.stake_token.describe()
    say(f"pool {node.config.pool}: {count} seats, {whole(need, decimals)} {symbol} of stake from {operator.address}")
    _check_funds(doors, operator.address, need, symbol, decimals)
    confirm("Take them?", yes)
    calls = [doors.stake_token.call("approve", doors.registry.address, need)] if need else []
    if known:
        calls.append(doors.registry.call("takeSeats", known, count))
    else:
        calls.append(_register(doors, deployment.chain_id, operator, account, pool, count))
    done = node.send(operator, calls)
    if not known:
        send_gas(node, operator, account.address, fund_key)
    number = doors.ledger.node_of(account.address)
    result = {"node": number, "seats": len(doors.registry.node_view(number)["seats"]), "tx": done[-1].tx}
    if as_json:
        print_json(result)
    else:
        say(f"node {number} holds {result['seats']} seats (drawn from the next epoch but one on); next: nodeagent run")


@seats.command()
@click.argument("count", type=WholeNumber(1, 8), default=1)
@home_option
@key_options
@click.option("--yes", "-y", is_flag=True, help="do not ask")
@click.option("--json", "as_json", is_flag=True, help="print the result as JSON")
@click.pass_context
def leave(
    ctx: click.Context,
    count: int,
    own_home: Path | None,
    operator_keystore: Path | None,
    operator_password_file: Path | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Give COUNT seats up. Their stake unbonds for a while and stays slashable until then."""
    node = Node.of(ctx, own_home)
    operator = node.operator(operator_keystore, operator_password_file)
    _, _, doors = node.chain
    number = own_node(node)
    confirm(f"Leave {count} seats of node {number}? Duties already drawn stand.", yes)
    done = node.send(operator, [doors.registry.call("leaveSeats", number, count)])
    view = doors.registry.node_view(number)
    result = {
        "node": number,
        "seats": len(view["seats"]),
        "unbonding": view["unbonding"],
        "unlock_epoch": view["unlockEpoch"],
        "tx": done[-1].tx,
    }
    if as_json:
        print_json(result)
    else:
        say(f"node {number} holds {result['seats']} seats; stake is free in epoch {result['unlock_epoch']}")


@seats.command()
@home_option
@click.option("--json", "as_json", is_flag=True, help="print as JSON")
@click.pass_context
def show(ctx: click.Context, own_home: Path | None, as_json: bool) -> None:
    """Show the node's seats and its pool."""
    node = Node.of(ctx, own_home)
    _, deployment, doors = node.chain
    number = own_node(node)
    view = doors.registry.node_view(number)
    pool = doors.registry.pool_view(view["pool"])
    result = {
        "node": number,
        "operator": view["operator"],
        "pool": view["pool"],
        "seats": list(view["seats"]),
        "stake": view["stake"],
        "unbonding": view["unbonding"],
        "unlock_epoch": view["unlockEpoch"],
        "paused": view["paused"],
        "pool_seats": pool["length"],
        "pool_nodes": pool["nodes"],
        "seat_stake": pool["terms"]["seatStake"],
        "chain_id": deployment.chain_id,
    }
    if as_json:
        print_json(result)
    else:
        for name, value in result.items():
            click.echo(f"{name:<13} {value}")


def own_node(node: Node) -> NodeId:
    from nodeagent.keys import keystore_address
    from nodeagent.worker.start import NotRegistered

    key = keystore_address(node.home.key)
    number = node.chain[2].ledger.node_of(key)
    if not number:
        raise NotRegistered(f"the key {key} acts for no node", hint="run: nodeagent seats take")
    return number


def _missing_stake(doors: Any, known: int, seat_stake: int, count: int) -> int:
    """Stake tokens the registry will pull for ``count`` more seats."""
    if not known:
        return seat_stake * count
    view = doors.registry.node_view(known)
    return max(0, seat_stake * (len(view["seats"]) + count) - int(view["stake"]))


def _check_funds(doors: Any, operator: str, need: int, symbol: str, decimals: int) -> None:
    from nodeagent.errors import Fatal

    have = doors.stake_token.balance_of(operator)
    if have < need:
        raise Fatal(
            f"the operator {operator} has {whole(have, decimals)} {symbol}, {whole(need, decimals)} are needed",
            hint="send it stake tokens and run this again",
        )


def _register(doors: Any, chain_id: int, operator: LocalAccount, account: LocalAccount, pool: int, count: int) -> Call:
    """The registration, with the hot key's signed consent."""
    deadline = int(time.time()) + CONSENT_S
    message = doors.registry.consent_message(chain_id, operator.address, account.address, deadline)
    consent = bytes(account.sign_typed_data(full_message=message).signature)
    call: Call = doors.registry.register(pool, count, account.address, deadline, consent, "", bytes(32))
    return call


def send_gas(node: Node, operator: LocalAccount, key: str, ether: str) -> None:
    """Sends the hot key gas money when it has less than that."""
    from decimal import Decimal, InvalidOperation

    from nodeagent.chain.doors import Call

    try:
        wei = int(Decimal(ether) * 10**18)
    except InvalidOperation:
        raise click.UsageError(f"--fund-key {ether}: expected a number of ether") from None
    rpc, _, _ = node.chain
    if wei and rpc.balance(key) < wei:
        node.send(operator, [Call(key, b"", "fund", wei)])
