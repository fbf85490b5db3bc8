"""Serving the embedded store: ``quorate serve``, and the gateway that ``job post --wait`` runs meanwhile."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator

import click

from nodeagent.cli.common import say
from nodeagent.cli.requester_common import Session


@contextlib.contextmanager
def serving(session: Session, probe: str | None = None) -> Iterator[str]:
    """Runs the home's gateway, or uses the one another command of this home runs; yields the URL to announce.

    The port is remembered, so that what was announced stays true.

    :param probe: a CID the other gateway must serve, where the port is taken
    :raises GatewayFailed: the port is taken by something else
    """
    from nodeagent.content.errors import GatewayFailed
    from nodeagent.content.gateway import Gateway

    host = str(session.config.get("gateway_host", "127.0.0.1"))
    port = int(session.config.get("gateway_port", 0))
    try:
        gateway = Gateway(session.store.local, host, port)
    except GatewayFailed:
        if not (port and probe and _serves(f"http://{host}:{port}", probe)):
            raise
        yield str(session.config.get("endpoint") or f"http://{host}:{port}")
        return
    if not port:
        session.remember(gateway_port=gateway.port)
    with gateway:
        yield str(session.config.get("endpoint") or gateway.url)


def _serves(url: str, cid: str) -> bool:
    from nodeagent.content import Cid
    from nodeagent.content.errors import SourceFailure
    from nodeagent.content.transport import Transport

    try:
        Transport().block(url, Cid.parse(cid))
    except SourceFailure:
        return False
    return True


@click.command()
@click.option("--no-announce", is_flag=True, help="do not publish the endpoint on chain")
@click.pass_obj
def serve(session: Session, no_announce: bool) -> None:
    """Serve models, inputs and manifests of posted jobs until interrupted.

    Needed while jobs that were posted without --wait are computed.
    """
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with serving(session) as endpoint:
        if not no_announce:
            from nodeagent.client.posting import announce

            announce(session.rpc, session.deployment, session.wallet, endpoint)
        say(f"serving {session.store.local.root} at {endpoint}; stop with Ctrl-C")
        stop.wait()
    say("stopped serving")
