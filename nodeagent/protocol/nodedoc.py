"""What a node says about itself: the document whose sha256 it announces on chain (``NodeAnnounced.metadata``).

Canonical JSON; the raw block of that digest is its content address, and the node's endpoint serves it. Nobody checks
what it says.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints

from .documents import Document, encode_document, parse_document, sha256_digest

NODE_VERSION: Final = "quorate/node/1"
MAX_NODE_BYTES = 4_096

Wall = Annotated[str, StringConstraints(pattern=r"^[ -~]{1,64}$")]


class NodeDocument(Document):
    """``jail`` is what untrusted work runs in, ``walls`` what it is made of: none for a node that runs without."""

    version: Literal["quorate/node/1"] = NODE_VERSION
    jail: Literal["bubblewrap", "landlock", "none"]
    walls: Annotated[tuple[Wall, ...], Field(max_length=8)] = ()


def encode_node(document: NodeDocument) -> tuple[bytes, bytes]:
    """Canonical bytes and their sha256."""
    data = encode_document(document)
    return data, sha256_digest(data)


def parse_node(data: bytes) -> NodeDocument:
    """Raises :class:`Malformed`."""
    return parse_document(NodeDocument, "node document", data, MAX_NODE_BYTES, canonical=True)
