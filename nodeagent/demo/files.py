"""Which files the demo classifies, and what it sends of them: Magika's own features, 2,048 numbers a file.

Magika's package decides without its model for empty and very small files, links, folders and special files; such
files are listed with the package's label and not sent. Unreadable ones are listed as that.
"""

from __future__ import annotations

import os
import stat
import sysconfig
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nodeagent.client.inputs import Array
from nodeagent.errors import Fatal, JobFault
from nodeagent.text import printable

DEFAULT_COUNT = 256
LOOKED_AT = 20_000  # files the default selection chooses from
LARGEST = 8 << 20  # of a file in the default selection
INPUT, OUTPUT = "bytes", "target_label"
SKIPPED_FOLDERS = frozenset(("__pycache__", ".git", "node_modules"))


def shown(path: os.PathLike[str] | str) -> str:
    """A path as text that every terminal and JSON reader takes; file names are bytes, and may be any."""
    return printable(os.fsencode(path).decode("utf-8", "replace"))


class NoFiles(JobFault):
    """There is nothing to classify. Says where it looked."""


class MagikaMissing(Fatal):
    """The magika package is not installed, or not the one this demo knows."""


@dataclass(frozen=True, slots=True)
class FoundFile:
    """:param features: the model's input for this file, int32 [2048]; None when it is not sent
    :param label: the package's answer for a file that is not sent; None when there is none
    :param note: why it is not sent
    """

    path: str
    features: Array | None
    label: str | None = None
    note: str | None = None


class Magika:
    """The magika package without its ONNX session: features before, labels after the model."""

    def __init__(self) -> None:
        try:
            from magika import Magika as Package
        except ImportError:
            raise MagikaMissing("the magika package is not installed", hint="install quorate[toolkit]") from None

        class Features(Package):
            def _init_onnx_session(self) -> Any:
                return None  # the model runs on the nodes, and in a process of its own for the check

        try:
            self._package: Any = Features(no_dereference=True)
            self._config: Any = self._package._model_config
            self.model = Path(self._package._model_path)
        except AttributeError as error:
            raise MagikaMissing(
                f"this magika release is not known to the demo: {error}", hint="install 1.0.3"
            ) from None

    def look(self, path: Path) -> FoundFile:
        """One directory entry, never following a link."""
        name = shown(path)
        try:
            mode = path.lstat().st_mode
            if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode)):
                return FoundFile(name, None, None, "not a regular file")
            result, features = self._package._get_result_or_features_from_path(path)
        except OSError as error:
            return FoundFile(name, None, None, f"unreadable: {error.strerror or error}")
        if features is not None:
            return FoundFile(name, self._row(features))
        if not result.ok:
            return FoundFile(name, None, None, f"unreadable: {result.status}")
        label = str(result.output.label)
        if stat.S_ISLNK(mode):
            return FoundFile(name, None, label, "a link, not followed")
        return FoundFile(name, None, label, "empty" if label == "empty" else "too small for the model")

    def answer(self, scores: Array) -> tuple[str, float]:
        """Label and score from one task's output, by the package's own thresholds and overwrites."""
        best = int(np.argmax(scores))
        score = float(scores[best])
        label, _ = self._package._get_output_label_from_dl_label_and_score(
            self._config.target_labels_space[best], score
        )
        return str(label), score

    @property
    def labels(self) -> list[str]:
        """The model's own labels, in the order of its output."""
        return [str(label) for label in self._config.target_labels_space]

    def _row(self, features: Any) -> Array:
        config = self._config
        beg, mid, end = config.beg_size, config.mid_size, config.end_size
        row = [*features.beg[:beg], *features.mid[:mid], *(features.end[-end:] if end else [])]
        return np.array(row, np.int32)


def every_file(folder: Path) -> tuple[list[Path], list[FoundFile]]:
    """Every entry below ``folder`` that is no folder, sorted, and the folders that cannot be read.

    :raises NoFiles: it is no folder, or holds nothing
    """
    if not folder.is_dir():
        raise NoFiles(f"{folder} is not a folder", hint="pass an existing folder")
    unreadable: list[FoundFile] = []

    def note(error: OSError) -> None:
        unreadable.append(FoundFile(shown(error.filename), None, None, f"unreadable folder: {error.strerror}"))

    found = sorted(Path(root) / name for root, _, names in os.walk(folder, onerror=note) for name in names)
    if not found and not unreadable:
        raise NoFiles(f"{folder} holds no files", hint="name a folder with files in it")
    return found, unreadable


def some_files(roots: Sequence[Path], count: int = DEFAULT_COUNT) -> list[Path]:
    """``count`` readable regular files of many types, the same on every run: by turns one of each extension.

    :raises NoFiles: there are none
    """
    by_type: dict[str, list[Path]] = defaultdict(list)
    for path in _candidates(roots):
        by_type[path.suffix.lower()].append(path)
    types = sorted(by_type, key=lambda kind: (-len(by_type[kind]), kind))
    chosen: list[Path] = []
    for turn in range(max((len(files) for files in by_type.values()), default=0)):
        chosen.extend(by_type[kind][turn] for kind in types if turn < len(by_type[kind]))
        if len(chosen) >= count:
            break
    if not chosen:
        raise NoFiles("no readable files were found on this machine", hint="pass --files with a folder")
    return sorted(chosen[:count])


def default_roots() -> list[Path]:
    """Where a machine has files of many types: Python's library and packages, shared data."""
    paths = sysconfig.get_paths()
    roots = [paths["stdlib"], paths["purelib"], "/usr/share"]
    return [Path(root) for root in dict.fromkeys(roots) if Path(root).is_dir()]


def _candidates(roots: Sequence[Path]) -> Iterator[Path]:
    share = LOOKED_AT // max(1, len(roots))
    for root in roots:
        left = share
        for folder, folders, names in os.walk(root):
            folders[:] = sorted(f for f in folders if f not in SKIPPED_FOLDERS)
            for name in sorted(names):
                path = Path(folder) / name
                left -= 1
                if left >= 0 and _fits(path):
                    yield path
            if left <= 0:
                break


def _fits(path: Path) -> bool:
    try:
        found = path.lstat()
    except OSError:
        return False
    return stat.S_ISREG(found.st_mode) and 0 < found.st_size <= LARGEST and os.access(path, os.R_OK)
