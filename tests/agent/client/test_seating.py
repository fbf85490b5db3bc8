"""A devnet's agents are seated in order, and each is told of: ``node-3`` runs node 3, however long its set-up takes."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nodeagent.devnet import agents as nodes
from nodeagent.devnet import network
from nodeagent.devnet.network import Devnet, Options
from nodeagent.devnet.state import AgentState, DevnetFault, DevnetState, load_state

STAKE = 100


class Chain:
    """Gives node ids in the order of ``seats take``. The first agent's home is the last that is ready."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, int, int]] = []
        self.second = threading.Event()
        self.refuses = ""

    def init(self, agent: AgentState, wiring: nodes.Wiring) -> str:
        if agent.name == "node-2":
            self.second.set()
        elif agent.name == "node-1":
            assert self.second.wait(30)
        return f"0x{agent.name}"

    def seat(self, agent: AgentState, operator: str, wiring: nodes.Wiring, bank: Any, stake: int) -> AgentState:
        if agent.name == self.refuses:
            raise DevnetFault("seats take failed")
        self.taken.append((agent.name, wiring.seats, stake))
        return agent.model_copy(update={"operator": operator, "node": len(self.taken)})


@pytest.fixture
def chain(monkeypatch: pytest.MonkeyPatch) -> Chain:
    made = Chain()
    monkeypatch.setattr(nodes, "init_agent", made.init)
    monkeypatch.setattr(nodes, "seat_agent", made.seat)
    bank = SimpleNamespace(deployment=SimpleNamespace(pool_id=lambda _: 1))
    for name, part in (
        ("install", None), ("Rpc", None), ("Bank", bank), ("verify_deployment", bank.deployment), ("seat_stake", STAKE),
    ):  # fmt: skip
        monkeypatch.setattr(network, name, lambda *_, part=part: part)
    return made


def seat_all(home: Path, said: list[str], options: Options, kind: type[Devnet] = Devnet) -> DevnetState:
    net = kind(home, said.append)
    fresh = DevnetState(chain_id=31337, block_time=1, requester_home=home, password_file=home)
    before = load_state(home) or fresh.model_copy(update={"rpc_url": "http://x", "deployment": home / "record"})
    wiring = nodes.Wiring("http://x", home / "record", "cpu", options.seats, home, home)
    return net._seat_all(before, wiring, options)


def test_seat_all__the_first_home_is_ready_last__numbers_are_node_ids(chain: Chain, tmp_path: Path) -> None:
    said: list[str] = []
    state = seat_all(tmp_path, said, Options(nodes=3, seats=2))
    assert [(a.name, a.node, a.operator) for a in state.agents] == [(f"node-{n}", n, f"0xnode-{n}") for n in (1, 2, 3)]
    assert chain.taken == [(f"node-{n}", 2, 2 * STAKE) for n in (1, 2, 3)]
    assert said == ["making 3 agents", *(f"  node-{n} of 3 has 2 seats as node {n}" for n in (1, 2, 3))]
    assert load_state(tmp_path) == state


def test_seat_all__interrupted__goes_on_with_those_that_have_no_seats(chain: Chain, tmp_path: Path) -> None:
    chain.refuses = "node-3"
    with pytest.raises(DevnetFault):
        seat_all(tmp_path, [], Options(nodes=3, seats=2))
    found = load_state(tmp_path)
    assert found is not None and [a.node for a in found.agents] == [1, 2, None]
    chain.refuses, said = "", list[str]()
    seat_all(tmp_path, said, Options(nodes=3, seats=2))
    assert [name for name, _, _ in chain.taken] == ["node-1", "node-2", "node-3"]
    assert said == ["making 1 agents", "  node-3 of 3 has 2 seats as node 3"]


def test_seat_all__seats_of_each_differ__each_has_its_own(chain: Chain, tmp_path: Path) -> None:
    class Uneven(Devnet):
        def _seats_of(self, index: int, options: Options) -> int:
            return (4, 1)[index]

    seat_all(tmp_path, [], replace(Options(), nodes=2), Uneven)
    assert chain.taken == [("node-1", 4, 4 * STAKE), ("node-2", 1, STAKE)]
