"""Who plays what: liars are started by another module, operators are told by their node, records are only read."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lab.agents.plug import ORDERS
from lab.story import cast
from lab.story.cast import Cast, StoryNet
from nodeagent.config import Home
from nodeagent.devnet import agents as nodes
from nodeagent.devnet.state import AgentState, DevnetState, save_state
from nodeagent.protocol.types import JobId, Shard
from nodeagent.worker.appealbook import SENT, Appeal, AppealBook
from nodeagent.worker.ledger import Ledger


@pytest.fixture
def state(tmp_path: Path) -> DevnetState:
    homes = [tmp_path / f"node-{n}" for n in range(1, 10)]
    agents = [AgentState(name=h.name, home=h, operator=f"0xA{n}", node=n) for n, h in enumerate(homes, 1)]
    made = DevnetState(chain_id=1, block_time=1, requester_home=tmp_path, password_file=tmp_path, agents=tuple(agents))
    save_state(tmp_path, made)
    return made


def test_launch__the_last_two__are_liars_who_know_each_other(
    state: DevnetState, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Any] = []
    monkeypatch.setattr(cast, "spawn", lambda argv, log, *, cwd, env: started.append((argv, env)))
    monkeypatch.setattr(nodes, "start_agent", lambda agent, wiring: started.append(agent.name))
    net = StoryNet(tmp_path, print, tmp_path / "project")
    wiring = nodes.Wiring("http://x", tmp_path, "cpu", 2, tmp_path, tmp_path)
    for number in (0, 6, 7, 8):
        net._launch(state.agents[number], wiring)
    assert started[:2] == ["node-1", "node-7"]
    for (argv, env), agent in zip(started[2:], state.agents[7:], strict=True):
        assert argv == [sys.executable, "-m", "lab.story.liar", "--home", str(agent.home), "run"]
        assert json.loads(env[ORDERS]) == {"members": [8, 9]}
        assert env["PYTHONPATH"] == str(tmp_path / "project")


def made_cast(tmp_path: Path) -> Cast:
    found = Cast.__new__(Cast)
    found.devnet = SimpleNamespace(home=tmp_path)  # type: ignore[assignment]
    return found


@pytest.mark.usefixtures("state")
def test_node_of__an_operator__is_its_node_whatever_the_case(tmp_path: Path) -> None:
    found = made_cast(tmp_path)
    assert found.node_of("0xa3") == 3 and found.node_of("0xA9") == 9
    assert found.node_of("0xdead") is None


def test_appeal_of__an_agents_records__are_read_beside_it(state: DevnetState, tmp_path: Path) -> None:
    found, home = made_cast(tmp_path), Home(state.agents[1].home)
    assert found.appeal_of(2, 4, 1) is None, "no file yet"  # type: ignore[arg-type]
    home.path.mkdir()
    ledger = Ledger(home.database)
    assert found.appeal_of(2, 4, 1) is None, "no table yet"  # type: ignore[arg-type]
    row = Appeal(JobId(4), Shard(1), b"\x01" * 32, b"\x01" * 32, SENT, "the answer stands")
    AppealBook(ledger.connection).put(row)
    assert found.appeal_of(2, 4, 1) == row  # type: ignore[arg-type]
    assert found.appeal_of(2, 4, 0) is None and found.appeal_of(9, 4, 1) is None  # type: ignore[arg-type]
    ledger.close()
