"""``quorate account`` and ``quorate connect``."""

from __future__ import annotations

from pathlib import Path

import click

from nodeagent.cli.common import WholeNumber, print_json, say, whole
from nodeagent.cli.requester_common import NoAccount, Session


@click.group()
def account() -> None:
    """The account that pays: an encrypted keystore in the home."""


@account.command("new")
@click.pass_obj
def new(session: Session) -> None:
    """Make an account; asks for a password twice (or takes QUORATE_PASSWORD_FILE)."""
    from nodeagent.keys import create_keystore

    if session.keystore.exists():
        raise NoAccount(
            f"{session.keystore} already holds account {session.address}",
            hint="use another --home for a second account",
        )
    address = create_keystore(session.keystore, session.password(confirm=True))
    say(f"encrypted in {session.keystore}; there is no other copy: back it up")
    click.echo(address)


@account.command("show")
@click.option("--json", "as_json", is_flag=True, help="print JSON")
@click.pass_obj
def show(session: Session, as_json: bool) -> None:
    """Address, balances, what the market owes it, and rewards of won appeals and reports."""
    address = session.address
    found: dict[str, object] = {"address": address, "keystore": str(session.keystore)}
    if session.rpc_url or session.config.get("rpc_url"):
        symbol, decimals = session.token
        found["gas_money"] = whole(session.rpc.balance(address), 18)
        found["balance"] = whole(session.doors.payment_token.balance_of(address), decimals)
        found["owed"] = whole(session.doors.market.owed_to(address), decimals)
        found["token"] = symbol
        stake, places = session.doors.stake_token.describe()
        found["rewards"] = whole(session.doors.registry.reward_of(address), places)
        found["stake_token"] = stake
    if as_json:
        print_json(found)
        return
    for key, value in found.items():
        click.echo(f"{key:11} {value}")


@account.command("collect")
@click.option("--json", "as_json", is_flag=True, help="print JSON, in units of each token")
@click.pass_obj
def collect(session: Session, as_json: bool) -> None:
    """Take out what the market owes this account (refunds, fees, bonds) and its rewards in stake tokens."""
    address, doors = session.address, session.doors
    owed, rewards = doors.market.owed_to(address), doors.registry.reward_of(address)
    calls = [doors.market.collect(address)] if owed else []
    calls += [doors.registry.collect_reward(address)] if rewards else []
    sent = [session.wallet.send(call) for call in calls]
    if as_json:
        print_json({"collected": owed, "rewards": rewards, "transactions": [done.tx for done in sent]})
        return
    symbol, places = doors.stake_token.describe()
    say(f"{session.money(owed)} collected, {whole(rewards, places)} {symbol} of rewards")


@click.command()
@click.option("--rpc-url", "url", prompt="RPC URL", help="JSON-RPC endpoint of the chain")
@click.option(
    "--deployment",
    "record",
    prompt="Deployment record",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="deployments/<chain-id>.json of the market",
)
@click.option("--endpoint", help="public base URL of this home's gateway, when it is not its own address")
@click.option("--gateway-host", help="address the gateway listens on (default 127.0.0.1)")
@click.option("--gateway-port", type=WholeNumber(0, 65535), help="port it listens on (default: a free one)")
@click.pass_obj
def connect(
    session: Session,
    url: str,
    record: Path,
    endpoint: str | None,
    gateway_host: str | None,
    gateway_port: int | None,
) -> None:
    """Check chain and contracts once, and remember them in the home."""
    session.rpc_url, session.deployment_path = url, record.resolve()
    found = session.deployment
    given = {"endpoint": endpoint, "gateway_host": gateway_host, "gateway_port": gateway_port}
    session.remember(
        rpc_url=url,
        deployment=str(record.resolve()),
        **{key: value for key, value in given.items() if value is not None},
    )
    say(f"connected to the market {found.market} on chain {found.chain_id}")
