"""The options that say what a job's inputs are made of, shared by ``job post``, ``quote`` and ``check``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from nodeagent.cli.common import say

if TYPE_CHECKING:
    from nodeagent.client.gathering import Gathered, How

F = TypeVar("F", bound=Callable[..., Any])
SKIPPED_SHOWN = 20


def input_options(*, required: bool) -> Callable[[F], F]:
    """``--inputs`` and how it is read."""

    def add(command: F) -> F:
        for option in reversed(
            (
                click.option(
                    "--inputs",
                    required=required,
                    type=click.Path(exists=True, path_type=Path),
                    help=".npz with one array per model input, tasks first; .npy; .csv or .parquet; a folder (--as)",
                ),
                click.option(
                    "--as",
                    "recipe",
                    metavar="RECIPE",
                    help="how a task is made of a file: image:224x224:rgb:imagenet, bytes:2048, …",
                ),
                click.option("--columns", help="of a table: a,b or, for several inputs, x=a,b;y=c (default: all)"),
                click.option("--skip-bad", is_flag=True, help="leave out files and rows that are bad, and list them"),
            )
        ):
            command = option(command)
        return command

    return add


def labels_option(command: F) -> F:
    """``--labels``."""
    return click.option(
        "--labels",
        "labels",
        multiple=True,
        metavar="[OUTPUT=]FILE",
        help="what an output's numbers stand for: a text file, one a line",
    )(command)


def format_option(command: F) -> F:
    """``--format``."""
    return click.option(
        "--format",
        "formats",
        multiple=True,
        type=click.Choice(["jsonl", "parquet"]),
        help="write the outputs task by task as well, with labels; may be given twice",
    )(command)


def read_labels(given: Sequence[str], outputs: Sequence[str]) -> dict[str, tuple[str, ...]] | None:
    """By output. Raises click.UsageError."""
    found: dict[str, tuple[str, ...]] = {}
    for text in given:
        name, separator, path = text.rpartition("=")
        if not separator and len(outputs) > 1:
            raise click.UsageError(f"--labels {text}: say of which output: {', '.join(outputs)}")
        name = name if separator else outputs[0]
        if name not in outputs:
            raise click.UsageError(f"--labels {text}: the model's outputs are {', '.join(outputs)}")
        try:
            found[name] = tuple(Path(path).read_text("utf-8-sig").splitlines())
        except (OSError, UnicodeDecodeError) as error:
            raise click.UsageError(f"--labels {text}: {path} cannot be read: {error}") from None
    return found or None


def how_of(given: dict[str, Any]) -> How:
    """Takes these options, but for the path, out of a command's keyword arguments."""
    from nodeagent.client.gathering import How

    return How(**{name: given.pop(name) for name in ("recipe", "columns", "skip_bad")})


def tell_skipped(gathered: Gathered) -> None:
    """What was left out, to stderr."""
    for line in gathered.skipped[:SKIPPED_SHOWN]:
        say(f"skipped {line}")
    if len(gathered.skipped) > SKIPPED_SHOWN:
        say(f"skipped {len(gathered.skipped) - SKIPPED_SHOWN} more")
