"""Strangers' work tries to get out, to see, to reach and to use up, in every jail this machine builds.

Ground.attempt ............... by code: works outside, not inside, and the executor serves honest work after it
Executor.run ................. by payload: refused with a status or passed, and the executor serves honest work after it
Executor.run ................. by what it answers: a flood, a drip, a wrong length are passes

What happened is written to build/jail/escape.json.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper
from shardbench import FLOAT, Bench, doubler, floats, model, node, value

from nodeagent.runtimes.errors import Pass
from nodeagent.runtimes.host import Executor
from nodeagent.runtimes.jail.attempts import ATTEMPTS
from nodeagent.runtimes.jail.trial import CONTROL, QUICK, Ground, ground
from nodeagent.runtimes.jail.walls import NONE, Jail
from nodeagent.runtimes.types import ExecutorLimits, Status

ROOT = Path(__file__).resolve().parents[3]
X = floats(2, 3)
ENDED = {"cpu-spin", "endless-loop"}
"""Attempts that a limit ends, with the process that made them."""
Log = Callable[..., None]


@pytest.fixture(scope="module")
def log() -> Iterator[Log]:
    """Collects a row for each attempt in each jail and writes them at the end."""
    rows: list[dict[str, Any]] = []

    def add(jail: Jail, name: str, outside_ok: bool | None, inside_error: str, alive: bool) -> None:
        row = {"jail": jail.kind, "name": name, "outside_ok": outside_ok, "inside_error": inside_error}
        rows.append({**row, "agent_alive": alive})

    yield add
    place = ROOT / "build" / "jail" / "escape.json"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(json.dumps(rows, indent=1) + "\n")


@pytest.fixture(scope="module")
def field() -> Iterator[Ground]:
    with ground() as planted:
        yield planted


@pytest.fixture(scope="module")
def jailed(jail: Jail, runtimes_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Executor]:
    """The agent's executor in this jail; the one that must go on serving."""
    payload = [tmp_path_factory.getbasetemp()]
    with Executor(runtimes_dir, None, tmp_path_factory.mktemp("jailed"), payload=payload, jail=jail) as running:
        yield running


@pytest.fixture
def honest(jailed: Executor, tmp_path: Path) -> Callable[[], bool]:
    """Whether the executor answers an honest shard."""
    folder = tmp_path / "honest"
    folder.mkdir()
    return lambda: Bench(jailed, folder).statuses(doubler(), {"x": X}) == [Status.OK] * 2


@pytest.mark.parametrize("name", sorted(ATTEMPTS.keys() - {CONTROL}))
def test_attempt__by_code__works_outside_only(
    name: str, jail: Jail, field: Ground, honest: Callable[[], bool], log: Log
) -> None:
    Path(field.targets["victim"]).write_text(field.targets["word"])  # one attempt outside empties it
    outside, inside = field.attempt(name, NONE), field.attempt(name, jail)
    alive = honest()
    log(jail, name, outside.worked, inside.said, alive)
    assert outside.worked is True, outside.said
    assert inside.worked is (None if name in ENDED else False), inside.said
    assert alive


def test_control__harmless__works_inside(jail: Jail, field: Ground) -> None:
    Path(field.targets["victim"]).write_text(field.targets["word"])
    assert field.attempt(CONTROL, jail).worked is True


def test_attempt__no_walls__every_quick_one_works(field: Ground) -> None:
    """What is found inside is the walls' doing: the starter alone keeps only what it does not hand down."""
    kept = {name for name in QUICK if not field.attempt(name, NONE).worked}
    assert kept == set()


def test_quick__names__are_attempts() -> None:
    assert set(QUICK) <= set(ATTEMPTS)


def nested(depth: int) -> bytes:
    """An If in an If in an If…, as bytes: no library would write it."""

    def field_of(number: int, data: bytes) -> bytes:
        size, head = len(data), bytearray([number << 3 | 2])
        while size > 127:
            head.append(size & 127 | 128)
            size >>= 7
        return bytes(head) + bytes([size]) + data

    graph = b""
    for _ in range(depth):
        attribute = field_of(1, b"then_branch") + field_of(6, graph)
        graph = field_of(1, field_of(4, b"If") + field_of(5, attribute))
    return b"\x08\x08" + field_of(7, graph)


def external(location: str) -> ModelProto:
    """Weights in another file."""
    made = model(
        [node("Add", ["x", "w"], ["y"])],
        [value("x", FLOAT, ["n", 3])],
        [value("y", FLOAT, ["n", 3])],
        {"w": np.zeros(3, np.float32)},
    )
    tensor = made.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", location
    return made


def giant() -> ModelProto:
    """A tensor of 2^60 ones."""
    return model(
        [node("ConstantOfShape", ["s"], ["t"]), node("ReduceSum", ["t"], ["r"]), node("Add", ["x", "r"], ["y"])],
        [value("x", FLOAT, ["n", 3])],
        [value("y", FLOAT, None)],
        {"s": np.array([1 << 30, 1 << 30], np.int64)},
    )


def endless() -> ModelProto:
    """A loop whose end depends on nothing."""
    body = helper.make_graph(
        [node("Identity", ["more"], ["on"]), node("Add", ["v", "v"], ["w"])],
        "body",
        [value("i", TensorProto.INT64, []), value("more", TensorProto.BOOL, []), value("v", FLOAT, ["n", 3])],
        [value("on", TensorProto.BOOL, []), value("w", FLOAT, ["n", 3])],
    )
    loop = helper.make_node("Loop", ["trips", "true", "x"], ["y"], body=body)
    weights = {"trips": np.array((1 << 63) - 1, np.int64), "true": np.array(True)}
    return model([loop], [value("x", FLOAT, ["n", 3])], [value("y", FLOAT, None)], weights)


MODELS: dict[str, Callable[[], ModelProto | bytes]] = {
    "external-data-dotdot": lambda: external("../../../../../../etc/passwd"),
    "external-data-absolute": lambda: external("/etc/passwd"),
    "giant-constant-model": giant,
    "endless-loop-model": endless,
    "deep-nesting": lambda: nested(3_000),
    "malformed-protobuf": lambda: b"\x3a\xff\xff\xff\xff\x0f" + bytes(64),
    "truncated-protobuf": lambda: doubler().SerializeToString()[:-7],
    "groups-without-end": lambda: b"\x0b" * 100_000,
}


@pytest.mark.parametrize("name", MODELS)
def test_run__hostile_model__is_refused(
    name: str, jail: Jail, jailed: Executor, honest: Callable[[], bool], tmp_path: Path, log: Log
) -> None:
    statuses = Bench(jailed, tmp_path).statuses(MODELS[name](), {"x": X}, units=1)
    alive = honest()
    log(jail, name, None, Status(statuses[0]).name, alive)
    assert statuses == [Status.MODEL_REFUSED] * 2
    assert alive


def test_run__external_data_behind_a_link__is_refused(
    jail: Jail, jailed: Executor, honest: Callable[[], bool], tmp_path: Path, log: Log
) -> None:
    (tmp_path / "weights").symlink_to("/etc/passwd")
    statuses = Bench(jailed, tmp_path).statuses(external("weights"), {"x": X})
    log(jail, "external-data-symlink", None, Status(statuses[0]).name, honest())
    assert statuses == [Status.MODEL_REFUSED] * 2


def bomb(size: int) -> bytes:
    """An npz of zeros that is a thousandth of what it holds."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("x.npy", "w") as member:
        header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': (2, {size // 8}), }}".encode()
        member.write(b"\x93NUMPY\x01\x00" + (len(header) + 1).to_bytes(2, "little") + header + b"\n")
        for _ in range(size >> 20):
            member.write(bytes(1 << 20))
    return file.getvalue()


def test_run__inputs_that_inflate__are_refused(
    jail: Jail, jailed: Executor, honest: Callable[[], bool], tmp_path: Path, log: Log
) -> None:
    bench = Bench(jailed, tmp_path)
    spec = bench.spec(doubler(), {"x": X})
    spec.inputs_path.write_bytes(bomb(64 << 20))
    statuses = [result.status for result in jailed.run(spec)]
    alive = honest()
    log(jail, "zip-bomb-inputs", None, Status(statuses[0]).name, alive)
    assert statuses == [Status.INPUT_REFUSED] * 2
    assert alive


READ = "read_frame(0, 0); write_frame(1, {'event': 'ready'}); read_frame(0, 0)\n"
ANSWERS = {
    "pipe-flood": "while True: os.write(1, b'\\xff' * 65536)",
    "header-flood": "os.write(1, (1 << 20).to_bytes(4, 'big'))\nwhile True: os.write(1, b'[' * 65536)",
    "payload-flood": "write_frame(1, {'event': 'task', 'status': 0}, [bytes(2 << 20)])",
    "slow-drip": "os.write(1, b'\\0\\0\\0\\x7f')\nwhile True: os.write(1, b' '); time.sleep(0.05)",
    "short-output": 'text = b\'{"event":"task","status":0,"payload":100}\'\n'
    "os.write(1, len(text).to_bytes(4, 'big') + text + b'short')",
    "garbage": "os.write(1, os.urandom(4096))",
}


@pytest.mark.parametrize("name", ANSWERS)
def test_run__code_in_the_cell_answers_out_of_form__is_a_pass(
    name: str, jail: Jail, runtimes_dir: Path, honest: Callable[[], bool], tmp_path: Path, log: Log
) -> None:
    script = tmp_path / "hostile.py"
    start = "import os, sys, time\nfrom nodeagent.runtimes.frames import read_frame, write_frame\n"
    script.write_text(start + READ + ANSWERS[name] + "\n")
    argv = [sys.executable, "-s", "-P", str(script)]
    spec = Bench(Executor(runtimes_dir), tmp_path).spec(doubler(), {"x": X})
    hostile = Executor(
        runtimes_dir, ExecutorLimits(), tmp_path / "own", payload=[tmp_path], jail=jail, worker_argv=argv
    )
    with hostile, pytest.raises(Pass) as caught:
        hostile.run(spec, seconds=2.0)
    alive = honest()
    outside = floods(script)
    log(jail, name, outside, str(caught.value.reason), alive)
    assert outside
    assert alive


def floods(script: Path) -> bool:
    """Whether the program, outside, answers as it is meant to: more than nothing after a request."""
    running = subprocess.Popen(
        [sys.executable, str(script)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
    )
    assert running.stdin is not None
    assert running.stdout is not None
    running.stdin.write(b"\0\0\0\2{}\0\0\0\2{}")
    running.stdin.flush()
    size = int.from_bytes(running.stdout.read(4), "big")
    running.stdout.read(size)  # ready
    got = running.stdout.read(5)
    running.kill()
    running.communicate()
    return len(got) == 5
