"""The configuration checker: this checkout agrees with itself, and each difference is named."""

from __future__ import annotations

import copy
import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

Load = Callable[[str], ModuleType]


@pytest.fixture
def configs(root: Path) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    return (
        tomllib.loads((root / "foundry.toml").read_text()),
        yaml.safe_load((root / "ape-config.yaml").read_text()),
        json.loads((root / "package.json").read_text()),
    )


def test_main__this_checkout__passes(tool: Load) -> None:
    assert tool("check_config").main() == 0


@pytest.mark.parametrize(
    ("ours", "theirs", "value"),
    [
        ("evm_version", "evm_version", "cancun"),
        ("via_ir", "via_ir", False),
        ("optimizer", "optimize", False),
        ("optimizer_runs", "optimization_runs", 1),
        ("solc", "version", "0.8.30"),
    ],
)
def test_differences__ape_setting_changed__names_both_values(
    tool: Load, configs: tuple[dict[str, Any], ...], ours: str, theirs: str, value: object
) -> None:
    forge, ape, npm = copy.deepcopy(configs)
    before = ape["solidity"][theirs]
    ape["solidity"][theirs] = value
    assert list(tool("check_config").differences(forge, ape, npm)) == [
        f"{ours} is {before!r} in foundry.toml but {value!r} in ape-config.yaml"
    ]


def test_differences__profile_overrides_the_compiler__is_named(tool: Load, configs: tuple[dict[str, Any], ...]) -> None:
    forge, ape, npm = copy.deepcopy(configs)
    forge["profile"]["deep"]["via_ir"] = False
    assert list(tool("check_config").differences(forge, ape, npm)) == [
        "foundry.toml: profile deep sets ['via_ir']; only the default profile may"
    ]


def test_differences__library_moved_in_one_file__is_named(tool: Load, configs: tuple[dict[str, Any], ...]) -> None:
    forge, ape, npm = copy.deepcopy(configs)
    npm["devDependencies"]["@openzeppelin/contracts"] = "5.7.1"
    assert list(tool("check_config").differences(forge, ape, npm)) == [
        "OpenZeppelin is 5.7.1 in package.json, 5.7.0 in ape-config.yaml",
        "ape-config.yaml: import_remapping lacks '@openzeppelin/contracts=openzeppelin/5.7.1'",
    ]


def test_compiled_in__contract_or_library_imported__is_named(tool: Load, tmp_path: Path) -> None:
    for folder in ("contracts/libraries", "contracts/interfaces", "tests/contracts/support", "tests/libraries"):
        (tmp_path / folder).mkdir(parents=True)
    for file in ("Court.sol", "libraries/Trees.sol", "interfaces/ICourt.sol"):
        (tmp_path / "contracts" / file).touch()
    trees = 'import {Trees} from "../../contracts/libraries/Trees.sol";\n'
    (tmp_path / "tests/contracts/A.t.sol").write_text('import {ICourt} from "../../contracts/interfaces/ICourt.sol";\n')
    (tmp_path / "tests/contracts/B.t.sol").write_text(
        f'import {{\n    A,\n    Court\n}} from "../../contracts/Court.sol";\n{trees}'
    )
    (tmp_path / "tests/contracts/support/C.sol").write_text('import "../../../contracts/Court.sol";\n')
    (tmp_path / "tests/libraries/Trees.t.sol").write_text(trees)
    advice = "deploy it from its artifact (Deployments.sol), or test a library in tests/libraries"
    assert list(tool("check_config").compiled_in(tmp_path)) == [
        f"tests/contracts/B.t.sol imports contracts/Court.sol: {advice}",
        f"tests/contracts/B.t.sol imports contracts/libraries/Trees.sol: {advice}",
        f"tests/contracts/support/C.sol imports contracts/Court.sol: {advice}",
    ]


def test_addresses__lock_with_an_index__is_named(tool: Load, tmp_path: Path) -> None:
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements" / "base.txt").write_text("a==1 \\\n--index-url somewhere\n")
    (tmp_path / "package-lock.json").write_text('{"packages": {"a": {"resolved": "x"}}}')
    assert list(tool("check_config").addresses(tmp_path)) == [
        "requirements/base.txt:2 names an address: run make lock",
        "package-lock.json names addresses: run make lock",
    ]
