"""``nodeagent run``: the agent in the foreground until it is told to stop."""

from __future__ import annotations

import signal
from pathlib import Path

import click

from nodeagent.cli.common import start_logging
from nodeagent.cli.node_common import Node, home_option


@click.command()
@home_option
@click.option("--password-file", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="of the node key")
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info")
@click.option("--json-logs", is_flag=True, help="one JSON object a line")
@click.option("--report", is_flag=True, help="watch the pool for faults and report what is worth its gas")
@click.option("--unsafe-no-jail", is_flag=True, help="run strangers' models without a jail around them")
@click.option("--wait", "wait_s", type=float, default=60.0, help="seconds to wait for the chain at the start")
@click.pass_context
def run(
    ctx: click.Context,
    own_home: Path | None,
    password_file: Path | None,
    log_level: str,
    json_logs: bool,
    report: bool,
    unsafe_no_jail: bool,
    wait_s: float,
) -> None:
    """Work until stopped: compute what the node is drawn for, seal, open, settle. SIGTERM and Ctrl-C end it cleanly.

    With --report (or report_faults in the configuration) it also proves the faults of whoever is drawn in its pool, for
    a tenth of what they lose, wherever that is worth more than the gas: report_stake_price is what a stake token is
    worth to you, in ether. Other pools need an agent of their own; what a node seals without being drawn is not looked
    for. Rewards are the operator's: the agent sends them to it once they are worth ten times their gas, and nodeagent
    withdraw does at any time. Answers that a verdict made wrong earn for the accuser first: they are reported in any
    case when this node's operator appealed, with --report once an accuser who was right has let some epochs pass, and
    with report_public at once, for nothing.

    Outvoted in a job that can be appealed, the agent computes the shard again and appeals if its answer stands, as far
    as its operator allows: see nodeagent appeals --help.

    Models and inputs of strangers are only ever read in a jail: a process without network, keys, home or any file but
    its runtime and payload. On a machine that can build none (nodeagent doctor tells, by trying to break out) the agent
    does not start; with --unsafe-no-jail it does, and says so in status and in what it publishes about the node.
    """
    node = Node.of(ctx, own_home)
    start_logging(json_logs, log_level)
    config = node.config.model_copy(update={"report_faults": True}) if report else node.config
    account = node.account(password_file)
    _wait_for_chain(node, wait_s)
    from nodeagent.worker.start import open_agent

    with open_agent(node.home, config, account, unsafe_no_jail=unsafe_no_jail) as agent:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: agent.stop())
        agent.run()


def _wait_for_chain(node: Node, seconds: float) -> None:
    """Tries until the endpoint answers. Raises the last Transient when the time is over."""
    import time

    from nodeagent.errors import Transient
    from nodeagent.worker.start import open_chain

    limit = time.monotonic() + seconds
    while True:
        try:
            open_chain(node.home, node.config)[0].close()
            return
        except Transient:
            if time.monotonic() > limit:
                raise
            time.sleep(1.0)
