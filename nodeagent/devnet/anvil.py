"""The devnet's chain: anvil on a loopback port, with blocks at a fixed, possibly fractional, beat."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread

from nodeagent.chain.rpc import Rpc
from nodeagent.devnet.processes import Process, spawn, stop, wait_until
from nodeagent.errors import Fatal, Transient

READY_S = 30.0
HURRY_S = 0.15
#: Keep the last states in memory and none on disk, where anvil would leave up to a megabyte for every block.
FORGETFUL = ("--prune-history", "512")
LISTENING = re.compile(rb"Listening on 127\.0\.0\.1:(\d+)")


class AnvilMissing(Fatal):
    """No anvil on this machine."""


def find_anvil(project: Path | None) -> Path:
    """The project's binary (linked by its set-up, or npm's), else the one on PATH.

    :raises AnvilMissing: none is there
    """
    for folder in ("build/bin", "node_modules/.bin") if project else ():
        local = Path(project or ".") / folder / "anvil"
        if local.exists():
            return local
    found = shutil.which("anvil")
    if found is None:
        raise AnvilMissing(
            "anvil is neither in the checkout nor on PATH", hint="run make setup in the checkout, or install Foundry"
        )
    return Path(found)


def start_anvil(binary: Path, home: Path, *, port: int, block_time: float, chain_id: int) -> tuple[Process, str]:
    """Starts the chain and waits until it answers; ``port`` 0 takes a free one.

    :returns: the process and its RPC URL
    :raises StartFailed: it does not come up
    """
    log = home / "anvil.log"
    log.unlink(missing_ok=True)
    argv = [str(binary.resolve()), "--host", "127.0.0.1", "--port", str(port), "--chain-id", str(chain_id)]
    argv += ["--block-time", f"{block_time:g}", "--accounts", "3", "--balance", "1000000", *FORGETFUL]
    process = spawn(argv, log, cwd=home)
    try:
        wait_until(lambda: LISTENING.search(log.read_bytes()) is not None, process, "anvil", log, READY_S)
    except BaseException:
        stop([process])
        raise
    ports = LISTENING.findall(log.read_bytes())
    return process, f"http://127.0.0.1:{int(ports[0])}"


@contextmanager
def hurried(rpc_url: str) -> Iterator[None]:
    """Mines extra blocks meanwhile, so that setting up does not wait for the chain's own beat."""
    done = Event()

    def mine() -> None:
        rpc = Rpc(rpc_url, retries=0)
        while not done.wait(HURRY_S):
            with suppress(Transient):
                rpc.call("evm_mine")

    miner = Thread(target=mine, name="hurry", daemon=True)
    miner.start()
    try:
        yield
    finally:
        done.set()
        miner.join()
