"""Results by task for other programs: ``outputs.jsonl`` and ``outputs.parquet`` beside ``outputs.npz``.

A row has ``task``, ``status`` by name, the outputs by name (null unless the status is ``OK``) and, where the manifest
has labels for an output, the label: of the largest number, or of the number itself where there is one.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from nodeagent.client.inputs import Array
from nodeagent.client.outputs import NOT_SETTLED, OUTPUTS, STATUS, OutFailed, read_outputs
from nodeagent.client.tables import load_pyarrow
from nodeagent.content.disk import replacing
from nodeagent.protocol.manifest import JobManifest
from nodeagent.runtimes.types import Status

SPECIAL = {math.inf: "Infinity", -math.inf: "-Infinity"}
"""Numbers that JSON does not have, as strings; whatever is left is ``NaN``."""


def rows(manifest: JobManifest, arrays: Mapping[str, Array]) -> Iterator[dict[str, Any]]:
    """One dictionary a task, in order; arrays as :func:`nodeagent.client.outputs.collect_outputs` gives them."""
    labels = manifest.labels or {}
    for task, status in enumerate(arrays[STATUS]):
        values: dict[str, Array | None] = {}
        for output in manifest.outputs:
            array = arrays.get(f"{output.name}[{task}]") if output.name not in arrays else arrays[output.name][task]
            values[output.name] = None if status != Status.OK or array is None else np.asarray(array)
        row: dict[str, Any] = {"task": task, "status": _status(int(status)), "outputs": values}
        if labels:
            row["labels"] = {name: _label(values[name], words) for name, words in labels.items()}
        yield row


def _status(status: int) -> str:
    return "NOT_SETTLED" if status == NOT_SETTLED else Status(status).name


def _label(value: Array | None, words: tuple[str, ...]) -> str | None:
    """None where the numbers do not choose one of the words."""
    if value is None or value.dtype.kind not in "iuf":
        return None
    if value.size == 1 and value.dtype.kind in "iu":
        number = int(value.reshape(()))
        return words[number] if 0 <= number < len(words) else None
    return words[int(np.argmax(value))] if value.size == len(words) and not np.isnan(value).any() else None


def write_rows(folder: Path, kind: str, manifest: JobManifest, arrays: Mapping[str, Array]) -> Path:
    """Writes the file whole or not at all. Raises OutFailed."""
    path = folder / f"outputs.{kind}"
    try:
        with replacing(path) as out:
            {"jsonl": _jsonl, "parquet": _parquet}[kind](out, manifest, arrays)
    except OSError as error:
        raise OutFailed(f"cannot write {path}: {error.strerror}", hint="pass --out with a folder of yours") from None
    return path


def convert(folder: Path, kinds: tuple[str, ...], manifest: JobManifest) -> list[Path]:
    """The other forms of a folder's ``outputs.npz``. Raises BadInputs, OutFailed."""
    arrays = read_outputs(folder / OUTPUTS) if kinds else {}
    return [write_rows(folder, kind, manifest, arrays) for kind in kinds]


def _jsonl(out: BinaryIO, manifest: JobManifest, arrays: Mapping[str, Array]) -> None:
    for row in rows(manifest, arrays):
        row["outputs"] = {name: None if a is None else _plain(a.tolist()) for name, a in row["outputs"].items()}
        out.write(json.dumps(row, ensure_ascii=False, allow_nan=False).encode() + b"\n")


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return SPECIAL.get(value, "NaN")
    return value


def _parquet(out: BinaryIO, manifest: JobManifest, arrays: Mapping[str, Array]) -> None:
    pyarrow = load_pyarrow()
    table = list(rows(manifest, arrays))
    columns: dict[str, Any] = {
        "task": pyarrow.array([row["task"] for row in table], pyarrow.uint32()),
        "status": pyarrow.array([row["status"] for row in table], pyarrow.string()),
    }
    for output in manifest.outputs:
        found = [row["outputs"][output.name] for row in table]
        kind = pyarrow.string() if output.dtype == "string" else pyarrow.from_numpy_dtype(np.dtype(output.dtype))
        scalar = all(array is None or array.ndim == 0 for array in found)
        cells = [None if a is None else a.tolist() if scalar else a.reshape(-1).tolist() for a in found]
        columns[output.name] = pyarrow.array(cells, kind if scalar else pyarrow.list_(kind))
    for name in manifest.labels or {}:
        columns[f"label:{name}"] = pyarrow.array([row["labels"][name] for row in table], pyarrow.string())
    pyarrow.parquet.write_table(pyarrow.table(columns), out)
