"""``quorate``: the requester's command line. Commands are imported when they are used."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from nodeagent import __version__
from nodeagent.cli.common import LazyGroup, run_command, start_logging

# name: (module, attribute, one line for --help)
ROOT = {
    "account": ("requester_account", "account", "make and show this requester's account"),
    "check": ("requester_check", "check", "run a model here, without nodes, and compare"),
    "connect": ("requester_account", "connect", "remember which chain and market to use"),
    "content": ("content", "content", "the files it keeps: add, fetch, list, verify, pin, export, import"),
    "demo": ("demo", "demo", "five agents classify real files on a local chain"),
    "devnet": ("devnet", "devnet", "a whole network on this machine: up, status, down"),
    "job": ("requester_job", "job", "post, watch, fetch, cancel and close jobs"),
    "lab": ("requester_lab", "lab", "attacks on a network of real agents, and what they cost"),
    "quote": ("requester_quote", "quote_command", "cost, time and odds of a job, before any money moves"),
    "schema": ("requester_check", "schema", "print the JSON schema of a published document"),
    "serve": ("requester_serve", "serve", "serve the payloads of posted jobs to the nodes"),
    "simulate": ("requester_simulate", "simulate", "wrong results and what cheating earns, at scale"),
    "verify": ("requester_check", "verify", "check receipts against their proofs and the chain"),
}


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
@click.option("--verbose", "-v", is_flag=True, help="log what happens underneath")
@click.pass_context
def quorate(ctx: click.Context, home: Path | None, rpc_url: str | None, deployment: Path | None, verbose: bool) -> None:
    """Buy verified compute: a random committee answers, any contract can check it.

    The story: quorate account new, quorate connect, quorate quote, quorate job post --wait, quorate verify.
    """
    from nodeagent.cli.requester_common import Session

    start_logging(as_json=False, level="debug" if verbose else "warning")
    ctx.obj = Session(home=home or default_home(), rpc_url=rpc_url, deployment_path=deployment)


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point. Exit codes: 0 done, 1 refused or not verified, 2 usage, 75 try again later, 130 interrupted."""
    run_command(quorate, argv)


if __name__ == "__main__":
    main()
