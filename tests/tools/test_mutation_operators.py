"""Mutants made from the syntax tree of a real file, compiled by this checkout's compiler.

mutants_of
├── each operator ........ replaces exactly the operator's bytes
├── statement ............ deleted with its semicolon; the file still compiles
├── if that only reverts . is not also made false (the same as deleting the revert)
├── types and storage .... are left alone
├── assembly ............. builtins, literals, statements
└── all of them .......... differ from the source, and most compile
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.mutation.mutants import Mutant
from tools.mutation.operators import mutants_of
from tools.mutation.sources import CompileError, ask

SOURCE = """// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

type NodeId is uint32;

contract Sample {
    error TooMany(uint256 count);
    event Counted(uint256 count);

    uint256[1 << 3] private _ring;
    uint256 public total;
    address public owner;

    modifier onlyOwner() {
        require(msg.sender == owner);
        _;
    }

    function count(uint256 by) external onlyOwner returns (bool) {
        if (by > 10) revert TooMany(by);
        total += by << 2; // the << here is no operator
        emit Counted(total);
        return total >= 7 && by != 0;
    }

    function node(uint256 word) external pure returns (NodeId) {
        return NodeId.wrap(uint32(word));
    }

    function mixed(uint256 a) external pure returns (uint256 sum) {
        assembly ("memory-safe") {
            sum := add(a, 5)
        }
    }
}
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("mutation")
    (root / "contracts").mkdir()
    (root / "contracts" / "Sample.sol").write_text(SOURCE)
    return root


@pytest.fixture(scope="module")
def solc() -> Path:
    return Path(__file__).resolve().parents[2] / "build" / "bin" / "solc-v0.8.37"


@pytest.fixture(scope="module")
def mutants(place: Path, solc: Path) -> list[Mutant]:
    answer = ask(solc, place, ["contracts/Sample.sol"], {"*": {"": ["ast"]}}, {})
    tree = answer["sources"]["contracts/Sample.sol"]["ast"]
    return list(mutants_of("contracts/Sample.sol", SOURCE.encode(), tree))


def changes(mutants: list[Mutant], operator: str) -> set[tuple[str, str]]:
    return {(mutant.before, mutant.after) for mutant in mutants if mutant.operator == operator}


@pytest.mark.parametrize(
    ("operator", "expected"),
    [
        ("relational", {("==", "!="), (">", "<"), (">=", "<="), ("!=", "==")}),
        ("boundary", {(">", ">="), (">=", ">")}),
        ("arithmetic", {("+=", "-=")}),
        ("shift", {("<<", ">>")}),
        ("logical", {("&&", "||")}),
        ("delete-emit", {("emit Counted(total);", "{}")}),
        ("delete-revert", {("revert TooMany(by);", "{}")}),
        ("delete-assignment", {("total += by << 2;", "{}")}),
        ("delete-modifier", {("onlyOwner", "")}),
        ("constant", {("10", "11"), ("10", "9"), ("2", "3"), ("2", "1"), ("7", "8"), ("7", "6"), ("0", "1")}),
    ],
)
def test_mutants_of__operator__changes_exactly_its_bytes(
    mutants: list[Mutant], operator: str, expected: set[tuple[str, str]]
) -> None:
    assert changes(mutants, operator) == expected


def test_mutants_of__condition_that_only_reverts__is_not_made_false(mutants: list[Mutant]) -> None:
    made = changes(mutants, "condition")
    assert ("by > 10", "true") in made
    assert ("by > 10", "!(by > 10)") in made
    assert ("by > 10", "false") not in made
    assert ("msg.sender == owner", "!(msg.sender == owner)") in made


def test_mutants_of__returned_value__is_replaced_by_one_of_its_type(mutants: list[Mutant]) -> None:
    made = changes(mutants, "return")
    assert {after for before, after in made if before.startswith("total")} == {"true", "false"}
    assert {after for before, after in made if before.startswith("NodeId")} == {"NodeId.wrap(0)"}


def test_mutants_of__assembly__changes_builtins_literals_and_statements(mutants: list[Mutant]) -> None:
    made = changes(mutants, "assembly")
    assert made == {("add", "sub"), ("5", "6"), ("5", "4"), ("sum := add(a, 5)", "{}")}


def test_mutants_of__types__are_left_alone(mutants: list[Mutant]) -> None:
    ring = SOURCE.splitlines().index("    uint256[1 << 3] private _ring;") + 1
    assert [mutant for mutant in mutants if mutant.line == ring] == []


def test_mutants_of__function__is_the_enclosing_one(mutants: list[Mutant]) -> None:
    assert {mutant.function for mutant in mutants} == {"onlyOwner", "count", "node", "mixed"}


def test_mutants_of__every_mutant__differs_and_compiles(mutants: list[Mutant], place: Path, solc: Path) -> None:
    source = SOURCE.encode()
    assert len({mutant.apply(source) for mutant in mutants}) == len(mutants)
    assert source not in {mutant.apply(source) for mutant in mutants}
    name = "contracts/Sample.sol"
    for mutant in [one for one in mutants if one.operator in ("delete-emit", "delete-revert", "condition", "shift")]:
        answer = ask(solc, place, [name], {"*": {"*": ["abi"]}}, {}, {name: mutant.apply(source)})
        assert "Sample" in answer["contracts"][name], mutant


def test_ask__text_that_does_not_compile__is_an_error(place: Path, solc: Path) -> None:
    name = "contracts/Sample.sol"
    with pytest.raises(CompileError, match="ParserError"):
        ask(solc, place, [name], {"*": {"*": ["abi"]}}, {}, {name: b"contract {"})


def test_apply__source_changed_meanwhile__is_refused(mutants: list[Mutant]) -> None:
    with pytest.raises(ValueError, match="changed while mutants"):
        mutants[0].apply(b"x" + SOURCE.encode())
