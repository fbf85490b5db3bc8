"""Decides one SMT-LIB file for Halmos: Yices alone at first, then beside Bitwuzla and cvc5; the first answer counts.

Yices blasts bits and decides nearly all questions about packing, trees and branches in milliseconds. It is hopeless on
a product of two unknowns divided by 10,000, which cvc5 turns into integers, and on some tricks with words, which
Bitwuzla rewrites. All three come with ``requirements/proofs.txt``.

    python tools/proof_solver.py QUERY.smt2

Prints what a solver prints: ``sat`` with a model, ``unsat`` or ``unknown``.
"""

from __future__ import annotations

import importlib
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO

#: Seconds that Yices has to itself, between two looks, and until all give up; Halmos ends this program sooner.
ALONE, GLANCE, LIMIT = 1.0, 0.02, 600.0
YICES = ["--smt2-model-format", "--bvconst-in-decimal"]
CVC5 = {"solve-bv-as-int": "iand", "iand-mode": "bitwise", "produce-models": "true"}


def ask_bitwuzla(query: str) -> None:
    bitwuzla = importlib.import_module("bitwuzla")
    options = bitwuzla.Options()
    options.set(bitwuzla.Option.PRODUCE_MODELS, True)
    bitwuzla.Parser(bitwuzla.TermManager(), options).parse(query, parse_only=False)


def ask_cvc5(query: str) -> None:
    cvc5 = importlib.import_module("cvc5")
    solver = cvc5.Solver(cvc5.TermManager())
    for name, value in CVC5.items():
        solver.setOption(name, value)
    parser = cvc5.InputParser(solver)
    parser.setFileInput(cvc5.InputLanguage.SMT_LIB_2_6, query)
    symbols = parser.getSymbolManager()
    while not (command := parser.nextCommand()).isNull():
        print(command.invoke(solver, symbols), end="")


class Race:
    """Solvers at one question, each a child process that writes to a file of its own."""

    def __init__(self) -> None:
        self.running: list[tuple[subprocess.Popen[bytes], IO[str]]] = []

    def enter(self, *command: str) -> None:
        output = tempfile.TemporaryFile("w+")  # noqa: SIM115 – open as long as its child runs
        child = subprocess.Popen(command, stdout=output, stderr=subprocess.DEVNULL)
        self.running.append((child, output))

    def answer(self) -> str:
        """The answer of a child that has decided, empty as long as none has; those that gave up are dropped."""
        for child, output in [pair for pair in self.running if pair[0].poll() is not None]:
            output.seek(0)
            text = output.read()
            if text.lstrip().startswith(("sat", "unsat")):
                return text
            self.running.remove((child, output))
        return ""

    def wait(self, seconds: float) -> str:
        end = time.monotonic() + seconds
        while self.running and time.monotonic() < end:
            if answer := self.answer():
                return answer
            time.sleep(GLANCE)
        return ""

    def stop(self) -> None:
        for child, _ in self.running:
            if child.poll() is None:
                child.kill()
            child.wait()


def decide(query: str) -> str:
    race = Race()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        race.enter(str(Path(sys.executable).with_name("yices-smt2")), *YICES, query)
        if answer := race.wait(ALONE):
            return answer
        race.enter(sys.executable, __file__, "--bitwuzla", query)
        race.enter(sys.executable, __file__, "--cvc5", query)
        return race.wait(LIMIT) or "unknown\n"
    finally:
        race.stop()


def main() -> int:
    match sys.argv[1:]:
        case ["--bitwuzla", query]:
            ask_bitwuzla(query)
        case ["--cvc5", query]:
            ask_cvc5(query)
        case [query]:
            print(decide(query), end="")
        case _:
            print("proof_solver.py: give one SMT-LIB file", file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
