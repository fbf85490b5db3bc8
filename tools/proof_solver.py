"""Decides one SMT-LIB file for Halmos: Yices first, cvc5 on what Yices does not decide soon, then Yices in earnest.

Yices blasts bits, which is fast for packing, trees and branches, and hopeless for a product of two unknowns divided by
10,000; cvc5 turns bits into integers, which is the other way round. Both come with ``requirements/proofs.txt``.

    python tools/proof_solver.py QUERY.smt2

Prints what a solver prints: ``sat`` with a model, ``unsat`` or ``unknown``.
"""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

#: Seconds for the first attempt of each; the last one is ended by Halmos, or after `LAST`.
FIRST, SECOND, LAST = 1.5, 20.0, 600.0
YICES = ["--smt2-model-format", "--bvconst-in-decimal"]
CVC5 = {"solve-bv-as-int": "iand", "iand-mode": "bitwise", "produce-models": "true"}


def decided(answer: str) -> bool:
    return answer.lstrip().startswith(("sat", "unsat"))


def run(command: list[str], limit: float) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=limit, check=False).stdout
    except subprocess.TimeoutExpired:
        return "unknown\n"


def ask_yices(query: str, limit: float) -> str:
    return run([str(Path(sys.executable).with_name("yices-smt2")), *YICES, query], limit)


def ask_cvc5(query: str) -> str:
    cvc5 = importlib.import_module("cvc5")
    solver = cvc5.Solver(cvc5.TermManager())
    for name, value in CVC5.items():
        solver.setOption(name, value)
    parser = cvc5.InputParser(solver)
    parser.setFileInput(cvc5.InputLanguage.SMT_LIB_2_6, query)
    symbols = parser.getSymbolManager()
    answer = ""
    while not (command := parser.nextCommand()).isNull():
        answer += command.invoke(solver, symbols)
    return answer


def main() -> int:
    if sys.argv[1:2] == ["--cvc5"] and len(sys.argv) == 3:
        print(ask_cvc5(sys.argv[2]), end="")
        return 0
    if len(sys.argv) != 2:
        print("proof_solver.py: give one SMT-LIB file", file=sys.stderr)
        return 2
    query = sys.argv[1]
    answer = ask_yices(query, FIRST)
    if not decided(answer):
        # A child of its own: a limit inside cvc5 does not hold while it translates.
        answer = run([sys.executable, __file__, "--cvc5", query], SECOND)
    if not decided(answer):
        answer = ask_yices(query, LAST)
    print(answer, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
