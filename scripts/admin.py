"""``ape run admin …``: pools, pauses, the fee, roles and the handover of a recorded deployment. See docs/deploy.md."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from ape.cli import ConnectedProviderCommand

from scripts._lib.options import Address, Amount, pool_terms, reads, writes

if TYPE_CHECKING:
    from scripts._lib.administration import Admin

ROLE = click.Choice(["ADMIN", "POOLS", "FEES", "PAUSER", "MINTER"], case_sensitive=False)
PAUSABLE = {"registry": "NodeRegistry", "market": "JobMarket"}


def _admin(provider: Any, record: Path | None, account: str | None = None, yes: bool = False) -> Admin:
    from scripts._lib.administration import Admin
    from scripts._lib.session import Session

    return Admin(Session(provider, record), account, yes, click.echo)


@click.group()
def cli() -> None:
    """Administer a recorded deployment."""


# --- pools -----------------------------------------------------------------------------------------------------------


@cli.group()
def pool() -> None:
    """Capability classes of nodes, their terms."""


def _given(is_open: bool | None, terms: dict[str, Any]) -> dict[str, Any]:
    given = {name: value for name, value in terms.items() if value is not None}
    return given if is_open is None else {**given, "open": is_open}


@pool.command("create", cls=ConnectedProviderCommand)
@click.argument("name")
@click.option("--id", "number", type=click.IntRange(1, 2**16 - 1), help="Default: the parameter file's.")
@click.option("--seat-stake", "seatStake", type=Amount(), help="Stake-token units; fixed for the pool's life.")
@pool_terms
@click.option("--params", "params_path", type=click.Path(dir_okay=False, path_type=Path))
@writes
def pool_create(
    provider: Any,
    name: str,
    number: int | None,
    params_path: Path | None,
    record: Path | None,
    account: str | None,
    yes: bool,
    is_open: bool | None,
    **terms: Any,
) -> None:
    """Create pool NAME, with the terms of the parameter file unless given here."""
    from scripts._lib import params as params_module
    from scripts._lib.errors import ScriptError

    admin = _admin(provider, record, account, yes)
    path = params_module.path_for(provider.network.name, params_path)
    file = params_module.load(path, admin.session.interfaces, admin.record.deployer)
    known = next((pool for pool in file.pools if pool.name == name), None)
    wanted = {**(known.terms if known else {}), **_given(is_open, terms)}
    number = number or (known.id if known else None)
    order = ("seatStake", "floor", "maxShardPay", "maxSeatsPerNode", "open")
    missing = [term for term in order if term not in wanted] + (["id"] if number is None else [])
    if missing or number is None:
        raise ScriptError(
            f"pool {name} is not in {path.name} and lacks {', '.join(missing)}",
            hint=f"add [pools.{name}] to the file, or give the options",
        )
    taken = next((other for other, used in admin.record.pools.items() if used == number and other != name), None)
    if taken:
        raise ScriptError(f"pool id {number} is {taken}'s already", hint="choose another --id")
    values = tuple(wanted[term] for term in order)
    admin.change(
        f"create pool {name} ({number}): {wanted}",
        "NodeRegistry",
        "createPool",
        number,
        values,
        check=lambda: admin.check_terms(number, wanted),
    )
    if admin.pool_terms(number) is not None:
        admin.record.pools[name] = number
        admin.session.store.save(admin.record)


@pool.command("tune", cls=ConnectedProviderCommand)
@click.argument("name")
@pool_terms
@writes
def pool_tune(
    provider: Any, name: str, record: Path | None, account: str | None, yes: bool, is_open: bool | None, **terms: Any
) -> None:
    """Change terms of pool NAME; what was posted or staked keeps its own."""
    from scripts._lib.errors import ScriptError

    admin = _admin(provider, record, account, yes)
    number = admin.pool_number(name)
    now = admin.pool_terms(number)
    given = _given(is_open, terms)
    if now is None or not given:
        raise ScriptError(f"pool {name}: nothing to change", hint="give at least one of the options, see --help")
    wanted = {**now, **given}
    told = ", ".join(f"{term} {now[term]} -> {value}" for term, value in given.items())
    admin.change(
        f"tune pool {name} ({number}): {told}",
        "NodeRegistry",
        "tunePool",
        number,
        tuple(wanted.values()),
        check=lambda: admin.check_terms(number, wanted),
    )


@pool.command("show", cls=ConnectedProviderCommand)
@click.argument("name", required=False)
@reads
def pool_show(provider: Any, name: str | None, record: Path | None, as_json: bool) -> None:
    """Terms and size of pool NAME, or of all."""
    admin = _admin(provider, record)
    registry = admin.contracts["NodeRegistry"]
    names = [name] if name else list(admin.record.pools)
    found = {}
    for each in names:
        number = admin.pool_number(each)
        found[each] = {"id": number, **registry.read("poolView", number)}
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    for each, view in found.items():
        terms = ", ".join(f"{term} {value}" for term, value in view["terms"].items())
        click.echo(f"{each} ({view['id']}): {terms}; {view['length']} seats, {view['nodes']} nodes")


# --- pause and fee ---------------------------------------------------------------------------------------------------


def _pause(provider: Any, target: str, record: Path | None, account: str | None, yes: bool, paused: bool) -> None:
    admin = _admin(provider, record, account, yes)
    contract, function = PAUSABLE[target], "pause" if paused else "unpause"
    what = "register" if target == "registry" else "post"
    admin.change(
        f"{function} the {target}: `{what}` {'stops' if paused else 'goes on'}, nothing else changes",
        contract,
        function,
        check=lambda: admin.check_paused(contract, paused),
    )


@cli.command(cls=ConnectedProviderCommand)
@click.argument("target", type=click.Choice(list(PAUSABLE)))
@writes
def pause(provider: Any, target: str, record: Path | None, account: str | None, yes: bool) -> None:
    """Stop new registrations (registry) or new jobs (market), and nothing else."""
    _pause(provider, target, record, account, yes, paused=True)


@cli.command(cls=ConnectedProviderCommand)
@click.argument("target", type=click.Choice(list(PAUSABLE)))
@writes
def unpause(provider: Any, target: str, record: Path | None, account: str | None, yes: bool) -> None:
    """Let registrations or jobs go on."""
    _pause(provider, target, record, account, yes, paused=False)


@cli.group()
def fee() -> None:
    """The protocol's share of what jobs pay."""


@fee.command("set", cls=ConnectedProviderCommand)
@click.argument("bps", type=click.IntRange(0, 1_000))
@click.argument("recipient", type=Address())
@writes
def fee_set(provider: Any, bps: int, recipient: str, record: Path | None, account: str | None, yes: bool) -> None:
    """Set the fee of jobs posted from now on to BPS hundredths of a per cent, for RECIPIENT."""
    admin = _admin(provider, record, account, yes)
    market = admin.contracts["JobMarket"]

    def check() -> str | None:
        now = (market.read("protocolFeeBps"), market.read("feeRecipient"))
        return None if now == (bps, recipient) else f"the fee is {now[0]} bps for {now[1]}"

    was = f"it was {market.read('protocolFeeBps')} bps for {market.read('feeRecipient')}"
    intent = f"protocol fee {bps} bps of every later job's pay, to {recipient}; {was}"
    admin.change(intent, "JobMarket", "setProtocolFee", bps, recipient, check=check)


@fee.command("show", cls=ConnectedProviderCommand)
@reads
def fee_show(provider: Any, record: Path | None, as_json: bool) -> None:
    """The fee as it is."""
    market = _admin(provider, record).contracts["JobMarket"]
    found = {"bps": market.read("protocolFeeBps"), "recipient": market.read("feeRecipient")}
    click.echo(json.dumps(found) if as_json else f"{found['bps']} bps to {found['recipient']}")


# --- roles -----------------------------------------------------------------------------------------------------------


@cli.group()
def roles() -> None:
    """Who may do what."""


@roles.command("show", cls=ConnectedProviderCommand)
@reads
def roles_show(provider: Any, record: Path | None, as_json: bool) -> None:
    """Every role with its holders and functions."""
    from scripts._lib.roles import ADMIN_FUNCTIONS, ROLES, describe

    found = _admin(provider, record).holders()
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    functions = {"ADMIN": (*ADMIN_FUNCTIONS, "grants and revokes"), **{n: s.functions for n, s in ROLES.items()}}
    for name, line in zip(found, describe(found), strict=True):
        click.echo(f"{line}\n    may: {', '.join(functions.get(name, ('?',)))}")


@roles.command("grant", cls=ConnectedProviderCommand)
@click.argument("role", type=ROLE)
@click.argument("holder", type=Address())
@click.option("--delay", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="Seconds of notice.")
@writes
def roles_grant(
    provider: Any, role: str, holder: str, delay: int, record: Path | None, account: str | None, yes: bool
) -> None:
    """Give ROLE to HOLDER."""
    admin = _admin(provider, record, account, yes)
    if admin.grant(role.upper(), holder, delay):
        admin.remember_roles()


@roles.command("revoke", cls=ConnectedProviderCommand)
@click.argument("role", type=ROLE)
@click.argument("holder", type=Address())
@writes
def roles_revoke(provider: Any, role: str, holder: str, record: Path | None, account: str | None, yes: bool) -> None:
    """Take ROLE from HOLDER."""
    admin = _admin(provider, record, account, yes)
    if admin.revoke(role.upper(), holder):
        admin.remember_roles()


@cli.command(cls=ConnectedProviderCommand)
@click.argument("heir", type=Address())
@click.option(
    "--delay",
    type=click.IntRange(0, 2**32 - 1),
    default=0,
    show_default=True,
    help="Execution delay of the heir's ADMIN role, in seconds.",
)
@click.option("--keep", is_flag=True, help="Grant only; renounce in a later run, once the heir has been tried.")
@click.option("--allow-eoa", is_flag=True, help="Accept an heir without code (not a multisig).")
@writes
def handover(
    provider: Any,
    heir: str,
    delay: int,
    keep: bool,
    allow_eoa: bool,
    record: Path | None,
    account: str | None,
    yes: bool,
) -> None:
    """Give every role the sender holds to HEIR, read that back, then renounce the sender's own, ADMIN last."""
    from scripts._lib.handover import hand_over

    hand_over(_admin(provider, record, account, yes), heir, delay, keep=keep, allow_eoa=allow_eoa)
