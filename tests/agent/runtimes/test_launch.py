"""What a child in a jail inherits, that it ends with all it started, and that its pipes hold up nobody."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from processes import alive, descendants, wait_end
from shardbench import Bench, doubler, floats

from nodeagent.runtimes.errors import Pass
from nodeagent.runtimes.host import Executor
from nodeagent.runtimes.jail.cell import Cell, Limits, python_paths
from nodeagent.runtimes.jail.walls import Jail
from nodeagent.runtimes.launch import end, launch

PYTHON = (sys.executable, "-s", "-P")


@pytest.fixture
def cell(tmp_path: Path) -> Cell:
    limits = Limits(data_bytes=1 << 30, cpu_s=77, files=99, processes=200)
    return Cell(tuple(python_paths()), (), limits, tmp_path)


def test_launch__child__inherits_no_secret_and_has_limits(
    jail: Jail, cell: Cell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUORATE_PASSPHRASE", "secret")
    code = (
        "import os, sys, resource as r; sys.stdin.read(1);"
        "print(sorted(os.environ), os.getcwd() if os.environ['HOME'] != '/' else '/',"
        "r.getrlimit(r.RLIMIT_DATA)[0], r.getrlimit(r.RLIMIT_CPU)[0], r.getrlimit(r.RLIMIT_NOFILE)[0],"
        "r.getrlimit(r.RLIMIT_CORE)[0], r.getrlimit(r.RLIMIT_FSIZE)[0])"
    )
    running = launch([*PYTHON, "-c", code], jail, cell)
    out, _ = running.communicate(b"x", timeout=60)
    names = ["HOME", "LANG", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OPENSSL_CONF", "PATH"]
    names += ["PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "TMPDIR"]
    told = ast.literal_eval(out.decode().split("] ")[0] + "]")
    bare = [sys.executable, "-c", "import os; print(list(os.environ))"]
    own = ast.literal_eval(subprocess.run(bare, env={}, capture_output=True, text=True, check=True).stdout)
    # PWD is bubblewrap's, LC_CTYPE Python's own where it is told no language
    assert set(told) - {"PWD"} == {*names, *own} - {"LC_CTYPE"}
    assert out.decode().split("] ")[1].split() == [str(jail.folder(cell)), str(1 << 30), "77", "99", "0", str(1 << 20)]


def test_launch__group_of_its_own__ends_with_what_it_started(jail: Jail, cell: Cell) -> None:
    code = (
        "import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', 'input()'], stdin=subprocess.PIPE);"
        "print(flush=True); sys.stdin.read()"
    )
    running = launch([*PYTHON, "-c", code], jail, cell)
    assert running.stdout is not None
    running.stdout.readline()
    below = descendants(running.pid)
    end(running)
    assert below
    for ended in below:
        wait_end(ended)
    assert not alive(running.pid)


FILLS = "import fcntl; fcntl.fcntl(0, 4, 2048); end = os.open('/proc/self/fd/0', os.O_WRONLY | os.O_NONBLOCK)"
HANGS = {
    "fills its own input": f"{FILLS}\ntry:\n    while True: os.write(end, bytes(4096))\nexcept BlockingIOError: pass\n"
    "write_frame(1, {'event': 'task', 'status': 1}); write_frame(1, {'event': 'done'}); time.sleep(3600)",
    "drains its own output": "mine = os.open('/proc/self/fd/1', os.O_RDONLY | os.O_NONBLOCK)\n"
    "while True:\n    os.write(1, b'\\0')\n    try: os.read(mine, 1)\n    except BlockingIOError: pass",
}


@pytest.mark.parametrize("how", HANGS)
def test_run__executor_that_plays_with_its_pipes__holds_up_nobody(
    how: str, jail: Jail, runtimes_dir: Path, bench: Bench, tmp_path: Path
) -> None:
    script = tmp_path / "plays.py"
    script.write_text(
        "import os, sys, time\nfrom nodeagent.runtimes.frames import read_frame, write_frame\n"
        f"read_frame(0, 0); write_frame(1, {{'event': 'ready'}}); read_frame(0, 0)\n{HANGS[how]}\n"
    )
    argv = [*PYTHON, str(script)]
    spec = bench.spec(doubler(), {"x": floats(1, 3)})
    own = Executor(runtimes_dir, None, tmp_path / "own", payload=[tmp_path], jail=jail, worker_argv=argv)
    with own as running, pytest.raises(Pass):
        [running.run(spec, seconds=1.0) for _ in range(64)]
