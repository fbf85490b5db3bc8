"""How an attempt is written down and made, and what several of them share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Targets = dict[str, Any]
Attempt = Callable[[Targets], str]
ATTEMPTS: dict[str, Attempt] = {}
MIB = 1 << 20


class Failed(Exception):
    """The attempt did no harm."""


def attempt(name: str) -> Callable[[Attempt], Attempt]:
    """Registers an attempt. It returns what it got; OSError and Failed mean that it did not work."""

    def register(function: Attempt) -> Attempt:
        ATTEMPTS[name] = function
        return function

    return register


def fail(why: str) -> str:
    raise Failed(why)


def secret(found: bytes, targets: Targets) -> str:
    """What was read, when the planted word is in it. Raises Failed."""
    return "the secret" if targets["word"].encode() in found else fail("no secret in it")
