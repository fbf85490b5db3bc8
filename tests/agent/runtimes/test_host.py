"""The key process's side: what the child inherits, how it ends, and that no trouble with it becomes an answer."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from processes import descendants, node_of, wait_end
from shardbench import FLOAT, Bench, decoded, doubler, floats, model, node, short_weight, value

from nodeagent.runtimes import executor as child
from nodeagent.runtimes.errors import Pass
from nodeagent.runtimes.host import Executor, spec_to
from nodeagent.runtimes.types import CANONICAL, ExecutorLimits

X = floats(4, 3)
PYTHON = (sys.executable, "-s", "-P")
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def fresh(runtimes_dir: Path, tmp_path: Path) -> Executor:
    return Executor(runtimes_dir, scratch=tmp_path / "own", payload=[tmp_path])


def scripted(tmp_path: Path, runtimes_dir: Path, body: str, limits: ExecutorLimits | None = None) -> Executor:
    """An executor that says hello and then does ``body`` with each request."""
    script = tmp_path / "scripted.py"
    script.write_text(
        "import os, sys, time\n"
        "from nodeagent.runtimes.frames import read_frame, write_frame\n"
        "read_frame(0, 0); write_frame(1, {'event': 'ready'})\n"
        f"while read_frame(0, 0) is not None:\n    {body}\n"
    )
    argv = [*PYTHON, str(script)]
    return Executor(runtimes_dir, limits, tmp_path / "own", payload=[tmp_path], worker_argv=argv)


def test_import__parent_side__loads_no_model_library() -> None:
    code = (
        "import sys; from nodeagent.runtimes import host, identity, inputs, install, tensors;"
        "print([m for m in ('onnx', 'onnxruntime', 'google.protobuf', 'ape') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


def test_spec_to__sent_and_parsed__is_the_same_shard(bench: Bench) -> None:
    spec = bench.spec(doubler(), {"x": X}, first=7, max_model_bytes=5, max_input_bytes=6)
    assert child.spec_from(spec_to(spec)) == spec


def test_executor__context__starts_and_ends_its_processes(fresh: Executor, bench: Bench) -> None:
    with fresh as running:
        running.start()
        pid = running.pid
        assert pid is not None
        running.run(bench.spec(doubler(), {"x": X}))
        assert running.pid == pid
        below = descendants(pid)
        assert node_of(pid) in below
    assert fresh.pid is None
    for ended in (pid, *below):
        wait_end(ended)


def test_turn_to__another_owner__ends_the_process_that_read_the_first_ones(fresh: Executor, bench: Bench) -> None:
    spec = bench.spec(doubler(), {"x": X})
    pids = []
    with fresh:
        for owner in ("a", "a", "b", "b", "a"):
            fresh.turn_to(owner)
            fresh.run(spec)
            pids.append(fresh.pid)
    assert [pids[0] == pids[1], pids[1] == pids[2], pids[2] == pids[3], pids[3] == pids[4]] == [
        True,
        False,
        True,
        False,
    ]


def test_run__executor_killed_between_shards__starts_again(fresh: Executor, bench: Bench) -> None:
    spec = bench.spec(doubler(), {"x": X})
    with fresh:
        first, pid = fresh.run(spec), fresh.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        wait_end(pid)
        assert fresh.run(spec) == first
        assert fresh.pid != pid
        assert fresh.inferences == 8


def test_run__node_killed_between_shards__passes_once_then_answers(fresh: Executor, bench: Bench) -> None:
    spec = bench.spec(doubler(), {"x": X})
    with fresh:
        first = fresh.run(spec)
        assert fresh.pid is not None
        os.kill(node_of(fresh.pid), signal.SIGKILL)
        try:
            again = fresh.run(spec)
        except Pass:
            again = fresh.run(spec)
        assert again == first


def test_executor__its_owner_dies__ends_itself_and_node(runtimes_dir: Path, bench: Bench, tmp_path: Path) -> None:
    spec = bench.spec(doubler(), {"x": X})
    code = (
        "import sys, json; from pathlib import Path; from nodeagent.runtimes.host import Executor;"
        "from nodeagent.runtimes.executor import spec_from;"
        "e = Executor(Path(sys.argv[1]), scratch=Path(sys.argv[2])); e.run(spec_from(json.loads(sys.argv[3])));"
        "print(e.pid, flush=True); sys.stdin.read()"
    )

    argv = [sys.executable, "-c", code, str(runtimes_dir), str(tmp_path / "own"), json.dumps(spec_to(spec))]
    owner = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT)
    assert owner.stdout is not None
    pid = int(owner.stdout.readline())
    below = descendants(pid)
    assert node_of(pid) in below
    owner.kill()
    owner.communicate()
    for ended in (pid, *below):
        wait_end(ended)


def slow_model(rounds: int) -> object:
    """Doubles a small matrix product ``rounds`` times."""
    weights = {"w": np.eye(256, dtype=np.float32)}
    names = ["x", *(f"t{i}" for i in range(rounds - 1)), "y"]
    nodes = [node("MatMul", [a, "w"], [b]) for a, b in pairwise(names)]
    return model(nodes, [value("x", FLOAT, [256, 256])], [value("y", FLOAT, None)], weights)


def test_run__task_over_its_time__is_a_pass_and_the_next_shard_runs(
    runtimes_dir: Path, bench: Bench, tmp_path: Path
) -> None:
    made = slow_model(400)
    spec = bench.spec(made, {"x": np.ones((1, 256, 256), np.float32)}, units=10**6)  # type: ignore[arg-type]
    short = Executor(runtimes_dir, ExecutorLimits(task_s=0.01), tmp_path / "own")
    with short, pytest.raises(Pass, match=r"more than 0\.01 s to run a task"):
        short.run(spec)
    with Executor(runtimes_dir, scratch=tmp_path / "own") as running:
        with pytest.raises(Pass, match="took too long"):
            running.run(spec, seconds=0.01)
        assert running.pid is None
        assert [result.status for result in running.run(bench.spec(doubler(), {"x": X}))] == [0] * 4


def test_run__memory_limit_too_small__is_a_pass(runtimes_dir: Path, bench: Bench, tmp_path: Path) -> None:
    big = model(
        [node("Tile", ["x", "r"], [f"t{i}"]) for i in range(7)]
        + [node("Sum", [f"t{i}" for i in range(7)], ["s"]), node("ReduceSum", ["s"], ["y"])],
        [value("x", FLOAT, [1])],
        [value("y", FLOAT, None)],
        {"r": np.array([1 << 26], np.int64)},
    )
    spec = bench.spec(big, {"x": np.ones((1, 1), np.float32)})
    limits = ExecutorLimits(data_bytes=1 << 30)
    with Executor(runtimes_dir, limits, tmp_path / "own") as running, pytest.raises(Pass):
        running.run(spec)


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ("sys.exit(3)", "it ended"),
        ("os.write(1, b'garbage')", "its pipe broke"),
        ("write_frame(1, {'event': 'done'})", "out of turn"),
        ("write_frame(1, {'event': 'task', 'status': 5})", "out of form"),
        ("write_frame(1, {'event': 'task', 'status': True})", "out of form"),
        ("write_frame(1, {'event': 'task', 'status': 1}, [b'x'])", "out of form"),
        ("write_frame(1, {'event': 'task', 'status': 0}, [bytes(2 << 20)])", "over the cap"),
        ("write_frame(1, {'event': 'pass', 'reason': 'tired'})", "tired"),
    ],
)
def test_run__executor_out_of_order__is_a_pass(
    runtimes_dir: Path, bench: Bench, tmp_path: Path, body: str, what: str
) -> None:
    with scripted(tmp_path, runtimes_dir, body) as running, pytest.raises(Pass, match=what):
        running.run(bench.spec(doubler(), {"x": X}))


def test_run__executor_silent__is_ended_by_the_parent(runtimes_dir: Path, bench: Bench, tmp_path: Path) -> None:
    with scripted(tmp_path, runtimes_dir, "time.sleep(3600)") as running:
        running.start()
        pid = running.pid
        with pytest.raises(Pass, match="took too long"):
            running.run(bench.spec(doubler(), {"x": X}), seconds=0.05)
        assert pid is not None
        wait_end(pid)


def test_run__reason_of_a_hostile_executor__is_fit_for_a_terminal(
    runtimes_dir: Path, bench: Bench, tmp_path: Path
) -> None:
    body = "write_frame(1, {'event': 'pass', 'reason': '\\x1b[31mred\\x07 \\ud800 \\n line'})"
    with scripted(tmp_path, runtimes_dir, body) as running, pytest.raises(Pass) as caught:
        running.run(bench.spec(doubler(), {"x": X}))
    assert caught.value.reason.isprintable()
    assert "[31mred" in caught.value.reason


@pytest.mark.parametrize("argv", [[sys.executable, "-c", "pass"], ["/nonexistent/python"]])
def test_start__no_executor__is_a_pass(runtimes_dir: Path, tmp_path: Path, argv: Sequence[str]) -> None:
    with pytest.raises(Pass):
        Executor(runtimes_dir, scratch=tmp_path / "own", worker_argv=argv).start()


def test_run__runtime_not_installed__is_a_pass(bench: Bench, tmp_path: Path) -> None:
    with Executor(tmp_path / "empty", scratch=tmp_path / "own") as running:
        assert CANONICAL not in running.runtime_ids()
        with pytest.raises(Pass, match="not installed or damaged"):
            running.run(bench.spec(doubler(), {"x": X}))


def test_close__while_a_shard_runs__makes_it_a_pass(runtimes_dir: Path, bench: Bench, tmp_path: Path) -> None:
    with scripted(
        tmp_path, runtimes_dir, "write_frame(1, {'event': 'task', 'status': 1}); time.sleep(3600)"
    ) as running:
        spec = bench.spec(doubler(), {"x": X})
        with pytest.raises(Pass, match="it ended"):
            running.run(spec, lambda done, of: threading.Thread(target=running.close).start())


def test_run__two_threads__each_gets_its_own_answers(fresh: Executor, bench: Bench) -> None:
    spec = bench.spec(doubler(), {"x": X})
    found: dict[int, object] = {}

    def work(first: int) -> None:
        found[first] = [result.index for result in fresh.run(replace(spec, first=first))]

    with fresh:
        threads = [threading.Thread(target=work, args=(first,)) for first in (0, 100)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == {0: [0, 1, 2, 3], 100: [100, 101, 102, 103]}


def test_inspect__good_model__tells_units_and_shapes(bench: Bench) -> None:
    spec = bench.spec(doubler(), {"x": X})
    facts = bench.executor.inspect(spec.model_path, {"x": (3,)}, runtime=CANONICAL)
    assert facts.problems == ()
    assert facts.sha256 == spec.model_sha256
    assert facts.task_inputs == spec.inputs
    assert [(out.name, out.shape) for out in facts.outputs] == [("y", (1, 3))]
    assert (facts.units, facts.output_bytes) == (1, 22)


def test_inspect__model_the_runtime_refuses__names_the_problem(bench: Bench) -> None:
    made = short_weight()
    path = bench.spec(made, {"x": X}).model_path
    assert bench.executor.inspect(path).problems == ()
    assert "the runtime refuses the model" in bench.executor.inspect(path, runtime=CANONICAL).problems[0]


def test_run__weight_changed_after_the_checks__gives_another_answer_under_the_same_id(
    runtimes_dir: Path, bench: Bench, tmp_path: Path
) -> None:
    made = model(
        [node("MatMul", ["x", "w"], ["y"])],
        [value("x", FLOAT, ["n", 3])],
        [value("y", FLOAT, ["n", 8])],
        {"w": floats(3, 8)},
    )
    spec = bench.spec(made, {"x": X})
    argv = [*PYTHON, str(Path(__file__).parent / "dissent.py")]
    with Executor(runtimes_dir, scratch=tmp_path / "own", worker_argv=argv) as other:
        assert other.runtime_ids() == bench.executor.runtime_ids()
        honest, odd = decoded(bench.executor.run(spec)), decoded(other.run(spec))
    assert all(np.array_equal(a[0][:, :-1], b[0][:, :-1]) for a, b in zip(honest, odd, strict=True))
    assert all(not np.array_equal(a[0], b[0]) for a, b in zip(honest, odd, strict=True))
