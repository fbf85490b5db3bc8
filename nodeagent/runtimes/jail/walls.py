"""Which walls this machine can build around untrusted work, and the command lines that build them.

Two kinds. *bubblewrap* gives a process namespaces of its own: no network, a file system of a few read-only folders and
one small writable one in memory, no process but its own. *landlock* works where namespaces are blocked: the process
itself gives up all but a few read-only folders. In both it then gives up most system calls (:mod:`.seccomp`), and under
bubblewrap Landlock is a second wall where the kernel has it. Started by root, the work runs as a user of its own.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Literal
from zlib import crc32

from nodeagent.errors import Fatal

from . import landlock, seccomp, system
from .cell import PACKAGES, Cell, Limits, Orders, environment, python_paths, system_paths

Kind = Literal["bubblewrap", "landlock", "none"]
_DEVICES = ("/dev/null", "/dev/random", "/dev/urandom")  # not /dev/zero: its shared memory is counted by no limit
_UNSHARE = ("--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try")
_CAPABILITIES = {1: "CAP_DAC_OVERRIDE", 2: "CAP_DAC_READ_SEARCH", 6: "CAP_SETGID", 7: "CAP_SETUID"}
_SET_IDS = (6, 7)
_OWN_USERS = 0x70000000  # above every range that systemd gives out
_INNER = ("-s", "-P", "-m", "nodeagent.runtimes.jail.inside")
_PROBE_S = 30
_OTHERS = 4_096  # threads of the operator's own programs
HINT = (
    "install bubblewrap (apt-get install bubblewrap) or use Linux 6.2 or newer with Landlock;"
    " --unsafe-no-jail goes without, for payloads that you trust"
)


class NoJail(Fatal):
    """This machine builds no wall that holds."""


@dataclass(frozen=True, slots=True)
class Jail:
    """How untrusted work is started here. ``walls`` names what holds it, for status and metadata."""

    kind: Kind
    walls: tuple[str, ...] = ()
    bwrap: str = ""

    def __str__(self) -> str:
        return ", ".join(self.walls) or "none"

    def command(self, program: Sequence[str], cell: Cell) -> list[str]:
        """The command line that starts ``program`` (see :class:`Orders`) in ``cell``."""
        inner = [sys.executable, *_INNER, self._orders(tuple(program), cell).encode()]
        return [*_bubblewrap(self.bwrap, cell), *inner] if self.kind == "bubblewrap" else inner

    def folder(self, cell: Cell) -> Path:
        """Where ``program`` works and what it takes for its home."""
        return {"bubblewrap": Path("/tmp"), "landlock": Path("/")}.get(self.kind, cell.scratch)  # noqa: S108

    def _limits(self, limits: Limits) -> Limits:
        """Without a user or a namespace of its own, every thread of the operator's counts."""
        if self.kind == "bubblewrap" or os.geteuid() == 0:
            return limits
        return replace(limits, processes=limits.processes + _OTHERS)

    def _orders(self, program: tuple[str, ...], cell: Cell) -> Orders:
        if self.kind == "none":
            return Orders(program, cell.limits)
        boxed = self.kind == "bubblewrap"
        paths = {
            "run": [*map(str, system_paths()), *map(str, cell.run)],
            "read": [*map(str, cell.read), *(["/proc"] if boxed else [])],
            "list": [str(PACKAGES)],
            "device": list(_DEVICES),
            "write": ["/tmp"] if boxed else [],  # noqa: S108
        }
        return Orders(
            program,
            self._limits(cell.limits),
            root=os.geteuid() == 0,
            uid=own_user(str(cell.scratch)) if os.geteuid() == 0 else None,
            landlock=paths,
            required=not boxed,
            seccomp=True,
            signals=boxed or landlock.version() >= landlock.SCOPED_VERSION,
        )


NONE = Jail("none")


@cache
def choose(wish: Literal["auto", "bubblewrap", "landlock"] = "auto") -> Jail:
    """The best jail that holds here, found by starting something in it. Raises NoJail with what failed."""
    if not sys.platform.startswith("linux"):
        raise NoJail("untrusted work can be jailed on Linux only", hint=HINT)
    if not seccomp.supported():
        raise NoJail("there is no list of system calls for this processor", hint=HINT)
    failed: list[str] = []
    for jail in _candidates(wish, failed):
        said = _try(jail)
        if said is None:
            return jail
        failed.append(f"{jail.kind}: {said}")
    raise NoJail("no jail holds on this machine: " + "; ".join(failed), hint=HINT)


def best() -> Jail:
    """The best jail of this machine, or none where there is none: for the requester's own payload."""
    try:
        return choose()
    except NoJail:
        return NONE


def keep_out(secret: Path, *views: Path) -> None:
    """Raises NoJail when the folder ``secret`` is inside what jailed work may read: the system, Python or ``views``."""
    for folder in [*system_paths(), *python_paths(), *views]:
        if secret.resolve().is_relative_to(folder.resolve()):
            hint = "move it, or install quorate elsewhere: jailed work may read its own interpreter's folder"
            raise NoJail(f"{secret} is inside {folder}", hint=hint)


def own_user(name: str) -> int | None:
    """A user id for ``name`` that nobody else has, among those that this user namespace has.

    None where it has few, or where this process may not become another user.
    """
    held = system.permitted_capabilities()
    count = max(int(line.split()[2]) for line in Path("/proc/self/uid_map").read_text().splitlines())
    if not all(held >> capability & 1 for capability in _SET_IDS):
        return None
    if count > _OWN_USERS + (1 << 24):
        return _OWN_USERS + (crc32(name.encode()) & 0xFFFFFF)
    taken = {entry.pw_uid for entry in pwd.getpwall()}
    free = [number for number in range(1_000, count) if number not in taken]
    return free[crc32(name.encode()) % len(free)] if len(free) > 1_000 else None


def _candidates(wish: str, failed: list[str]) -> Iterator[Jail]:
    version = landlock.version()
    second = (f"landlock {version}",) if version >= landlock.MIN_VERSION else ()
    bwrap = shutil.which("bwrap")
    if wish in ("auto", "bubblewrap"):
        if bwrap is None:
            failed.append("bubblewrap: not installed")
        else:
            yield Jail("bubblewrap", ("bubblewrap", *second, "seccomp"), bwrap)
    if wish in ("auto", "landlock"):
        if not second:
            failed.append(f"landlock: version {version} of the kernel's, {landlock.MIN_VERSION} is needed")
        else:
            yield Jail("landlock", (*second, "seccomp"))


def _try(jail: Jail) -> str | None:
    """What is wrong with a jail, by starting Python in it."""
    limits = Limits(data_bytes=1 << 30, cpu_s=30, files=64, processes=64)
    with tempfile.TemporaryDirectory() as scratch:  # private, as payloads' folders are
        payload = Path(scratch).resolve() / "payload"
        payload.touch(0o600)
        cell = Cell(tuple(python_paths()), (payload,), limits, Path(scratch))
        program = (sys.executable, "-I", "-S", "-c", "import sys; open(sys.argv[1]).close(); print('in')", str(payload))
        command = jail.command(program, cell)
        try:
            own = environment(jail.folder(cell))
            done = subprocess.run(
                command, env=own, capture_output=True, text=True, timeout=_PROBE_S, check=False, cwd=scratch
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)
    if done.returncode == 0 and done.stdout == "in\n":
        return None
    return (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1][:300]


def _bubblewrap(bwrap: str, cell: Cell) -> list[str]:
    arguments = [bwrap, *_UNSHARE, "--die-with-parent", "--hostname", "jail", "--cap-drop", "ALL"]
    if os.geteuid() == 0:
        held = system.permitted_capabilities()
        for number, name in _CAPABILITIES.items():
            arguments += ["--cap-add", name] if held >> number & 1 else []
    else:
        arguments.append("--unshare-user")
    arguments += ["--proc", "/proc", "--remount-ro", "/proc", "--tmpfs", "/dev"]  # the first process's memory is a file
    for device in _DEVICES:
        arguments += ["--dev-bind", device, device]
    arguments += ["--perms", "1777", "--size", str(cell.limits.tmp_bytes), "--tmpfs", "/tmp"]  # noqa: S108
    for path in system_paths():
        arguments += ["--symlink", os.readlink(path), str(path)] if path.is_symlink() else _bound(path)
    seen = system_paths()
    for path in sorted({*cell.run, *cell.read}):  # a folder before what is in it, which then is there already
        if not any(path.is_relative_to(folder) for folder in seen):
            seen.append(path)
            arguments += _bound(path)
    return [*arguments, "--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/tmp", "--"]  # noqa: S108


def _bound(path: Path) -> list[str]:
    return ["--ro-bind-try", str(path), str(path)]
