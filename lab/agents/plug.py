"""How a misbehaving agent is made: parts of the real one are replaced before it starts."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from functools import cache
from typing import Any

ORDERS = "LAB_ORDERS"
"""Environment variable with what this agent was told, as JSON."""


@cache
def orders() -> Mapping[str, Any]:
    """``seed`` and ``members`` (ids of the nodes of its party), and what its kind takes besides."""
    found: dict[str, Any] = json.loads(os.environ.get(ORDERS, "{}"))
    return found


def swap(owner: Any, name: str, part: Any) -> Any:
    """Puts a part in the place of another, which is returned. Raises AttributeError where there is no such part."""
    before = getattr(owner, name)
    setattr(owner, name, part)
    return before


def start() -> None:
    """Runs ``nodeagent`` with this process's arguments; exits."""
    from nodeagent.cli.node import main

    main()
