"""A chain under exact control: anvil that mines when told, with the contracts as the deploy script leaves them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eth_account import Account

from nodeagent.chain.deployment import Deployment, load_deployment
from nodeagent.chain.doors import Call, Doors
from nodeagent.chain.errors import RpcError
from nodeagent.chain.headers import header_rlp
from nodeagent.chain.rpc import Rpc
from nodeagent.devnet.anvil import FORGETFUL
from nodeagent.devnet.processes import spawn, stop, wait_until

ROOT = Path(__file__).resolve().parent.parent
#: The same block hashes in every run, so the same seeds, committees and gas: clock and order are our own.
REPEATABLE = ("--timestamp", "1700000000", "--order", "fifo")
#: anvil's public development mnemonic; its accounts hold nothing anywhere else.
MNEMONIC = "test test test test test test test test test test test junk"
GAS_LIMIT = 1 << 24
#: The transactions of a step share a block, whatever they may use at most.
BLOCK_GAS = 200 * GAS_LIMIT


@dataclass(frozen=True, slots=True)
class Sent:
    """A mined transaction: gas used, storage slots it made, and slots it changed."""

    hash: str
    gas: int
    new_slots: int
    updates: int

    def row(self) -> dict[str, int]:
        return {"gas": self.gas, "new_slots": self.new_slots, "updates": self.updates}


class Chain:
    """Doors to a fresh deployment and transactions mined exactly where the caller wants them."""

    def __init__(self, rpc: Rpc, deployment: Deployment, accounts: int) -> None:
        Account.enable_unaudited_hdwallet_features()
        self.rpc = rpc
        self.deployment = deployment
        self.doors = Doors.of(rpc, deployment)
        self.keys = [Account.from_mnemonic(MNEMONIC, account_path=f"m/44'/60'/0'/0/{i}") for i in range(accounts)]
        self.blocks = deployment.epoch_blocks

    def account(self, index: int) -> str:
        return str(self.keys[index].address)

    @property
    def block(self) -> int:
        """Number of the newest block."""
        return self.rpc.block_number()

    def mine_to(self, block: int) -> None:
        """Mines so that the next block is ``block``."""
        ahead = block - 1 - self.block
        if ahead > 0:
            self.rpc.call("anvil_mine", [hex(ahead)])

    def to_epoch(self, epoch: int, offset: int = 2) -> None:
        """Mines so that the next block is block ``offset`` of ``epoch``."""
        self.mine_to(epoch * self.blocks + offset)

    @property
    def next_epoch(self) -> int:
        """Epoch of the block that the next ``send`` mines."""
        return (self.block + 1) // self.blocks

    def send(self, calls: Sequence[tuple[int, Call]]) -> list[str]:
        """Mines the calls, each (account index, call), in one block and in order. Raises if one failed."""
        sends = [
            (
                "eth_sendTransaction",
                [{"from": self.account(who), "to": call.to, "data": "0x" + call.data.hex(), "gas": hex(GAS_LIMIT)}],
            )
            for who, call in calls
        ]
        hashes = [_ok(answer) for answer in self.rpc.batch(sends)]
        while int(self.rpc.call("txpool_status")["pending"], 16) < len(hashes):
            pass  # anvil takes them in on another thread; a block mined now would miss some
        self.rpc.call("anvil_mine", ["0x1"])
        for hash_, (_, call), receipt in zip(hashes, calls, self._receipts(hashes), strict=True):
            if receipt is None or int(receipt["status"], 16) != 1:
                raise RuntimeError(f"{call.what} failed in {hash_}")
        return hashes

    def _receipts(self, hashes: Sequence[str]) -> list[Any]:
        return [_ok(a) for a in self.rpc.batch([("eth_getTransactionReceipt", [h]) for h in hashes])]

    def measure(self, hashes: Sequence[str]) -> list[Sent]:
        """Exact gas from the receipts, and slots from the state difference of each transaction."""
        rows = []
        for hash_, receipt in zip(hashes, self._receipts(hashes), strict=True):
            tracer = {"tracer": "prestateTracer", "tracerConfig": {"diffMode": True}}
            diff = self.rpc.call("debug_traceTransaction", [hash_, tracer])
            new, changed = _slots(diff)
            rows.append(Sent(hash_, int(receipt["gasUsed"], 16), new, changed))
        return rows

    def record_seed(self, epoch: int) -> Call:
        header = header_rlp(self.rpc.block(epoch * self.blocks + 1))
        return self.doors.ledger.record_seed(header)


def _slots(diff: Any) -> tuple[int, int]:
    """Slots made and slots changed. A slot made is absent, or zero, before."""
    new = changed = 0
    for address, after in diff["post"].items():
        before = diff["pre"].get(address, {}).get("storage", {})
        for slot in after.get("storage", {}):
            if int(before.get(slot, "0x0"), 16):
                changed += 1
            else:
                new += 1
    return new, changed


def _ok(answer: Any) -> Any:
    if isinstance(answer, RpcError):
        raise answer
    return answer


@contextmanager
def deployed(home: Path, accounts: int, params: Path | None = None) -> Iterator[Chain]:
    """An anvil of its own with ``accounts`` funded accounts and a deployment by ``ape run deploy``."""
    home.mkdir(parents=True, exist_ok=True)
    log = home / "anvil.log"
    log.unlink(missing_ok=True)
    anvil = ROOT / "node_modules" / ".bin" / "anvil"
    argv = [str(anvil), "--host", "127.0.0.1", "--port", "0", "--accounts", str(accounts), "--mnemonic", MNEMONIC]
    argv += [*FORGETFUL, *REPEATABLE, "--balance", "1000000", "--gas-limit", str(BLOCK_GAS)]
    process = spawn(argv, log, cwd=home)
    try:
        wait_until(lambda: b"Listening on 127.0.0.1:" in log.read_bytes(), process, "anvil", log, 30.0)
        url = "http://" + log.read_text().split("Listening on ")[1].split()[0]
        with_automine_off = Rpc(url)
        with_automine_off.call("anvil_setBlockTimestampInterval", [1])
        record = _deploy(url, home, params)
        with_automine_off.call("evm_setAutomine", [False])
        yield Chain(with_automine_off, load_deployment(record), accounts)
    finally:
        stop([process])


def _deploy(url: str, home: Path, params: Path | None) -> Path:
    ape = Path(sys.executable).with_name("ape")
    env = os.environ | {"APE_FOUNDRY_HOST": url, "PATH": f"{ROOT}/node_modules/.bin:{os.environ['PATH']}"}
    argv = [str(ape), "run", "deploy", "--network", "ethereum:local:foundry", "--yes", "--json", "--record", str(home)]
    if params is not None:
        argv += ["--params", str(params)]
    done = subprocess.run(argv, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"ape run deploy failed:\n{done.stdout}\n{done.stderr}")
    start = done.stdout.index("{")
    return Path(json.loads(done.stdout[start:])["record"])


__all__ = ["Chain", "Sent", "deployed"]
