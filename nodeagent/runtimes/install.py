"""Brings the canonical runtime's files onto this machine and proves that they compute what they should.

``npm ci`` from the lock inside this package verifies every archive against its committed hash and runs no
scripts; of what it unpacks only the two files that are loaded are kept, and those are checked once more by
their own hash.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

from . import identity
from .errors import InstallFailed, Pass, RuntimeDamaged, ToolMissing
from .types import CANONICAL, ExecutorLimits, ShardSpec, Status, TensorSpec

MIN_NODE = 20
_NPM = ("ci", "--ignore-scripts", "--omit=dev", "--no-audit", "--no-fund", "--loglevel=error")
_NPM_S = 600
_NODE_HINT = f"install Node.js {MIN_NODE} or newer with npm, e.g. from nodejs.org or your package manager"


def install(dest: Path, *, copy_from: Path | None = None) -> Path:
    """Fill the runtimes directory ``dest`` unless it is already right; returns where the files are.

    ``copy_from`` is another runtimes directory on this machine to copy from instead of asking npm.
    Raises ToolMissing, InstallFailed, RuntimeDamaged.
    """
    place = identity.home(dest)
    if not identity.mismatches(dest):
        return place
    node_version()
    dest.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=dest, prefix=".install-") as name:
        work = Path(name)
        ready = work / "runtimes"
        identity.home(ready).mkdir(parents=True)
        source = identity.home(copy_from) if copy_from is not None else _fetch(work)
        for file in identity.expected()["files"]:
            try:
                shutil.copyfile(source / file, identity.home(ready) / file)
            except OSError as error:
                raise InstallFailed(f"{file} cannot be copied: {error.strerror}") from error
        _verify(ready)
        with suppress(FileNotFoundError):
            shutil.rmtree(place)
        identity.home(ready).rename(place)
    return place


def check(dest: Path) -> None:
    """Verify Node, the files' hashes and, by running it, a tiny model's result bits.

    Raises ToolMissing or RuntimeDamaged, each with the next step.
    """
    node_version()
    _verify(dest)
    _self_test(dest)


def node_version() -> tuple[int, int, int]:
    """Version of the ``node`` on PATH. Raises ToolMissing when absent or older than MIN_NODE."""
    node = shutil.which("node")
    if node is None:
        raise ToolMissing("Node.js was not found on PATH", hint=_NODE_HINT)
    try:
        text = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=30, check=True).stdout
        major, minor, patch = (int(part.split("-")[0]) for part in text.strip().lstrip("v").split(".")[:3])
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise ToolMissing(f"{node} does not tell its version", hint=_NODE_HINT) from error
    if major < MIN_NODE:
        raise ToolMissing(f"Node.js {major}.{minor}.{patch} is too old, expected {MIN_NODE} or newer", hint=_NODE_HINT)
    return major, minor, patch


def _fetch(work: Path) -> Path:
    npm = shutil.which("npm")
    if npm is None:
        raise ToolMissing("npm was not found on PATH", hint=_NODE_HINT)
    for file in ("package.json", "package-lock.json"):
        shutil.copyfile(identity.HERE / "canonical" / file, work / file)
    said = ""
    for _ in range(2):
        try:
            done = subprocess.run([npm, *_NPM], cwd=work, capture_output=True, text=True, timeout=_NPM_S, check=False)
        except subprocess.TimeoutExpired:
            said = f"no end after {_NPM_S} s"
            continue
        if done.returncode == 0:
            return work / "node_modules" / "onnxruntime-web" / "dist"
        said = done.stderr.strip()[-500:] or f"exit {done.returncode}"
    raise InstallFailed(
        f"npm could not install onnxruntime-web: {said}",
        hint="check the network and npm's registry setting (npm config get registry), then run it again",
    )


def _verify(dest: Path) -> None:
    wrong = identity.mismatches(dest)
    if wrong:
        raise RuntimeDamaged(
            f"runtime {CANONICAL} in {os.fspath(dest)} has missing or altered files: {', '.join(wrong)}",
            hint="install it again: nodeagent init",
        )


def _self_test(dest: Path) -> None:
    from .host import Executor
    from .inputs import write_inputs
    from .tensors import decode_outputs, dtype_of

    test = identity.expected()["selftest"]
    model = identity.HERE / "canonical" / "selftest.onnx"
    inputs = decode_outputs(bytes.fromhex(test["input"]))[0]
    with tempfile.TemporaryDirectory(prefix="quorate-check-") as name:
        scratch = Path(name)
        write_inputs(scratch / "inputs.npz", {"x": inputs.astype(dtype_of("float32"))})
        spec = ShardSpec(
            runtime=CANONICAL,
            model_path=model,
            model_sha256=hashlib.sha256(model.read_bytes()).digest(),
            inputs_path=scratch / "inputs.npz",
            first=0,
            count=inputs.shape[0],
            inputs=(TensorSpec("x", "float32", tuple(inputs.shape[1:])),),
            outputs=tuple(test["outputs"]),
            units=1,
            max_output_bytes=4096,
        )
        try:
            with Executor(dest, ExecutorLimits(), scratch / "executor", payload=[model.parent, scratch]) as executor:
                results = executor.run(spec)
        except Pass as reason:
            raise RuntimeDamaged(f"runtime {CANONICAL} does not run: {reason.reason}") from reason
    found = [[result.status, result.data.hex()] for result in results]
    if found != [[int(Status.OK), data] for data in test["results"]]:
        raise RuntimeDamaged(
            f"runtime {CANONICAL} computes other bits on this machine than it must",
            hint="do not run a node here; report the processor and Node's version",
        )
