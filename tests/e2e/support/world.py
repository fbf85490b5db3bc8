"""A devnet of five real agents, and the commands a requester and an operator type."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import onnx
import tomli_w
from onnx import TensorProto, helper, numpy_helper

from nodeagent.chain.deployment import Deployment, load_deployment, verify_deployment
from nodeagent.chain.doors import Doors
from nodeagent.chain.rpc import Rpc
from nodeagent.client.history import Follower, History, find_job
from nodeagent.devnet.network import Devnet, Options
from nodeagent.devnet.processes import stop
from nodeagent.devnet.state import AgentState, DevnetState, load_state

PROJECT = Path(__file__).resolve().parents[3]
ROGUE = Path(__file__).with_name("rogue.py")  # an executor that lies
PATIENCE_S = 240.0
FEATURES, CLASSES = 8, 3
T = TypeVar("T")


def until(what: str, look: Callable[[], T | None]) -> T:
    """The first thing ``look`` finds; fails the test when patience ends."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"{what} did not happen within {PATIENCE_S:.0f} s")


def environment(**extra: str) -> dict[str, str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("QUORATE_", "NODEAGENT_"))}
    return {**clean, **extra}


def quorate_argv(home: Path, *words: str) -> list[str]:
    return [sys.executable, "-m", "nodeagent.cli.requester", "--home", str(home), *words]


def run(argv: Sequence[str], expect: int | None = 0, **extra: str) -> subprocess.CompletedProcess[str]:
    """A command to its end; fails with its words when the exit code is another."""
    done = subprocess.run(
        list(argv), capture_output=True, text=True, env=environment(**extra), timeout=PATIENCE_S, check=False
    )
    assert expect is None or done.returncode == expect, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def small_model(path: Path, seed: int) -> Path:
    """One matrix product and a softmax: float32 [N, 8] to [N, 3], with weights of their own for every seed."""
    weights = np.random.default_rng(seed).standard_normal((FEATURES, CLASSES)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["z"]), helper.make_node("Softmax", ["z"], ["y"], axis=-1)],
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", FEATURES])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", CLASSES])],
        [numpy_helper.from_array(weights, "w")],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    made.ir_version = 8
    onnx.save(made, path)
    return path


def some_inputs(path: Path, tasks: int, seed: int) -> Path:
    x = np.random.default_rng(seed).standard_normal((tasks, FEATURES)).astype(np.float32)
    np.savez(path, x=x)
    return path


class World:
    """The network, its requester and its nodes."""

    def __init__(self, home: Path, options: Options | None = None) -> None:
        self.options = options or Options(nodes=5, seats=2, block_time=0.5)
        self.devnet = Devnet(home, lambda _: None, PROJECT)
        self.devnet.up(self.options)
        self.rpc = Rpc(str(self.state.rpc_url))
        record = self.state.deployment
        assert record is not None
        self.deployment: Deployment = verify_deployment(self.rpc, load_deployment(record))
        self.doors = Doors.of(self.rpc, self.deployment)

    @property
    def state(self) -> DevnetState:
        state = load_state(self.devnet.home)
        assert state is not None
        return state

    @property
    def agents(self) -> dict[int, AgentState]:
        """By node id."""
        return {int(a.node or 0): a for a in self.state.agents}

    @property
    def requester_home(self) -> Path:
        return self.state.requester_home

    # --- requester ------------------------------------------------------------------------------------------

    def quorate(
        self, *words: str, expect: int | None = 0, home: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        return run(quorate_argv(home or self.requester_home, *words), expect)

    def post_words(self, folder: Path, *, seed: int, tasks: int = 12, committee: int = 3) -> list[str]:
        """The arguments of a small job; its files are made where they are missing."""
        folder.mkdir(exist_ok=True)
        model, inputs = folder / "model.onnx", folder / "inputs.npz"
        if not model.exists():
            small_model(model, seed)
        if not inputs.exists():
            some_inputs(inputs, tasks, seed)
        words = ["job", "post", "--model", str(model), "--inputs", str(inputs), "--shard-size", "4", "--work", "2"]
        words += ["--committee", str(committee), "--unit-price", "0.001", "--wait", "--out", str(folder / "out")]
        return [*words, "--yes", "--json"]

    def post(self, folder: Path, *, seed: int, tasks: int = 12, committee: int = 3) -> int:
        """Posts, waits, fetches; returns the job's number."""
        done = self.quorate(*self.post_words(folder, seed=seed, tasks=tasks, committee=committee))
        return int(json.loads(done.stdout)["job"])

    def history(self, job: int) -> History:
        return Follower(self.rpc, self.deployment, find_job(self.rpc, self.deployment, job)).read()

    # --- operators ------------------------------------------------------------------------------------------

    def nodeagent(self, node: int, *words: str) -> dict[str, Any]:
        """A command of one node's operator that prints JSON."""
        argv = [sys.executable, "-m", "nodeagent.cli.node", "--home", str(self.agents[node].home), *words, "--json"]
        done = run(argv, NODEAGENT_PASSWORD_FILE=str(self.state.password_file))
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def earned(self) -> dict[int, int]:
        """What each node has earned and not withdrawn, in payment-token units."""
        return {node: sum(self.doors.market.earnings_of(node)) for node in self.agents}  # type: ignore[arg-type]

    def restart(self, node: int, **settings: Any) -> None:
        """Stops one agent, changes its configuration (None removes a setting) and brings it back."""
        self.restart_all([node], **settings)

    def restart_all(self, nodes: Sequence[int], **settings: Any) -> None:
        """The same for several agents at once."""
        agents = [self.agents[node] for node in nodes]
        stop([agent.process.process for agent in agents if agent.process is not None])
        for agent in agents:
            path = agent.home / "config.toml"
            values = {**tomllib.loads(path.read_text()), **settings}
            path.write_text(tomli_w.dumps({k: v for k, v in values.items() if v is not None}))
        self.devnet.up(self.options)

    def store_file(self, node: int, cid: str) -> Path:
        """Where a node keeps a block."""
        return self.agents[node].home / "content" / "blocks" / cid[-3:-1] / cid

    def log_of(self, node: int) -> str:
        return (self.agents[node].home / "agent.log").read_text(errors="replace")

    # --- chain ----------------------------------------------------------------------------------------------

    def mine_to_epoch(self, epoch: int) -> None:
        """Lets time pass at once."""
        missing = epoch * self.deployment.epoch_blocks - self.rpc.block_number()
        if missing > 0:
            self.rpc.call("anvil_mine", [hex(missing)])


def flip_a_byte(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)


def processes_naming(text: str) -> list[str]:
    """Command lines of running processes that mention ``text``."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
                cwd = os.readlink(entry / "cwd")
            except OSError:
                continue
            if state not in "ZX" and (text in line or text in cwd) and int(entry.name) != os.getpid():
                found.append(line)
    return found
