"""Nine agents on a devnet: seven honest ones whose operators allow bonds, two that lie alike."""

from __future__ import annotations

import sys
from pathlib import Path

import tomli_w

from nodeagent.chain.deployment import Deployment, load_deployment, verify_deployment
from nodeagent.chain.doors import Doors
from nodeagent.chain.rpc import Rpc
from nodeagent.config import Home, load_config
from nodeagent.devnet.agents import run_step
from nodeagent.devnet.contracts import Bank
from nodeagent.devnet.network import Devnet, Options
from nodeagent.devnet.processes import stop
from nodeagent.devnet.state import AgentState, DevnetFault, DevnetState, load_state

NODES, LIARS, SEATS = 9, 2, 2
PURSE = 100 * 10**6  # payment-token units that an honest operator has for bonds
ALLOWED = "100"
LIAR = Path(__file__).with_name("liar.py")


class Cast:
    """The devnet and who plays what. ``devnet.down`` ends everything."""

    def __init__(self, devnet: Devnet, block_time: float) -> None:
        self.devnet = devnet
        self.options = Options(nodes=NODES, seats=SEATS, block_time=block_time)
        self.devnet.up(self.options)
        self.rpc = Rpc(str(self.state.rpc_url))
        record = self.devnet.wiring(self.options).deployment
        self.deployment: Deployment = verify_deployment(self.rpc, load_deployment(record))
        self.doors = Doors.of(self.rpc, self.deployment)
        self._allow(Bank(self.rpc, record))
        self._corrupt()

    @property
    def state(self) -> DevnetState:
        state = load_state(self.devnet.home)
        if state is None:
            raise DevnetFault("the devnet is gone", hint="run the demo again")
        return state

    @property
    def honest(self) -> dict[int, AgentState]:
        """By node id."""
        return {int(a.node or 0): a for a in self.state.agents[:-LIARS]}

    @property
    def liars(self) -> dict[int, AgentState]:
        return {int(a.node or 0): a for a in self.state.agents[-LIARS:]}

    def name(self, node: int) -> str:
        return f"node {node} (liar)" if node in self.liars else f"node {node}"

    def _allow(self, bank: Bank) -> None:
        """What an operator does who wants its agent to appeal: ``nodeagent appeals allow``."""
        wiring = self.devnet.wiring(self.options)
        for agent in self.honest.values():
            bank.give(str(agent.operator), payment=PURSE)
            run_step(agent, wiring, "appeals", "allow", ALLOWED, "--yes", "--json")

    def _corrupt(self) -> None:
        """Two operators replace their agents' executor and start them again."""
        for agent in self.liars.values():
            if agent.process is not None:
                stop([agent.process.process])
            home = Home(agent.home)
            config = load_config(home).model_dump(exclude_defaults=True, exclude_none=True)
            argv = [sys.executable, "-s", "-P", str(LIAR)]
            home.config.write_text(tomli_w.dumps({**config, "executor_argv": argv}))
        self.devnet.up(self.options)
