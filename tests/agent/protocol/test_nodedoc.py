"""The document that a node announces: one spelling, nothing unknown.

encode_node ... canonical; its sha256 names it
parse_node .... what was encoded; everything else is Malformed
"""

from __future__ import annotations

import hashlib

import pytest

from nodeagent.protocol.nodedoc import NodeDocument, encode_node, parse_node
from nodeagent.protocol.types import Malformed

SPELLED = b'{"jail":"landlock","version":"quorate/node/1","walls":["landlock 7","seccomp"]}'


def test_encode_node__document__is_spelled_in_one_way() -> None:
    document = NodeDocument(jail="landlock", walls=("landlock 7", "seccomp"))
    assert encode_node(document) == (SPELLED, hashlib.sha256(SPELLED).digest())
    assert parse_node(SPELLED) == document


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        SPELLED + b"\n",
        SPELLED.replace(b'landlock"', b'chroot"', 1),
        SPELLED.replace(b"node/1", b"node/2"),
        SPELLED.replace(b',"walls":["landlock 7","seccomp"]', b""),
        SPELLED.replace(b'"seccomp"', b'"\\u00e9"'),
        SPELLED.replace(b'"seccomp"', b'""'),
        SPELLED.replace(b'"seccomp"', b'"' + b"x" * 65 + b'"'),
        SPELLED.replace(b'"seccomp"', b",".join([b'"x"'] * 9)),
        SPELLED.replace(b"{", b'{"extra":1,', 1),
        b" " * 4_096 + SPELLED,
    ],
)
def test_parse_node__anything_else__is_malformed(data: bytes) -> None:
    with pytest.raises(Malformed, match="node document"):
        parse_node(data)
