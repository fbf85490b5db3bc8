"""Tries to break out of a jail, and tries the same outside, so that a failure inside is the jail's doing."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..launch import end, launch
from .cell import PACKAGES, Cell, Limits, python_paths
from .walls import HINT, NONE, Jail, NoJail

QUICK = (
    "read-home",
    "list-home",
    "read-keystore",
    "read-through-agent",
    "read-agent-environment",
    "read-own-environment",
    "write-home",
    "write-payload",
    "connect-ipv4",
    "connect-unix",
    "connect-abstract",
    "signal-agent",
    "ptrace-agent",
    "new-namespaces",
    "memory-files",
)
"""Attempts that ``nodeagent doctor`` makes: each takes milliseconds and leaves nothing behind."""
CONTROL = "read-payload"
"""What must work inside, too."""
PROGRAM = ("-m", "nodeagent.runtimes.jail.attempts")
_PLANTED = "QUORATE_TRIAL"
TRIAL_LIMITS = Limits(data_bytes=256 << 20, cpu_s=4, files=64, processes=32, tmp_bytes=4 << 20)
"""Small, so that passing them outside is cheap."""
_OUTSIDE = Limits(data_bytes=1 << 30, cpu_s=30, files=1_024, processes=16_384, file_bytes=64 << 20)
_ANSWER_S = 60


@dataclass(frozen=True, slots=True)
class Outcome:
    """``worked`` is None when the process ended without an answer, as of a limit."""

    worked: bool | None
    said: str


@dataclass(frozen=True, slots=True)
class Ground:
    """What attempts aim at: planted secrets, listening servers, this process. ``targets`` tells them where."""

    targets: dict[str, Any]
    scratch: Path
    payload: Path

    def attempt(self, name: str, jail: Jail) -> Outcome:
        """Make one attempt in ``jail``; in :data:`NONE` within the larger limits of a child that only must end."""
        outside = jail.kind == "none"
        cell = Cell(tuple(python_paths()), (self.payload,), _OUTSIDE if outside else TRIAL_LIMITS, self.scratch)
        request = {"attempt": name, "targets": {**self.targets, "folder": str(jail.folder(cell))}}
        with self._careless():
            child = _plain(cell) if outside else launch(PROGRAM, jail, cell)
        return _outcome(child, json.dumps(request).encode())

    @contextlib.contextmanager
    def _careless(self) -> Iterator[None]:
        """An agent that has a secret in its environment, and left a file open for its children."""
        os.environ[_PLANTED] = self.targets["word"]
        leak = os.open(self.targets["secret"], os.O_RDONLY)
        os.set_inheritable(leak, True)
        try:
            yield
        finally:
            os.close(leak)
            del os.environ[_PLANTED]


@contextlib.contextmanager
def ground(home: Path | None = None) -> Iterator[Ground]:
    """Plants secrets in ``home``, by default a folder of its own, and serves until the block ends."""
    with contextlib.ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="quorate-trial-"))).resolve()
        root.chmod(0o700)
        home = home or root / "home"
        scratch, payload = root / "scratch", root / "payload"
        for folder in (home, scratch, payload):
            folder.mkdir(exist_ok=True, parents=True)
        word = secrets.token_hex(16)
        planted = [_plant(stack, home / f"trial-{secrets.token_hex(4)}-{name}", word) for name in ("secret", "key")]
        victim = payload / "victim"
        victim.write_text(word)
        agent = stack.enter_context(_stand_in(word))
        targets: dict[str, Any] = {
            "word": word,
            "home": str(home),
            "secret": str(planted[0]),
            "keystore": str(planted[1]),
            "payload": str(payload),
            "victim": str(victim),
            "runtime": str(root / "runtime"),
            "pid": agent.pid,
            "memory": TRIAL_LIMITS.data_bytes,
            "processes": TRIAL_LIMITS.processes,
            "disk": TRIAL_LIMITS.tmp_bytes,
            "cpu": TRIAL_LIMITS.cpu_s,
            "files": TRIAL_LIMITS.files,
            **_servers(stack, root),
        }
        (root / "runtime").mkdir()
        yield Ground(targets, scratch, payload)


def quick_trial(jail: Jail, home: Path) -> dict[str, tuple[Outcome, Outcome]]:
    """Every quick attempt outside and inside, on secrets planted in ``home`` for as long as it takes.

    Raises NoJail when the jail does not even let through what it must: then what fails in it shows nothing.
    """
    with ground(home) as field:
        if not (honest := field.attempt(CONTROL, jail)).worked:
            raise NoJail(f"nothing runs in the jail ({jail}): {honest.said}", hint=HINT)
        return {name: (field.attempt(name, NONE), field.attempt(name, jail)) for name in QUICK}


def _plant(stack: contextlib.ExitStack, path: Path, word: str) -> Path:
    path.write_text(word)
    stack.callback(path.unlink, missing_ok=True)
    return path


@contextlib.contextmanager
def _stand_in(word: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process with the agent's rights and a secret in its environment, for attempts that might hurt."""
    child = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", "import sys; print(flush=True); sys.stdin.read()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={"PLANTED": word},
    )
    if child.stdout is not None:
        child.stdout.readline()
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


def _servers(stack: contextlib.ExitStack, root: Path) -> dict[str, Any]:
    """Listening sockets of each kind; attempts connect, nobody answers."""
    name = f"quorate-trial-{secrets.token_hex(8)}"
    found: dict[str, Any] = {"unix": str(root / "socket"), "abstract": name, "port6": 0}
    places: list[tuple[int, Any, str]] = [
        (socket.AF_INET, ("127.0.0.1", 0), "port"),
        (socket.AF_UNIX, found["unix"], ""),
        (socket.AF_UNIX, "\0" + name, ""),
    ]
    if socket.has_ipv6:
        places.append((socket.AF_INET6, ("::1", 0), "port6"))
    for family, address, key in places:
        server = stack.enter_context(socket.socket(family, socket.SOCK_STREAM))
        try:
            server.bind(address)
        except OSError:
            continue  # no IPv6 here: the attempt fails outside, too, and says so
        server.listen(64)
        if key:
            found[key] = server.getsockname()[1]
    return found


def _plain(cell: Cell) -> subprocess.Popen[bytes]:
    """The same program as a careless agent would start it, but for limits of a child that must end."""
    return subprocess.Popen(
        NONE.command(PROGRAM, cell),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": str(PACKAGES)},
        cwd=cell.scratch,
        close_fds=False,
        start_new_session=True,
    )


def _outcome(child: subprocess.Popen[bytes], request: bytes) -> Outcome:
    try:
        said, _ = child.communicate(request, timeout=_ANSWER_S)
    except subprocess.TimeoutExpired:
        return Outcome(None, f"no end after {_ANSWER_S} s")
    finally:
        end(child)
    try:
        answer = json.loads(said)
        return Outcome(bool(answer["worked"]), str(answer["said"])[:200])
    except (ValueError, KeyError, TypeError):
        return Outcome(None, f"ended with {child.returncode}")
