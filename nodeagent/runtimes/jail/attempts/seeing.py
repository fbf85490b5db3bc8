"""What others may not know."""

from __future__ import annotations

import os
from pathlib import Path

from .common import Failed, Targets, attempt, fail, secret


@attempt("read-payload")
def read_payload(targets: Targets) -> str:
    """Nothing of the kind: what every jail must let through, to show that something runs in it at all."""
    return secret(Path(targets["victim"]).read_bytes(), targets)


@attempt("read-home")
def read_home(targets: Targets) -> str:
    """A file in the operator's home."""
    return secret(Path(targets["secret"]).read_bytes(), targets)


@attempt("list-home")
def list_home(targets: Targets) -> str:
    """Names of the files in the agent's home."""
    return ", ".join(sorted(os.listdir(targets["home"]))) or fail("it is empty")


@attempt("read-keystore")
def read_keystore(targets: Targets) -> str:
    """The encrypted hot key."""
    return secret(Path(targets["keystore"]).read_bytes(), targets)


@attempt("read-through-agent")
def read_through_agent(targets: Targets) -> str:
    """The same, by the root folder as the agent sees it."""
    return secret(Path(f"/proc/{targets['pid']}/root{targets['secret']}").read_bytes(), targets)


@attempt("read-by-symlink")
def read_by_symlink(targets: Targets) -> str:
    """The same, by a link in a folder of one's own."""
    link = Path(targets["folder"]) / f"link-{os.getpid()}"
    link.symlink_to(targets["secret"])
    try:
        return secret(link.read_bytes(), targets)
    finally:
        link.unlink()


@attempt("read-dotdot")
def read_dotdot(targets: Targets) -> str:
    """The same, upwards from the payload."""
    path = os.path.join(targets["payload"], os.path.relpath(targets["secret"], targets["payload"]))
    return secret(Path(path).read_bytes(), targets)


@attempt("read-agent-environment")
def read_agent_environment(targets: Targets) -> str:
    """What the agent was told by its environment."""
    return secret(Path(f"/proc/{targets['pid']}/environ").read_bytes(), targets)


@attempt("read-agent-memory")
def read_agent_memory(targets: Targets) -> str:
    """Where the agent's memory is, then some of it."""
    maps = Path(f"/proc/{targets['pid']}/maps").read_text()
    start = int(maps.split("-", 1)[0], 16)
    with open(f"/proc/{targets['pid']}/mem", "rb") as memory:
        memory.seek(start)
        return f"{len(memory.read(64))} bytes"


@attempt("read-own-environment")
def read_own_environment(targets: Targets) -> str:
    """A secret that was handed down."""
    return secret("\n".join(f"{k}={v}" for k, v in os.environ.items()).encode(), targets)


@attempt("inherited-descriptors")
def inherited_descriptors(targets: Targets) -> str:
    """A file that the agent left open."""
    for number in range(3, 256):
        try:
            os.lseek(number, 0, os.SEEK_SET)
            return secret(os.read(number, 4_096), targets)
        except (OSError, Failed):
            continue
    return fail("nothing is open")
