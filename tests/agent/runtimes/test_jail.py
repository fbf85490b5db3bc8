"""The walls one by one, and how a machine's jail is chosen.

seccomp.program .. what runtimes need is allowed; sockets, namespaces, signals, other processors' calls are not
choose ........... the best that holds; with nothing, an error that says what was tried and what to do
Jail.command ..... in no jail: limits only
keep_out ......... a home inside what jailed work may read is refused
own_user ......... the same for one name, another for another, among the users there are
Executor ......... a file it was not told of may be read, another in its place, too; nothing else may
"""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from shardbench import Bench, doubler, floats

from nodeagent.runtimes.errors import Pass
from nodeagent.runtimes.host import Executor
from nodeagent.runtimes.jail import landlock, seccomp, walls
from nodeagent.runtimes.jail.cell import Cell, Limits, Orders, python_paths
from nodeagent.runtimes.jail.walls import NONE, Jail, NoJail, choose, keep_out, own_user

ALLOW, EPERM, ENOSYS, KILL = 0x7FFF0000, 0x50001, 0x50026, 0x80000000
ROOT = Path(__file__).resolve().parents[3]
AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
X = floats(2, 3)


def verdict(program: bytes, number: int, audit: int, *arguments: int) -> int:
    """What the kernel would answer: a classic BPF machine of the four instructions that the filter uses."""
    steps = list(struct.iter_unpack("<HBBI", program))
    data = struct.pack("<iIQ6Q", number, audit, 0, *arguments, *(0,) * (6 - len(arguments)))
    at, held = 0, 0
    while True:
        code, yes, no, value = steps[at]
        at += 1
        if code == 0x20:
            (held,) = struct.unpack_from("<I", data, value)
        elif code == 0x06:
            return value
        else:
            true = {0x15: held == value, 0x35: held >= value, 0x45: bool(held & value)}[code]
            at += yes if true else no


@pytest.mark.parametrize(
    ("machine", "number", "arguments", "wanted"),
    [
        ("x86_64", 0, (), ALLOW),  # read
        ("x86_64", 257, (), ALLOW),  # openat
        ("x86_64", 59, (), ALLOW),  # execve
        ("x86_64", 41, (), EPERM),  # socket
        ("x86_64", 53, (), EPERM),  # socketpair
        ("x86_64", 101, (), EPERM),  # ptrace
        ("x86_64", 272, (), EPERM),  # unshare
        ("x86_64", 165, (), EPERM),  # mount
        ("x86_64", 319, (), EPERM),  # memfd_create
        ("x86_64", 321, (), EPERM),  # bpf
        ("x86_64", 76, (), EPERM),  # truncate
        ("x86_64", 90, (), EPERM),  # chmod
        ("x86_64", 112, (), EPERM),  # setsid
        ("x86_64", 435, (), ENOSYS),  # clone3
        ("x86_64", 56, (0x3D0F00,), ALLOW),  # clone: a thread
        ("x86_64", 56, (0x10000000,), EPERM),  # a user namespace
        ("x86_64", 56, (0x80,), EPERM),  # a time namespace
        ("x86_64", 56, (0x8011,), EPERM),  # CLONE_PARENT
        ("x86_64", 9, (0, 0, 3, 0x22), ALLOW),  # mmap: private, anonymous
        ("x86_64", 9, (0, 0, 1, 0x01), ALLOW),  # a file, shared
        ("x86_64", 9, (0, 0, 3, 0x21), EPERM),  # shared, anonymous
        ("x86_64", 9, (0, 0, 3, 0x23), EPERM),  # the same, validated
        ("x86_64", 9, (0, 0, 3, 0x122), EPERM),  # a stack that grows
        ("x86_64", 157, (1,), EPERM),  # prctl PR_SET_PDEATHSIG
        ("x86_64", 72, (0, 1031), EPERM),  # fcntl F_SETPIPE_SZ
        ("x86_64", 302, (0,), ALLOW),  # prlimit64 of its own
        ("x86_64", 302, (1,), EPERM),
        ("x86_64", 16, (0, 0x5401), ALLOW),  # ioctl TCGETS
        ("x86_64", 16, (0, 0x5412), EPERM),  # TIOCSTI
        ("x86_64", 72, (0, 1), ALLOW),  # fcntl F_GETFD
        ("x86_64", 72, (0, 8), EPERM),  # F_SETOWN
        ("x86_64", 157, (15,), ALLOW),  # prctl PR_SET_NAME
        ("x86_64", 157, (22,), EPERM),  # PR_SET_SECCOMP
        ("x86_64", 0x40000000, (), EPERM),  # x32's read
        ("aarch64", 63, (), ALLOW),  # read
        ("aarch64", 198, (), EPERM),  # socket
        ("aarch64", 117, (), EPERM),  # ptrace
        ("aarch64", 220, (0x20000000,), EPERM),  # clone: a process namespace
        ("aarch64", 220, (17,), ALLOW),  # clone: a child
        ("aarch64", 261, (7,), EPERM),  # prlimit64
    ],
)
def test_program__call__is_decided_as_listed(
    machine: str, number: int, arguments: tuple[int, ...], wanted: int
) -> None:
    assert verdict(seccomp.program(machine, signals=False), number, AUDIT[machine], *arguments) == wanted


@pytest.mark.parametrize(("signals", "wanted"), [(True, ALLOW), (False, EPERM)])
def test_program__signals__are_allowed_where_they_end_at_the_wall(signals: bool, wanted: int) -> None:
    assert verdict(seccomp.program("x86_64", signals), 62, AUDIT["x86_64"]) == wanted


def test_program__another_processors_numbers__end_the_process() -> None:
    assert verdict(seccomp.program("x86_64", signals=False), 0, AUDIT["aarch64"]) == KILL


@pytest.fixture
def cell(tmp_path: Path) -> Cell:
    return Cell(tuple(python_paths()), (), Limits(1 << 30, 10, 64, 64), tmp_path)


@pytest.fixture
def barren(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without bubblewrap and Landlock."""
    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.setattr(landlock, "version", lambda: 0)
    choose.cache_clear()


@pytest.mark.usefixtures("barren")
def test_choose__nothing_there__says_what_was_tried_and_what_to_do() -> None:
    try:
        with pytest.raises(NoJail, match=r"bubblewrap: not installed; landlock: version 0") as caught:
            choose()
        assert "apt-get install bubblewrap" in str(caught.value.hint)
        assert "--unsafe-no-jail" in str(caught.value.hint)
        assert walls.best() is NONE
    finally:
        choose.cache_clear()


def test_choose__bubblewrap_that_does_not_start__is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "bwrap"
    broken.write_text("#!/bin/sh\necho 'setting up uid map: Permission denied' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr("shutil.which", lambda name: str(broken))
    choose.cache_clear()
    try:
        if landlock.version() >= 3:
            assert choose().kind == "landlock"
        with pytest.raises(NoJail, match="bubblewrap: setting up uid map: Permission denied"):
            choose("bubblewrap")
    finally:
        choose.cache_clear()


@pytest.mark.parametrize(
    ("without", "holds"),
    [
        ("-dac_read_search", True),  # as root is in a container
        ("-setuid,-setgid", True),
        ("-dac_read_search,-dac_override", False),  # then it reads neither interpreter nor payload
    ],
)
def test_choose__root_with_fewer_rights__holds_where_payloads_can_be_read(
    without: str, holds: bool, tmp_path: Path
) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root")
    if landlock.version() < 3:
        pytest.skip("no landlock jail: an older kernel")
    code = "from nodeagent.runtimes.jail.walls import choose; print(choose('landlock').kind)"
    command = ["setpriv", "--bounding-set", without, "--inh-caps", without, sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=os.environ, check=False)
    assert (done.stdout == "landlock\n") is holds, done.stderr
    assert holds or "Permission denied" in done.stderr


def test_choose__this_machine__names_its_walls(jail: Jail) -> None:
    assert jail.kind in str(jail)
    assert str(jail).endswith("seccomp")
    assert str(NONE) == "none"


def test_command__no_jail__keeps_limits_only(cell: Cell) -> None:
    command = NONE.command(("-m", "x"), cell)
    assert command[0] == sys.executable
    orders = Orders.decode(command[-1])
    assert (orders.landlock, orders.seccomp, orders.root, orders.uid) == (None, False, False, None)
    assert orders.limits == cell.limits
    assert orders.program == ("-m", "x")


def test_keep_out__home_inside_what_may_be_read__is_refused(tmp_path: Path) -> None:
    keep_out(tmp_path)
    with pytest.raises(NoJail, match="is inside") as caught:
        keep_out(Path(sys.prefix) / "node")
    assert "move it" in str(caught.value.hint)
    with pytest.raises(NoJail, match="is inside"):
        keep_out(tmp_path / "runtimes" / "home", tmp_path / "runtimes")


def test_own_user__name__is_its_own(tmp_path: Path) -> None:
    first, second = own_user("/a/executor-0"), own_user("/a/executor-1")
    assert first == own_user("/a/executor-0")
    if os.geteuid() == 0 and "4294967295" in Path("/proc/self/uid_map").read_text():
        assert first is not None and second is not None
        assert first != second and min(first, second) >= 0x70000000


@pytest.mark.parametrize(("size", "few"), [(65_536, False), (1_500, True), (1, True)])
def test_own_user__small_namespace__nobody_elses_or_none(size: int, few: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    read = Path.read_text

    def mapped(path: Path, *rest: str) -> str:
        return f"0 100000 {size}\n" if path == Path("/proc/self/uid_map") else read(path, *rest)

    taken = own_user_of(monkeypatch, mapped)
    assert (taken is None) is few
    assert taken is None or 1_000 <= taken < size
    if taken is not None:
        monkeypatch.setattr("pwd.getpwall", lambda: [SimpleNamespace(pw_uid=taken)])
        assert own_user("/a/executor-0") != taken


def own_user_of(monkeypatch: pytest.MonkeyPatch, read: Callable[..., str]) -> int | None:
    """With capabilities and a map of our choice."""
    monkeypatch.setattr(Path, "read_text", read)
    monkeypatch.setattr("nodeagent.runtimes.jail.system.permitted_capabilities", lambda: 0xFF)
    return own_user("/a/executor-0")


def test_own_user__may_not_become_another__none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nodeagent.runtimes.jail.system.permitted_capabilities", lambda: 1 << 21)
    assert own_user("/a/executor-0") is None


def test_run__file_not_told_of__is_read_and_its_successor_too(jail: Jail, runtimes_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "told").mkdir()
    (tmp_path / "elsewhere").mkdir()
    own = tmp_path / "own"
    with Executor(runtimes_dir, None, own, payload=[tmp_path / "told"], jail=jail) as running:
        bench = Bench(running, tmp_path / "elsewhere")
        assert bench.statuses(doubler(), {"x": X}) == [0, 0]
        spec = bench.spec(doubler(), {"x": X})
        copy = spec.inputs_path.with_suffix(".new")
        copy.write_bytes(spec.inputs_path.read_bytes())
        copy.replace(spec.inputs_path)  # another file under the same name
        assert [result.status for result in running.run(spec)] == [0, 0]


def test_inspect__link_out_of_the_payload__is_not_followed_inside(
    jail: Jail, runtimes_dir: Path, tmp_path: Path
) -> None:
    payload, outside = tmp_path / "payload", tmp_path / "model.onnx"
    payload.mkdir()
    outside.write_bytes(doubler().SerializeToString())
    script = tmp_path / "payload" / "follow.py"
    (payload / "link").symlink_to(outside)
    script.write_text(
        "from nodeagent.runtimes.frames import read_frame, write_frame\n"
        "read_frame(0, 0); write_frame(1, {'event': 'ready'}); read_frame(0, 0)\n"
        f"try: open({str(payload / 'link')!r}).close(); said = 'read'\n"
        "except OSError as error: said = type(error).__name__\n"
        "write_frame(1, {'event': 'pass', 'reason': said})\n"
    )
    argv = [sys.executable, "-s", "-P", str(script)]
    spec = Bench(Executor(runtimes_dir), payload).spec(doubler(), {"x": X})
    told = Executor(runtimes_dir, None, tmp_path / "own", payload=[payload], jail=jail, worker_argv=argv)
    with told as running, pytest.raises(Pass) as caught:
        running.run(spec)
    assert caught.value.reason in ("FileNotFoundError", "PermissionError")
