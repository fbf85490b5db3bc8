"""Node agents of a devnet: made, seated and started through ``nodeagent``, each as its own processes and folders."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nodeagent.devnet.contracts import Bank
from nodeagent.devnet.processes import Process, alive, spawn, tail
from nodeagent.devnet.state import AgentState, DevnetFault

STEP_S = 300
NODEAGENT = (sys.executable, "-m", "nodeagent.cli.node")


@dataclass(frozen=True, slots=True)
class Wiring:
    """What every agent of a devnet is told.

    :param runtimes: an installed runtimes folder to copy files from; each agent has its own
    """

    rpc_url: str
    deployment: Path
    pool: str
    seats: int
    runtimes: Path
    password_file: Path


def home_of(root: Path, number: int) -> Path:
    return root / "agents" / f"node-{number}"


def environment(wiring: Wiring) -> dict[str, str]:
    """The agent's: nothing of the requester's."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("QUORATE_", "NODEAGENT_", "APE_"))}
    return {**kept, "NODEAGENT_PASSWORD_FILE": str(wiring.password_file)}


def run_step(agent: AgentState, wiring: Wiring, *words: str) -> str:
    """One ``nodeagent`` command of this agent's home; returns what it printed.

    :raises DevnetFault: it fails; with its last words
    """
    log = agent.home.parent / f"{agent.name}.setup.log"
    log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    argv = [*NODEAGENT, "--home", str(agent.home), *words]
    with log.open("ab") as out:
        out.write(f"$ nodeagent {' '.join(words)}\n".encode())
        out.flush()
        try:
            done = subprocess.run(
                argv,
                env=environment(wiring),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=out,
                timeout=STEP_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise DevnetFault(f"nodeagent {words[0]} of {agent.name} took over {STEP_S} s", hint=f"see {log}") from None
    if done.returncode:
        said = done.stdout.decode(errors="replace")[-2000:]
        raise DevnetFault(
            f"nodeagent {words[0]} of {agent.name} failed:\n{said}{tail(log)}", hint=f"its whole log is {log}"
        )
    return done.stdout.decode()


def init_agent(agent: AgentState, wiring: Wiring) -> str:
    """``nodeagent init``: keys, configuration and runtime in the agent's home; returns its operator's address.

    :raises DevnetFault: it fails
    """
    words = ["init", "--rpc-url", wiring.rpc_url, "--deployment", str(wiring.deployment), "--pool", wiring.pool]
    words += ["--copy-runtime-from", str(wiring.runtimes), "--kdf", "light", "--yes", "--json"]
    return str(json.loads(run_step(agent, wiring, *words))["operator"])


def seat_agent(agent: AgentState, operator: str, wiring: Wiring, bank: Bank, stake: int) -> AgentState:
    """Money for its operator, then ``nodeagent seats take``, which gives the node the next free number.

    :param stake: what the operator has for it, in stake-token units
    :raises DevnetFault: it fails
    """
    bank.give(operator, stake=stake)
    taken = json.loads(
        run_step(agent, wiring, "seats", "take", str(wiring.seats), "--fund-key", "10", "--yes", "--json")
    )
    return agent.model_copy(update={"operator": operator, "node": int(taken["node"])})


def is_ready(agent: AgentState) -> bool:
    """Whether the agent that runs now has read the chain."""
    try:
        live = json.loads((agent.home / "live.json").read_text())
    except (FileNotFoundError, ValueError):
        return False
    return agent.process is not None and live.get("pid") == agent.process.pid and live.get("block") is not None


def start_agent(agent: AgentState, wiring: Wiring) -> Process:
    """``nodeagent run`` with its output in the agent's own home."""
    argv = [*NODEAGENT, "--home", str(agent.home), *run_words()]
    return spawn(argv, agent.home / "agent.log", cwd=agent.home, env=environment(wiring))


def run_words() -> list[str]:
    """``run`` as devnets say it: their payloads are their owner's own, so they also run where no jail can be built."""
    from nodeagent.runtimes.jail.walls import NONE, best

    return ["run", *(["--unsafe-no-jail"] if best() is NONE else [])]


def status_of(agent: AgentState, wiring: Wiring) -> dict[str, Any]:
    """What ``nodeagent status --json`` says. Raises DevnetFault."""
    found: dict[str, Any] = json.loads(run_step(agent, wiring, "status", "--json"))
    return found


def statuses(agents: Sequence[AgentState], wiring: Wiring) -> list[dict[str, Any]]:
    """Of every agent, in order."""
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(lambda agent: status_of(agent, wiring), agents))


def is_running(agent: AgentState) -> bool:
    return agent.process is not None and alive(agent.process.process)
