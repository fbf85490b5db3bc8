"""How deep JSON nests, before a recursive parser sees it.

A library in the key's process raises Python's recursion limit so far that deep JSON ends the process instead of raising
``RecursionError``: bytes of strangers must not be able to do that.
"""

from __future__ import annotations

import re

_TOKENS = re.compile(rb'"(?:[^"\\]|\\.)*+"|[\[\]{}]', re.DOTALL)


def deeper_than(data: bytes, levels: int) -> bool:
    """Whether arrays and objects in ``data`` nest more than ``levels`` deep. Linear in its length."""
    depth = 0
    for token in _TOKENS.finditer(data):
        if token[0] in (b"[", b"{"):
            depth += 1
            if depth > levels:
                return True
        elif token[0] in (b"]", b"}"):
            depth -= 1
    return False
