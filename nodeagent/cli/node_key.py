"""``nodeagent key``: the hot key and its replacement."""

from __future__ import annotations

import os
import time
from pathlib import Path

import click

from nodeagent.cli.common import confirm, print_json, say
from nodeagent.cli.node_common import Node, home_option, key_options
from nodeagent.cli.node_seats import CONSENT_S, own_node, send_gas


@click.group()
def key() -> None:
    """The node's hot key signs its daily work and can touch no stake."""


@key.command()
@home_option
@click.option("--json", "as_json", is_flag=True, help="print as JSON")
@click.pass_context
def show(ctx: click.Context, own_home: Path | None, as_json: bool) -> None:
    """Show the key's address and balance."""
    from nodeagent.keys import keystore_address

    node = Node.of(ctx, own_home)
    rpc, _, doors = node.chain
    address = keystore_address(node.home.key)
    balance = rpc.balance(address)
    result = {"key": address, "balance": balance, "node": doors.ledger.node_of(address)}
    if as_json:
        print_json(result)
    else:
        click.echo(f"{address}  node {result['node']}  {balance / 10**18:.6f} ether")


@key.command()
@home_option
@key_options
@click.option("--password-file", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="for the new key")
@click.option("--fund-key", default="0.02", help="ether for the new key [default: 0.02]")
@click.option("--kdf", type=click.Choice(["standard", "light"]), default="standard", help="cost of guessing a password")
@click.option("--yes", "-y", is_flag=True, help="do not ask")
@click.option("--json", "as_json", is_flag=True, help="print the result as JSON")
@click.pass_context
def rotate(
    ctx: click.Context,
    own_home: Path | None,
    operator_keystore: Path | None,
    operator_password_file: Path | None,
    password_file: Path | None,
    fund_key: str,
    kdf: str,
    yes: bool,
    as_json: bool,
) -> None:
    """Make a new hot key and let the operator put it in place. The old one is dead at once; duties go on."""
    from nodeagent.errors import Fatal
    from nodeagent.keys import create_keystore, open_keystore
    from nodeagent.worker.live import running_pid

    node = Node.of(ctx, own_home)
    if running_pid(node.home) is not None:
        raise Fatal("the agent is running with the old key", hint="stop it, rotate, start it again")
    number = own_node(node)
    operator = node.operator(operator_keystore, operator_password_file)
    rpc, deployment, doors = node.chain
    confirm(f"Replace the key of node {number}?", yes)
    password = node.password(password_file, "new node key")
    fresh = node.home.key.with_name("node.next.json")
    if not fresh.exists():  # one left by an interrupted rotation is used
        create_keystore(fresh, password, cost=kdf)
    account = open_keystore(fresh, password)
    if doors.ledger.node_of(account.address) != number:
        deadline = int(time.time()) + CONSENT_S
        message = doors.registry.consent_message(deployment.chain_id, operator.address, account.address, deadline)
        consent = bytes(account.sign_typed_data(full_message=message).signature)
        node.send(operator, [doors.registry.call("replaceKey", number, account.address, deadline, consent)])
    os.replace(node.home.key, node.home.key.with_name(f"node.old-{int(time.time())}.json"))
    os.replace(fresh, node.home.key)
    send_gas(node, operator, account.address, fund_key)
    if as_json:
        print_json({"node": number, "key": account.address, "balance": rpc.balance(account.address)})
    else:
        say(f"node {number} has the key {account.address}; start the agent again: nodeagent run")
