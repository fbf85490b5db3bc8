"""The operator's commands on a real chain, on a devnet of one node: each does its one step and says what it did."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nodeagent.chain.deployment import load_deployment
from nodeagent.chain.doors import Doors
from nodeagent.chain.rpc import Rpc
from nodeagent.devnet import agents as nodes
from nodeagent.devnet.contracts import Bank
from nodeagent.devnet.network import Devnet, Options
from nodeagent.devnet.processes import alive
from nodeagent.devnet.state import AgentState, load_state
from nodeagent.protocol.types import NodeId

PROJECT = Path(__file__).resolve().parents[2]
PATIENCE_S = 60.0


class Rig:
    """One node, its home, and the chain."""

    def __init__(self, home: Path) -> None:
        self.options = Options(nodes=1, seats=1, block_time=0.3)
        self.devnet = Devnet(home, lambda text: None, PROJECT)
        state = self.devnet.up(self.options)
        assert state.rpc_url and state.deployment and state.agents[0].node
        self.home, self.node = home, NodeId(state.agents[0].node)
        self.rpc, self.record = Rpc(state.rpc_url), state.deployment
        self.doors = Doors.of(self.rpc, load_deployment(self.record))
        self.env = nodes.environment(self.devnet.wiring(self.options))

    @property
    def agent(self) -> AgentState:
        state = load_state(self.home)
        assert state is not None
        return state.agents[0]

    def run(self, *words: str) -> tuple[int, dict[str, Any], str]:
        """Exit code, JSON and words of ``nodeagent … --json``."""
        argv = [sys.executable, "-m", "nodeagent.cli.node", "--home", str(self.agent.home), *words, "--json"]
        done = subprocess.run(argv, env=self.env, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        return done.returncode, json.loads(done.stdout) if done.stdout else {}, done.stderr

    def good(self, *words: str) -> dict[str, Any]:
        code, told, said = self.run(*words)
        assert code == 0, said
        return told

    def view(self) -> dict[str, Any]:
        return self.doors.registry.node_view(self.node)


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    found = Rig(tmp_path_factory.mktemp("devnet"))
    try:
        yield found
    finally:
        found.devnet.down(keep=True)


def test_doctor__healthy_node__everything_ok(rig: Rig) -> None:
    told = rig.good("doctor")
    assert told["ok"] and {c["name"] for c in told["checks"]} >= {"runtime", "jail", "contracts", "key", "endpoint"}
    assert all(c["ok"] for c in told["checks"])


def test_status__running_node__facts_of_chain_and_process(rig: Rig) -> None:
    told = rig.good("status")
    assert told["node"] == rig.node and told["seats"] == 1 and told["running"] and told["problems"] == {}
    assert told["stake"] == rig.view()["stake"] and told["operator"].lower() == rig.view()["operator"].lower()
    assert told["content_root"] == str(rig.agent.home / "content") and told["gateway"].startswith("http://127.0.0.1:")
    assert "seccomp" in told["jail"]


def test_seats_take__operator_without_stake__says_how_much_and_changes_nothing(rig: Rig) -> None:
    code, _, said = rig.run("seats", "take", "1", "--yes")
    assert code == 1 and "100 are needed" in said and "send it stake tokens" in said
    assert len(rig.view()["seats"]) == 1


def test_seats_take_and_leave__funded__stake_follows(rig: Rig) -> None:
    stake = int(rig.view()["stake"])
    Bank(rig.rpc, rig.record).give(rig.view()["operator"], stake=stake)
    assert rig.good("seats", "take", "1", "--yes")["seats"] == 2
    assert (len(rig.view()["seats"]), rig.view()["stake"]) == (2, 2 * stake)
    told = rig.good("seats", "leave", "1", "--yes")
    assert told["seats"] == 1 and told["unbonding"] == stake and told["unlock_epoch"] > 256
    assert rig.good("seats", "show")["unbonding"] == stake


def test_pause_and_resume__by_the_operator__stays_paused_until_told(rig: Rig) -> None:
    assert rig.good("pause")["paused"] is True
    since = rig.rpc.block_number()
    _until(lambda: rig.rpc.block_number() > since + 12)  # an epoch: an agent resumes only what the chain did to it
    assert rig.view()["paused"] is True and rig.good("status")["paused"] is True
    code, _, said = rig.run("pause")
    assert code == 1 and "AlreadyPaused" in said
    assert rig.good("resume")["paused"] is False


def test_withdraw__nothing_earned__no_transaction(rig: Rig) -> None:
    told = rig.good("withdraw")
    assert (told["withdrawn"], told["collected"], told["txs"]) == (0, 0, [])


def test_key_rotate__agent_running__refused_then_done(rig: Rig) -> None:
    old = rig.good("key", "show")["key"]
    code, _, said = rig.run("key", "rotate", "--yes", "--kdf", "light")
    assert code == 1 and "running with the old key" in said

    process = rig.agent.process
    assert process is not None
    os.kill(process.pid, signal.SIGTERM)
    _until(lambda: not alive(process.process))
    told = rig.good("key", "rotate", "--yes", "--kdf", "light")
    assert told["node"] == rig.node and told["key"] != old and told["balance"] > 0
    assert rig.doors.ledger.node_of(old) == 0 and rig.doors.ledger.node_of(told["key"]) == rig.node

    fresh = nodes.start_agent(rig.agent, rig.devnet.wiring(rig.options))
    try:
        _until(lambda: rig.good("status")["running"])
        assert rig.good("status")["key"] == told["key"]
    finally:
        os.kill(fresh.pid, signal.SIGTERM)
        _until(lambda: not alive(fresh))


def _until(there: Any) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not there():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.1)
