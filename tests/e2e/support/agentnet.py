"""A devnet of three agents whose processes and blocks a test stops and starts as it likes."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from nodeagent.chain.decoding import decode_log
from nodeagent.chain.deployment import load_deployment
from nodeagent.chain.doors import Doors
from nodeagent.chain.events import Event
from nodeagent.chain.rpc import Rpc
from nodeagent.devnet import agents as nodes
from nodeagent.devnet.network import Devnet, Options
from nodeagent.devnet.processes import alive, tail
from nodeagent.devnet.state import AgentState, Running, load_state
from nodeagent.protocol.lanes import Lane, unpack_lane
from nodeagent.protocol.types import Epoch, NodeId

PROJECT = Path(__file__).resolve().parents[3]
PATIENCE_S = 90.0
TASKS, SHARD = 12, 4
T = TypeVar("T")


def until(what: str, look: Callable[[], T | None], log: Path | None = None) -> T:
    """The first thing that ``look`` finds; a failure shows the end of ``log``."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        found = look()
        if found is not None and found is not False:
            return found
        time.sleep(0.05)
    pytest.fail(f"{what} did not happen in {PATIENCE_S:.0f} s\n{tail(log) if log else ''}")


class Net:
    """The devnet, and what a test asks of it."""

    def __init__(self, home: Path) -> None:
        self.options = Options(nodes=3, seats=2, block_time=1.0)
        self.devnet = Devnet(home, lambda text: None, PROJECT)
        state = self.devnet.up(self.options)
        assert state.rpc_url and state.deployment
        self.home, self.rpc = home, Rpc(state.rpc_url)
        self.deployment = load_deployment(state.deployment)
        self.doors = Doors.of(self.rpc, self.deployment)
        self.processes = {a.name: a.process for a in state.agents}

    @property
    def agents(self) -> tuple[AgentState, ...]:
        state = load_state(self.home)
        assert state is not None
        return state.agents

    def events(self, since: int, node: int | None = None) -> list[Event]:
        query = {"address": self.deployment.addresses, "fromBlock": hex(since), "toBlock": "latest"}
        decoded = [decode_log(log) for log in self.rpc.call("eth_getLogs", [query])]
        return [e for e in decoded if e is not None and (node is None or getattr(e, "node", None) == node)]

    def lane(self, node: int, epoch: int) -> Lane:
        return unpack_lane(self.doors.ledger.lanes([(NodeId(node), epoch)])[0])

    def mining(self, seconds: int) -> None:
        """Seconds between blocks; 0 stops the chain."""
        self.rpc.call("evm_setIntervalMining", [seconds])

    def kill(self, agent: AgentState, number: int) -> None:
        process = self.processes[agent.name]
        assert process is not None and alive(process.process)
        os.kill(process.pid, number)
        until("the end of the process", lambda: not alive(process.process) or None)

    def start(self, agent: AgentState) -> None:
        self.processes[agent.name] = Running.of(nodes.start_agent(agent, self.devnet.wiring(self.options)))

    def post(self, folder: Path, salt: int) -> subprocess.Popen[str]:
        """A job of a few shards, posted and waited for by the requester's own command."""
        folder.mkdir()
        model(folder / "m.onnx")
        inputs = np.random.default_rng(salt).standard_normal((TASKS, 8)).astype(np.float32)
        np.savez(folder / "x.npz", x=inputs)
        state = load_state(self.home)
        assert state is not None
        argv = [
            sys.executable, "-m", "nodeagent.cli.requester", "--home", str(state.requester_home), "job", "post",
            "--model", str(folder / "m.onnx"), "--inputs", str(folder / "x.npz"), "--shard-size", str(SHARD),
            "--wait", "--out", str(folder / "out"), "--yes", "--json", "--new",
        ]  # fmt: skip
        return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def close(self) -> None:
        for process in self.processes.values():
            if process is not None and alive(process.process):
                os.kill(process.pid, signal.SIGKILL)
        self.devnet.down(keep=True)  # pytest keeps the last folders: their logs tell why


def model(path: Path) -> None:
    weights = (np.arange(32, dtype=np.float32) / 7).reshape(8, 4)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 4])],
        [helper.make_tensor("w", TensorProto.FLOAT, [8, 4], weights.ravel())],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    made.ir_version = 8
    onnx.save(made, path)


def finished(job: subprocess.Popen[str]) -> dict[str, Any]:
    """What the requester's command printed when it ended well."""
    try:
        out, err = job.communicate(timeout=PATIENCE_S)
    finally:
        job.kill()
    assert job.returncode == 0, err[-3000:]
    summary: dict[str, Any] = json.loads(out)
    return summary


def first_commit(net: Net, since: int, node: int) -> tuple[Epoch, Lane]:
    """Epoch and lane of the node's first commit after block ``since``: it leaves no event."""

    def look() -> tuple[Epoch, Lane] | None:
        epoch = Epoch(net.rpc.block_number() // net.deployment.epoch_blocks)
        lane = net.lane(node, epoch)
        return (epoch, lane) if lane.sealed_for(epoch) and epoch > since // net.deployment.epoch_blocks else None

    return until("a commit", look)


def batch_on_disk(agent: AgentState, epoch: int) -> tuple[bytes, bytes, bytes]:
    """(leaves, manifest digest, digest) of the sealed batch."""
    connection = sqlite3.connect(f"file:{agent.home / 'agent.db'}?mode=ro", uri=True)
    try:
        row = connection.execute(
            "SELECT leaves, manifest_digest, digest FROM batches WHERE epoch = ?", (epoch,)
        ).fetchone()
    finally:
        connection.close()
    assert row is not None, "a digest is on chain and its opening is not on disk"
    leaves, manifest, digest = row
    return leaves, manifest, digest


def descendants(pid: int) -> list[int]:
    """What a process started, and what those started."""
    running = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    children = [child for child in running if (fields := _stat(child)) and int(fields[1]) == pid]
    return children + [below for child in children for below in descendants(child)]


def _stat(pid: int) -> list[str] | None:
    """State, parent, … of a process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def exists(pid: int) -> bool:
    fields = _stat(pid)
    return fields is not None and fields[0] not in "ZX"
