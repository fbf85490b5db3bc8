"""What every command of ``nodeagent`` shares: lazy groups, errors as one line with the next step, output, logging."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from nodeagent.amounts import whole as whole
from nodeagent.errors import Fatal, QuorateError, Transient
from nodeagent.memory import keep_freed_memory

TRY_LATER = 75  # EX_TEMPFAIL: the same command may succeed later


class NoTerminal(Fatal):
    """A password has to be typed and nobody can."""


class LazyGroup(click.Group):
    """Knows its commands' names and first lines; imports a command when it is called.

    ``lazy`` maps a name to (module below ``nodeagent.cli``, attribute, one line for --help).
    """

    def __init__(self, *args: Any, lazy: dict[str, tuple[str, str, str]] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._lazy = lazy or {}

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*self._lazy, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._lazy:
            return super().get_command(ctx, cmd_name)
        module, attribute, _ = self._lazy[cmd_name]
        command: click.Command = getattr(importlib.import_module(f"nodeagent.cli.{module}"), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, _, line) in self._lazy.items()])


class WholeNumber(click.IntRange):
    """An integer within bounds, by the name that people use."""

    name = "whole number"


def run_command(command: click.Command, args: Sequence[str] | None = None) -> None:
    """Runs a command line to its exit code: 0, 1 for a person, 75 for later, 2 for wrong usage, 130 interrupted."""
    keep_freed_memory()
    try:
        result = command.main(args=list(args) if args is not None else None, standalone_mode=False)
        sys.exit(result if isinstance(result, int) else 0)
    except click.exceptions.Abort:
        click.echo("aborted", err=True)
        sys.exit(130)
    except click.ClickException as fault:
        fault.show()
        sys.exit(fault.exit_code)
    except QuorateError as fault:
        click.echo(f"error: {fault.message}", err=True)
        if fault.hint:
            click.echo(f"  next: {fault.hint}", err=True)
        sys.exit(TRY_LATER if isinstance(fault, Transient) else 1)


def print_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2, sort_keys=True))


def say(text: str) -> None:
    """Words for a person go to stderr; results to stdout."""
    click.echo(text, err=True)


def confirm(question: str, yes: bool) -> None:
    """Asks unless ``--yes``; the default is yes. Raises click.Abort."""
    if not yes:
        click.confirm(question, default=True, abort=True, err=True)


def ask_secret(question: str, instead: str, *, confirmed: bool = False, default: str | None = None) -> str:
    """A password typed unseen. Raises NoTerminal, with ``instead`` as its hint, where nobody can be asked."""
    if not has_terminal():
        raise NoTerminal(f"the {question[0].lower()}{question[1:]} is needed, and there is no terminal", hint=instead)
    more: dict[str, Any] = {"hide_input": True, "confirmation_prompt": confirmed, "show_default": False, "err": True}
    return str(click.prompt(question, default=default, **more))


def has_terminal() -> bool:
    """Whether a person can type something unseen."""
    try:
        with open("/dev/tty"):
            return True
    except OSError:
        return sys.stdin.isatty()


def ask(question: str, default: Any, yes: bool) -> Any:
    """A prompt with its default, which ``--yes`` takes unasked."""
    return default if yes else click.prompt(question, default=default, err=True)


class NoFolder(Fatal):
    """A folder for output cannot be made, or nothing can be written into it."""


def make_folder(path: Path) -> None:
    """Makes a folder for output, and tries it, before anything is done that would be lost. Raises NoFolder."""
    import tempfile

    try:
        path.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=path).close()
    except OSError as error:
        raise NoFolder(f"cannot write to {path}: {error.strerror}", hint="name another folder with --out") from None


def start_logging(as_json: bool, level: str = "info") -> None:
    """Event names and fields to stderr; one line each."""
    import logging

    import structlog

    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    last: Any = structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(colors=False)
    structlog.configure(
        processors=[*shared, last],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
