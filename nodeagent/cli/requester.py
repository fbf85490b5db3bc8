"""``quorate``: the requester's command line. Commands are imported when they are used."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from nodeagent import __version__
from nodeagent.errors import QuorateError, Transient

TRY_LATER = 75  # EX_TEMPFAIL: the same command may succeed later

# name: (module, attribute, one line for --help)
ROOT = {
    "account": ("requester_account", "account", "make and show this requester's account"),
    "check": ("requester_check", "check", "run a model here, without nodes, and compare"),
    "connect": ("requester_account", "connect", "remember which chain and market to use"),
    "demo": ("demo", "demo", "five agents classify real files on a local chain"),
    "devnet": ("devnet", "devnet", "a whole network on this machine: up, status, down"),
    "job": ("requester_job", "job", "post, watch, fetch, cancel and close jobs"),
    "quote": ("requester_quote", "quote_command", "cost, time and odds of a job, before any money moves"),
    "schema": ("requester_check", "schema", "print the JSON schema of a published document"),
    "serve": ("requester_serve", "serve", "serve the payloads of posted jobs to the nodes"),
    "verify": ("requester_check", "verify", "check receipts against their proofs and the chain"),
}


class LazyGroup(click.Group):
    """A group that knows its commands' names and first lines, and imports a command when it is called."""

    def __init__(self, *args: Any, lazy: dict[str, tuple[str, str, str]] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._lazy = lazy or {}

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*self._lazy, *super().list_commands(ctx)})

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in self._lazy:
            return super().get_command(ctx, name)
        module, attribute, _ = self._lazy[name]
        command = getattr(importlib.import_module(f"nodeagent.cli.{module}"), attribute)
        if not isinstance(command, click.Command):
            raise TypeError(f"{module}.{attribute} is not a command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = [(name, self._lazy[name][2]) for name in self.list_commands(ctx) if name in self._lazy]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def default_home() -> Path:
    """Where this requester keeps its account, content and memory of jobs."""
    from platformdirs import user_data_path

    return user_data_path("quorate", appauthor=False) / "requester"


@click.group(cls=LazyGroup, lazy=ROOT, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="quorate")
@click.option("--home", type=click.Path(path_type=Path), envvar="QUORATE_HOME", help="folder of this requester")
@click.option("--rpc-url", envvar="QUORATE_RPC_URL", help="JSON-RPC endpoint of the chain")
@click.option(
    "--deployment",
    type=click.Path(path_type=Path),
    envvar="QUORATE_DEPLOYMENT",
    help="record of the contracts (deployments/<chain-id>.json)",
)
@click.pass_context
def quorate(ctx: click.Context, home: Path | None, rpc_url: str | None, deployment: Path | None) -> None:
    """Buy verified compute: a random committee answers, any contract can check it.

    The story: quorate account new, quorate connect, quorate quote, quorate job post --wait, quorate verify.
    """
    from nodeagent.cli.requester_common import Session

    ctx.obj = Session(home=home or default_home(), rpc_url=rpc_url, deployment_path=deployment)


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point. Exit codes: 0 done, 1 refused or not verified, 2 usage, 75 try again later, 130 interrupted."""
    try:
        quorate.main(args=list(argv) if argv is not None else None, prog_name="quorate", standalone_mode=False)
    except QuorateError as error:
        click.echo(f"error: {error.message}", err=True)
        if error.hint:
            click.echo(f"  next: {error.hint}", err=True)
        sys.exit(TRY_LATER if isinstance(error, Transient) else 1)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("stopped", err=True)
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


if __name__ == "__main__":
    main()
