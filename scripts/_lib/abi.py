"""Encoding and decoding by ABI, with names: what goes in is checked, what comes out is a dict or a value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eth_abi import decode, encode
from eth_abi.exceptions import DecodingError
from eth_utils import is_checksum_address, is_hex_address, keccak, to_checksum_address

from scripts._lib.errors import ScriptError

Param = Mapping[str, Any]


def type_of(param: Param) -> str:
    """Canonical type of an ABI parameter, tuples spelled out."""
    kind: str = param["type"]
    if not kind.startswith("tuple"):
        return kind
    inner = ",".join(type_of(part) for part in param["components"])
    return f"({inner}){kind[len('tuple') :]}"


def signature_of(entry: Param) -> str:
    """``name(type,type)`` of a function, event or error."""
    return f"{entry['name']}({','.join(type_of(p) for p in entry.get('inputs', []))})"


def selector_of(entry: Param) -> bytes:
    """First four bytes of the signature's hash."""
    return bytes(keccak(text=signature_of(entry))[:4])


def named(param: Param, value: Any) -> Any:
    """Turns a decoded value into plain Python: tuples to dicts by name, addresses checksummed."""
    kind: str = param["type"]
    if kind.endswith("]"):
        inner = {**param, "type": kind[: kind.rindex("[")]}
        return [named(inner, item) for item in value]
    if kind == "tuple":
        return {p["name"]: named(p, v) for p, v in zip(param["components"], value, strict=True)}
    if kind == "address":
        return to_checksum_address(value)
    return value


def is_address(value: Any) -> bool:
    """Whether ``value`` is 0x and 40 digits, all small or with a right checksum."""
    if not isinstance(value, str) or not value.startswith("0x") or not is_hex_address(value):
        return False
    return value == value.lower() or is_checksum_address(value)


def problem_with(kind: str, value: Any) -> str | None:
    """Why ``value`` cannot be an argument of the elementary type ``kind``, or None."""
    if kind == "bool":
        return None if isinstance(value, bool) else f"expected true or false, found {value!r}"
    if kind == "address":
        return None if is_address(value) else f"expected an address of 20 bytes with a right checksum, found {value!r}"
    if kind.startswith("uint"):
        if isinstance(value, bool) or not isinstance(value, int):
            return f"expected a whole number ({kind}), found {value!r}"
        top = 2 ** int(kind[4:] or 256) - 1
        return None if 0 <= value <= top else f"expected 0 to {top} ({kind}), found {value}"
    if kind == "string":
        return None if isinstance(value, str) else f"expected text, found {value!r}"
    return f"type {kind} is not supported in a parameter file"


@dataclass(frozen=True, slots=True)
class Interface:
    """A contract's ABI, ready to encode and decode."""

    name: str
    entries: tuple[dict[str, Any], ...]

    def entry(self, kind: str, name: str) -> dict[str, Any]:
        """The one entry of this kind and name. Raises ScriptError if there is none."""
        for item in self.entries:
            if item["type"] == kind and item.get("name") == name:
                return item
        raise ScriptError(f"{self.name} has no {kind} named {name}", hint="recompile: the scripts expect it")

    def has(self, kind: str, name: str) -> bool:
        return any(item["type"] == kind and item.get("name") == name for item in self.entries)

    def constructor(self) -> Sequence[Param]:
        for item in self.entries:
            if item["type"] == "constructor":
                return list(item["inputs"])
        return []

    def encode_constructor(self, args: Sequence[Any]) -> bytes:
        return bytes(encode([type_of(p) for p in self.constructor()], list(args)))

    def selector(self, name: str) -> bytes:
        return selector_of(self.entry("function", name))

    def encode(self, name: str, *args: Any) -> bytes:
        """Calldata of a call of ``name``."""
        entry = self.entry("function", name)
        return selector_of(entry) + bytes(encode([type_of(p) for p in entry["inputs"]], list(args)))

    def decode(self, name: str, data: bytes) -> Any:
        """Result of ``name``: None, the value, or a dict of the values by name."""
        outputs = self.entry("function", name)["outputs"]
        values = decode([type_of(p) for p in outputs], data)
        if len(outputs) == 1:
            return named(outputs[0], values[0])
        return {p["name"] or i: named(p, v) for i, (p, v) in enumerate(zip(outputs, values, strict=True))} or None

    def topic(self, event: str) -> str:
        return "0x" + keccak(text=signature_of(self.entry("event", event))).hex()


class ErrorTable:
    """Custom errors of every contract, by selector."""

    def __init__(self, interfaces: Iterable[Interface]) -> None:
        self._errors: dict[bytes, dict[str, Any]] = {}
        for interface in interfaces:
            for item in interface.entries:
                if item["type"] == "error":
                    self._errors[selector_of(item)] = item

    def describe(self, data: bytes) -> str:
        """``Name(field=value, …)`` of revert data; the raw bytes when it is not known."""
        if data[:4] == bytes.fromhex("08c379a0"):
            return str(decode(["string"], data[4:])[0])
        if data[:4] == bytes.fromhex("4e487b71"):
            return f"panic 0x{int.from_bytes(data[4:], 'big'):02x}"
        entry = self._errors.get(data[:4])
        if entry is None:
            return f"unknown revert data 0x{data.hex()}" if data else "reverted without a reason"
        try:
            values = decode([type_of(p) for p in entry["inputs"]], data[4:])
        except DecodingError:
            return f"{entry['name']} with malformed fields 0x{data[4:].hex()}"
        fields = ", ".join(f"{p['name']}={named(p, v)}" for p, v in zip(entry["inputs"], values, strict=True))
        return f"{entry['name']}({fields})"
