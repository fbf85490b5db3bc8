"""Attempts to break out, each small enough to read: ``-m …attempts`` makes one, inside a jail or outside.

The request is a JSON object on stdin: ``{"attempt": name, "targets": {...}}``, the answer one on stdout:
``{"worked": bool, "said": text}``. An attempt *works* when it did the harm it is named for; outside each one does.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from . import changing, payloads, reaching, seeing, using
from .common import ATTEMPTS, Failed, Targets

__all__ = ["ATTEMPTS", "changing", "main", "payloads", "reaching", "run_attempt", "seeing", "using"]


def run_attempt(name: str, targets: Targets) -> dict[str, Any]:
    """One attempt's answer. What the jail makes of it may also be the end of this process."""
    try:
        return {"worked": True, "said": ATTEMPTS[name](targets)}
    except Failed as reason:
        return {"worked": False, "said": str(reason)}
    except OSError as error:
        return {"worked": False, "said": f"{type(error).__name__}: {error.strerror or error}"}
    except MemoryError:
        return {"worked": False, "said": "MemoryError"}
    except Exception as error:  # a library's own word for it
        return {"worked": False, "said": f"{type(error).__name__}: {str(error)[:120]}"}


def main() -> int:
    """Serve one request."""
    request = json.load(sys.stdin)
    json.dump(run_attempt(request["attempt"], request["targets"]), sys.stdout)
    return 0
