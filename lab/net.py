"""The lab's devnet: real agents over anvil, seats of the lab's choosing, and a clock that no agent falls behind.

The network is made once; every scenario starts from a snapshot of its chain with empty agents' homes. Blocks are mined
when every running agent has looked at the last one (and not faster than ``BEAT_S``), so that a busy machine slows the
chain down instead of making honest agents late.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lab.agents.plug import ORDERS
from lab.scenario import NOBODY, Scenario
from nodeagent.chain.deployment import Deployment, load_deployment, verify_deployment
from nodeagent.chain.doors import Doors
from nodeagent.chain.rpc import Rpc
from nodeagent.client.wallet import Wallet
from nodeagent.config import Home
from nodeagent.devnet import agents as nodes
from nodeagent.devnet.contracts import Bank
from nodeagent.devnet.network import Devnet, Options
from nodeagent.devnet.processes import alive, spawn, stop, tail, wait_until
from nodeagent.devnet.state import AgentState, DevnetFault, DevnetState, Running, load_state
from nodeagent.keys import keystore_address, open_keystore

POOL = "cpu"
BEAT_S = 0.25  # shortest time between blocks
PATIENCE_S = 2.0  # what a block waits for an agent that does not keep up, or for open work
SETUP_BLOCK_S = 1.0
READY_S = 120.0
OPERATOR_COINS, OPERATOR_STAKE = 100_000, 10_000  # whole tokens each operator has besides its seats
LEFT_BY_A_RUN = ("agent.db", "agent.db-wal", "agent.db-shm", "pending", "content", "scratch", "live.json", "agent.log")
LAB_CONFIG = {"appeal_max_lost": 1_000, "appeal_max_cost": 10**15, "withdraw_above": 10**15}
"""Every wrong answer is appealed by whoever was outvoted, whatever became of others and whatever it brings: expected
rates are of that. Pay stays where it can be counted."""
WATCHER = {"report_faults": True, "report_stake_price": 1.0}


class LabNet(Devnet):
    """A devnet whose agents are started scenario by scenario."""

    def __init__(
        self, home: Path, say: Callable[[str], None], project: Path, seats: Sequence[int], *, appeals: bool = True
    ) -> None:
        """:param appeals: whether operators let the Court take bonds"""
        super().__init__(home, say, project)
        self.seats, self.project, self.appeals = tuple(seats), project, appeals
        self._snapshot = ""

    # --- the network ----------------------------------------------------------------------------------------

    def raise_all(self) -> None:
        """Chain, contracts, and every node seated; no agent runs yet. Raises DevnetFault."""
        self.down()
        self.up(Options(nodes=len(self.seats), seats=2, block_time=SETUP_BLOCK_S))
        self._connect()
        self.rpc.call("evm_setIntervalMining", [0])
        self._snapshot = self.rpc.call("evm_snapshot")

    def _connect(self) -> None:
        state = self.state
        self.rpc = Rpc(str(state.rpc_url))
        self.deployment: Deployment = verify_deployment(self.rpc, load_deployment(Path(str(state.deployment))))
        self.doors = Doors.of(self.rpc, self.deployment)

    @property
    def state(self) -> DevnetState:
        """As it is on disk. Raises DevnetFault when there is none."""
        found = load_state(self.home)
        if found is None:
            raise DevnetFault(f"there is no devnet in {self.home}", hint="run the scenario again")
        return found

    @property
    def agents(self) -> dict[int, AgentState]:
        """By number."""
        return dict(enumerate(self.state.agents, 1))

    def node(self, number: int) -> int:
        """Id of an agent's node."""
        return int(self.agents[number].node or 0)

    def key_of(self, number: int) -> str:
        """Address of an agent's hot key."""
        return keystore_address(Home(self.agents[number].home).key)

    def operator(self, number: int) -> Wallet:
        """The operator's own account."""
        account = open_keystore(Home(self.agents[number].home).operator, self.state.password_file.read_text().strip())
        return Wallet(self.rpc, self.deployment.chain_id, bytes(account.key), sleep=self._mine_meanwhile)

    def wiring_of(self) -> nodes.Wiring:
        """How agents reach the chain."""
        return self.wiring(Options(nodes=len(self.seats), pool=POOL))

    def _seats_of(self, index: int, options: Options) -> int:
        del options
        return self.seats[index]

    def _seat(self, agent: AgentState, operator: str, wiring: nodes.Wiring, bank: Bank, seat_stake: int) -> AgentState:
        stake = seat_stake * wiring.seats + OPERATOR_STAKE * 10**18
        agent = nodes.seat_agent(agent, operator, wiring, bank, stake)
        bank.give(operator, payment=OPERATOR_COINS * 10**6)
        if self.appeals and bank.deployment.court is not None:
            nodes.run_step(agent, wiring, "appeals", "allow", str(OPERATOR_COINS), "--yes", "--json")
        return agent

    def _start_all(self, state: DevnetState, wiring: nodes.Wiring) -> DevnetState:
        del wiring
        return state

    # --- a scenario's agents --------------------------------------------------------------------------------

    def rewind(self) -> None:
        """Back to the network as it was made."""
        if not self.rpc.call("evm_revert", [self._snapshot]):
            raise DevnetFault("the chain does not go back to its snapshot", hint="start over")
        self._snapshot = self.rpc.call("evm_snapshot")
        for agent in self.agents.values():
            for name in LEFT_BY_A_RUN:
                path = agent.home / name
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink(missing_ok=True)

    def start(self, scenario: Scenario, seed: int) -> None:
        """Starts the scenario's agents, each as its role says; returns when all have read the chain."""
        state, started = self.state, []
        for number, agent in self.agents.items():
            role = scenario.adversaries.get(number)
            module = role.module if role else "nodeagent.cli.node"
            watch = WATCHER if number == len(self.seats) else {}
            self._configure(agent, {**LAB_CONFIG, **watch, **(role.config if role else {})})
            if module == NOBODY:
                started.append(agent.model_copy(update={"process": None}))
                continue
            members = [self.node(n) for n in role.agents] if role else []
            orders = {"seed": seed, "node": number, "members": members, **(role.orders if role else {})}
            started.append(self._start(agent, module, orders))
            self._save(state, agents=(*started, *state.agents[len(started) :]))
        self._save(state, agents=tuple(started))
        for agent in started:
            if agent.process is not None:
                self._await(agent)

    def _start(self, agent: AgentState, module: str, orders: dict[str, Any]) -> AgentState:
        env = nodes.environment(self.wiring_of())
        env |= {"PYTHONPATH": str(self.project), ORDERS: json.dumps(orders)}
        argv = [sys.executable, "-m", module, "--home", str(agent.home), *nodes.run_words()]
        process = spawn(argv, agent.home / "agent.log", cwd=agent.home, env=env)
        return agent.model_copy(update={"process": Running.of(process)})

    def _await(self, agent: AgentState) -> None:
        def ready() -> bool:
            self.rpc.call("evm_mine")
            return nodes.is_ready(agent)

        process = agent.process.process if agent.process else None
        wait_until(ready, process, f"agent {agent.name}", agent.home / "agent.log", READY_S)

    @staticmethod
    def _configure(agent: AgentState, settings: dict[str, Any]) -> None:
        import tomli_w

        path, first = agent.home / "config.toml", agent.home / "config.first.toml"
        if not first.exists():
            shutil.copyfile(path, first)
        path.write_text(tomli_w.dumps({**tomllib.loads(first.read_text()), **settings}))

    def halt(self) -> None:
        """Stops the agents, and keeps the chain."""
        state = self.state
        stop([a.process.process for a in state.agents if a.process])
        self._save(state, agents=tuple(a.model_copy(update={"process": None}) for a in state.agents))

    # --- the clock ------------------------------------------------------------------------------------------

    def beat(self, least_s: float = BEAT_S) -> int:
        """Mines one block, once every agent has seen the last one and has no open work; returns its number.

        Raises DevnetFault when an agent has ended.
        """
        head, began = self.rpc.block_number(), time.monotonic()
        while (waited := time.monotonic() - began) < PATIENCE_S:
            if waited >= least_s and all(_is_done(agent, head) for agent in self._running()):
                break
            time.sleep(0.02)
        self.rpc.call("evm_mine")
        return head + 1

    def _running(self) -> list[AgentState]:
        found = [agent for agent in self.agents.values() if agent.process is not None]
        for agent in found:
            if agent.process is not None and not alive(agent.process.process):
                log = agent.home / "agent.log"
                raise DevnetFault(f"agent {agent.name} ended:\n{tail(log)}", hint=f"its whole log is {log}")
        return found

    def _mine_meanwhile(self, seconds: float) -> None:
        self.rpc.call("evm_mine")
        time.sleep(seconds)


def _is_done(agent: AgentState, block: int) -> bool:
    """Whether an agent has acted on a block and computes nothing."""
    try:
        live = json.loads((agent.home / "live.json").read_text())
    except (FileNotFoundError, ValueError):
        return False
    return bool((live.get("block") or 0) >= block and not live.get("open_work"))
