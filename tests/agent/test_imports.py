"""The agent and the client never need the toolkit: no module imports it, wherever it is installed."""

from __future__ import annotations

import ast
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import nodeagent

PACKAGE = Path(nodeagent.__file__).parent
TOOLKIT = {"ape", "ape_foundry", "ape_solidity", "solcx", "rich"}
MODULES = sorted(found.name for found in pkgutil.walk_packages([str(PACKAGE)], "nodeagent."))
#: Refuses the toolkit as if it were not installed, then imports every module.
LOAD_ALL = """
import importlib, sys
toolkit = set(sys.argv[1].split(","))
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in toolkit:
            raise ModuleNotFoundError(f"the toolkit is not here: {name}")
sys.meta_path.insert(0, Refuse())
for module in sys.argv[2:]:
    importlib.import_module(module)
"""


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_module__source__names_no_toolkit_package(path: Path) -> None:
    named = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            named |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            named.add(node.module.partition(".")[0])
    assert named & TOOLKIT == set()


def test_modules__without_the_toolkit__all_load() -> None:
    assert len(MODULES) > 100
    done = subprocess.run(
        [sys.executable, "-c", LOAD_ALL, ",".join(TOOLKIT), *MODULES], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
