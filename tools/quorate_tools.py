"""Points the tools of this checkout's `.venv` at its own compiler and its own Foundry.

Set-up copies this file into `.venv` and calls it from a `.pth` line, so it runs when that Python
starts: `ape`, `solcx` and `quorate devnet` then work without exported variables, whether the
environment is activated or not. What the caller has set already is kept.
"""

import os


def use(root: str) -> None:
    """Name `build/bin` (solc, anvil, forge, cast) in SOLCX_BINARY_PATH and put it first on PATH."""
    programs = os.path.join(root, "build", "bin")
    os.environ.setdefault("SOLCX_BINARY_PATH", programs)
    path = os.environ.get("PATH", os.defpath)
    if programs not in path.split(os.pathsep):
        os.environ["PATH"] = programs + os.pathsep + path
