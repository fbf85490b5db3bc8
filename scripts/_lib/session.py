"""What every command opens first: chain, artifacts, record, account."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from scripts._lib import artifacts as artifacts_module
from scripts._lib.abi import ErrorTable, Interface
from scripts._lib.chain import Chain, Deployed, Sender
from scripts._lib.errors import ScriptError
from scripts._lib.record import Record, Store

RECORDS = artifacts_module.ROOT / "deployments"


class Session:
    """A connected chain and what is known to stand on it."""

    def __init__(self, provider: Any, folder: Path | None) -> None:
        artifacts_module.build()
        self.provider = provider
        self.artifacts = artifacts_module.load_all()
        self.interfaces = {name: Interface(name, artifact.abi) for name, artifact in self.artifacts.items()}
        self.chain = Chain(provider)
        self.store = Store(folder or RECORDS, self.chain.chain_id)

    def record(self) -> Record:
        """The recorded deployment. Raises ScriptError when there is none or it is not finished."""
        record = self.store.load()
        if record is None:
            raise ScriptError(
                f"there is no deployment recorded for chain {self.chain.chain_id} ({self.store.path})",
                hint="`ape run deploy` first, or name the folder of the record: --record",
            )
        if not record.complete:
            raise ScriptError(
                f"the deployment in {self.store.path} was interrupted", hint="run `ape run deploy` again: it resumes"
            )
        return record

    def contracts(self, record: Record) -> dict[str, Deployed]:
        """Every recorded contract at its address."""
        return {
            name: Deployed(
                self.chain, entry.address, self.interfaces["TestStablecoin" if name == "PaymentToken" else name]
            )
            for name, entry in record.contracts.items()
        }

    def sender(self, alias: str | None, yes: bool) -> Sender:
        """The signing account. Raises ScriptError when none is named on a real network."""
        account = load_account(alias, self.chain.network, yes)
        return Sender(self.chain, account, self.provider, ErrorTable(self.interfaces.values()))


def load_account(alias: str | None, network: str, yes: bool) -> Any:
    """An ape account by alias, or the development chain's first account."""
    from ape import accounts

    if alias is None:
        if network == "local":
            return accounts.test_accounts[0]
        raise ScriptError(
            f"network {network} needs an account to sign with",
            hint="--account <alias>; `ape accounts list` shows yours, `ape accounts import` adds one",
        )
    if alias.isdigit() and network == "local":
        return accounts.test_accounts[int(alias)]
    if alias not in accounts.aliases:
        raise ScriptError(
            f"ape knows no account {alias!r} (found: {', '.join(accounts.aliases) or 'none'})",
            hint="`ape accounts import <alias>` or `ape accounts generate <alias>`",
        )
    account = accounts.load(alias)
    if yes and hasattr(account, "set_autosign"):
        account.set_autosign(True)  # asks once for the passphrase unless APE_ACCOUNTS_<alias>_PASSPHRASE has it
    return account


def confirm(question: str, yes: bool) -> None:
    """Asks unless told not to. Raises click.Abort on no."""
    if not yes:
        click.confirm(question, abort=True, err=True)


def speaker(as_json: bool) -> Callable[[str], None]:
    """Where words for people go: stderr when stdout carries JSON."""
    return lambda text: click.echo(text, err=as_json)
