"""``ape run deploy --network …``: deploys Quorate, wires it, records it, reads it back. Running it again resumes or
changes nothing. See docs/deploy.md."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from ape.cli import ConnectedProviderCommand

if TYPE_CHECKING:
    from scripts._lib.params import Params
    from scripts._lib.record import Record
    from scripts._lib.session import Session


@click.command(cls=ConnectedProviderCommand)
@click.option("--account", metavar="ALIAS", help="Ape account that deploys. Default on a local chain: test account 0.")
@click.option(
    "--params",
    "params_path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Parameter file. Default: scripts/params/<network>.toml.",
)
@click.option(
    "--record",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of <chain-id>.json. Default: deployments/.",
)
@click.option("--fresh", is_flag=True, help="Set an existing record aside and deploy again.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print a summary as JSON on stdout.")
def cli(
    provider: Any,
    account: str | None,
    params_path: Path | None,
    record: Path | None,
    fresh: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Deploy the contracts to the connected network, or check that they stand as recorded."""
    from scripts._lib import params as params_module
    from scripts._lib.readback import check_code
    from scripts._lib.session import Session, speaker

    say = speaker(as_json)
    path = params_module.path_for(provider.network.name, params_path)
    session = Session(provider, record)
    if fresh and session.store.path.exists():
        say(f"set the old record aside as {session.store.set_aside().name}")
    found = session.store.load()
    sender = None if found is not None and found.complete else session.sender(account, yes)
    deployer = found.deployer if found is not None else sender.address if sender else ""
    params = params_module.load(path, session.interfaces, deployer)
    say(f"{provider.network.name}, chain {session.chain.chain_id}, parameters {path.name}, deployer {deployer}")
    if found is not None:
        for name in check_code(session.chain, found, session.artifacts):
            say(f"  note: {name} was deployed from other sources than this checkout's (--fresh deploys these)")
    _deploy(session, params, sender, found, yes, as_json)


def _deploy(session: Session, params: Params, sender: Any, found: Record | None, yes: bool, as_json: bool) -> None:
    from scripts._lib.checks import check_chain, say_checks
    from scripts._lib.deployment import Deployment
    from scripts._lib.errors import ScriptError
    from scripts._lib.readback import read_back, read_payment_token
    from scripts._lib.session import confirm, speaker

    say = speaker(as_json)
    if found is None or not found.complete:
        sizes = {name: len(artifact.runtime) for name, artifact in session.artifacts.items()}
        say_checks(check_chain(session.chain, session.artifacts["JobMarket"].evm_version, sizes), say)
        if params.payment is not None:
            read_payment_token(session.chain, params.payment)
        if found is not None and sender.address != found.deployer:
            raise ScriptError(
                f"this deployment was begun by {found.deployer}, not by {sender.address}",
                hint="go on with that account (--account), or start again with --fresh",
            )
        confirm(f"deploy to chain {session.chain.chain_id} from {sender.address}?", yes)

    run = Deployment(session.chain, sender, params, session.artifacts, session.store, say)
    record = run.run()
    findings = read_back(session.chain, run.contracts(), record, params)
    for note in findings.notes:
        say(f"  note: {note}")
    if not record.complete:
        findings.faults += [f"after the deployment: {note}" for note in findings.notes]
    if findings.faults:
        listed = "\n".join(f"  - {fault}" for fault in findings.faults)
        raise ScriptError(f"what stands on chain is not what was meant:\n{listed}", hint="nothing more was changed")
    _finish(session, run, record, findings, as_json)


def _finish(session: Session, run: Any, record: Record, findings: Any, as_json: bool) -> None:
    from scripts._lib.session import speaker

    say = speaker(as_json)
    if not record.complete:
        record.parameters, record.roles, record.complete = findings.parameters, findings.roles, True
        session.store.save(record)
    if run.actions:
        say(f"done: {len(run.actions)} transactions, {run.gas:,} gas; every constant, link and role read back equal")
    else:
        say("nothing to do: everything stands as recorded; every constant, link and role read back equal")
    say(f"record: {session.store.path}")
    if session.chain.started_here:
        say(
            "note: this anvil was started for this command and ends with it. To deploy to one that runs: "
            "APE_FOUNDRY_HOST=http://127.0.0.1:8545 ape run deploy --network ethereum:local:foundry"
        )
    if as_json:
        summary = {
            "chainId": record.chainId,
            "network": record.network,
            "record": str(session.store.path),
            "contracts": {name: entry.address for name, entry in record.contracts.items()},
            "pools": record.pools,
            "parameters": record.parameters,
            "actions": run.actions,
            "gas": run.gas,
            "notes": findings.notes,
        }
        click.echo(json.dumps(summary, indent=2))
