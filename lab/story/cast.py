"""Nine agents on a devnet: seven honest ones whose operators allow bonds, two that lie alike."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from lab.agents.plug import ORDERS
from nodeagent.chain.deployment import Deployment, load_deployment, verify_deployment
from nodeagent.chain.doors import Doors
from nodeagent.chain.rpc import Rpc
from nodeagent.config import Home
from nodeagent.devnet import agents as nodes
from nodeagent.devnet.contracts import Bank, find_project
from nodeagent.devnet.network import Devnet, Options
from nodeagent.devnet.processes import Process, spawn
from nodeagent.devnet.state import AgentState, DevnetFault, DevnetState, load_state
from nodeagent.protocol.types import NodeId
from nodeagent.worker.appealbook import Appeal, recorded

NODES, LIARS, SEATS = 9, 2, 2
PURSE = 100 * 10**6  # payment-token units that an honest operator has for bonds
ALLOWED = "100"
LIAR = "lab.story.liar"


class StoryNet(Devnet):
    """A devnet whose last agents are started as liars."""

    def _launch(self, agent: AgentState, wiring: nodes.Wiring) -> Process:
        state = load_state(self.home)
        party = [a.node for a in state.agents[-LIARS:]] if state is not None else []
        if agent.node not in party:
            return super()._launch(agent, wiring)
        argv = [sys.executable, "-m", LIAR, "--home", str(agent.home), *nodes.run_words()]
        env = nodes.environment(wiring) | {ORDERS: json.dumps({"members": party})}
        env["PYTHONPATH"] = str(self._project or find_project())
        return spawn(argv, agent.home / "agent.log", cwd=agent.home, env=env)


class Cast:
    """The devnet and who plays what. ``devnet.down`` ends everything."""

    def __init__(self, devnet: Devnet, block_time: float, say: Callable[[str], None]) -> None:
        self.devnet = devnet
        self.options = Options(nodes=NODES, seats=SEATS, block_time=block_time)
        self.devnet.up(self.options)
        self.rpc = Rpc(str(self.state.rpc_url))
        record = self.devnet.wiring(self.options).deployment
        self.deployment: Deployment = verify_deployment(self.rpc, load_deployment(record))
        self.doors = Doors.of(self.rpc, self.deployment)
        say(f"the operators of the {len(self.honest)} honest nodes let the Court take bonds: nodeagent appeals allow")
        self._allow(Bank(self.rpc, record))

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

    def node_of(self, operator: str) -> NodeId | None:
        """The node of an operator; None for anybody else."""
        found = (a.node for a in self.state.agents if str(a.operator).lower() == operator.lower())
        return NodeId(node) if (node := next(found, None)) is not None else None

    def appeal_of(self, node: NodeId, job: int, shard: int) -> Appeal | None:
        """What an honest node's agent wrote down about a shard in which it was outvoted."""
        agent = self.honest.get(node)
        found = recorded(Home(agent.home).database) if agent else []
        return next((row for row in found if row.key == (job, shard)), None)

    def _allow(self, bank: Bank) -> None:
        """What an operator does who wants its agent to appeal."""
        wiring = self.devnet.wiring(self.options)

        def allow(agent: AgentState) -> None:
            bank.give(str(agent.operator), payment=PURSE)
            nodes.run_step(agent, wiring, "appeals", "allow", ALLOWED, "--yes", "--json")

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(allow, self.honest.values()))
