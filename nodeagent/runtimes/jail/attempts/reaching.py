"""Whom it must not reach, and which parts of the kernel."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
from typing import Any

from ..system import syscall
from .common import Targets, attempt, fail

_PTRACE_ATTACH, _PTRACE_DETACH = 16, 17
_CLONE_PARENT = 0x8000
_NEW_USER, _NEW_NET = 0x10000000, 0x40000000


@attempt("connect-ipv4")
def connect_ipv4(targets: Targets) -> str:
    """A server on this machine."""
    return _connected(socket.AF_INET, ("127.0.0.1", targets["port"]))


@attempt("connect-ipv6")
def connect_ipv6(targets: Targets) -> str:
    """A server on this machine."""
    return _connected(socket.AF_INET6, ("::1", targets["port6"]))


@attempt("listen-ipv4")
def listen_ipv4(_: Targets) -> str:
    """A server of one's own."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        return f"listening on {server.getsockname()[1]}"


@attempt("send-udp")
def send_udp(targets: Targets) -> str:
    """A datagram, as a name server's client sends it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        return f"{sender.sendto(b'secret', ('127.0.0.1', targets['port']))} bytes sent"


@attempt("connect-unix")
def connect_unix(targets: Targets) -> str:
    """A socket in the file system, as of a container engine."""
    return _connected(socket.AF_UNIX, targets["unix"])


@attempt("connect-abstract")
def connect_abstract(targets: Targets) -> str:
    """A socket without a file, as of a desktop's message bus."""
    return _connected(socket.AF_UNIX, "\0" + targets["abstract"])


@attempt("signal-agent")
def signal_agent(targets: Targets) -> str:
    """The agent told to stop."""
    os.kill(targets["pid"], signal.SIGCONT)
    return "delivered"


@attempt("ptrace-agent")
def ptrace_agent(targets: Targets) -> str:
    """A debugger on the agent."""
    libc = ctypes.CDLL(None, use_errno=True)
    pid = ctypes.c_long(targets["pid"])
    if libc.ptrace(ctypes.c_long(_PTRACE_ATTACH), pid, None, None):
        raise OSError(ctypes.get_errno(), "ptrace")
    os.waitpid(targets["pid"], 0x40000000)
    libc.ptrace(ctypes.c_long(_PTRACE_DETACH), pid, None, None)
    return "attached"


@attempt("orphans")
def orphans(_: Targets) -> str:
    """A child that is the agent's, which has to bury it."""
    libc, clone = ctypes.CDLL(None, use_errno=True), {"x86_64": 56, "aarch64": 220}[os.uname().machine]
    child = libc.syscall(ctypes.c_long(clone), ctypes.c_long(_CLONE_PARENT | signal.SIGCHLD), None, None, None, None)
    if child == 0:
        os._exit(0)
    if child < 0:
        raise OSError(ctypes.get_errno(), "clone")
    return f"child {child}"


@attempt("first-process")
def first_process(targets: Targets) -> str:
    """The memory of this process's first one, which may have fewer walls."""
    pid = 1 if os.getpid() < 100 else targets["pid"]
    with open(f"/proc/{pid}/mem", "r+b"):
        return f"process {pid} can be written"


@attempt("limit-agent")
def limit_agent(targets: Targets) -> str:
    """The agent's own resource limits."""
    import resource

    kept = resource.prlimit(targets["pid"], resource.RLIMIT_CORE)
    resource.prlimit(targets["pid"], resource.RLIMIT_CORE, (0, kept[1]))
    return "changed"


@attempt("new-namespaces")
def new_namespaces(_: Targets) -> str:
    """Namespaces, in which an ordinary user is root and reaches much of the kernel."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(ctypes.c_int(_NEW_USER | _NEW_NET)):
        raise OSError(ctypes.get_errno(), "unshare")
    return "root of new namespaces"


@attempt("kernel-subsystems")
def kernel_subsystems(_: Targets) -> str:
    """Parts of the kernel where its faults were found of late: keys, io_uring, userfaultfd."""
    numbers = {"x86_64": (250, 425, 323), "aarch64": (219, 425, 282)}[os.uname().machine]
    parameters = ctypes.create_string_buffer(120)
    calls: dict[str, tuple[Any, ...]] = {
        "keyctl": (numbers[0], 0, -3, 1),
        "io_uring": (numbers[1], 1, ctypes.byref(parameters)),
        "userfaultfd": (numbers[2], 1),
    }
    opened = []
    for name, arguments in calls.items():
        try:
            syscall(*arguments)
            opened.append(name)
        except OSError:
            continue
    return ", ".join(opened) or fail("refused")


def _connected(family: int, address: Any) -> str:
    with socket.socket(family, socket.SOCK_STREAM) as client:
        client.settimeout(5)
        client.connect(address)
        return "connected"
