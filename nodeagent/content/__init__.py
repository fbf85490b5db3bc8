"""Content by its hash: files as CIDs, a store on disk, a gateway that serves it, a fetcher that trusts nobody.

``open_content`` gives the store; ``Gateway`` (``content.gateway``) serves its ``local`` part and ``Fetcher``
(``content.fetch``) fills it from endpoints. Both are imported from their modules, so that importing this package
stays cheap. A one-block file's CID is its sha256: ``Cid.from_digest`` turns a ``bytes32`` on chain into an address.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from nodeagent.content.cid import Cid
from nodeagent.content.layered import LayeredStore
from nodeagent.content.store import LocalStore
from nodeagent.content.unixfs import DEFAULT_BUDGET, MIB, Budget

__all__ = ["DEFAULT_BUDGET", "MIB", "Budget", "Cid", "ContentStore", "LayeredStore", "LocalStore", "open_content"]


class ContentStore(Protocol):
    """Files and folders by CID. ``LocalStore``, ``KuboStore`` and ``LayeredStore`` are the three there are.

    Every byte that comes out was verified against its CID. Puts pin. Errors: ``nodeagent.content.errors``.
    """

    def put_bytes(self, data: bytes) -> Cid: ...
    def put_file(self, path: Path) -> Cid: ...
    def put_folder(self, path: Path) -> Cid: ...
    def read(self, cid: Cid, budget: Budget = ...) -> Iterator[bytes]: ...
    def get_bytes(self, cid: Cid, max_bytes: int) -> bytes: ...
    def load(self, cid: Cid) -> bytes: ...
    def has(self, cid: Cid) -> bool: ...
    def pin(self, cid: Cid) -> None: ...
    def unpin(self, cid: Cid) -> None: ...


def open_content(home: Path, kubo_api: str | None = None, max_bytes: int = 0) -> LayeredStore:
    """The store under ``home/content``, with the Kubo daemon at ``kubo_api`` beside it when one is given.

    ``max_bytes`` limits what the store takes (0: nothing does).
    """
    kubo = None
    if kubo_api:
        from nodeagent.content.kubo import KuboStore

        kubo = KuboStore(kubo_api)
    return LayeredStore(LocalStore(home / "content", max_bytes=max_bytes), kubo)
