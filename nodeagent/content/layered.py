"""The store an agent or requester uses: its own disk, and a Kubo daemon beside it when one is configured."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from nodeagent.content import unixfs
from nodeagent.content.cid import Cid
from nodeagent.content.errors import BlockMissing, ContentUnavailable
from nodeagent.content.store import LocalStore
from nodeagent.content.unixfs import DEFAULT_BUDGET, Budget

if TYPE_CHECKING:
    from nodeagent.content.kubo import KuboStore

log = structlog.get_logger(__name__)


class LayeredStore:
    """Whole files and pins go to both; reads are local. What only Kubo has is fetched, as from any other source.

    The local copy decides: a daemon that is away is logged and passed over, since the embedded gateway serves
    what is local anyway. A daemon that builds other CIDs still raises ``KuboDisagrees``.
    """

    def __init__(self, local: LocalStore, kubo: KuboStore | None = None) -> None:
        self.local, self.kubo = local, kubo

    def put_bytes(self, data: bytes, label: str = "") -> Cid:
        """Store and pin ``data`` as a file; returns its CID."""
        cid = self.local.put_bytes(data, label)
        if self.kubo:
            with _daemon_may_be_away("put", cid):
                self.kubo.put_bytes(data)
        return cid

    def put_file(self, path: Path, label: str = "") -> Cid:
        """Store and pin the regular file at ``path``; returns its CID."""
        cid = self.local.put_file(path, label)
        if self.kubo:
            with _daemon_may_be_away("put", cid):
                self.kubo.put_file(path)
        return cid

    def put_folder(self, path: Path) -> Cid:
        """Store and pin the folder at ``path``; returns its CID."""
        cid = self.local.put_folder(path)
        if self.kubo:
            with _daemon_may_be_away("put", cid):
                self.kubo.put_folder(path)
        return cid

    def read(self, cid: Cid, budget: Budget = DEFAULT_BUDGET) -> Iterator[bytes]:
        """The file's bytes, leaf by leaf, verified."""
        return unixfs.read(cid, self.load, budget)

    def get_bytes(self, cid: Cid, max_bytes: int) -> bytes:
        """The whole file, at most ``max_bytes`` long."""
        return unixfs.read_all(cid, self.load, max_bytes)

    def load(self, cid: Cid) -> bytes:
        """One verified block; raises ``BlockMissing``."""
        return self.local.load(cid)

    def keep(self, cid: Cid, block: bytes) -> None:
        """Store one block locally that the caller has verified."""
        self.local.keep(cid, block)

    def has(self, cid: Cid) -> bool:
        """Whether the block named ``cid`` is here."""
        return self.local.has(cid)

    def pin(self, cid: Cid) -> None:
        """Pin in both."""
        self.local.pin(cid)
        if self.kubo:
            with _daemon_may_be_away("pin", cid):
                self.kubo.pin(cid)

    def unpin(self, cid: Cid) -> None:
        """Unpin in both."""
        self.local.unpin(cid)
        if self.kubo:
            with _daemon_may_be_away("unpin", cid):
                self.kubo.unpin(cid)

    def keep_labels(self, labels: Collection[str]) -> None:
        """Undo every pin that has a label but none of these; what is not pinned here any more is unpinned in Kubo, too,
        as far as the daemon answers."""
        for cid in self.local.keep_labels(labels):
            if self.kubo:
                try:
                    self.kubo.unpin(cid)
                except ContentUnavailable as error:
                    log.warning("content.kubo_unavailable", action="unpin", cid=str(cid), reason=error.message)
                    return


@contextlib.contextmanager
def _daemon_may_be_away(action: str, cid: Cid) -> Iterator[None]:
    try:
        yield
    except BlockMissing:
        pass
    except ContentUnavailable as error:
        log.warning("content.kubo_unavailable", action=action, cid=str(cid), reason=error.message)
