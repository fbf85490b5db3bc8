"""The demo's own computing, in processes that never see an agent's output: native answers, and this machine's pace."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from nodeagent.client.inputs import Array, npz_bytes
from nodeagent.client.outputs import STATUS, read_outputs
from nodeagent.demo.files import INPUT, OUTPUT
from nodeagent.devnet.processes import Process, alive, spawn, stop, tail, wait_until
from nodeagent.errors import Fatal
from nodeagent.runtimes.types import CANONICAL, NATIVE

NATIVE_S = 600.0
SAMPLE = 24  # tasks that are timed
NOT_SHARED = ("QUORATE_", "NODEAGENT_")


class CheckFailed(Fatal):
    """The local computation did not come to an end."""


class LocalCheck:
    """``quorate check`` on all inputs with native onnxruntime, started before any agent exists."""

    def __init__(self, folder: Path, runtimes: Path, model: Path, inputs: Path) -> None:
        self._log, self._out = folder / "native.log", folder / "native.npz"
        self._out.unlink(missing_ok=True)
        words = ["--runtime", NATIVE, "--out", str(self._out)]
        argv = _argv(folder / "native", runtimes, model, inputs, *words)
        self.process: Process = spawn(argv, self._log, cwd=folder, env=_environment())

    def answers(self) -> Array:
        """Scores per task, float32 [tasks, labels]. Raises CheckFailed."""
        wait_until(lambda: not alive(self.process), None, "the local check", self._log, NATIVE_S)
        if not self._out.exists():
            raise CheckFailed(f"the local check failed:\n{tail(self._log)}", hint=f"its log is {self._log}")
        arrays = read_outputs(self._out)
        if arrays[STATUS].any():
            raise CheckFailed("native onnxruntime refused some of the inputs", hint=f"see {self._log}")
        return arrays[OUTPUT]

    def stop(self) -> None:
        stop([self.process])


def seconds_per_task(folder: Path, runtimes: Path, model: Path, rows: Array) -> float:
    """How long one core of this machine takes for a task in the canonical runtime. Raises CheckFailed."""
    sample = folder / "sample.npz"
    sample.write_bytes(npz_bytes({INPUT: rows[:SAMPLE]}))
    argv = _argv(folder / "canonical", runtimes, model, sample, "--runtime", CANONICAL, "--json")
    done = subprocess.run(argv, capture_output=True, text=True, env=_environment(), check=False)
    if done.returncode:
        raise CheckFailed(f"the canonical runtime does not work here:\n{done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return float(found["task_seconds"])


def _argv(home: Path, runtimes: Path, model: Path, inputs: Path, *words: str) -> list[str]:
    home.mkdir(parents=True, exist_ok=True)
    (home / "config.toml").write_text(f"runtimes = {json.dumps(str(runtimes))}\n")
    where = ["check", "--model", str(model), "--inputs", str(inputs)]
    return [sys.executable, "-m", "nodeagent.cli.requester", "--home", str(home), *where, *words]


def _environment() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if not k.startswith(NOT_SHARED)}


def same(label_a: str, score_a: float, label_b: str, score_b: float, tolerance: float = 1e-4) -> bool:
    """Whether two answers about a file are the same: the label, and the score within ``tolerance``."""
    return label_a == label_b and bool(np.isclose(score_a, score_b, rtol=0, atol=tolerance))
