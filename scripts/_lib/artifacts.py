"""Compiled contracts as forge leaves them: one build that is deployed, exported and compared with the chain.

``build`` is a no-op in well under a second when nothing changed. Ape itself compiles nothing here: one compiler
run, one set of settings, one bytecode.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts._lib.errors import ScriptError

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "build" / "forge" / "out"

# Name in records and ABI files -> contract that is compiled. Ours is OpenZeppelin's AccessManager, unchanged.
SOURCES = {
    "QuorateToken": "QuorateToken",
    "TestStablecoin": "TestStablecoin",
    "AccessManager": "Authority",
    "NodeRegistry": "NodeRegistry",
    "CommitLedger": "CommitLedger",
    "JobMarket": "JobMarket",
    "Court": "Court",
}


@dataclass(frozen=True, slots=True)
class Artifact:
    """One compiled contract. ``immutables`` are (start, length) byte ranges of ``runtime`` filled at construction."""

    name: str
    abi: tuple[dict[str, Any], ...]
    creation: bytes
    runtime: bytes
    immutables: tuple[tuple[int, int], ...]
    evm_version: str

    def matches(self, code: bytes) -> bool:
        """Whether ``code`` on chain is this contract, whatever values its immutables carry."""
        if len(code) != len(self.runtime):
            return False
        return self._masked(code) == self._masked(self.runtime)

    def _masked(self, code: bytes) -> bytes:
        masked = bytearray(code)
        for start, length in self.immutables:
            masked[start : start + length] = bytes(length)
        return bytes(masked)


@functools.cache
def build(root: Path = ROOT) -> None:
    """Compiles ``contracts/`` with forge, once a process. Raises ScriptError with the compiler's words."""
    forge = shutil.which("forge") or str(root / "node_modules" / ".bin" / "forge")
    if not Path(forge).exists():
        raise ScriptError("forge is not installed", hint="run `npm ci` in the repository root")
    done = subprocess.run(
        [forge, "build", "contracts", "--root", str(root)],
        cwd=root,
        capture_output=True,
        text=True,
        env={**os.environ, "NO_COLOR": "1"},
        check=False,
    )
    if done.returncode != 0:
        raise ScriptError(
            f"the contracts do not compile:\n{done.stderr.strip() or done.stdout.strip()}",
            hint="run `forge build` to see the whole output",
        )


def load(name: str, out: Path = OUT) -> Artifact:
    """Reads the artifact of a name in ``SOURCES``. Raises ScriptError when it was never built."""
    source = SOURCES[name]
    for path in sorted(out.glob(f"*.sol/{source}.json")):
        data = json.loads(path.read_text())
        target = data.get("metadata", {}).get("settings", {}).get("compilationTarget", {})
        if any(file.startswith("contracts/") for file in target):
            return _artifact(name, data)
    raise ScriptError(f"{source} is not compiled", hint="run `forge build`")


def load_all(out: Path = OUT) -> dict[str, Artifact]:
    """Every artifact in ``SOURCES``, by name."""
    return {name: load(name, out) for name in SOURCES}


def _artifact(name: str, data: dict[str, Any]) -> Artifact:
    runtime = data["deployedBytecode"]
    references = runtime.get("immutableReferences", {})
    return Artifact(
        name=name,
        abi=tuple(data["abi"]),
        creation=bytes.fromhex(data["bytecode"]["object"].removeprefix("0x")),
        runtime=bytes.fromhex(runtime["object"].removeprefix("0x")),
        immutables=tuple((spot["start"], spot["length"]) for spots in references.values() for spot in spots),
        evm_version=data["metadata"]["settings"].get("evmVersion", ""),
    )
