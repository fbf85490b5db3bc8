"""Real agents on a real chain that are killed, stopped and reorganised under.

A devnet of three nodes (every committee is all of them), one job at a time, posted by the real requester:

├── SIGKILL between commit and reveal → after a restart the same batch is opened, counted and paid
├── killed, and back only after the others settled without it → it claims its pay
├── the commit's block is reorganised away → the same digest is sealed again
└── SIGTERM → the process ends by itself, nothing is left running, a later start goes on
"""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from nodeagent.chain.events import Claimed, Revealed, Settled
from nodeagent.content.cid import Cid
from nodeagent.content.fetch import Fetcher
from nodeagent.content.store import LocalStore
from nodeagent.devnet import agents as nodes
from nodeagent.devnet.processes import alive
from nodeagent.protocol.leaves import leaves_root, parse_leaves
from nodeagent.protocol.manifest import parse_batch_manifest
from nodeagent.protocol.types import NodeId
from tests.e2e.support.agentnet import (
    SHARD,
    TASKS,
    Net,
    batch_on_disk,
    descendants,
    exists,
    finished,
    first_commit,
    until,
)


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
    executors = descendants(process.pid)
    assert len(executors) >= 2, "an executor, and the runtime's Node below it"
    net.kill(agent, signal.SIGTERM)
    until("the end of its executors", lambda: not any(exists(pid) for pid in executors) or None)
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
