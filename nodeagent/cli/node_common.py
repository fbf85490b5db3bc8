"""What the node's commands share: the home, its configuration, its keys and one-off transactions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from nodeagent.cli.common import ask_secret, start_logging
from nodeagent.config import Home, NodeConfig, default_home, load_config
from nodeagent.keys import BadKey, open_keystore, read_password

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

    from nodeagent.chain.deployment import Deployment
    from nodeagent.chain.doors import Call, Doors
    from nodeagent.chain.intents import Intent
    from nodeagent.chain.rpc import Rpc

F = TypeVar("F", bound=Callable[..., Any])


def home_option(command: F) -> F:
    """``--home`` after the command's name too."""
    option = click.option("--home", "own_home", type=click.Path(path_type=Path), help="folder of this node")
    return option(command)


def key_options(command: F) -> F:
    """How the operator's key is found."""
    command = click.option(
        "--operator-password-file", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="its password"
    )(command)
    return click.option(
        "--operator-keystore",
        type=click.Path(path_type=Path, exists=True, dir_okay=False),
        help="the operator's encrypted keystore [default: the one in the home]",
    )(command)


def token_units(amount: str, decimals: int) -> int:
    """An amount that a person typed, in whole tokens, in the token's smallest units. Raises click.UsageError."""
    from decimal import Decimal, InvalidOperation

    try:
        scaled = Decimal(amount) * 10**decimals
    except InvalidOperation:
        scaled = Decimal("nan")
    if not scaled.is_finite() or scaled < 0 or scaled != int(scaled):
        raise click.UsageError(f"{amount}: expected an amount with at most {decimals} decimals")
    return int(scaled)


@dataclass
class Node:
    """One command's view of a node; everything is opened on first use."""

    home: Home

    @classmethod
    def of(cls, ctx: click.Context, own_home: Path | None) -> Node:
        start_logging(False, "warning")  # results go to stdout, words to stderr; ``run`` says more
        return cls(Home(own_home or ctx.obj or default_home()))

    @cached_property
    def config(self) -> NodeConfig:
        return load_config(self.home)

    @cached_property
    def chain(self) -> tuple[Rpc, Deployment, Doors]:
        from nodeagent.worker.start import open_chain

        return open_chain(self.home, self.config)

    def account(self, password_file: Path | None = None) -> LocalAccount:
        """The hot key. Asks for the password when no file has it. Raises BadKey."""
        return open_keystore(self.home.key, self.password(password_file, "node key"))

    def operator(self, keystore: Path | None, password_file: Path | None) -> LocalAccount:
        """The operator's key. Raises BadKey."""
        path = keystore or self.home.operator
        if not path.exists():
            raise BadKey(f"there is no operator keystore at {path}", hint="pass --operator-keystore")
        return open_keystore(path, self.password(password_file, "operator key", "--operator-password-file"))

    def password(self, file: Path | None, what: str, option: str = "--password-file") -> str:
        """From ``file``, the environment's or the home's; else asked. Raises BadKey, NoTerminal."""
        found = read_password(file, self.home.password)
        return found if found is not None else ask_secret(f"Password of the {what}", f"give {option}")

    def send(self, account: LocalAccount, calls: list[Call]) -> list[Intent]:
        """Sends calls from an account one after the other and waits for each. Raises Reverted or Transient."""
        import tempfile

        from nodeagent.chain.doors import simulate
        from nodeagent.chain.outbox import FeeCaps, Outbox
        from nodeagent.config import GWEI

        rpc, deployment, _ = self.chain
        fees = FeeCaps(max_fee=int(self.config.max_fee_gwei * GWEI), tip=int(self.config.tip_gwei * GWEI))
        done = []
        with tempfile.TemporaryDirectory(prefix="nodeagent-") as folder:
            outbox = Outbox(rpc, account, Path(folder) / "outbox.db", chain_id=deployment.chain_id, fees=fees)
            for number, call in enumerate(calls):
                simulate(rpc, call, account.address)
                outbox.submit(str(number), call)
                done.append(outbox.wait(str(number)))
        return done
