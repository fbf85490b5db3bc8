"""Outputs task by task: jsonl and Parquet, with labels."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest
from click import UsageError

from nodeagent.cli.requester_inputs import read_labels
from nodeagent.client.inputs import Array
from nodeagent.client.outputs import NOT_SETTLED, STATUS, OutFailed
from nodeagent.client.rows import write_rows
from nodeagent.protocol.manifest import JobManifest, OutputTensor

ARRAYS: dict[str, Array] = {
    STATUS: np.array([0, 3, 0, NOT_SETTLED], np.uint8),
    "y": np.array([[0.25, 0.75], [0, 0], [np.nan, -np.inf], [0, 0]], np.float32),
    "n": np.array([1, 0, 7, 0], np.int64),
    "t[0]": np.array(["a", "é"], object),
    "t[2]": np.array(["c"], object),
}


@pytest.fixture
def manifest() -> JobManifest:
    outputs = (("y", "float32"), ("n", "int64"), ("t", "string"))
    return JobManifest.model_construct(
        outputs=tuple(OutputTensor.model_validate({"name": n, "dtype": d}) for n, d in outputs),
        labels={"y": ("cat", "dog"), "n": ("zero", "one"), "t": ("x",)},
    )


def test_write_rows__jsonl__one_line_a_task(tmp_path: Path, manifest: JobManifest) -> None:
    path = write_rows(tmp_path, "jsonl", manifest, ARRAYS)
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert path.name == "outputs.jsonl"
    assert lines[0] == {
        "task": 0,
        "status": "OK",
        "outputs": {"y": [0.25, 0.75], "n": 1, "t": ["a", "é"]},
        "labels": {"y": "dog", "n": "one", "t": None},
    }
    nothing = dict.fromkeys(("y", "n", "t"))
    assert lines[1] == {"task": 1, "status": "TRAP", "outputs": nothing, "labels": nothing}
    assert lines[2]["outputs"] == {"y": ["NaN", "-Infinity"], "n": 7, "t": ["c"]}
    assert lines[2]["labels"] == nothing, "no number of these chooses a word"
    assert lines[3]["status"] == "NOT_SETTLED"


def test_write_rows__parquet__one_row_a_task(tmp_path: Path, manifest: JobManifest) -> None:
    table = pyarrow.parquet.read_table(write_rows(tmp_path, "parquet", manifest, ARRAYS)).to_pydict()
    assert table["task"] == [0, 1, 2, 3]
    assert table["status"] == ["OK", "TRAP", "OK", "NOT_SETTLED"]
    assert table["y"][:2] == [[0.25, 0.75], None]
    assert table["n"] == [1, None, 7, None]
    assert table["t"] == [["a", "é"], None, ["c"], None]
    assert table["label:y"] == ["dog", None, None, None]
    assert list(tmp_path.iterdir()) == [tmp_path / "outputs.parquet"]


def test_write_rows__folder_is_none__says_so(tmp_path: Path, manifest: JobManifest) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutFailed, match="cannot write"):
        write_rows(tmp_path / "file", "jsonl", manifest, ARRAYS)


def test_read_labels__files__by_output(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("cat\ndog\n")
    assert read_labels([], ["y"]) is None
    assert read_labels([str(path)], ["y"]) == {"y": ("cat", "dog")}
    assert read_labels([f"z={path}"], ["y", "z"]) == {"z": ("cat", "dog")}
    for given, what in ((str(path), "say of which output"), (f"w={path}", "outputs are y, z"), ("y=/absent", "read")):
        with pytest.raises(UsageError, match=what):
            read_labels([given], ["y", "z"])
