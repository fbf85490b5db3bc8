"""From what people have (arrays, folders of files, tables) to a job's inputs, and how they were made."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nodeagent.client.inputs import Array, BadInputs, TaskInputs, load_inputs, task_inputs
from nodeagent.client.recipes import KNOWN, BadRow, parse_recipe
from nodeagent.client.tables import describe_columns, parse_columns, read_table, row_of
from nodeagent.protocol.manifest import MAX_RECIPE, Preprocessing
from nodeagent.runtimes.types import ValueFacts
from nodeagent.text import printable

TABLES = (".csv", ".parquet")


@dataclass(frozen=True, slots=True)
class How:
    """How inputs are read: ``recipe`` for a folder of files, ``columns`` for a table."""

    recipe: str | None = None
    columns: str | None = None
    skip_bad: bool = False


@dataclass(frozen=True, slots=True)
class Gathered:
    """``sources`` names what each task was made of, in order, where that is not the array itself; ``skipped`` what was
    left out, and why."""

    inputs: TaskInputs
    preprocessing: Preprocessing | None = None
    sources: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()


def gather(path: Path, wanted: Sequence[ValueFacts], how: How) -> Gathered:
    """Reads ``path`` for a model that takes ``wanted``: ``.npz``, ``.npy``, a folder with a recipe, a table.

    :raises BadInputs: it cannot be read, or a row is bad and not to be skipped: the first one, with its number
    """
    if path.is_dir():
        return _folder(path, wanted, how)
    if how.recipe is not None:
        raise BadInputs(f"--as is for a folder of files, and {path} is none")
    if path.suffix.lower() in TABLES:
        return _table(path, wanted, how)
    if how.columns is not None:
        raise BadInputs(f"--columns is for {' and '.join(TABLES)} files, and {path} is none")
    return Gathered(load_inputs(path, wanted[0].name if len(wanted) == 1 else None))


def _folder(path: Path, wanted: Sequence[ValueFacts], how: How) -> Gathered:
    if how.recipe is None or how.columns is not None:
        raise BadInputs(f"{path} is a folder: say how a task is made of a file", hint=f"--as, one of {KNOWN}")
    if len(wanted) != 1:
        names = ", ".join(value.name for value in wanted)
        raise BadInputs(f"a folder gives one input a task, and the model has {names}", hint="save a .npz instead")
    recipe = parse_recipe(how.recipe)
    found, links = _files(path)
    if not found:
        raise BadInputs(f"there are no files in {path}" + (f" but {links} links, which are not followed" * bool(links)))
    made = _Rows(how.skip_bad)
    for number, file in enumerate(found):
        name = printable(file.relative_to(path).as_posix())
        with made.row(f"file {number} ({name})"):
            made.add(name, {wanted[0].name: recipe.make(file)})
    if links:
        made.leave_out(f"{links} links: they are not followed")
    return made.gathered(wanted, Preprocessing(recipe=recipe.text, software=recipe.software))


def _files(folder: Path) -> tuple[list[Path], int]:
    """Regular files in it and below, sorted, and the number of links; what is hidden counts as neither."""
    files, links = [], 0

    def fail(error: OSError) -> None:
        raise BadInputs(f"{printable(str(error.filename))} cannot be read: {error.strerror}")

    for place, folders, names in os.walk(folder, onerror=fail):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for path in (Path(place, name) for name in (*folders, *names) if not name.startswith(".")):
            links += path.is_symlink()
            if not path.is_symlink() and path.is_file():
                files.append(path)
    return sorted(files), links


def _table(path: Path, wanted: Sequence[ValueFacts], how: How) -> Gathered:
    header, rows = read_table(path)
    columns = parse_columns(how.columns, [value.name for value in wanted], header)
    recipe = describe_columns(columns)
    if len(recipe) > MAX_RECIPE:
        raise BadInputs(
            f"the names of the columns take {len(recipe):,} characters, a manifest has room for {MAX_RECIPE:,}",
            hint="give them shorter names, or save a .npz",
        )
    types = {value.name: _number_type(value) for value in wanted}
    places = {name: [header.index(column) for column in chosen] for name, chosen in columns.items()}
    made = _Rows(how.skip_bad)
    for number, cells in enumerate(rows({column for chosen in columns.values() for column in chosen})):
        with made.row(f"row {number}"):
            if len(cells) != len(header):
                raise BadRow(f"it has {len(cells)} cells, the header has {len(header)}")
            made.add(str(number), {name: row_of(cells, places[name], columns[name], types[name]) for name in columns})
    return made.gathered(wanted, Preprocessing(recipe=recipe))


def _number_type(value: ValueFacts) -> np.dtype[Any]:
    try:
        dtype = np.dtype(value.dtype)
    except TypeError:
        dtype = np.dtype(object)
    if dtype.kind not in "biuf":
        raise BadInputs(f"a table gives numbers, and the model's input {value.name!r} is {value.dtype}")
    return dtype


class _Rows:
    """Collects tasks; a bad one ends it, or is left out."""

    def __init__(self, skip_bad: bool) -> None:
        self._skip_bad = skip_bad
        self._rows: dict[str, list[Array]] = {}
        self._sources: list[str] = []
        self._skipped: list[str] = []

    @contextlib.contextmanager
    def row(self, what: str) -> Iterator[None]:
        """A context in which BadRow is this row's."""
        try:
            yield
        except BadRow as fault:
            if not self._skip_bad:
                raise BadInputs(f"{what}: {fault.message}", hint="mend it, or leave such out: --skip-bad") from None
            self.leave_out(f"{what}: {fault.message}")

    def leave_out(self, line: str) -> None:
        self._skipped.append(line)

    def add(self, source: str, task: dict[str, Array]) -> None:
        for name, array in task.items():
            self._rows.setdefault(name, []).append(array)
        self._sources.append(source)

    def gathered(self, wanted: Sequence[ValueFacts], preprocessing: Preprocessing) -> Gathered:
        if not self._sources:
            left = f"every file or row is bad; the first: {self._skipped[0]}" if self._skipped else "there is no row"
            raise BadInputs(f"no task is left: {left}")
        shapes = {value.name: value.shape for value in wanted}
        arrays = {name: _shaped(np.stack(rows), shapes[name]) for name, rows in self._rows.items()}
        return Gathered(task_inputs(arrays), preprocessing, tuple(self._sources), tuple(self._skipped))


def _shaped(array: Array, declared: tuple[int | None, ...]) -> Array:
    """Rows of a table in the shape of the model's task, where it is fixed and has as many elements."""
    task = declared[1:] if declared and declared[0] in (None, 1) else declared
    if array.ndim != 2 or any(size is None for size in task):
        return array
    sizes = [size for size in task if size is not None]
    return array.reshape(len(array), *sizes) if math.prod(sizes) == array.shape[1] else array
