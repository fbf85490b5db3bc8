"""Runs forge, and keeps the compiler loaded for it."""

from __future__ import annotations

import os
import re
import resource
import select
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

CPU_LIMIT_SECONDS = 3_600  # processor time, not wall time: a busy machine must not look like an endless loop
READY_SECONDS = 120.0
SUITE = re.compile(r"^Ran \d+ tests? for (\S+?\.sol):\w+", re.MULTILINE)
FAILURE = re.compile(r"^\[FAIL[^\n]*?\] (\w+)\(|^\[FAIL[^\n]*?\] (\w+)", re.MULTILINE)
NOT_COMPILED = re.compile(r"Compiler run failed|Compilation failed")


@dataclass(frozen=True, slots=True)
class Outcome:
    """`verdict`: passed, failed, uncompiled, exhausted (processor time) or broken (forge itself).

    `seconds` is wall time, `cpu` processor time of forge without the loaded compiler.
    """

    verdict: str
    suite: str
    test: str
    output: str
    seconds: float
    cpu: float


def judge(code: int, output: str) -> tuple[str, str, str]:
    """Verdict, suite file and test of a finished `forge test`."""
    if code == 0:
        return "passed", "", ""
    if NOT_COMPILED.search(output):
        return "uncompiled", "", ""
    if failure := FAILURE.search(output):
        suites = [match[1] for match in SUITE.finditer(output, 0, failure.start())]
        return "failed", suites[-1] if suites else "", failure[1] or failure[2]
    if code == -signal.SIGXCPU:
        return "exhausted", "", ""
    return "broken", "", ""


class Compiler:
    """A solc that stays loaded, on a socket in a folder of its own; restarted when it left.

    `jobs` is how many compilers answer a large question, one per core when not given. With a native
    solc there is nothing to keep loaded and this does nothing.
    """

    def __init__(self, root: Path, solc: Path, jobs: int | None = None) -> None:
        self._jobs = jobs
        self._script = root / "tools" / "solc-shim" / "server.mjs"
        self._wanted = solc.resolve() == (root / "tools" / "solc-shim" / "solc.mjs").resolve()
        self._folder = tempfile.TemporaryDirectory(prefix="quorate-solc-")
        self._process: subprocess.Popen[bytes] | None = None

    def environment(self) -> dict[str, str]:
        """What a forge that shall use this compiler needs; starts it when it is not there."""
        variables = {"QUORATE_SOLC_CACHE": ""}
        if not self._wanted:
            return variables
        socket = Path(self._folder.name) / "socket"
        if self._process is None or self._process.poll() is not None:
            socket.unlink(missing_ok=True)
            command = ["node", str(self._script), str(socket)]
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=os.environ | ({"QUORATE_SOLC_JOBS": str(self._jobs)} if self._jobs else {}),
                start_new_session=True,
            )
            assert self._process.stdout is not None
            if not select.select([self._process.stdout], [], [], READY_SECONDS)[0]:
                print("mutation: the compiler server did not start; going on without it", file=sys.stderr)
        return variables | {"QUORATE_SOLC_SERVER": str(socket)}

    def close(self) -> None:
        if self._process is not None:
            assert self._process.stdin is not None
            self._process.stdin.close()
            self._process.wait()
            if self._process.stdout is not None:
                self._process.stdout.close()
        self._folder.cleanup()


def forge_test(work: Path, arguments: list[str], variables: dict[str, str], limit: int = CPU_LIMIT_SECONDS) -> Outcome:
    """Run `forge test` in a work folder on one thread, within `limit` seconds of processor time."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FOUNDRY_")}
    begun = time.monotonic()
    with tempfile.TemporaryFile() as printed:
        process = subprocess.Popen(
            ["forge", "test", "--threads", "1", *arguments],
            cwd=work,
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=subprocess.STDOUT,
            env=kept | variables | {"NO_COLOR": "1"},
            preexec_fn=partial(resource.setrlimit, resource.RLIMIT_CPU, (limit, limit + 30)),
            start_new_session=True,
        )
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        printed.seek(0)
        output = printed.read().decode(errors="replace")
    verdict, suite, test = judge(process.returncode, output)
    cpu = used.ru_utime + used.ru_stime
    return Outcome(verdict, suite, test, output, time.monotonic() - begun, cpu)
