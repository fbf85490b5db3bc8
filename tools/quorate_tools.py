"""Points the tools of this checkout's `.venv` at its own compiler and its own Foundry.

Set-up copies this file into `.venv` and calls it from a `.pth` line, so it runs when that Python
starts: `ape`, `solcx` and `quorate devnet` then work without exported variables, whether the
environment is activated or not. What the caller has set already is kept.
"""

import os


def use(root: str) -> None:
    """Name the compiler's folder in SOLCX_BINARY_PATH and put node_modules/.bin first on PATH."""
    os.environ.setdefault("SOLCX_BINARY_PATH", os.path.join(root, "build", "bin"))
    programs = os.path.join(root, "node_modules", ".bin")
    path = os.environ.get("PATH", os.defpath)
    if programs not in path.split(os.pathsep):
        os.environ["PATH"] = programs + os.pathsep + path
