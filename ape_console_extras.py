"""``ape console`` opens with the recorded deployment of the connected chain:

``market``, ``registry``, ``ledger``, ``court`` (where there is one), ``token`` (the stake token), ``payment`` (its
other name ``stablecoin``) and ``authority``. The record is ``deployments/<chain-id>.json``, or in the folder that
``QUORATE_RECORD`` names.
"""

from __future__ import annotations

import json
import keyword
import os
from pathlib import Path
from typing import Any

import click

_ROOT = Path(__file__).resolve().parent
_NAMES = {
    "market": "JobMarket",
    "registry": "NodeRegistry",
    "ledger": "CommitLedger",
    "court": "Court",
    "token": "QuorateToken",
    "payment": "PaymentToken",
    "authority": "AccessManager",
}


def ape_abi(name: str) -> str:
    """An exported ABI as ape can read it: a field named like a Python keyword gets a trailing underscore.

    Names are no part of a call's bytes, so nothing else changes.
    """

    def renamed(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: _safe(item) if key == "name" else renamed(item) for key, item in value.items()}
        return [renamed(item) for item in value] if isinstance(value, list) else value

    return json.dumps(renamed(json.loads((_ROOT / "nodeagent" / "abi" / f"{name}.json").read_text())))


def _safe(name: str) -> str:
    return f"{name}_" if keyword.iskeyword(name) else name


def ape_init_extras(chain: Any) -> dict[str, Any]:
    """What the console's namespace gets; empty, and said, when nothing is recorded."""
    from ape import Contract

    node = int(chain.provider.make_request("eth_chainId", []), 16)
    path = Path(os.environ.get("QUORATE_RECORD", _ROOT / "deployments")) / f"{node}.json"
    if not path.is_file():
        click.echo(f"quorate: no deployment is recorded for chain {node} ({path}).")
        click.echo(f"quorate: `ape run deploy --network {chain.provider.network_choice}` deploys and records one.")
        return {}
    record = json.loads(path.read_text())
    bound: dict[str, Any] = {}
    for name, contract in _NAMES.items():
        entry = record["contracts"].get(contract)
        if entry is None and contract == "Court":
            continue  # deployed without one
        if entry is None:
            click.echo(f"quorate: {contract} is not deployed; run `ape run deploy` again, it resumes.")
            continue
        if not chain.provider.get_code(entry["address"]):
            click.echo(f"quorate: {path} says {contract} is at {entry['address']}, where this chain has no code.")
            click.echo("quorate: was the devnet started again? `ape run deploy --fresh` deploys anew.")
            return {}
        abi = ape_abi("TestStablecoin" if contract == "PaymentToken" else contract)
        bound[name] = Contract(entry["address"], abi=abi)
    if "payment" in bound:
        bound["stablecoin"] = bound["payment"]
    click.echo(f"quorate: chain {node}, {', '.join(bound)} bound to {path.name}")
    return bound
