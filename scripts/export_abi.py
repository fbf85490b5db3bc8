"""Writes ``nodeagent/abi/<Name>.json`` from the compiled contracts: the agent needs no compiler at run time.

``ape run export_abi`` or ``python scripts/export_abi.py``; ``--check`` writes nothing and fails when a file is stale.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

ROOT = next(p for p in Path(__file__).resolve().parents if (p / "foundry.toml").exists())
TARGET = ROOT / "nodeagent" / "abi"


def canonical(abi: Any) -> str:
    """One entry a line, in a fixed order, without compiler-internal types: a diff shows what changed."""
    entries = sorted((_plain(entry) for entry in abi), key=lambda e: (e["type"], e.get("name", ""), json.dumps(e)))
    lines = ",\n".join("  " + json.dumps(entry, sort_keys=True) for entry in entries)
    return f"[\n{lines}\n]\n"


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items() if key != "internalType"}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def differences(name: str, old: str, new: str) -> list[str]:
    """What the contract has and the file has not (+), the other way round (-), or otherwise spelt or returned (~)."""
    gone = {_title(line) for line in _entries(old) - _entries(new)}
    came = {_title(line) for line in _entries(new) - _entries(old)}
    marks = {**dict.fromkeys(gone, "-"), **dict.fromkeys(came, "+"), **dict.fromkeys(gone & came, "~")}
    return [f"{name}: {mark} {title}" for title, mark in sorted(marks.items())] or [f"{name}: ~ order or layout"]


def _entries(text: str) -> set[str]:
    return {line.strip().rstrip(",") for line in text.splitlines()} - {"[", "]", ""}


def _title(line: str) -> str:
    try:
        entry = json.loads(line)
        return f"{entry['type']} {entry.get('name', '')}({', '.join(p['type'] for p in entry.get('inputs', []))})"
    except (ValueError, KeyError, TypeError):
        return line


@click.command()
@click.option("--check", is_flag=True, help="Write nothing; fail when a file is stale.")
@click.option(
    "--target",
    type=click.Path(file_okay=False, path_type=Path),
    default=TARGET,
    show_default="nodeagent/abi",
    help="Folder of the ABI files.",
)
@click.option("--no-build", is_flag=True, help="Take the artifacts as they are.")
def cli(check: bool, target: Path, no_build: bool) -> None:
    """Export the contracts' ABIs for the agent."""
    if str(ROOT) not in sys.path:
        sys.path.insert(0, str(ROOT))
    from scripts._lib import artifacts
    from scripts._lib.errors import ScriptError

    if not no_build:
        artifacts.build()
    fresh = {f"{name}.json": canonical(artifacts.load(name).abi) for name in artifacts.SOURCES}
    present = {path.name: path.read_text() for path in sorted(target.glob("*.json"))} if target.exists() else {}
    stale = {name: text for name, text in fresh.items() if present.get(name) != text}
    orphans = sorted(set(present) - set(fresh))
    if check:
        lines = [line for name, text in stale.items() for line in differences(name, present.get(name, ""), text)]
        lines += [f"{name}: no such contract" for name in orphans]
        if lines:
            raise ScriptError("\n".join(["the ABI files are stale:", *lines]), hint="python scripts/export_abi.py")
        click.echo(f"{len(fresh)} ABI files are up to date")
        return
    target.mkdir(parents=True, exist_ok=True)
    for name, text in stale.items():
        (target / name).write_text(text)
    for name in orphans:
        (target / name).unlink()
    click.echo(f"wrote {len(stale)}, removed {len(orphans)}, kept {len(fresh) - len(stale)} ABI files")


if __name__ == "__main__":
    cli()
