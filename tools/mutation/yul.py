"""Mutants of inline assembly."""

from __future__ import annotations

from collections.abc import Iterator

from tools.mutation.mutants import Node, children, span

BUILTINS = {
    "add": "sub",
    "sub": "add",
    "mul": "div",
    "div": "mul",
    "mod": "div",
    "and": "or",
    "or": "and",
    "xor": "and",
    "shl": "shr",
    "shr": "shl",
    "lt": "gt",
    "gt": "lt",
    "eq": "xor",
    "iszero": "not",
    "mstore": "mstore8",
    "sload": "tload",
    "keccak256": "add",
}
DELETABLE = {"YulExpressionStatement", "YulAssignment", "YulBreak", "YulContinue"}


def yul_changes(node: Node, source: bytes) -> Iterator[tuple[int, int, str, str]]:
    """Changes below a node of an assembly block: start, end, replacement, `assembly`."""
    kind = node["nodeType"]
    start, end = span(node)
    if kind == "YulFunctionCall" and (after := BUILTINS.get(node["functionName"]["name"])):
        begin, limit = span(node["functionName"])
        yield begin, limit, after, "assembly"
    elif kind == "YulLiteral" and node["kind"] == "number":
        value = int(node["value"], 0)
        yield start, end, str(value + 1), "assembly"
        if value > 0:
            yield start, end, str(value - 1), "assembly"
    elif kind in DELETABLE:
        yield start, end, "{}", "assembly"
    elif kind in ("YulIf", "YulForLoop"):
        begin, limit = span(node["condition"])
        yield begin, limit, "0", "assembly"
        if kind == "YulIf":
            yield begin, limit, f"iszero({source[begin:limit].decode()})", "assembly"
    for child in children(node):
        if child["nodeType"].startswith("Yul") and child["nodeType"] != "YulIdentifier":
            yield from yul_changes(child, source)
