"""``quorate devnet``: a chain, the contracts and node agents on this machine."""

from __future__ import annotations

import shlex
import signal
from pathlib import Path
from typing import Any

import click

from nodeagent.cli.common import WholeNumber, print_json, say
from nodeagent.cli.requester_common import table

HOME = click.option("--dir", "folder", type=click.Path(file_okay=False, path_type=Path), help="the devnet's folder")
PROJECT = click.option(
    "--project",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="checkout with the contracts (default: around the working directory)",
)


def default_folder() -> Path:
    from platformdirs import user_data_path

    return user_data_path("quorate", appauthor=False) / "devnet"


def command_for(word: str, folder: Path | None) -> str:
    """What to type for the devnet of ``folder``: ``--dir`` where it is not the default one."""
    if folder is None or folder.resolve() == default_folder().resolve():
        return f"quorate devnet {word}"
    return f"quorate devnet {word} --dir {shlex.quote(str(folder.resolve()))}"


@click.group()
def devnet() -> None:
    """A whole network on this machine. Keys and money on it are worth nothing."""


@devnet.command("up")
@HOME
@PROJECT
@click.option("--nodes", default=5, show_default=True, type=WholeNumber(1, 50), help="agents")
@click.option("--seats", default=4, show_default=True, type=WholeNumber(1, 8), help="seats of each")
@click.option(
    "--block-time", default=1.0, show_default=True, type=click.FloatRange(0.1, 60), help="seconds, fractions too"
)
@click.option("--port", default=0, type=WholeNumber(0, 65535), help="of the chain (default: a free one)")
@click.option("--json", "as_json", is_flag=True, help="print the status as JSON")
def up(
    folder: Path | None, project: Path | None, nodes: int, seats: int, block_time: float, port: int, as_json: bool
) -> None:
    """Start it and return when everything is ready; started again, it repairs what is missing.

    Needs a checkout (contracts, deploy script), anvil, and the toolkit extra for ape.
    """
    from nodeagent.devnet.network import Devnet, Options

    network = Devnet(folder or default_folder(), say, project)
    with terminable():
        state = network.up(Options(nodes=nodes, seats=seats, block_time=block_time, port=port))
    if as_json:
        print_json(network.status())
        return
    say(f"use it: quorate --home {state.requester_home} job post …")
    say(f"stop it: {command_for('down', folder)}")


@devnet.command("down")
@HOME
@click.option("--keep", is_flag=True, help="leave homes, logs and keys in place")
def down(folder: Path | None, keep: bool) -> None:
    """Stop every process of the devnet, and remove its folder's content."""
    from nodeagent.devnet.network import Devnet

    network = Devnet(folder or default_folder(), say)
    stopped = network.down(keep=keep)
    say(f"stopped {stopped} processes" if stopped else f"nothing was running in {network.home}")


@devnet.command("status")
@HOME
@click.option("--json", "as_json", is_flag=True, help="print JSON")
def status(folder: Path | None, as_json: bool) -> None:
    """What runs, where. Exit code 1 unless all of it does."""
    from nodeagent.devnet.network import Devnet

    found = Devnet(folder or default_folder(), say).status()
    if as_json:
        print_json(found)
    else:
        _show(found, command_for("up", folder))
    if not found["up"]:
        raise click.exceptions.Exit(1)


def _show(found: dict[str, Any], start: str) -> None:
    if not found["agents"]:
        click.echo(f"no devnet in {found['home']}: {start}")
        return
    click.echo(f"chain {found['chain_id']} at {found['rpc_url']}, block {found['block']}")
    click.echo(f"requester {found['requester']}: quorate --home {found['requester_home']}")
    rows = [["agent", "node", "pid", "state", "home"]]
    for a in found["agents"]:
        state = "running" if a["running"] else "stopped"
        rows.append([a["name"], str(a["node"]), str(a["pid"]), state, a["home"]])
    click.echo(table(rows))


class terminable:  # noqa: N801 - used as a word
    """Turns SIGTERM and a closed terminal into KeyboardInterrupt: a stopped command cleans up as if interrupted."""

    def __enter__(self) -> None:
        def interrupt(*_: object) -> None:
            raise KeyboardInterrupt

        self._before = {n: signal.signal(n, interrupt) for n in (signal.SIGTERM, signal.SIGHUP)}

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
