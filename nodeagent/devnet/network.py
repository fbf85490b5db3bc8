"""Up, status and down of a devnet. ``up`` goes on where an earlier one stopped; what it cannot finish it takes down.

The chain lives in anvil's memory, so everything else of a devnet dies with it: when anvil is gone, ``up`` starts over.
"""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from nodeagent.chain.deployment import verify_deployment
from nodeagent.chain.rpc import Rpc
from nodeagent.devnet import agents as nodes
from nodeagent.devnet.anvil import find_anvil, hurried, start_anvil
from nodeagent.devnet.contracts import Bank, deploy, find_ape, find_project, seat_stake
from nodeagent.devnet.processes import Process, alive, stop, wait_until
from nodeagent.devnet.state import STATE, AgentState, DevnetFault, DevnetState, Running, load_state, locked, save_state
from nodeagent.keys import create_keystore, fresh_password, write_secret
from nodeagent.runtimes.install import install

READY_S = 120.0
REQUESTER_MONEY = 1_000_000 * 10**6
OURS = ("agents", "requester", "deployments", "password", "anvil.log", "deploy.log", STATE)
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Options:
    """:param block_time: seconds between blocks, fractions allowed"""

    nodes: int = 5
    seats: int = 4
    block_time: float = 1.0
    port: int = 0
    chain_id: int = 31337
    pool: str = "cpu"


class Devnet:
    """One devnet, in one folder."""

    def __init__(self, home: Path, say: Say, project: Path | None = None) -> None:
        self.home, self._say = home.resolve(), say
        self._project = project

    # --- up -------------------------------------------------------------------------------------------------

    def up(self, options: Options) -> DevnetState:
        """Everything running and every node seated. A failure or an interruption takes it all down again.

        :raises DevnetFault: the folder is something else, or a step failed
        :raises StartFailed: a process did not come up
        """
        self._refuse_foreign_folder()
        with locked(self.home):
            state = load_state(self.home)
            if state is not None and not (state.anvil and alive(state.anvil.process)):
                if state.anvil is not None:
                    self._say("the chain of an earlier devnet is gone; starting over")
                self._clear(state)
                state = None
            if state is not None and len(state.agents) not in (0, options.nodes):
                raise DevnetFault(
                    f"this devnet has {len(state.agents)} agents: {options.nodes} were asked for",
                    hint=f"first: quorate devnet down --dir {shlex.quote(str(self.home))}",
                )
            try:
                return self._raise_up(state or self._begin(options), options)
            except BaseException:
                self._say("taking down what was started")
                state = load_state(self.home)
                if state is not None:
                    stop(state.processes)
                    save_state(self.home, _stopped(state))
                raise

    def _raise_up(self, state: DevnetState, options: Options) -> DevnetState:
        project = self._project or find_project()
        find_ape()
        if state.anvil is None:
            process, url = start_anvil(
                find_anvil(project),
                self.home,
                port=options.port,
                block_time=options.block_time,
                chain_id=options.chain_id,
            )
            state = self._save(state, anvil=Running.of(process), rpc_url=url)
            self._say(f"chain {options.chain_id} at {url}, a block every {options.block_time:g} s")
        with hurried(_url(state)):
            if state.deployment is None:
                self._say("deploying the contracts with ape run deploy")
                state = self._save(state, deployment=deploy(project, self.home, _url(state)))
            wiring = self._wiring(state, options, project)
            state = self._pay_requester(state)
            state = self._seat_all(state, wiring, options)
            state = self._start_all(state, wiring)
        self._say(f"{len(state.agents)} agents are ready; requester {state.requester}")
        return state

    def _begin(self, options: Options) -> DevnetState:
        self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        password = self.home / "password"
        write_secret(password, fresh_password() + "\n")
        state = DevnetState(
            chain_id=options.chain_id,
            block_time=options.block_time,
            requester_home=self.home / "requester",
            password_file=password,
        )
        save_state(self.home, state)
        return state

    def _pay_requester(self, state: DevnetState) -> DevnetState:
        """The requester's home: an encrypted keystore, a connection, and money."""
        if state.requester is None:
            keystore = state.requester_home / "keystore.json"
            keystore.unlink(missing_ok=True)  # of an interrupted run: nothing is on it yet
            address = create_keystore(keystore, state.password_file.read_text().strip(), cost="light")
            self._connect_requester(state)
            state = self._save(state, requester=address)
        Bank(Rpc(_url(state)), _record(state)).give(str(state.requester), payment=REQUESTER_MONEY)
        return state

    def _seat_all(self, state: DevnetState, wiring: nodes.Wiring, options: Options) -> DevnetState:
        """Homes are made two at a time, seats are taken one after the other: agent ``node-3`` runs node 3."""
        if not state.agents:
            names = [(f"node-{n}", nodes.home_of(self.home, n)) for n in range(1, options.nodes + 1)]
            state = self._save(state, agents=tuple(AgentState(name=name, home=home) for name, home in names))
        waiting = [index for index, agent in enumerate(state.agents) if agent.node is None]
        if not waiting:
            return state
        self._say(f"making {len(waiting)} agents")
        install(wiring.runtimes)
        rpc = Rpc(_url(state))
        bank = Bank(rpc, _record(state))
        deployment = verify_deployment(rpc, bank.deployment)
        one = seat_stake(rpc, deployment, deployment.pool_id(options.pool))
        unseated = [state.agents[index] for index in waiting]
        with ThreadPoolExecutor(2) as pool:
            operators = pool.map(lambda agent: nodes.init_agent(agent, wiring), unseated)
            for index, agent, operator in zip(waiting, unseated, operators, strict=True):
                own = replace(wiring, seats=self._seats_of(index, options))
                seated = self._seat(agent, operator, own, bank, one)
                state = self._save(state, agents=(*state.agents[:index], seated, *state.agents[index + 1 :]))
                self._say(f"  {seated.name} of {len(state.agents)} has {own.seats} seats as node {seated.node}")
        return state

    def _seats_of(self, index: int, options: Options) -> int:
        """Seats of an agent, by its place in the list."""
        del index
        return options.seats

    def _seat(self, agent: AgentState, operator: str, wiring: nodes.Wiring, bank: Bank, seat_stake: int) -> AgentState:
        return nodes.seat_agent(agent, operator, wiring, bank, seat_stake * wiring.seats)

    def _start_all(self, state: DevnetState, wiring: nodes.Wiring) -> DevnetState:
        for index, agent in enumerate(state.agents):
            if nodes.is_running(agent):
                continue
            process = self._launch(agent, wiring)
            fresh = agent.model_copy(update={"process": Running.of(process)})
            state = self._save(state, agents=(*state.agents[:index], fresh, *state.agents[index + 1 :]))
        for agent in state.agents:
            log, ready = agent.home / "agent.log", partial(nodes.is_ready, agent)
            wait_until(ready, agent.process.process if agent.process else None, f"agent {agent.name}", log, READY_S)
        return state

    def _launch(self, agent: AgentState, wiring: nodes.Wiring) -> Process:
        return nodes.start_agent(agent, wiring)

    # --- down and status ------------------------------------------------------------------------------------

    def down(self, *, keep: bool = False) -> int:
        """Stops every process of this devnet and removes its folder's content; returns how many were stopped.

        :param keep: leave homes, logs and keys in place
        """
        state = load_state(self.home)
        if state is None:
            return 0
        with locked(self.home):
            running = [p for p in state.processes if alive(p)]
            stop(state.processes[:-1])
            stop(state.processes[-1:])
            if keep:
                save_state(self.home, _stopped(state))
            else:
                self._clear(state)
        return len(running)

    def status(self) -> dict[str, Any]:
        """What runs, as JSON-able values."""
        state = load_state(self.home)
        if state is None:
            return {"home": str(self.home), "up": False, "agents": []}
        chain = state.anvil is not None and alive(state.anvil.process)
        agents: list[dict[str, Any]] = [
            {
                "name": a.name,
                "node": a.node,
                "running": nodes.is_running(a),
                "pid": a.process.pid if a.process else None,
                "home": str(a.home),
                "operator": a.operator,
            }
            for a in state.agents
        ]
        return {
            "home": str(self.home),
            "up": chain and bool(agents) and all(a["running"] for a in agents),
            "rpc_url": state.rpc_url,
            "chain_id": state.chain_id,
            "block": Rpc(_url(state)).block_number() if chain else None,
            "deployment": str(state.deployment) if state.deployment else None,
            "requester": state.requester,
            "requester_home": str(state.requester_home),
            "agents": agents,
        }

    def wiring(self, options: Options) -> nodes.Wiring:
        """How this devnet's agents are reached. Raises DevnetFault when it is not up."""
        state = load_state(self.home)
        if state is None or state.deployment is None:
            raise DevnetFault(
                f"there is no devnet in {self.home}", hint=f"quorate devnet up --dir {shlex.quote(str(self.home))}"
            )
        return self._wiring(state, options, self._project or find_project())

    # --- inside ---------------------------------------------------------------------------------------------

    def _wiring(self, state: DevnetState, options: Options, project: Path) -> nodes.Wiring:
        return nodes.Wiring(
            rpc_url=_url(state),
            deployment=_record(state),
            pool=options.pool,
            seats=options.seats,
            runtimes=project / "build" / "runtimes",
            password_file=state.password_file,
        )

    def _connect_requester(self, state: DevnetState) -> None:
        import tomli_w

        config = {
            "rpc_url": _url(state),
            "deployment": str(_record(state)),
            "password_file": str(state.password_file),
        }
        (state.requester_home / "config.toml").write_text(tomli_w.dumps(config))

    def _save(self, state: DevnetState, **changes: object) -> DevnetState:
        fresh = state.model_copy(update=changes)
        save_state(self.home, fresh)
        return fresh

    def _clear(self, state: DevnetState) -> None:
        """Removes what a devnet makes, and nothing else that may lie in the folder."""
        stop(state.processes)
        for name in OURS:
            path = self.home / name
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    def _refuse_foreign_folder(self) -> None:
        if self.home.exists() and not (self.home / STATE).exists():
            found = [p.name for p in self.home.iterdir() if p.name != ".lock"]
            if found:
                raise DevnetFault(
                    f"{self.home} holds {found[0]!r} and no devnet", hint="name an empty folder with --home"
                )


def _url(state: DevnetState) -> str:
    if state.rpc_url is None:
        raise DevnetFault("the devnet has no chain yet", hint="quorate devnet up")
    return state.rpc_url


def _record(state: DevnetState) -> Path:
    if state.deployment is None:
        raise DevnetFault("the devnet has no contracts yet", hint="quorate devnet up")
    return state.deployment


def _stopped(state: DevnetState) -> DevnetState:
    """The state without processes; the chain's memory is gone with it."""
    return state.model_copy(
        update={"anvil": None, "agents": tuple(a.model_copy(update={"process": None}) for a in state.agents)}
    )
