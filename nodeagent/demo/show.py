"""What the demo prints: a live line while nodes work, then tables."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import click

from nodeagent.chain.deployment import Deployment
from nodeagent.cli.requester_common import table
from nodeagent.client.history import History
from nodeagent.client.progress import bar, progress_of

LEGEND = ". scheduled  w working  r revealing  s settling  # final  x expired"
LONGEST_PATH = 56


class LiveView:
    """Redraws one line on a terminal; elsewhere prints it when it changes."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment, self._shown, self._live = deployment, "", sys.stderr.isatty()
        click.echo(LEGEND, err=True)

    def show(self, history: History) -> None:
        """The job's bar, and how many shard answers each node has opened."""
        opened = Counter(int(a.node) for a in history.answers)
        who = "  ".join(f"node {n}: {count}" for n, count in sorted(opened.items())) or "all sealed"
        line = f"{bar(progress_of(history, self._deployment))}; opened by {who}"
        if line != self._shown:
            click.echo(f"\r\x1b[2K{line}" if self._live else line, err=True, nl=not self._live)
            self._shown = line

    def end(self) -> None:
        if self._live:
            click.echo(err=True)


def print_tables(report: Mapping[str, Any], money: Callable[[int], str]) -> None:
    """Files, nodes, gas and time."""
    click.echo(
        table([["file", "label", "score", "shard", "computed by", "paid"], *(_file(f) for f in report["files"])])
    )
    if not report["nodes"]:
        return
    click.echo()
    head = ["node", "operator", "drawn for", "ran", "paid for", "earned", "commits", "reveals"]
    click.echo(table([head, *(_node(n, money) for n in report["nodes"])]))
    click.echo()
    click.echo(table([["step", "transactions", "gas each", "gas"], *_gas(report["gas"])]))
    gas = report["gas"]
    click.echo(
        f"\n{gas['per_shard']:,} gas a shard, {gas['per_task']:,} a task (three members; without post and seeds)"
    )
    click.echo(
        f"{report['epochs']} epochs of {report['block_time_s'] * 10:g} s from post to last settlement; "
        f"{report['wall_s']:.1f} s in all after {report['setup_s']:.1f} s of set-up"
    )
    click.echo(
        f"{report['tasks']} tasks: {report['verified']} verified by the chain, "
        f"{report['matches_local_onnxruntime']} equal to native onnxruntime"
    )


def _file(row: Mapping[str, Any]) -> list[str]:
    path = row["path"] if len(row["path"]) <= LONGEST_PATH else "…" + row["path"][1 - LONGEST_PATH :]
    score = "" if row["score"] is None else f"{row['score']:.4f}"
    if not row["sent"]:
        return [path, row["label"] or "-", score, "", f"not sent: {row['note']}", ""]
    nodes, paid = (" ".join(str(n) for n in row[key]) for key in ("committee", "paid"))
    return [path, row["label"] or "-", score, str(row["shard"]), nodes, paid]


def _node(row: Mapping[str, Any], money: Callable[[int], str]) -> list[str]:
    numbers = [str(row[key]) for key in ("drawn", "inferences", "paid_tasks")]
    return [
        str(row["id"]),
        row["operator"],
        *numbers,
        money(row["earned"]),
        str(row["committed"]),
        str(row["revealed"]),
    ]


def _gas(gas: Mapping[str, Any]) -> list[list[str]]:
    rows = []
    for step, value in gas.items():
        used = [value] if step == "post" else value if isinstance(value, list) else []
        if used:
            rows.append([step, str(len(used)), f"{sum(used) // len(used):,}", f"{sum(used):,}"])
    return rows
