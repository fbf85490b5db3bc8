"""What a runtime *is*: a 32-byte id over everything that decides an answer, and nothing else.

``sha256`` of one canonical JSON document: the files by relative path and digest, and the settings. Node's
version, this machine and where things are installed are not part of it; in trials they did not change a
bit.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from .types import CANONICAL, MAX_INPUT_BYTES, MAX_MODEL_BYTES, MAX_OUTPUT_BYTES, NATIVE, Identity

HERE = Path(__file__).parent
BUNDLE = "ort.wasm.bundle.min.mjs"
WASM = "ort-wasm-simd-threaded.wasm"
_CHECKER = ("answer", "control", "inputs", "model", "operators", "shapes", "tensors", "types")
_NODE_FLAGS = ("--no-addons",)


def expected() -> dict[str, Any]:
    """The committed description of the installed files and the self-test (``canonical/files.json``)."""
    found: dict[str, Any] = json.loads((HERE / "canonical" / "files.json").read_text())
    return found


def home(runtimes_dir: Path) -> Path:
    """Where the canonical runtime's files are inside a runtimes directory."""
    return runtimes_dir / CANONICAL


def mismatches(runtimes_dir: Path) -> list[str]:
    """Names of the canonical runtime's files that are missing or differ from this release's."""
    place = home(runtimes_dir)
    wanted: dict[str, str] = expected()["files"]
    return [name for name, digest in wanted.items() if not (place / name).is_file() or _digest(place / name) != digest]


def identities(runtimes_dir: Path) -> dict[str, Identity]:
    """Identities of the runtimes that are installed, by name."""
    found: dict[str, Identity] = {}
    place = home(runtimes_dir)
    checker = {f"{name}.py": HERE / f"{name}.py" for name in _CHECKER}
    versions = _versions("onnx", "onnxruntime")
    if "onnx" not in versions:
        return found
    if all((place / name).is_file() for name in (BUNDLE, WASM)):
        files = {
            **checker,
            "node_worker.py": HERE / "node_worker.py",
            "worker.mjs": HERE / "canonical" / "worker.mjs",
            BUNDLE: place / BUNDLE,
            WASM: place / WASM,
        }
        found[CANONICAL] = _identity(CANONICAL, files, {"onnx": versions["onnx"], "threads": 1, "node": _NODE_FLAGS})
    if "onnxruntime" in versions:
        files = {**checker, "native.py": HERE / "native.py"}
        found[NATIVE] = _identity(NATIVE, files, {**versions, "threads": 1})
    return found


def runtime_ids(runtimes_dir: Path) -> dict[str, bytes]:
    """32-byte ids of the runtimes installed under ``runtimes_dir``, by name."""
    return {name: item.runtime_id for name, item in identities(runtimes_dir).items()}


def _identity(name: str, files: Mapping[str, Path], settings: Mapping[str, Any]) -> Identity:
    document = {
        "files": [[path, _digest(files[path])] for path in sorted(files)],
        "limits": {"input": MAX_INPUT_BYTES, "model": MAX_MODEL_BYTES, "output": MAX_OUTPUT_BYTES},
        "runtime": name,
        "settings": dict(settings),
    }
    listing = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()
    return Identity(name, hashlib.sha256(listing).digest(), listing)


def _versions(*packages: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for package in packages:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
