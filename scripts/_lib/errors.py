"""One error for the scripts: a click error, so that ape prints it without a traceback and exits 1."""

from __future__ import annotations

import click


class ScriptError(click.ClickException):
    """Something a person must act on. ``hint`` says what to do next."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(f"{message}\n  next: {hint}" if hint else message)
        self.hint = hint
