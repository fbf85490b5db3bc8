"""The devnet's contracts, by ``ape run deploy`` in a process of its own, and money for everyone on it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib import util
from pathlib import Path
from threading import Lock

from nodeagent.chain.deployment import Deployment, load_deployment
from nodeagent.chain.doors import Doors
from nodeagent.chain.rpc import Rpc
from nodeagent.devnet.processes import tail
from nodeagent.devnet.state import DevnetFault
from nodeagent.protocol.types import PoolId

DEPLOY_S = 600
GAS_MONEY = 100 * 10**18  # wei for each account
POLL_S = 0.05


def find_project(start: Path | None = None) -> Path:
    """The checkout with the deploy script: above the working directory, or where this package lies.

    :raises DevnetFault: neither is one
    """
    places = [start or Path.cwd(), Path(__file__)]
    for place in places:
        for folder in (place, *place.parents):
            if (folder / "ape-config.yaml").is_file() and (folder / "scripts" / "deploy.py").is_file():
                return folder
    raise DevnetFault(
        "no checkout of Quorate was found here: a devnet compiles and deploys the contracts from one",
        hint="run this inside the repository, or pass --project",
    )


def find_ape() -> Path:
    """The ``ape`` of this Python's environment. Raises DevnetFault where the toolkit extra is not installed."""
    ape = Path(sys.executable).parent / "ape"
    if util.find_spec("ape") is None or not ape.exists():
        raise DevnetFault(
            "ape is not installed in this environment: a devnet deploys with `ape run deploy`",
            hint="install the extra: pip install 'quorate[toolkit]', or make setup in a checkout",
        )
    return ape


def deploy(project: Path, home: Path, rpc_url: str) -> Path:
    """Runs ``ape run deploy`` against the devnet's chain; returns the record. Harmless when it is done already.

    :raises DevnetFault: it fails; with the end of its log
    """
    ape, records, log = find_ape(), home / "deployments", home / "deploy.log"
    argv = [str(ape), "run", "deploy", "--network", "ethereum:local:foundry", "--record", str(records)]
    path = os.pathsep.join((str(ape.parent), str(project / "build" / "bin"), str(project / "node_modules" / ".bin")))
    env = {**os.environ, "APE_FOUNDRY_HOST": rpc_url, "PATH": f"{path}{os.pathsep}{os.environ.get('PATH', '')}"}
    env["PYTHONPATH"] = str(project)  # its own scripts, wherever this package was installed from
    env.setdefault("SOLCX_BINARY_PATH", str(project / "build" / "bin"))
    env.setdefault("APE_DATA_FOLDER", str(project / "build" / "ape"))
    with log.open("wb") as out:
        try:
            done = subprocess.run(
                [*argv, "--yes", "--json"], cwd=project, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=out, timeout=DEPLOY_S, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise DevnetFault(f"ape run deploy took over {DEPLOY_S} s", hint=f"its log is {log}") from None
    if done.returncode:
        raise DevnetFault(f"ape run deploy failed ({done.returncode}):\n{tail(log)}", hint=f"its whole log is {log}")
    return Path(json.loads(done.stdout)["record"])


class Bank:
    """Sends from the chain's first unlocked account, which deployed and so holds both tokens."""

    def __init__(self, rpc: Rpc, record: Path) -> None:
        self._rpc, self.deployment = rpc, load_deployment(record)
        self._sender = str(rpc.call("eth_accounts")[0])
        self._doors = Doors.of(rpc, self.deployment)
        self._one_at_a_time = Lock()

    def give(self, account: str, *, stake: int = 0, payment: int = 0) -> None:
        """Tops the account up to these balances, and to money for gas. Amounts in the tokens' smallest units."""
        sent = []
        with self._one_at_a_time:
            if self._rpc.balance(account) < GAS_MONEY // 2:
                sent.append(self._send({"to": account, "value": hex(GAS_MONEY)}))
            for token, wanted in ((self._doors.stake_token, stake), (self._doors.payment_token, payment)):
                held = token.balance_of(account)
                if held < wanted:
                    call = token.call("transfer", account, wanted - held)
                    sent.append(self._send({"to": call.to, "data": "0x" + call.data.hex()}))
        wait_for(self._rpc, sent)

    def _send(self, fields: dict[str, str]) -> str:
        return str(self._rpc.call("eth_sendTransaction", [{"from": self._sender, **fields}]))


def wait_for(rpc: Rpc, hashes: Sequence[str]) -> None:
    """Waits until every transaction is mined. Raises DevnetFault when one failed."""
    for tx in hashes:
        while (receipt := rpc.call("eth_getTransactionReceipt", [tx])) is None:
            time.sleep(POLL_S)
        if not int(receipt["status"], 16):
            raise DevnetFault(f"transaction {tx} failed on the devnet", hint="take it down and up again")


def seat_stake(rpc: Rpc, deployment: Deployment, pool: int) -> int:
    """Stake-token units of one seat."""
    return int(Doors.of(rpc, deployment).registry.pool_view(PoolId(pool))["terms"]["seatStake"])
