"""A job's inputs: arrays with one leading axis, the tasks, cut into one ``.npz`` per shard.

The cut is deterministic: the same arrays and shard size give the same bytes on every machine, so the same
call gives the same manifest and finds its job again.
"""

from __future__ import annotations

import io
import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from nodeagent.errors import JobFault
from nodeagent.runtimes.types import TensorSpec, ValueFacts

Array = NDArray[Any]

EPOCH_OF_ZIP = (1980, 1, 1, 0, 0, 0)
MAX_NAME = 200
NPY: Any = npy_format  # untyped in some numpy releases
KINDS = "biuf"  # bool, signed, unsigned, float: what a tensor of a task may hold


class BadInputs(JobFault):
    """The inputs file cannot be read, or does not fit the model. Names the array, what was expected and what
    it is."""


@dataclass(frozen=True, slots=True)
class TaskInputs:
    """Arrays by name, little-endian and C-contiguous, all ``(tasks, *shape)``."""

    arrays: Mapping[str, Array]
    tasks: int

    def specs(self) -> tuple[TensorSpec, ...]:
        """What each array holds for one task, by name."""
        return tuple(TensorSpec(n, a.dtype.name, tuple(a.shape[1:])) for n, a in sorted(self.arrays.items()))


# what damaged, encrypted and strange files make numpy and zipfile raise, and headers that declare more than there is
_UNREADABLE = (
    OSError,
    ValueError,
    EOFError,
    SyntaxError,
    MemoryError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
    tokenize.TokenError,
)


def load_inputs(path: Path, only_name: str | None = None) -> TaskInputs:
    """Reads a ``.npz``, or a ``.npy`` for the model's one input ``only_name``. Never unpickles.

    :raises BadInputs: the file is missing, is neither, holds objects, or its arrays differ in their leading
    axis
    """
    try:
        loaded = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise BadInputs(f"no inputs file at {path}", hint="pass --inputs with an existing .npz") from None
    except _UNREADABLE as error:
        raise BadInputs(
            f"{path} is not a readable .npz or .npy file: {error}",
            hint="write it with numpy.savez(path, input_name=array); pickled objects are never read",
        ) from None
    if isinstance(loaded, np.ndarray):
        if only_name is None:
            raise BadInputs(
                f"{path} holds one unnamed array, and the model has several inputs",
                hint="save a .npz with one array per input, named like the inputs",
            )
        return task_inputs({only_name: loaded})
    with loaded:
        return task_inputs({name: _member(path, loaded, name) for name in loaded.files})


def _member(path: Path, loaded: Any, name: str) -> Array:
    try:
        array: Array = loaded[name]
    except _UNREADABLE as error:
        raise BadInputs(
            f"array {name!r} of {path} cannot be read without pickle: {error}",
            hint="store numbers or booleans",
        ) from None
    if not isinstance(array, np.ndarray):
        raise BadInputs(f"member {name!r} of {path} is not an array", hint="write the file with numpy.savez")
    return array


def task_inputs(arrays: Mapping[str, Array]) -> TaskInputs:
    """Checks that all arrays share their leading axis and normalises their byte order.

    :raises BadInputs: no array, no task, a scalar, an unsupported dtype, or different leading axes
    """
    if not arrays:
        raise BadInputs("the inputs hold no array", hint="save one array per model input")
    first_name, first = next(iter(sorted(arrays.items())))
    clean: dict[str, Array] = {}
    for name, array in sorted(arrays.items()):
        if array.dtype.kind not in KINDS or array.dtype.itemsize > 8:
            raise BadInputs(f"array {name!r} has dtype {array.dtype}: expected bool, integers or floats up to 64 bits")
        if not name.isascii() or not 1 <= len(name) <= MAX_NAME:
            raise BadInputs(f"array name {name[:80]!r} is not 1 to {MAX_NAME} ASCII characters")
        if array.ndim == 0:
            raise BadInputs(f"array {name!r} is a scalar: expected a leading axis with one entry per task")
        if len(array) != len(first):
            raise BadInputs(
                f"array {name!r} has {len(array)} tasks: expected {len(first)} like {first_name!r}",
                hint="every array needs the same leading axis",
            )
        clean[name] = np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<"), copy=False))
    if len(first) == 0:
        raise BadInputs("the inputs hold no task", hint="the leading axis must be at least 1")
    return TaskInputs(clean, len(first))


def check_inputs(inputs: TaskInputs, expected: Sequence[ValueFacts]) -> None:
    """Compares the arrays with the model's inputs as it declares them, with or without a batch axis.

    :raises BadInputs: a missing or an unknown array, another dtype, another per-task shape
    """
    wanted = {value.name: value for value in expected}
    names = ", ".join(sorted(wanted))
    for name in inputs.arrays:
        if name not in wanted:
            raise BadInputs(f"array {name!r} is no input of the model: expected {names}", hint="rename or drop it")
    for value in expected:
        array = inputs.arrays.get(value.name)
        if array is None:
            have = ", ".join(sorted(inputs.arrays))
            raise BadInputs(f"the model's input {value.name!r} is missing: expected {names}, found {have}")
        if array.dtype.name != value.dtype:
            raise BadInputs(
                f"array {value.name!r} has dtype {array.dtype.name}: expected {value.dtype}",
                hint=f"save it with .astype({value.dtype!r})",
            )
        _check_shape(value, tuple(array.shape[1:]))


def _check_shape(value: ValueFacts, actual: tuple[int, ...]) -> None:
    """One task's shape against the declared one; a leading axis that is open or 1 is the model's batch."""
    batched = bool(value.shape) and value.shape[0] in (None, 1)
    declared = [value.shape[1:]] if batched else []
    if not batched or len(actual) == len(value.shape):
        declared.append(value.shape)
    for shape in declared:
        sizes = zip(shape, actual, strict=False)
        if len(shape) == len(actual) and all(want is None or want == have for want, have in sizes):
            return
    raise BadInputs(
        f"array {value.name!r} has shape {_sizes(actual)} per task: expected {_sizes(declared[0])}",
        hint="the leading axis counts the tasks; the rest must fit the model",
    )


def _sizes(shape: Sequence[int | None]) -> str:
    return "[" + ", ".join("any" if size is None else str(size) for size in shape) + "]"


def cut_shards(inputs: TaskInputs, shard_size: int) -> Iterator[bytes]:
    """Yields each shard's ``.npz``: tasks ``i * shard_size`` and up, the last one shorter."""
    for start in range(0, inputs.tasks, shard_size):
        yield npz_bytes({name: array[start : start + shard_size] for name, array in inputs.arrays.items()})


def npz_bytes(arrays: Mapping[str, Array]) -> bytes:
    """A ``.npz`` whose bytes depend on the arrays alone: sorted, stored uncompressed, without dates."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name, array in sorted(arrays.items()):
            member = io.BytesIO()
            NPY.write_array(member, np.ascontiguousarray(array), version=(1, 0), allow_pickle=False)
            info = zipfile.ZipInfo(f"{name}.npy", EPOCH_OF_ZIP)
            info.create_system = 3
            info.external_attr = 0o644 << 16
            archive.writestr(info, member.getvalue())
    return out.getvalue()
