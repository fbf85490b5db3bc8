"""What the jail and the agent around a runtime cost: ``make bench-runtime``, into ``build/bench/runtime.json``.

Side by side in one run, rounds of each in turn, medians:

- ``jail_start_ms``, ``plain_start_ms``: a small Python program, start to end, in the agent's jail and without walls;
- ``task_overhead_ratio``: what a warm task of a small model takes more than the runtime's own time, in parts of that;
- ``agent_over_bare``: tasks a second of the agent's own path (inputs from disk, the jailed runtime, results, Merkle
  root, results file) over those of the bare runtime on the same batch;
- ``canonical_over_native``: the canonical runtime's time over native onnxruntime's, task by task on one thread.
"""

from __future__ import annotations

import hashlib
import json
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from lab.payload import make_model
from nodeagent.demo.files import INPUT, OUTPUT, Magika
from nodeagent.runtimes.host import Executor
from nodeagent.runtimes.identity import BUNDLE, WASM, home
from nodeagent.runtimes.inputs import write_inputs
from nodeagent.runtimes.install import install
from nodeagent.runtimes.jail.cell import Cell, python_paths
from nodeagent.runtimes.jail.walls import NONE, Jail, choose
from nodeagent.runtimes.launch import cell_limits, launch, node_program
from nodeagent.runtimes.types import CANONICAL, NATIVE, ExecutorLimits, ShardSpec, TensorSpec
from nodeagent.worker.compute import Prepared, run_shard

ROOT = Path(__file__).resolve().parent.parent
RUNTIMES = ROOT / "build" / "runtimes"
REPORT = ROOT / "build" / "bench" / "runtime.json"
STARTS, ROUNDS = 41, 9
SMALL, BATCH = 512, 32  # tasks a round


@dataclass(frozen=True, slots=True)
class Case:
    """A model, its one input as an array with tasks in front, and the outputs to fetch."""

    name: str
    model: Path
    input: str
    array: np.ndarray[Any, np.dtype[Any]]
    outputs: tuple[str, ...]

    def spec(self, folder: Path, runtime: str) -> ShardSpec:
        inputs = folder / f"{self.name}.npz"
        write_inputs(inputs, {self.input: self.array})
        return ShardSpec(
            runtime=runtime,
            model_path=self.model,
            model_sha256=hashlib.sha256(self.model.read_bytes()).digest(),
            inputs_path=inputs,
            first=0,
            count=len(self.array),
            inputs=(TensorSpec(self.input, self.array.dtype.name, self.array.shape[1:]),),
            outputs=self.outputs,
            units=1_000,
            max_output_bytes=1 << 20,
        )


def ms(action: Callable[[], object]) -> float:
    begun = time.perf_counter()
    action()
    return (time.perf_counter() - begun) * 1_000


def starts(jail: Jail, folder: Path) -> tuple[float, float]:
    """Milliseconds from starting a small Python program to its end, jailed and without walls, taken in turn."""
    cell = Cell(tuple(python_paths()), (), cell_limits(ExecutorLimits()), folder)

    def once(kind: Jail) -> None:
        child = launch(("-m", "json.tool"), kind, cell)
        child.communicate(b"1")

    once(jail)
    taken = [(ms(lambda: once(jail)), ms(lambda: once(NONE))) for _ in range(STARTS)]
    return statistics.median(t[0] for t in taken), statistics.median(t[1] for t in taken)


def bare(case: Case, folder: Path) -> list[float]:
    """Milliseconds a task in the runtime itself, by round; the first round warms it and is left out."""
    data, request = folder / "tasks.bin", folder / "request.json"
    data.write_bytes(np.ascontiguousarray(case.array).tobytes())
    told = {
        "model": str(case.model),
        "input": case.input,
        "type": case.array.dtype.name,
        "dims": [1, *case.array.shape[1:]],
        "data": str(data),
        "outputs": list(case.outputs),
        "rounds": 2,
    }
    request.write_text(json.dumps(told))
    place = home(RUNTIMES)
    script = ROOT / "bench" / "bare.mjs"
    command = [str(part) for part in (node_program(), script, place / BUNDLE, place / WASM, request)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [line["ms"] / line["tasks"] for line in map(json.loads, said.splitlines())][1:]


def agent(case: Case, executor: Executor, folder: Path) -> float:
    """Milliseconds a task of the agent's own path for a shard."""
    job = SimpleNamespace(id=1, question=lambda _: b"")
    order = SimpleNamespace(job=job, shard=0, first=0)
    prepared = Prepared(order, case.spec(folder, CANONICAL))  # type: ignore[arg-type]
    return ms(lambda: run_shard(prepared, executor, folder, None)) / len(case.array)


Taken = dict[str, list[float]]


def measure(case: Case, executor: Executor, folder: Path) -> Taken:
    """Milliseconds a task of one model: in the bare runtime, the executor, the agent and natively, in turn."""
    spec, native = case.spec(folder, CANONICAL), case.spec(folder, NATIVE)
    executor.run(spec)
    executor.run(native)
    found: Taken = {"bare": [], "executor": [], "agent": [], "native": []}
    for _ in range(ROUNDS):
        found["bare"] += bare(case, folder)
        found["executor"].append(ms(lambda: executor.run(spec)) / len(case.array))
        found["agent"].append(agent(case, executor, folder))
        found["native"].append(ms(lambda: executor.run(native)) / len(case.array))
    return found


def ratio(taken: Taken, above: str, below: str) -> float:
    """Median over the rounds of one kind's time over another's in the same round."""
    return statistics.median(a / b for a, b in zip(taken[above], taken[below], strict=True))


def medians(name: str, taken: Taken) -> dict[str, float | str]:
    return {"model": name} | {f"{kind}_ms": round(statistics.median(values), 4) for kind, values in taken.items()}


def cases(folder: Path) -> list[Case]:
    rng = np.random.default_rng(2048)
    model = folder / "small.onnx"
    make_model(model, seed=1, hidden=64)
    rows = rng.standard_normal((SMALL, 8)).astype(np.float32)
    magika = folder / "magika.onnx"
    magika.write_bytes(Magika().model.read_bytes())
    features = rng.integers(0, 257, (BATCH, 2_048)).astype(np.int32)
    return [Case("small", model, "x", rows, ("y",)), Case("magika", magika, INPUT, features, (OUTPUT,))]


def main() -> None:
    """Measure, print and write the report."""
    install(RUNTIMES)
    jail = choose()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        jailed, plain = starts(jail, folder)
        with Executor(RUNTIMES, None, folder / "executor", payload=[folder], jail=jail) as executor:
            small, magika = (measure(case, executor, folder) for case in cases(folder))
    report = {
        "jail": str(jail),
        "jail_start_ms": round(jailed, 2),
        "plain_start_ms": round(plain, 2),
        "task_overhead_ratio": round(ratio(small, "executor", "bare") - 1, 3),
        "agent_over_bare": round(ratio(magika, "bare", "agent"), 3),
        "canonical_over_native": round(ratio(magika, "bare", "native"), 2),
        "models": [medians("small", small), medians("magika", magika)],
    }
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
