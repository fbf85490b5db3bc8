"""The compiler that stays loaded (tools/solc-shim/server.mjs), asked through the shim.

shim with QUORATE_SOLC_SERVER
├── server there ........... the same answer as without it, the version included
├── nobody at the socket ... the shim answers itself
└── end of its input ....... the server leaves and takes its socket along

question about many files .. answered in parts, by several compilers or one; the answer is the same
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

QUESTION = json.dumps(
    {
        "language": "Solidity",
        "sources": {"A.sol": {"content": "pragma solidity 0.8.37; contract A { uint256 public a = 42; }"}},
        "settings": {"outputSelection": {"*": {"*": ["evm.bytecode.object"], "": ["ast"]}}},
    }
)


@pytest.fixture
def socket(tmp_path: Path) -> Path:
    return tmp_path / "solc.sock"


@pytest.fixture
def server(root: Path, socket: Path) -> Iterator[subprocess.Popen[str]]:
    command = ["node", root / "tools" / "solc-shim" / "server.mjs", socket]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
        if process.poll() is None:
            process.terminate()


def shim(root: Path, socket: Path | None, *arguments: str, question: str = QUESTION, jobs: int | None = None) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("QUORATE_SOLC_")}
    environment["QUORATE_SOLC_CACHE"] = ""
    if socket is not None:
        environment["QUORATE_SOLC_SERVER"] = str(socket)
    if jobs is not None:
        environment["QUORATE_SOLC_JOBS"] = str(jobs)
    command = [root / "tools" / "solc-shim" / "solc.mjs", *arguments]
    return subprocess.run(command, input=question, capture_output=True, text=True, check=True, env=environment).stdout


def test_shim__server_there__answers_as_without_it(root: Path, socket: Path, server: subprocess.Popen[str]) -> None:
    asked = shim(root, socket, "--standard-json")
    assert server.poll() is None
    assert asked == shim(root, None, "--standard-json")
    assert '"object":"60' in asked
    assert shim(root, socket, "--version") == shim(root, None, "--version")


def test_shim__nobody_at_the_socket__answers_itself(root: Path, socket: Path) -> None:
    assert '"object":"60' in shim(root, socket, "--standard-json")


def test_server__end_of_its_input__leaves(socket: Path, server: subprocess.Popen[str]) -> None:
    assert socket.exists()
    assert server.stdin is not None
    server.stdin.close()
    assert server.wait(timeout=60) == 0
    assert not socket.exists()


def many_files(count: int, per_question: int) -> list[str]:
    """One question about all files, as several that ask for the code of some of them each."""
    sources = {}
    for n in range(count):
        base = f'import {{C{n - 1}}} from "F{n - 1}.sol"; ' if n else ""
        body = f"function f{n}(uint256 a) public pure returns (uint256) {{ return a / {n + 1}; }}"
        sources[f"F{n}.sol"] = {"content": f"pragma solidity 0.8.37; {base}contract C{n} {{ {body} }}"}
    outputs = {"*": ["abi", "evm.bytecode.object", "metadata"], "": ["ast"]}
    names = list(sources)
    return [
        json.dumps(
            {
                "language": "Solidity",
                "sources": sources,
                "settings": {"outputSelection": dict.fromkeys(names[at : at + per_question], outputs)},
            }
        )
        for at in range(0, count, per_question)
    ]


@pytest.mark.parametrize("jobs", [1, 2])
def test_shim__many_files__answers_as_for_few_at_a_time(root: Path, jobs: int) -> None:
    whole = json.loads(shim(root, None, "--standard-json", question=many_files(130, 130)[0], jobs=jobs))
    contracts, trees = {}, {}
    for question in many_files(130, 26):
        part = json.loads(shim(root, None, "--standard-json", question=question))
        contracts |= part["contracts"]
        trees |= {name: source for name, source in part["sources"].items() if "ast" in source}
    assert whole["contracts"] == contracts
    assert whole["sources"] == trees
    assert len({json.dumps(error) for error in whole["errors"]}) == len(whole["errors"])
