"""Real agents on a real chain that are killed, stopped and reorganised under.

A devnet of three nodes (every committee is all of them), one job at a time, posted by the real requester:

├── SIGKILL between commit and reveal → after a restart the same batch is opened, counted and paid
├── killed, and back only after the others settled without it → it claims its pay
├── the commit's block is reorganised away → the same digest is sealed again
└── SIGTERM → the process ends by itself, nothing is left running, a later start goes on
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from nodeagent.chain.decoding import decode_log
from nodeagent.chain.doors import Doors
from nodeagent.chain.events import Claimed, Event, Revealed, Settled
from nodeagent.chain.rpc import Rpc
from nodeagent.content.cid import Cid
from nodeagent.content.fetch import Fetcher
from nodeagent.content.store import LocalStore
from nodeagent.devnet import agents as nodes
from nodeagent.devnet.network import Devnet, Options
from nodeagent.devnet.processes import alive, tail
from nodeagent.devnet.state import AgentState, Running, load_state
from nodeagent.protocol.lanes import Lane, unpack_lane
from nodeagent.protocol.leaves import leaves_root, parse_leaves
from nodeagent.protocol.manifest import parse_batch_manifest
from nodeagent.protocol.types import Epoch, NodeId

PROJECT = Path(__file__).resolve().parents[2]
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
        from nodeagent.chain.deployment import load_deployment

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


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Net]:
    found = Net(tmp_path_factory.mktemp("devnet"))
    try:
        yield found
    finally:
        found.close()


@pytest.fixture
def net(network: Net) -> Net:
    """The network with everything running, whatever an earlier test left behind."""
    network.mining(1)
    for agent in network.agents:
        process = network.processes[agent.name]
        if process is None or not alive(process.process):
            network.start(agent)
    return network


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


def test_run__killed_between_commit_and_reveal__reveals_after_restart(net: Net, tmp_path: Path) -> None:
    victim = net.agents[0]
    assert victim.node is not None
    since = net.rpc.block_number() + 1
    job = net.post(tmp_path / "job", 1)
    epoch, sealed = first_commit(net, since, victim.node)
    net.mining(0)
    net.kill(victim, signal.SIGKILL)

    leaves, manifest, digest = batch_on_disk(victim, epoch)
    assert net.lane(victim.node, epoch) == sealed and sealed.value == digest
    assert len(parse_leaves(leaves)) > 0
    net.mining(1)
    until("the next epoch", lambda: net.rpc.block_number() // net.deployment.epoch_blocks > epoch or None)
    assert net.lane(victim.node, epoch).sealed_for(epoch), "nobody else can open it"

    net.start(victim)
    opened = until(
        "the reveal",
        lambda: next((e for e in net.events(since, victim.node) if isinstance(e, Revealed)), None),
        victim.home / "agent.log",
    )
    assert (opened.epoch, opened.leaves, opened.manifest) == (epoch, leaves, manifest)
    lane = net.lane(victim.node, epoch)
    assert lane.counts_for(epoch) and lane.value == leaves_root(leaves)[:27]

    summary = finished(job)
    assert summary["answered_tasks"] == TASKS and summary["failed_tasks"] == 0
    settled = [leaf for e in net.events(since) if isinstance(e, Settled) for leaf in e.shards]
    assert {(leaf.shard, leaf.attempt) for leaf in settled} == {(s, 0) for s in range(TASKS // SHARD)}
    assert all(leaf.paid_slots == 0b111 for leaf in settled), "opened in time: the killed node is paid like the others"

    live = json.loads((victim.home / "live.json").read_text())
    fetcher = Fetcher(LocalStore(tmp_path / "copy"))
    document = parse_batch_manifest(fetcher.fetch_digest(manifest, [live["gateway"]]))
    for leaf in document.leaves:
        fetcher.fetch(Cid.parse(leaf.results.cid), [live["gateway"]], max_bytes=leaf.results.bytes)


def test_run__opened_after_the_others_settled__claims_its_pay(net: Net, tmp_path: Path) -> None:
    victim = net.agents[2]
    assert victim.node is not None
    earned = sum(net.doors.market.earnings_of(NodeId(victim.node)))
    since = net.rpc.block_number() + 1
    job = net.post(tmp_path / "job", 4)
    epoch, _ = first_commit(net, since, victim.node)
    net.kill(victim, signal.SIGKILL)
    settled = until("a settlement without it", lambda: [e for e in net.events(since) if isinstance(e, Settled)] or None)
    net.mining(0)
    assert settled[0].epoch == epoch + 2, "while a drawn lane was sealed nobody could settle"
    assert all(leaf.paid_slots.bit_count() == 2 for e in settled for leaf in e.shards)

    log = victim.home / "agent.log"
    starts = log.read_text().count("agent_ready")
    net.start(victim)
    until("its start", lambda: log.read_text().count("agent_ready") > starts or None, log)
    net.mining(1)
    claims = until(
        "its claims",
        lambda: c if len(c := [e for e in net.events(since, victim.node) if isinstance(e, Claimed)]) == 3 else None,
        log,
    )
    assert {claim.shard for claim in claims} == set(range(TASKS // SHARD))
    assert (
        sum(net.doors.market.earnings_of(NodeId(victim.node)))
        == earned + sum(claim.amount for claim in claims)
        > earned
    )
    assert finished(job)["answered_tasks"] == TASKS


def test_run__commit_reorganised_away__same_digest_again(net: Net, tmp_path: Path) -> None:
    victim = net.agents[1]
    assert victim.node is not None
    since = net.rpc.block_number() + 1
    job = net.post(tmp_path / "job", 2)
    epoch, before = first_commit(net, since, victim.node)
    net.mining(0)
    seed_block = epoch * net.deployment.epoch_blocks + 1
    net.rpc.call("anvil_reorg", [net.rpc.block_number() - seed_block, []])
    assert not net.lane(victim.node, epoch).sealed_for(epoch), "the commit is gone, the seed is not"
    net.mining(1)
    again = until("the same commit", lambda: lane if (lane := net.lane(victim.node, epoch)).epoch == epoch else None)
    assert again == before and batch_on_disk(victim, epoch)[2] == before.value
    assert finished(job)["answered_tasks"] == TASKS


def test_run__sigterm__ends_by_itself_and_goes_on_later(net: Net, tmp_path: Path) -> None:
    agent = net.agents[2]
    assert agent.node is not None
    process = net.processes[agent.name]
    assert process is not None
    executors = _descendants(process.pid)
    assert len(executors) >= 2, "an executor, and the runtime's Node below it"
    net.kill(agent, signal.SIGTERM)
    until("the end of its executors", lambda: not any(_exists(pid) for pid in executors) or None)
    assert "agent_stopped" in (agent.home / "agent.log").read_text()
    found = nodes.status_of(agent, net.devnet.wiring(net.options))
    assert found["running"] is False and found["node"] == agent.node
    assert found["problems"] == {"agent": "the agent is not running: nodeagent run"}

    net.start(agent)
    since = net.rpc.block_number() + 1
    job = net.post(tmp_path / "job", 3)
    assert first_commit(net, since, agent.node)
    assert finished(job)["answered_tasks"] == TASKS
    found = nodes.status_of(agent, net.devnet.wiring(net.options))
    assert found["running"] and found["problems"] == {} and found["inferences"] >= TASKS
    assert found["committed"] == found["revealed"] >= 2


def _descendants(pid: int) -> list[int]:
    """What a process started, and what those started."""
    running = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    children = [child for child in running if (fields := _stat(child)) and int(fields[1]) == pid]
    return children + [below for child in children for below in _descendants(child)]


def _stat(pid: int) -> list[str] | None:
    """State, parent, … of a process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def _exists(pid: int) -> bool:
    fields = _stat(pid)
    return fields is not None and fields[0] not in "ZX"
