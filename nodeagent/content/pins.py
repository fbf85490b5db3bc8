"""Which files a store must keep, and for whom: a folder with an empty file ``<cid>`` or ``<cid>.<label>`` for each pin.

A pin without a label is a person's or a publisher's; one with a label belongs to what the label names (a job), and ends
when that is not needed any more.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

from nodeagent.content.cid import Cid
from nodeagent.content.disk import CREATE, disk_errors, sync_folder
from nodeagent.content.errors import BadCid

_LABEL: Final = re.compile(r"[a-z0-9-]{0,80}")


class Pins:
    """Pins under ``folder``, which exists. Safe for several threads and processes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, cid: Cid, label: str = "") -> None:
        """Pin a file; nothing when it is pinned so already. A pin is on disk after ``sync``."""
        with disk_errors(f"pin {cid}"), contextlib.suppress(FileExistsError):
            os.close(os.open(self._path(cid, label), CREATE, 0o600))

    def remove(self, cid: Cid, label: str = "") -> None:
        """Undo ``add``; nothing when there is no such pin."""
        with disk_errors(f"unpin {cid}"), contextlib.suppress(FileNotFoundError):
            os.unlink(self._path(cid, label))

    def keep(self, labels: Collection[str]) -> frozenset[Cid]:
        """Removes every pin that has a label but none of ``labels``; returns the files that have no pin left."""
        unpinned = set()
        for cid, of in self.labels().items():
            over = [label for label in of if label and label not in labels]
            for label in over:
                self.remove(cid, label)
            if len(over) == len(of):
                unpinned.add(cid)
        return frozenset(unpinned)

    def labels(self) -> dict[Cid, list[str]]:
        """Every pinned file with its labels, both in order; what is no pin is passed over."""
        found: dict[Cid, list[str]] = {}
        with disk_errors("list pins"):
            for cid, label in sorted(_parsed(os.listdir(self._folder))):
                found.setdefault(cid, []).append(label)
        return found

    def sync(self) -> None:
        """Make every pin so far survive a power cut."""
        sync_folder(self._folder)

    def _path(self, cid: Cid, label: str) -> Path:
        if not _LABEL.fullmatch(label):
            raise ValueError(f"label {label!r}, expected at most 80 of a-z, 0-9 and -")
        return self._folder / (f"{cid}.{label}" if label else str(cid))


def _parsed(names: list[str]) -> Iterator[tuple[Cid, str]]:
    for name in names:
        text, _, label = name.partition(".")
        with contextlib.suppress(BadCid):
            if _LABEL.fullmatch(label):
                yield Cid.parse(text), label
