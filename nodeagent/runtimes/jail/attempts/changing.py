"""What must not change."""

from __future__ import annotations

import os
from pathlib import Path

from .common import Targets, attempt


@attempt("write-home")
def write_home(targets: Targets) -> str:
    """A new file in the agent's home."""
    return _written(Path(targets["home"]) / f"planted-{os.getpid()}")


@attempt("write-payload")
def write_payload(targets: Targets) -> str:
    """A new file beside the payload."""
    return _written(Path(targets["payload"]) / f"planted-{os.getpid()}")


@attempt("write-runtime")
def write_runtime(targets: Targets) -> str:
    """A new file in the runtime's folder, which the next task would load."""
    return _written(Path(targets["runtime"]) / f"planted-{os.getpid()}")


@attempt("truncate-payload")
def truncate_payload(targets: Targets) -> str:
    """An existing file made empty."""
    os.truncate(targets["victim"], 0)
    return "it is empty"


@attempt("change-mode")
def change_mode(targets: Targets) -> str:
    """A file made readable for everybody."""
    os.chmod(targets["victim"], 0o777)  # noqa: S103
    return "the mode is 777"


def _written(path: Path) -> str:
    path.write_text("planted")
    path.unlink()
    return "written"
