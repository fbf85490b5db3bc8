"""What the requester's commands share: the session, built once from options, environment and configuration."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nodeagent.amounts import priced
from nodeagent.cli.common import ask_secret
from nodeagent.errors import Fatal

if TYPE_CHECKING:
    from nodeagent.chain.deployment import Deployment
    from nodeagent.chain.doors import Doors
    from nodeagent.chain.rpc import Rpc
    from nodeagent.client.history import History
    from nodeagent.client.jobstate import JobStates
    from nodeagent.client.wallet import Wallet
    from nodeagent.content import LayeredStore

CONFIG = "config.toml"
KEYSTORE = "keystore.json"
CONFIG_KEYS = ("rpc_url", "deployment", "endpoint", "gateway_host", "gateway_port", "password_file", "runtimes")


class BadConfig(Fatal):
    """The configuration cannot be read, or lacks what a command needs."""


class NoAccount(Fatal):
    """The home has no account, or already has one."""


@dataclass
class Session:
    """One command's view of the world. Everything is opened on first use.

    :param home: account, content, memory of jobs, ``config.toml``
    """

    home: Path
    rpc_url: str | None = None
    deployment_path: Path | None = None
    _config: dict[str, Any] | None = field(default=None, repr=False)

    @property
    def config(self) -> dict[str, Any]:
        """``config.toml`` of the home. Raises BadConfig."""
        if self._config is None:
            self._config = _read_config(self.home / CONFIG)
        return self._config

    def remember(self, **values: Any) -> None:
        """Changes the configuration on disk; None removes a key."""
        import tomli_w

        merged = {k: v for k, v in {**self.config, **values}.items() if v is not None}
        self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        partial = self.home / f".{CONFIG}.new"
        partial.write_text(tomli_w.dumps(merged))
        os.replace(partial, self.home / CONFIG)
        self._config = merged

    @cached_property
    def rpc(self) -> Rpc:
        from nodeagent.chain.rpc import Rpc

        url = self.rpc_url or self.config.get("rpc_url")
        if not url:
            raise BadConfig("no chain is configured", hint="quorate connect --rpc-url URL --deployment FILE")
        return Rpc(str(url))

    @cached_property
    def deployment(self) -> Deployment:
        """The deployment, checked against the chain."""
        from nodeagent.chain.deployment import load_deployment, verify_deployment

        path = self.deployment_path or self.config.get("deployment")
        if not path:
            raise BadConfig("no deployment is configured", hint="quorate connect --rpc-url URL --deployment FILE")
        return verify_deployment(self.rpc, load_deployment(Path(path)))

    @cached_property
    def doors(self) -> Doors:
        from nodeagent.chain.doors import Doors

        return Doors.of(self.rpc, self.deployment)

    def history(self, job: int) -> History:
        """What the chain says of a job up to now. Raises NoSuchJob."""
        from nodeagent.client.history import Follower, find_job

        return Follower(self.rpc, self.deployment, find_job(self.rpc, self.deployment, job)).read()

    @cached_property
    def token(self) -> tuple[str, int]:
        """(symbol, decimals) of the payment token."""
        return self.doors.payment_token.describe()

    @cached_property
    def wallet(self) -> Wallet:
        """The account, opened with its password."""
        from nodeagent.client.wallet import Wallet
        from nodeagent.keys import open_keystore

        self._need_account()  # said before a password is asked
        return Wallet(self.rpc, self.deployment.chain_id, bytes(open_keystore(self.keystore, self.password()).key))

    @property
    def keystore(self) -> Path:
        return self.home / KEYSTORE

    @property
    def address(self) -> str:
        """The account's address, without its password."""
        from nodeagent.keys import keystore_address

        self._need_account()
        return keystore_address(self.keystore)

    def _need_account(self) -> None:
        if not self.keystore.exists():
            raise NoAccount(f"there is no account in {self.home}", hint="make one with: quorate account new")

    @cached_property
    def states(self) -> JobStates:
        from nodeagent.client.jobstate import JobStates

        return JobStates(self.home / "jobs")

    @cached_property
    def store(self) -> LayeredStore:
        from nodeagent.content import open_content

        return open_content(self.home, self.config.get("kubo_api"))

    @property
    def runtimes(self) -> Path:
        return Path(self.config.get("runtimes") or self.home / "runtimes")

    def password(self, *, confirm: bool = False) -> str:
        """From ``QUORATE_PASSWORD_FILE``, the configured file or ``QUORATE_PASSWORD``; else asked."""
        file = os.environ.get("QUORATE_PASSWORD_FILE") or self.config.get("password_file")
        if file:
            try:
                return Path(file).read_text().rstrip("\r\n")
            except OSError as error:
                raise BadConfig(f"cannot read the password file {file}: {error.strerror}") from None
        if "QUORATE_PASSWORD" in os.environ:
            return os.environ["QUORATE_PASSWORD"]
        return ask_secret("Password of the account", "set QUORATE_PASSWORD_FILE", confirmed=confirm)

    def money(self, amount: int) -> str:
        """Payment-token units as a person reads them."""
        return priced(amount, self.token)

    def units_of(self, text: str, what: str) -> int:
        """Payment-token units of a decimal number. Raises click's usage error."""
        symbol, decimals = self.token
        try:
            scaled = Decimal(text) * 10**decimals
        except InvalidOperation:
            scaled = Decimal("nan")
        if not scaled.is_finite():
            raise click.UsageError(f"{what} {text!r} is not a number of {symbol}")
        if scaled != int(scaled) or scaled < 0:
            raise click.UsageError(f"{what} {text} is not a positive amount with at most {decimals} decimals")
        return int(scaled)


def _read_config(path: Path) -> dict[str, Any]:
    import tomllib

    try:
        found = tomllib.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise BadConfig(
            f"{path} cannot be read: {error}", hint="correct it, or remove it and quorate connect"
        ) from None
    unknown = sorted(set(found) - {*CONFIG_KEYS, "kubo_api"})
    if unknown:
        raise BadConfig(f"{path} has an unknown key {unknown[0]!r}: expected {', '.join(CONFIG_KEYS)}")
    return found


def confirm_no(question: str, yes: bool) -> None:
    """Asks unless ``--yes``; no is the default. Raises click.Abort."""
    if not yes:
        click.confirm(question, abort=True, err=True)


def table(rows: list[list[str]]) -> str:
    """Rows of texts under their widest, the first row being the head."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows)


def seconds_text(seconds: float) -> str:
    """A duration in the unit that reads best."""
    for size, name in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {name}"
    return f"{seconds:.0f} s"
