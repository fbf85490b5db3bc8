"""The compiler at build/bin, native or WebAssembly: what ape, forge and Slither rely on.

solc-v0.8.37
├── --version ............ two lines that py-solc-x and forge parse
├── --standard-json
│   ├── imports .......... from the base path, then the include paths; a missing one is an error
│   ├── a changed import . changes the answer (the shim's cache sees it)
│   └── AST .............. builtin ids are negative
└── another option ....... exit 1 and a reason (shim)
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

LIBRARY = "pragma solidity 0.8.37; library Lib { function answer() internal pure returns (uint256) { return %d; } }"
MAIN = """pragma solidity 0.8.37;
import {Lib} from "lib/Lib.sol";
contract Main {
    function answer() external view returns (uint256) { require(msg.sender != address(this)); return Lib.answer(); }
}
"""


@pytest.fixture
def solc(root: Path) -> Path:
    return root / "build" / "bin" / "solc-v0.8.37"


def compile_main(solc: Path, folder: Path, *, cache: Path) -> dict[str, Any]:
    question = {
        "language": "Solidity",
        "sources": {"Main.sol": {"content": MAIN}},
        "settings": {"outputSelection": {"*": {"*": ["evm.deployedBytecode.object"], "": ["ast"]}}},
    }
    command = [solc, "--standard-json", "--base-path", folder / "base", "--include-path", folder / "include"]
    done = subprocess.run(
        command,
        input=json.dumps(question),
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"QUORATE_SOLC_CACHE": str(cache)},
    )
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    (tmp_path / "base").mkdir()
    (tmp_path / "include" / "lib").mkdir(parents=True)
    (tmp_path / "include" / "lib" / "Lib.sol").write_text(LIBRARY % 42)
    return tmp_path


def code(answer: dict[str, Any]) -> str:
    return str(answer["contracts"]["Main.sol"]["Main"]["evm"]["deployedBytecode"]["object"])


def builtin_ids(node: object) -> list[int]:
    if isinstance(node, dict):
        own = [node["referencedDeclaration"]] if isinstance(node.get("referencedDeclaration"), int) else []
        return own + [found for value in node.values() for found in builtin_ids(value)]
    if isinstance(node, list):
        return [found for value in node for found in builtin_ids(value)]
    return []


def test_version__asked__answers_in_two_lines(solc: Path) -> None:
    done = subprocess.run([solc, "--version"], capture_output=True, text=True, check=True)
    first, second = done.stdout.splitlines()
    assert first == "solc, the solidity compiler commandline interface"
    assert second.startswith("Version: 0.8.37+commit.")


def test_standard_json__import_from_include_path__compiles(solc: Path, sources: Path) -> None:
    answer = compile_main(solc, sources, cache=sources / "cache")
    assert "602a" in code(answer)


def test_standard_json__import_changed__answer_changes(solc: Path, sources: Path) -> None:
    before = compile_main(solc, sources, cache=sources / "cache")
    assert compile_main(solc, sources, cache=sources / "cache") == before
    (sources / "include" / "lib" / "Lib.sol").write_text(LIBRARY % 43)
    assert "602b" in code(compile_main(solc, sources, cache=sources / "cache"))
    (sources / "base" / "lib").mkdir()
    (sources / "base" / "lib" / "Lib.sol").write_text(LIBRARY % 44)
    answer = compile_main(solc, sources, cache=sources / "cache")
    errors = [error["message"] for error in answer.get("errors", []) if error["severity"] == "error"]
    assert errors or "602c" in code(answer)


def test_standard_json__import_missing__is_an_error(solc: Path, sources: Path) -> None:
    (sources / "include" / "lib" / "Lib.sol").unlink()
    answer = compile_main(solc, sources, cache=sources / "cache")
    assert [e["type"] for e in answer["errors"] if e["severity"] == "error"] == ["ParserError"]


def test_standard_json__ast__builtin_ids_are_negative(solc: Path, sources: Path) -> None:
    answer = compile_main(solc, sources, cache=sources / "cache")
    found = builtin_ids(answer["sources"]["Main.sol"]["ast"])
    assert {-15, -18} <= set(found)
    assert all(value < 2**31 for value in found)


def test_shim__unsupported_option__exits_with_a_reason(root: Path) -> None:
    shim = root / "tools" / "solc-shim" / "solc.mjs"
    done = subprocess.run([shim, "--bin", "x.sol"], capture_output=True, text=True)
    assert done.returncode == 1
    assert "option '--bin' is not supported by this solc" in done.stderr
