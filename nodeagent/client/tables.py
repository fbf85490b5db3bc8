"""Columns of CSV and Parquet files as arrays of tasks, row by row, so that a bad row is named by its number."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nodeagent.client.inputs import Array, BadInputs
from nodeagent.client.recipes import BadRow
from nodeagent.text import printable

Rows = Callable[[Collection[str]], Iterator[Sequence[Any]]]
"""Gives rows as wide as the header; cells of columns that are not named may be None."""
Columns = Mapping[str, Sequence[str]]
"""Names of columns by the model's input that they are for."""
_TRUE, _FALSE = frozenset({"true", "1"}), frozenset({"false", "0"})


def parse_columns(text: str | None, inputs: Sequence[str], header: Sequence[str]) -> Columns:
    """``a,b`` for a model's only input, ``x=a,b;y=c`` for several; None is every column for the only one.

    Raises BadInputs, also for a column that is not in ``header``.
    """
    if text is None or "=" not in text:
        if len(inputs) != 1:
            raise BadInputs(
                f"the model has the inputs {', '.join(inputs)}: say which columns are for which",
                hint="--columns 'x=a,b;y=c'",
            )
        found = {inputs[0]: list(header) if text is None else text.split(",")}
    else:
        pairs = [part.partition("=") for part in text.split(";")]
        found = {name.strip(): columns.split(",") for name, _, columns in pairs}
        if len(found) < len(pairs):
            raise BadInputs("--columns: each input of the model may be given once")
    trimmed = {name: [column.strip() for column in columns] for name, columns in found.items()}
    for name, columns in trimmed.items():
        if name not in inputs:
            raise BadInputs(f"--columns: {name!r} is no input of the model, which has {', '.join(inputs)}")
        for column in columns:
            if column not in header:
                raise BadInputs(f"there is no column {column!r}: the file has {printable(', '.join(header))[:1000]}")
            if header.count(column) > 1:
                raise BadInputs(f"the file has {header.count(column)} columns {column!r}: give them names of their own")
    return trimmed


def describe_columns(columns: Columns) -> str:
    """The canonical spelling, for the manifest."""
    return "columns:" + ";".join(f"{name}={','.join(parts)}" for name, parts in sorted(columns.items()))


def read_table(path: Path) -> tuple[list[str], Rows]:
    """Names of columns and rows of a ``.csv`` or ``.parquet``. Raises BadInputs, also while rows are read."""
    return _parquet(path) if path.suffix.lower() == ".parquet" else _csv(path)


def _csv(path: Path) -> tuple[list[str], Rows]:
    def rows() -> Iterator[Sequence[str]]:
        try:
            with path.open(newline="", encoding="utf-8-sig") as file:
                yield from csv.reader(file, strict=True)
        except OSError as error:
            raise BadInputs(f"{path} cannot be read: {error.strerror}") from None
        except (csv.Error, UnicodeDecodeError) as error:
            raise BadInputs(f"{path} is not a CSV file in UTF-8: {error}") from None

    lines = rows()
    header = [name.strip() for name in next(lines, [])]
    if not header:
        raise BadInputs(f"{path} has no line with the columns' names")
    return header, lambda _: (row for row in lines if row)


def _parquet(path: Path) -> tuple[list[str], Rows]:
    pyarrow = load_pyarrow()
    try:
        file = pyarrow.parquet.ParquetFile(path)
    except (OSError, pyarrow.ArrowException) as error:
        raise BadInputs(f"{path} is not a Parquet file: {error}") from None
    names = list(file.schema_arrow.names)

    def rows(chosen: Collection[str]) -> Iterator[Sequence[Any]]:
        wanted = [name for name in names if name in chosen]
        try:
            for batch in file.iter_batches(columns=wanted):
                cells = {name: batch.column(name).to_pylist() for name in wanted}
                for row in range(batch.num_rows):
                    yield [cells[name][row] if name in cells else None for name in names]
        except Exception as error:  # what a damaged file raises is of many trees
            raise BadInputs(f"{path} cannot be read: {printable(str(error))[:200]}") from None

    return names, rows


def load_pyarrow() -> Any:
    """pyarrow with its Parquet part. Raises BadInputs where it is not installed."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise BadInputs("Parquet needs pyarrow, which is not installed", hint="pip install 'quorate[data]'") from None
    return pyarrow


def row_of(cells: Sequence[Any], places: Sequence[int], names: Sequence[str], dtype: np.dtype[Any]) -> Array:
    """The chosen cells of a row as numbers of ``dtype``. Raises BadRow with the column at fault."""
    made: Array = np.empty(len(places), dtype)
    for at, (place, name) in enumerate(zip(places, names, strict=True)):
        try:
            made[at] = _number(cells[place], dtype)
        except (ValueError, OverflowError, TypeError):
            raise BadRow(f"column {name!r} is {repr(cells[place])[:80]}: expected {dtype.name}") from None
    return made


def _number(cell: Any, dtype: np.dtype[Any]) -> Any:
    """Raises ValueError, OverflowError or TypeError for what does not fit exactly, floats aside."""
    if isinstance(cell, str):
        cell = cell.strip()
    if dtype.kind == "b":
        word = str(cell).lower()
        if word not in _TRUE | _FALSE:
            raise ValueError
        return word in _TRUE
    if dtype.kind == "f":
        value = float(cell)
        with np.errstate(over="ignore"):
            if math.isfinite(value) and np.isinf(dtype.type(value)):
                raise OverflowError
        return value
    number = int(cell)
    if not isinstance(cell, str) and number != cell:
        raise ValueError
    limits = np.iinfo(dtype)
    if not limits.min <= number <= limits.max:
        raise OverflowError
    return number
