"""Makes every mutant of a source file from its syntax tree.

Operators: relational, boundary, arithmetic, bitwise, shift, logical, constant, condition, return,
delete-assignment, delete-call, delete-emit, delete-revert, delete-jump, delete-modifier, assembly.
Types, storage layout, events, errors and imports are left alone: a change there is either no
change of behaviour or does not compile.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from tools.mutation.mutants import Mutant, Node, children, span
from tools.mutation.yul import yul_changes

Change = tuple[int, int, str, str]  # start, end, replacement, operator

SWAPS = {
    "relational": {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "==": "!=", "!=": "=="},
    "boundary": {"<": "<=", "<=": "<", ">": ">=", ">=": ">"},
    "arithmetic": {"+": "-", "-": "+", "*": "/", "/": "*", "%": "*", "**": "*", "+=": "-=", "-=": "+=", "*=": "/="},
    "bitwise": {"&": "|", "|": "&", "^": "&", "&=": "|=", "|=": "&=", "^=": "&="},
    "shift": {"<<": ">>", ">>": "<<", "<<=": ">>=", ">>=": "<<="},
    "logical": {"&&": "||", "||": "&&"},
}
UNARY = {"++": ("--", "arithmetic"), "--": ("++", "arithmetic"), "!": ("", "logical"), "~": ("", "bitwise")}
LEFT_ALONE = frozenset({"typeName", "documentation", "typeDescriptions", "overrides", "baseContracts"})
SKIPPED_NODES = {"EventDefinition", "ErrorDefinition", "StructDefinition", "EnumDefinition", "ImportDirective"}
DELETABLE = {"Assignment": "delete-assignment", "UnaryOperation": "delete-assignment", "FunctionCall": "delete-call"}


def mutants_of(file: str, source: bytes, tree: Node) -> Iterator[Mutant]:
    """Every mutant of a file, in the order of the tree, without repetitions."""
    seen = set()
    for function, (start, end, after, operator) in changes_below(tree, source, ""):
        before = source[start:end].decode()
        if before == after or (start, end, after) in seen:
            continue
        seen.add((start, end, after))
        line = source.count(b"\n", 0, start) + 1
        yield Mutant(file, start, end, after, before, operator, function, line)


def changes_below(node: Node, source: bytes, function: str) -> Iterator[tuple[str, Change]]:
    kind = node["nodeType"]
    if kind in SKIPPED_NODES:
        return
    if kind in ("FunctionDefinition", "ModifierDefinition"):
        function = node.get("name") or node.get("kind", "")
    if kind == "InlineAssembly":
        for change in yul_changes(node["AST"], source):
            yield function, change
        return
    if make := MAKERS.get(kind):
        for change in make(node, source):
            yield function, change
    for child in children(node, LEFT_ALONE):
        yield from changes_below(child, source, function)


# --- expressions ----------------------------------------------------------------------------------


def swaps(node: Node, source: bytes) -> Iterator[Change]:
    """Another operator between the two sides of an operation or assignment."""
    left = node.get("leftExpression") or node["leftHandSide"]
    right = node.get("rightExpression") or node["rightHandSide"]
    token = node["operator"]
    begin, limit = span(left)[1], span(right)[0]
    at = source.find(token.encode(), begin, limit)
    if at < 0:
        return
    for operator, table in SWAPS.items():
        if token in table:
            yield at, at + len(token), table[token], operator


def unary(node: Node, _: bytes) -> Iterator[Change]:
    token = node["operator"]
    if token not in UNARY:
        return
    start, end = span(node)
    at = start if node["prefix"] else end - len(token)
    after, operator = UNARY[token]
    yield at, at + len(token), after, operator


def constants(node: Node, source: bytes) -> Iterator[Change]:
    start, end = span(node)
    if node["kind"] == "bool":
        yield start, end, "false" if node["value"] == "true" else "true", "constant"
    if node["kind"] != "number" or not re.fullmatch(rb"[0-9_]+|0x[0-9a-fA-F_]+", source[start:end].split()[0]):
        return
    written = source[start:end].split()[0]
    value = int(written.replace(b"_", b""), 0)
    end = start + len(written)
    yield start, end, str(value + 1), "constant"
    if value > 0:
        yield start, end, str(value - 1), "constant"


def conditions(node: Node, source: bytes) -> Iterator[Change]:
    """A condition always true, always false, or turned round."""
    start, end = span(node["condition"])
    text = source[start:end].decode()
    if node["nodeType"] in ("ForStatement", "WhileStatement"):
        yield start, end, "false", "condition"
        return
    yield start, end, f"!({text})", "condition"
    yield start, end, "true", "condition"
    if not only_reverts(node):  # else it is the same as deleting the revert
        yield start, end, "false", "condition"


def only_reverts(node: Node) -> bool:
    body = node.get("trueBody")
    if not body or node.get("falseBody"):
        return False
    statements = body.get("statements", []) if body["nodeType"] == "Block" else [body]
    return len(statements) == 1 and statements[0]["nodeType"] == "RevertStatement"


def requirements(node: Node, source: bytes) -> Iterator[Change]:
    if node["expression"].get("name") == "require" and node["arguments"]:
        start, end = span(node["arguments"][0])
        yield start, end, f"!({source[start:end].decode()})", "condition"


def returned(node: Node, source: bytes) -> Iterator[Change]:
    """Another value for what is returned, each part of a tuple by itself."""
    expression = node.get("expression")
    if not expression:
        return
    parts = [expression]
    if expression["nodeType"] == "TupleExpression" and len(expression["components"]) > 1:
        parts = [part for part in expression["components"] if part]
    for part in parts:
        start, end = span(part)
        for value in values_of(part["typeDescriptions"].get("typeString") or ""):
            if source[start:end].decode() != value:
                yield start, end, value, "return"


def values_of(kind: str) -> tuple[str, ...]:
    """Plain values of a type, none where there is no short way to write one."""
    if kind == "bool":
        return "true", "false"
    if kind.startswith(("uint", "int")) and "[" not in kind and "(" not in kind:
        return "0", "1"
    if re.fullmatch(r"bytes\d+", kind):
        return (f"{kind}(0)",)
    if kind == "address":
        return ("address(0)",)
    return (f"{kind}.wrap(0)",) if re.fullmatch(r"[A-Z]\w*Id|Hash", kind) else ()


# --- statements -----------------------------------------------------------------------------------


def deletion(node: Node, source: bytes, operator: str) -> Iterator[Change]:
    """An empty block instead of a statement, its semicolon included."""
    start, end = span(node)
    tail = re.match(rb"\s*;", source[end:])
    if tail or source[end - 1 : end] == b";":
        yield start, end + (tail.end() if tail else 0), "{}", operator


def expression_deletion(node: Node, source: bytes) -> Iterator[Change]:
    kind = node["expression"]["nodeType"]
    if kind in DELETABLE:
        yield from deletion(node, source, DELETABLE[kind])


def modifier_deletion(node: Node, _: bytes) -> Iterator[Change]:
    if node.get("kind") == "modifierInvocation":
        start, end = span(node)
        yield start, end, "", "delete-modifier"


def deleting(operator: str) -> Callable[[Node, bytes], Iterator[Change]]:
    return lambda node, source: deletion(node, source, operator)


MAKERS: dict[str, Callable[[Node, bytes], Iterator[Change]]] = {
    "BinaryOperation": swaps,
    "Assignment": swaps,
    "UnaryOperation": unary,
    "Literal": constants,
    "IfStatement": conditions,
    "Conditional": conditions,
    "ForStatement": conditions,
    "WhileStatement": conditions,
    "FunctionCall": requirements,
    "Return": returned,
    "ExpressionStatement": expression_deletion,
    "EmitStatement": deleting("delete-emit"),
    "RevertStatement": deleting("delete-revert"),
    "Break": deleting("delete-jump"),
    "Continue": deleting("delete-jump"),
    "ModifierInvocation": modifier_deletion,
}
