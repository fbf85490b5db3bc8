"""``nodeagent doctor``: every check by itself, each failure with its next step."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from nodeagent.cli.common import print_json
from nodeagent.cli.node_common import Node, home_option
from nodeagent.errors import Fatal, QuorateError

MIN_DISK = 2 << 30
MIN_GAS_WEI = 10**15
MAX_CLOCK_S = 60


@click.command()
@home_option
@click.option("--json", "as_json", is_flag=True, help="print as JSON")
@click.pass_context
def doctor(ctx: click.Context, own_home: Path | None, as_json: bool) -> int:
    """Check tools, runtime, jail, chain, contracts, clock, money, disk, reachability; exit code 1 when one is bad."""
    node = Node.of(ctx, own_home)
    found = [_try(name, check, node) for name, check in _checks()]
    if as_json:
        print_json({"checks": found, "ok": all(c["ok"] for c in found)})
    else:
        for check in found:
            click.echo(f"{'ok ' if check['ok'] else 'BAD'}  {check['name']:<11} {check['says']}")
            if check["next"]:
                click.echo(f"     next: {check['next']}")
    return 0 if all(c["ok"] for c in found) else 1


def _checks() -> Iterator[tuple[str, Callable[[Node], str]]]:
    yield "python", _python
    yield "node.js", _nodejs
    yield "home", _home
    yield "runtime", _runtime
    yield "jail", _jail
    yield "chain", _chain
    yield "contracts", _contracts
    yield "clock", _clock
    yield "key", _key
    yield "disk", _disk
    yield "endpoint", _endpoint


def _try(name: str, check: Callable[[Node], str], node: Node) -> dict[str, Any]:
    try:
        return {"name": name, "ok": True, "says": check(node), "next": None}
    except QuorateError as fault:
        return {"name": name, "ok": False, "says": fault.message, "next": fault.hint}
    except OSError as fault:
        return {"name": name, "ok": False, "says": str(fault), "next": "check the path and its permissions"}


def _python(_: Node) -> str:
    if not (3, 11) <= sys.version_info[:2] <= (3, 12):
        raise Fatal(f"Python {sys.version.split()[0]} is not 3.11 or 3.12", hint="use one of these")
    return sys.version.split()[0]


def _nodejs(_: Node) -> str:
    from nodeagent.runtimes.install import node_version

    return ".".join(str(part) for part in node_version())


def _home(node: Node) -> str:
    from nodeagent.keys import keystore_address

    keystore_address(node.home.key)
    mode = node.home.key.stat().st_mode & 0o077
    if mode:
        raise Fatal(f"others can read {node.home.key}", hint=f"chmod 600 {node.home.key}")
    return f"{node.home.path}, pool {node.config.pool}"


def _runtime(node: Node) -> str:
    from nodeagent.runtimes.identity import runtime_ids
    from nodeagent.runtimes.install import check
    from nodeagent.runtimes.types import CANONICAL

    folder = node.home.resolve(node.config.runtimes)
    check(folder)
    return f"{CANONICAL} 0x{runtime_ids(folder)[CANONICAL].hex()[:16]}…, self-test passed"


def _chain(node: Node) -> str:
    from nodeagent.chain.rpc import Rpc

    rpc = Rpc(node.config.rpc_url, retries=1)
    return f"{node.config.rpc_url}: chain {rpc.chain_id()}, block {rpc.block_number()}"


def _contracts(node: Node) -> str:
    _, deployment, _ = node.chain
    return f"market {deployment.market}, {len(deployment.code_hashes)} code hashes in the record"


def _clock(node: Node) -> str:
    rpc, _, _ = node.chain
    behind = int(time.time()) - int(rpc.block()["timestamp"], 16)
    if behind < -MAX_CLOCK_S:
        raise Fatal(f"this clock is {-behind} s behind the chain's", hint="set it by NTP")
    return f"latest block is {behind} s old"


def _key(node: Node) -> str:
    from nodeagent.keys import keystore_address

    rpc, _, doors = node.chain
    address = keystore_address(node.home.key)
    balance = rpc.balance(address)
    number = doors.ledger.node_of(address)
    if not number:
        raise Fatal(f"the key {address} acts for no node", hint="run: nodeagent seats take")
    if balance < MIN_GAS_WEI:
        raise Fatal(f"the key {address} has {balance} wei for gas", hint="send it some ether")
    return f"{address} acts for node {number}, {balance / 10**18:.4f} ether"


def _jail(node: Node) -> str:
    """Tries to break out of the jail that the agent would use, and, to know what that shows, the same outside."""
    from nodeagent.runtimes.jail import trial
    from nodeagent.worker.start import choose_jail

    jail = choose_jail(node.home, node.config)
    tried = trial.quick_trial(jail, node.home.path)
    out = [name for name, (_, inside) in tried.items() if inside.worked is not False]
    if out:
        hint = "do not run a node here, and report this with the kernel's version (uname -r)"
        raise Fatal(f"the jail ({jail}) does not hold: {', '.join(out)}", hint=hint)
    open_outside = sum(outside.worked is True for outside, _ in tried.values())
    return f"{jail}; {open_outside} ways out that work outside it, none of them inside"


def _disk(node: Node) -> str:
    free = shutil.disk_usage(node.home.path).free
    if free < MIN_DISK:
        raise Fatal(f"{free >> 20} MiB are free in {node.home.path}", hint=f"make room for {MIN_DISK >> 20} MiB")
    return f"{free >> 30} GiB free"


def _endpoint(node: Node) -> str:
    """Asks the own gateway for a block that is not there: any HTTP answer shows that it is reached."""
    import urllib3

    from nodeagent.worker.live import read_live, running_pid

    if running_pid(node.home) is None:
        return "not checked: the agent is not running"
    url = node.config.public_url or read_live(node.home).get("gateway")
    try:
        answer = urllib3.request("HEAD", f"{url}/ipfs/none?format=raw", timeout=10.0, retries=False)
    except urllib3.exceptions.HTTPError as fault:
        raise Fatal(f"{url} is not reached: {fault}", hint="open the port, or set public_url") from None
    return f"{url} answers ({answer.status})"
