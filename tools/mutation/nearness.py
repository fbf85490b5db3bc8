"""Which test files to run first for a mutant.

Tests are named `test_<function>__…`. A mutant in a function is nearest to the tests of that
function, then to those of its callers, and so on; callers are found by name over all sources, so
that calls through an interface count. What has killed mutants of the same function before is
preferred.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

from tools.mutation.mutants import Mutant, Node, children
from tools.mutation.sources import Source, closure

TEST = re.compile(r"function test(?:Fuzz)?_(\w+?)__")
NEAREST = 3
FADING = 0.4  # weight of a caller's tests against those of the function itself


class Nearness:
    """Ranks test files for a mutant; learns from kills."""

    def __init__(self, root: Path, sources: Iterable[Source]) -> None:
        self._callers: dict[str, set[str]] = defaultdict(set)
        for source in sources:
            self._read_calls(source.tree, "")
        self._tests: dict[str, Counter[str]] = {}
        self._units: dict[str, list[str]] = defaultdict(list)
        for folder in ("contracts", "libraries"):
            for path in sorted((root / "tests" / folder).rglob("*.t.sol")):
                file = path.relative_to(root).as_posix()
                self._tests[file] = Counter(TEST.findall(path.read_text()))
                for name in closure(root, [file]) if folder == "libraries" else ():
                    self._units[name].append(file)
        self._killers: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)

    def _read_calls(self, node: Node, function: str) -> None:
        kind = node["nodeType"]
        if kind in ("FunctionDefinition", "ModifierDefinition"):
            function = node.get("name") or node.get("kind", "")
        elif kind == "Identifier" and function and node["name"] != function:
            self._callers[node["name"]].add(function)
        elif kind == "MemberAccess" and function and node["memberName"] != function:
            self._callers[node["memberName"]].add(function)
        for child in children(node):
            self._read_calls(child, function)

    def learn(self, mutant: Mutant, test_file: str) -> None:
        """Remember that a test file killed a mutant."""
        self._killers[mutant.file, mutant.function][test_file] += 1

    def weights(self, function: str) -> dict[str, float]:
        """Weight of each function whose tests reach this one."""
        found = {function: 1.0}
        ring, weight = {function}, 1.0
        while ring and weight > 0.05:
            weight *= FADING
            ring = {caller for name in ring for caller in self._callers[name]} - set(found)
            found |= dict.fromkeys(ring, weight)
        return found

    def units(self, mutant: Mutant) -> list[str]:
        """Test files that use the mutated file and deploy no contract: they compile in a second or two."""
        return self._units[mutant.file]

    def nearest(self, mutant: Mutant) -> list[str]:
        """At most three test files, the likeliest killer first."""
        weights = self.weights(mutant.function)
        stem = Path(mutant.file).stem.lower()
        scores: dict[str, float] = {}
        for file, tests in self._tests.items():
            score = sum(weights.get(name, 0.0) * count**0.5 for name, count in tests.items())
            score += 2.0 if Path(file).name.lower().startswith(stem) else 0.0
            score += 3.0 * self._killers[mutant.file, mutant.function][file]
            scores[file] = score
        ranked = sorted(scores, key=lambda file: (-scores[file], file))
        return [file for file in ranked[:NEAREST] if scores[file] > 0]
