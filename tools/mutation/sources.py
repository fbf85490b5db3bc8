"""The contracts that are mutated: their text, their syntax trees, and who imports whom."""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.mutation.mutants import Node

NOT_MUTATED = ("contracts/interfaces/", "contracts/mocks/", "contracts/devnet/", "contracts/.cache/")
IMPORT = re.compile(r'^\s*import\s[^;]*?"([^"]+)"', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Source:
    """One file of `contracts/`, its text and its tree."""

    file: str
    text: bytes
    tree: Node


class CompileError(RuntimeError):
    """The contracts do not compile as they are; the message is the compiler's first error."""


def digest(root: Path, folders: Iterable[str]) -> str:
    """Hash of every Solidity and vector file in the folders, names included."""
    whole = hashlib.sha256()
    for folder in folders:
        for path in sorted((root / folder).rglob("*")):
            if path.is_file() and ".cache" not in path.parts and path.suffix in (".sol", ".json", ".toml"):
                whole.update(f"{path.relative_to(root)}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return whole.hexdigest()[:20]


def contract_files(root: Path) -> list[str]:
    """Every Solidity file of `contracts/`, relative to the root."""
    files = sorted(path.relative_to(root).as_posix() for path in (root / "contracts").rglob("*.sol"))
    return [file for file in files if ".cache/" not in file]


def read_sources(root: Path, solc: Path) -> list[Source]:
    """The files that are mutated, with their trees.

    Raises CompileError.
    """
    answer = ask(solc, root, contract_files(root), {"*": {"": ["ast"]}}, {})
    trees = answer["sources"]
    wanted = [file for file in contract_files(root) if not file.startswith(NOT_MUTATED)]
    return [Source(file, (root / file).read_bytes(), trees[file]["ast"]) for file in wanted]


def ask(
    solc: Path,
    root: Path,
    files: Iterable[str],
    outputs: dict[str, Any],
    settings: dict[str, Any],
    changed: dict[str, bytes] | None = None,
) -> dict[str, Any]:
    """Compile files of the root, some of them with another text.

    Raises CompileError.
    """
    changed = changed or {}
    texts = {file: (changed.get(file) or (root / file).read_bytes()).decode() for file in closure(root, files)}
    question = {
        "language": "Solidity",
        "sources": {file: {"content": text} for file, text in texts.items()},
        "settings": {
            "remappings": ["@openzeppelin/contracts/=node_modules/@openzeppelin/contracts/"],
            "evmVersion": "osaka",
            "outputSelection": outputs,
        }
        | settings,
    }
    command = [str(solc), "--standard-json", "--base-path", str(root), "--allow-paths", str(root)]
    done = subprocess.run(command, input=json.dumps(question), capture_output=True, text=True, check=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    for error in answer.get("errors", []):
        if error["severity"] == "error":
            raise CompileError(error["formattedMessage"])
    return answer


def imports(root: Path, file: str) -> list[str]:
    """Files of `contracts/` that a file imports directly."""
    found = []
    for name in IMPORT.findall((root / file).read_text()):
        if name.startswith("."):
            found.append(posixpath.normpath(posixpath.join(posixpath.dirname(file), name)))
    return found


def closure(root: Path, files: Iterable[str]) -> set[str]:
    """The files and all that they import from the checkout, directly or not."""
    found: set[str] = set()
    waiting = list(files)
    while waiting:
        file = waiting.pop()
        if file not in found:
            found.add(file)
            waiting.extend(imports(root, file))
    return found
