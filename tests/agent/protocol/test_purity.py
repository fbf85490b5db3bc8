"""The protocol package has no hands: it imports nothing that reads a file, a socket, a clock or chance."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import nodeagent.protocol

MODULES = sorted(Path(nodeagent.protocol.__file__).parent.glob("*.py"))
ALLOWED = {
    "__future__", "base64", "binascii", "bisect", "collections", "dataclasses", "enum", "hashlib", "itertools", "json",
    "re",
    "nodeagent", "pydantic", "sha3", "struct", "typing", "urllib",
}  # fmt: skip


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_module__imports__are_pure(path: Path) -> None:
    imported = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            imported.add(node.module or "")
    assert {name.partition(".")[0] for name in imported} <= ALLOWED
    assert {name for name in imported if name.startswith("nodeagent")} <= {"nodeagent.errors"}
    assert {name for name in imported if name.startswith("urllib")} <= {"urllib.parse"}
