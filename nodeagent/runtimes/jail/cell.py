"""What a jailed process may see and use, and the orders by which it confines itself."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

PACKAGES = Path(__file__).resolve().parents[3]
_SYSTEM = ("/usr", "/lib", "/lib32", "/lib64", "/bin", "/nix/store", "/etc/ld.so.cache")


@dataclass(frozen=True, slots=True)
class Limits:
    """Resource limits of every process in the cell, but ``tmp_bytes``, which its one writable folder may hold.

    ``data_bytes`` is ``RLIMIT_DATA``, ``cpu_s`` seconds of processor time, ``file_bytes`` the size of one file,
    ``files`` open descriptors, ``processes`` the threads that the cell's user may have; ``niceness`` is how far it
    gives way to other programs (0 … 19).
    """

    data_bytes: int
    cpu_s: int
    files: int
    processes: int
    file_bytes: int = 1 << 20
    tmp_bytes: int = 16 << 20
    niceness: int = 0


@dataclass(frozen=True, slots=True)
class Cell:
    """``run`` may be read and executed from, ``read`` only read: files or folders, absolute.

    ``scratch`` is a folder of the cell's own outside: it stands for the cell, and is where work without walls works.
    """

    run: tuple[Path, ...]
    read: tuple[Path, ...]
    limits: Limits
    scratch: Path


@dataclass(frozen=True, slots=True)
class Orders:
    """What the first program inside does to itself before it goes on as ``program``.

    ``program`` is ``("-m", module)``, whose ``main()`` is called, or a command line. Started by ``root`` it becomes
    ``uid``, if there is one, and gives up what root may do. ``landlock`` has the paths by what is allowed below them:
    run, read, list, write, device. ``signals``: they reach no process outside, so they need not be forbidden. An empty
    wall is not built.
    """

    program: tuple[str, ...]
    limits: Limits
    root: bool = False
    uid: int | None = None
    landlock: dict[str, list[str]] | None = None
    required: bool = False
    seccomp: bool = False
    signals: bool = False

    def encode(self) -> str:
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def decode(cls, text: str) -> Orders:
        """Inverse of :meth:`encode`."""
        raw = json.loads(text)
        return cls(**{**raw, "program": tuple(raw["program"]), "limits": Limits(**raw["limits"])})


def environment(folder: Path) -> dict[str, str]:
    """The child's whole environment: nothing inherited, so no key, token, home or proxy leaks."""
    return {
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "OPENSSL_CONF": os.devnull,  # Node does not start with one that it may not read
        "PATH": os.defpath,
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": str(PACKAGES),
        "TMPDIR": str(folder),
    }


def system_paths() -> list[Path]:
    """Folders of the system's programs and libraries, links among them, as far as they are there."""
    return [path for path in map(Path, _SYSTEM) if path.exists()]


def python_paths() -> list[Path]:
    """This interpreter, its packages and ours."""
    found = {Path(prefix).resolve() for prefix in (sys.base_prefix, sys.base_exec_prefix, sys.prefix)}
    return sorted(found | {Path(sys.prefix).absolute(), PACKAGES / "nodeagent"})
