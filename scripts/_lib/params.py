"""``scripts/params/<network>.toml``: read, checked against the ABI and against each other, before any gas is spent.

Every fault of the file is reported at once, each with its place, what was expected and what was found.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from eth_utils import to_checksum_address

from scripts._lib.abi import Interface, Param, is_address, problem_with, type_of
from scripts._lib.artifacts import ROOT
from scripts._lib.errors import ScriptError
from scripts._lib.relations import relations
from scripts._lib.roles import ROLES

FOLDER = ROOT / "scripts" / "params"
# Constructor arguments that the deployment itself knows.
WIRED = frozenset({"authority", "admin", "stakeToken", "registry", "ledger", "paymentToken", "court"})
OURS = ("QuorateToken", "TestStablecoin", "NodeRegistry", "CommitLedger", "Court", "JobMarket")
_AMOUNT = re.compile(r"[0-9][0-9_]*(\.[0-9]+)?(e[0-9]{1,2})?")


@dataclass(frozen=True, slots=True)
class PaymentToken:
    """An ERC-20 that exists: what it must say of itself."""

    address: str
    symbol: str
    decimals: int


@dataclass(frozen=True, slots=True)
class Role:
    """Wanted holders of a role and their execution delay in seconds."""

    holders: tuple[str, ...]
    delay: int


@dataclass(frozen=True, slots=True)
class Pool:
    """A pool to create; ``terms`` in the order of INodeRegistry.PoolTerms."""

    name: str
    id: int
    terms: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Params:
    """A whole parameter file, checked. ``constructor`` holds plain values by contract and argument; without ``court``
    no job can ever be appealed."""

    path: Path
    devnet: bool
    court: bool
    constructor: dict[str, dict[str, Any]]
    payment: PaymentToken | None
    fee_bps: int
    fee_recipient: str
    roles: dict[str, Role]
    pools: tuple[Pool, ...]


def path_for(network: str, chosen: Path | None) -> Path:
    """The file to read. Raises ScriptError with the names there are."""
    path = chosen or FOLDER / f"{network}.toml"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in FOLDER.glob("*.toml")))
        raise ScriptError(
            f"there is no parameter file {path.name} for network {network!r} (found: {known})",
            hint=f"copy params/sepolia.toml to params/{network}.toml and edit it, or name a file: --params",
        )
    return path


def load(path: Path, interfaces: Mapping[str, Interface], deployer: str) -> Params:
    """Reads and checks a file. Raises ScriptError that lists every fault."""
    try:
        table = tomllib.loads(path.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ScriptError(f"{path.name} is not TOML: {error}") from error
    reader = _Reader(table, interfaces, deployer)
    params = reader.read(path)
    faults = reader.faults or relations(params.constructor, params.pools, params.fee_bps)
    if faults:
        listed = "\n".join(f"  - {fault}" for fault in faults)
        raise ScriptError(f"{path.name} cannot be deployed:\n{listed}", hint="correct the file; nothing was sent")
    return params


def amount(value: Any) -> Any:
    """An exact whole number from text such as "1_000e18"; anything else comes back as it is."""
    if not isinstance(value, str) or not _AMOUNT.fullmatch(value):
        return value
    number = Decimal(value.replace("_", ""))
    return int(number) if number == number.to_integral_value() else value


def flat_inputs(inputs: Sequence[Param]) -> list[Param]:
    """Constructor inputs with a struct's fields in its place, trailing underscores off."""
    flat: list[Param] = []
    for param in inputs:
        if param["type"] == "tuple":
            flat += flat_inputs(param["components"])
        else:
            flat.append({**param, "name": param["name"].strip("_")})
    return flat


def constructor_args(interface: Interface, values: Mapping[str, Any]) -> list[Any]:
    """Arguments in the ABI's order, structs rebuilt."""
    return [_argument(param, values) for param in interface.constructor()]


def _argument(param: Param, values: Mapping[str, Any]) -> Any:
    if param["type"] == "tuple":
        return tuple(_argument(part, values) for part in param["components"])
    return values[param["name"].strip("_")]


@dataclass(slots=True)
class _Reader:
    """Walks the file and collects faults instead of stopping at the first."""

    table: dict[str, Any]
    interfaces: Mapping[str, Interface]
    deployer: str
    faults: list[str] = field(default_factory=list)

    def read(self, path: Path) -> Params:
        network = self._take("network", {"devnet": "bool"}, {"court": "bool"})
        devnet, court = network.get("devnet") is True, network.get("court") is not False
        there = {"TestStablecoin": devnet, "Court": court}
        wanted = [name for name in OURS if there.get(name, True)]
        constructor = {name: self._constructor(name) for name in wanted}
        payment = None if devnet else self._payment()
        fee = self._take("fee", {"bps": "uint16", "recipient": "address"})
        roles, pools = self._roles(), self._pools()
        known = {"network", "fee", "roles", "pools", *wanted} | (set() if devnet else {"PaymentToken"})
        for name in self.table:
            if name == "Court" and not court:
                self.faults.append("[Court] is there and network.court is false: drop one of them")
            elif name not in known:
                self._unknown("table", name, known)
        return Params(
            path=path,
            devnet=devnet,
            court=court,
            constructor=constructor,
            payment=payment,
            fee_bps=fee.get("bps", 0),
            fee_recipient=fee.get("recipient", self.deployer),
            roles=roles,
            pools=pools,
        )

    def _constructor(self, name: str) -> dict[str, Any]:
        inputs = flat_inputs(self.interfaces[name].constructor())
        found = self._take(name, {p["name"]: type_of(p) for p in inputs if p["name"] not in WIRED})
        if name == "Court" and name not in self.table:
            self.faults[-1] += '; without a court nothing can be appealed: then say "court = false" in [network]'
        return found

    def _payment(self) -> PaymentToken | None:
        found = self._take("PaymentToken", {"address": "address", "symbol": "string", "decimals": "uint8"})
        if len(found) != 3:
            return None
        return PaymentToken(found["address"], found["symbol"], found["decimals"])

    def _roles(self) -> dict[str, Role]:
        tables = self.table.get("roles", {})
        roles = {}
        for name in ROLES:
            table = tables.get(name)
            if not isinstance(table, dict):
                self.faults.append(f"roles.{name} is missing: say who holds it")
                continue
            found = self._values(f"roles.{name}", table, {"holders": "address[]", "delay": "uint32"})
            roles[name] = Role(tuple(found.get("holders", ())), found.get("delay", 0))
        for name in tables:
            if name not in ROLES:
                self._unknown("role", name, set(ROLES))
        return roles

    def _pools(self) -> tuple[Pool, ...]:
        terms = self.interfaces["NodeRegistry"].entry("function", "createPool")["inputs"][1]["components"]
        kinds = {"id": "uint16", **{p["name"]: type_of(p) for p in terms}}
        pools = []
        for name, table in self.table.get("pools", {}).items():
            found = self._values(f"pools.{name}", table, kinds)
            if len(found) == len(kinds):
                pools.append(Pool(name, found["id"], {p["name"]: found[p["name"]] for p in terms}))
        if not self.table.get("pools"):
            self.faults.append("there is no pool: add [pools.<name>]")
        return tuple(pools)

    def _take(self, name: str, kinds: Mapping[str, str], optional: Mapping[str, str] | None = None) -> dict[str, Any]:
        table = self.table.get(name)
        if not isinstance(table, dict):
            self.faults.append(f"[{name}] is missing: it needs {', '.join(kinds)}")
            return {}
        given = {key: kind for key, kind in (optional or {}).items() if key in table}
        return self._values(name, table, {**kinds, **given})

    def _values(self, place: str, table: Mapping[str, Any], kinds: Mapping[str, str]) -> dict[str, Any]:
        values = {}
        for name, kind in kinds.items():
            if name not in table:
                self.faults.append(f"{place}.{name} is missing ({kind})")
                continue
            value = self._value(kind, table[name])
            problem = self._problem(kind, value)
            if problem is None:
                values[name] = value
            else:
                self.faults.append(f"{place}.{name}: {problem}")
        for name in table:
            if name not in kinds:
                self._unknown(f"{place} parameter", name, set(kinds))
        return values

    def _value(self, kind: str, value: Any) -> Any:
        if kind == "address[]":
            return [self._value("address", item) for item in value] if isinstance(value, list) else value
        if kind == "address":
            if value == "deployer":
                return self.deployer
            return to_checksum_address(value) if is_address(value) else value
        return amount(value) if kind.startswith("uint") else value

    def _problem(self, kind: str, value: Any) -> str | None:
        if kind != "address[]":
            return problem_with(kind, value)
        if not isinstance(value, list) or not value:
            return f"expected a list of addresses, found {value!r}"
        return next((p for p in (problem_with("address", item) for item in value) if p), None)

    def _unknown(self, what: str, name: str, known: set[str]) -> None:
        near = difflib.get_close_matches(name, known, n=1)
        meant = f"; did you mean {near[0]}?" if near else f"; known: {', '.join(sorted(known))}"
        self.faults.append(f"unknown {what} {name!r}{meant}")
