"""Checks what several files must say alike, and that no lock names a machine's package index.

- `foundry.toml` and `ape-config.yaml` compile with the same settings, so that what forge tests is
  what ape deploys;
- both, and `package.json`, name the same compiler and the same OpenZeppelin;
- tests that are not compiled like the contracts import no contract, or they would test another
  compilation than the one that is deployed;
- the locks hold exact versions with hashes and no address.
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
QUICK_TESTS = ("tests/contracts", "tests/invariants")
IMPORT = re.compile(r'^\s*(?:import |\} from )[^;"]*"(?:\.\./)+contracts/(?!interfaces/|mocks/)([^"]+)"', re.MULTILINE)
SOLC_FILE = re.compile(r"solc-v(\d+\.\d+\.\d+)$")


def forge_settings(config: dict[str, Any]) -> dict[str, object]:
    profile = config["profile"]["default"]
    version = SOLC_FILE.search(profile["solc"])
    return {
        "solc": version[1] if version else profile["solc"],
        "evm_version": profile["evm_version"],
        "via_ir": profile["via_ir"],
        "optimizer": profile["optimizer"],
        "optimizer_runs": profile["optimizer_runs"],
        "sources": profile["src"],
    }


def ape_settings(config: dict[str, Any]) -> dict[str, object]:
    solidity = config["solidity"]
    return {
        "solc": solidity["version"],
        "evm_version": solidity["evm_version"],
        "via_ir": solidity["via_ir"],
        "optimizer": solidity["optimize"],
        "optimizer_runs": solidity["optimization_runs"],
        "sources": config["contracts_folder"],
    }


def differences(forge: dict[str, Any], ape: dict[str, Any], npm: dict[str, Any]) -> Iterator[str]:
    ours, theirs = forge_settings(forge), ape_settings(ape)
    for name, value in ours.items():
        if theirs[name] != value:
            yield f"{name} is {value!r} in foundry.toml but {theirs[name]!r} in ape-config.yaml"
    for name, profile in forge["profile"].items():
        if name != "default" and (extra := set(profile) & (set(ours) | {"solc_version"})):
            yield f"foundry.toml: profile {name} sets {sorted(extra)}; only the default profile may"

    packages = npm["devDependencies"]
    if packages["solc"] != ours["solc"]:
        yield f"package.json has solc {packages['solc']}, foundry.toml {ours['solc']}: make them equal"
    library = packages["@openzeppelin/contracts"]
    for dependency in ape["dependencies"]:
        if dependency["npm"] == "@openzeppelin/contracts" and dependency["version"] != library:
            yield f"OpenZeppelin is {library} in package.json, {dependency['version']} in ape-config.yaml"
    wanted = f"@openzeppelin/contracts=openzeppelin/{library}"
    if wanted not in ape["solidity"]["import_remapping"]:
        yield f"ape-config.yaml: import_remapping lacks '{wanted}'"
    for package, version in packages.items():
        if not re.fullmatch(r"\d+\.\d+\.\d+", version):
            yield f"package.json: {package} is '{version}'; pin one exact version"


def compiled_in(root: Path) -> Iterator[str]:
    for folder in QUICK_TESTS:
        for test in sorted((root / folder).rglob("*.sol")):
            for file in IMPORT.findall(test.read_text()):
                if (root / "contracts" / file).is_file():
                    yield (
                        f"{test.relative_to(root)} imports contracts/{file}: deploy it from its artifact "
                        "(Deployments.sol), or test a library in tests/libraries"
                    )


def addresses(root: Path) -> Iterator[str]:
    for lock in sorted(root.glob("requirements/*.txt")):
        for number, line in enumerate(lock.read_text().splitlines(), 1):
            if "://" in line or line.lstrip().startswith(("--index", "--extra-index", "--find-links", "-i ")):
                yield f"{lock.relative_to(root)}:{number} names an address: run make lock"
    for lock in sorted([root / "package-lock.json", *root.glob("nodeagent/**/package-lock.json")]):
        if "node_modules" not in lock.parts and '"resolved"' in lock.read_text():
            yield f"{lock.relative_to(root)} names addresses: run make lock"


def main() -> int:
    forge = tomllib.loads((ROOT / "foundry.toml").read_text())
    ape = yaml.safe_load((ROOT / "ape-config.yaml").read_text())
    npm = json.loads((ROOT / "package.json").read_text())
    found = [*differences(forge, ape, npm), *compiled_in(ROOT), *addresses(ROOT)]
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
