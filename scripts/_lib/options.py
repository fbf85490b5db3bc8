"""Command-line values and option sets of `ape run admin`. Imports only click: ape loads every script on each run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click


class Address(click.ParamType):
    """An address, or an ape alias."""

    name = "address"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        from eth_utils import to_checksum_address

        from scripts._lib.abi import is_address

        if is_address(value):
            return str(to_checksum_address(value))
        from ape import accounts

        if value in accounts.aliases:
            return str(accounts.load(value).address)
        self.fail(f"{value!r} is neither an address (with a right checksum) nor an ape alias", param, ctx)


class Amount(click.ParamType):
    """A whole number, also as 100e18."""

    name = "amount"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        from scripts._lib.params import amount

        number = amount(value)
        if not isinstance(number, int):
            self.fail(f"{value!r} is not a whole number such as 250 or 100e18", param, ctx)
        return number


def writes(function: Callable[..., Any]) -> Callable[..., Any]:
    """Options of every command that sends."""
    function = click.option("--yes", is_flag=True, help="Do not ask.")(function)
    function = click.option("--account", metavar="ALIAS", help="Ape account that signs.")(function)
    return reads(function, as_json=False)


def reads(function: Callable[..., Any], as_json: bool = True) -> Callable[..., Any]:
    """Options of every command."""
    if as_json:
        function = click.option("--json", "as_json", is_flag=True, help="Print JSON.")(function)
    folder = click.Path(file_okay=False, path_type=Path)
    return click.option("--record", type=folder, help="Folder of <chain-id>.json. Default: deployments/.")(function)


def pool_terms(function: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--open/--closed", "is_open", default=None, help="Whether new nodes and jobs are accepted."),
        click.option("--max-seats-per-node", "maxSeatsPerNode", type=click.IntRange(1, 8)),
        click.option("--max-shard-pay", "maxShardPay", type=Amount(), help="Payment-token units."),
        click.option("--floor", type=Amount(), help="Lowest price of a unit, payment-token units."),
    ):
        function = option(function)
    return function
