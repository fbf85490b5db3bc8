"""Places the Solidity compiler as `build/bin/solc-v<version>`, where ape, solcx and forge look.

The native compiler is asked for first, through py-solc-x; where it cannot be downloaded, npm's
WebAssembly build of the same release takes its place behind `tools/solc-shim/solc.mjs`.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = ROOT / "build" / "bin"
SHIM = ROOT / "tools" / "solc-shim" / "solc.mjs"
DOWNLOAD_SECONDS = 45

DOWNLOAD = """
import sys, solcx
solcx.install_solc(sys.argv[1], solcx_binary_path=sys.argv[2])
"""


def download_native(version: str) -> str | None:
    """Fetch the native compiler; return None when it is in place, else why it is not."""
    folder = BIN / "native"
    folder.mkdir(parents=True, exist_ok=True)
    binary = folder / f"solc-v{version}"
    command = [sys.executable, "-c", DOWNLOAD, version, str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=DOWNLOAD_SECONDS)
    except subprocess.TimeoutExpired:
        return f"no answer within {DOWNLOAD_SECONDS} s"
    if done.returncode != 0 or not binary.is_file():
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        return lines[-1][:160] if lines else "nothing was downloaded"
    if reason := answers(binary, version):
        return reason
    link(binary, version)
    return None


def answers(binary: Path, version: str) -> str | None:
    """Return None when the compiler starts and is of the wanted version, else what is wrong."""
    try:
        done = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"it does not start: {error}"
    if f"Version: {version}+commit." not in done.stdout:
        return f"it does not answer as {version}: {(done.stdout + done.stderr).strip()[:160]}"
    return None


def link(target: Path, version: str) -> None:
    """Point `solc-v<version>` at the target in one step, so that no reader finds it missing."""
    draft = BIN / f".solc-v{version}.{os.getpid()}"
    draft.unlink(missing_ok=True)
    draft.symlink_to(os.path.relpath(target, BIN))
    draft.replace(BIN / f"solc-v{version}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--version", required=True)
    parser.add_argument("--source", choices=("auto", "native", "wasm"), default="auto")
    options = parser.parse_args()
    BIN.mkdir(parents=True, exist_ok=True)

    if options.source != "wasm":
        reason = download_native(options.version)
        if reason is None:
            print(f"setup: solc {options.version} is the native compiler", file=sys.stderr)
            return 0
        if options.source == "native":
            print(f"setup: the native solc {options.version} cannot be had: {reason}", file=sys.stderr)
            print("setup: run again with QUORATE_SOLC=auto to use npm's build", file=sys.stderr)
            return 1
    if reason := answers(SHIM, options.version):
        print(f"setup: npm's solc {options.version} cannot be used: {reason}", file=sys.stderr)
        print("setup: delete node_modules and run the set-up again", file=sys.stderr)
        return 1
    link(SHIM, options.version)
    print(f"setup: solc {options.version} is npm's WebAssembly build", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
