"""``ape run admin``: each command says what it means, simulates, sends, reads back; a second time it does nothing.

Commands run in this process through click, against the session's chain and a deployment of their own. One runs as a
user types it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import support
from click.testing import Result
from support import DEPLOYER, HEIR, ape, deploy_here, provider_at, rpc

from scripts._lib.readback import read_back
from scripts._lib.session import Session

STRANGER = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"  # test account 2
OPTIONS = ("--network", "ethereum:local:foundry")


@pytest.fixture
def own(url: str, tmp_path: Path) -> Any:
    """A finished deployment with a record of its own."""
    run = deploy_here(url, tmp_path)
    found = read_back(run.chain, run.contracts(), run.record, run.params)
    run.record.roles, run.record.parameters, run.record.complete = found.roles, found.parameters, True
    run.store.save(run.record)
    return run


def admin(own: Any, *args: str, answer: str | None = None) -> Result:
    return support.admin(own.store.path.parent, *args, answer=answer)


def test_pool_tune__floor__is_read_back_and_only_that_changes(own: Any) -> None:
    before = own.contracts()["NodeRegistry"].read("poolView", 1)["terms"]
    run = admin(own, "pool", "tune", "cpu", "--floor", "25e1", "--closed")
    assert run.exit_code == 0, run.output
    assert "intent: tune pool cpu (1): floor 1 -> 250, open True -> False" in run.output
    assert "simulated: it would succeed" in run.output
    assert "read back equal" in run.output
    after = own.contracts()["NodeRegistry"].read("poolView", 1)["terms"]
    assert after == {**before, "floor": 250, "open": False}
    assert "nothing to do: already so" in admin(own, "pool", "tune", "cpu", "--floor", "250").output


def test_pool_create__new_pool__is_recorded_and_shown(own: Any) -> None:
    terms = ("--seat-stake", "5e18", "--floor", "3", "--max-shard-pay", "9", "--max-seats-per-node", "2", "--open")
    assert admin(own, "pool", "create", "gpu", "--id", "7", *terms).exit_code == 0
    shown = json.loads(admin(own, "pool", "show", "gpu", "--json").output)
    assert shown["gpu"]["id"] == 7
    assert shown["gpu"]["terms"] == {
        "seatStake": 5 * 10**18,
        "floor": 3,
        "maxShardPay": 9,
        "maxSeatsPerNode": 2,
        "open": True,
    }
    assert own.store.load().pools == {"cpu": 1, "gpu": 7}


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("create", "gpu", "--id", "7"), "pool gpu is not in local.toml and lacks seatStake, floor, maxShardPay"),
        (("create", "gpu", "--id", "1", "--seat-stake", "1", "--floor", "1", "--max-shard-pay", "1",
          "--max-seats-per-node", "1", "--open"), "pool id 1 is cpu's already"),
        (("tune", "tpu", "--floor", "2"), "no pool 'tpu' is recorded (found: cpu)"),
        (("tune", "cpu"), "pool cpu: nothing to change"),
        (("tune", "cpu", "--floor", "0.5"), "'0.5' is not a whole number such as 250 or 100e18"),
        (("tune", "cpu", "--max-shard-pay", "0"), "would revert: BadParameter(name=maxShardPay, min=1"),
    ],
)  # fmt: skip
def test_pool__bad_request__says_what_to_do(args: tuple[str, ...], message: str, own: Any, url: str) -> None:
    before = rpc(url, "eth_getTransactionCount", DEPLOYER, "latest")
    run = admin(own, "pool", *args)
    assert run.exit_code != 0
    assert message in run.output
    assert rpc(url, "eth_getTransactionCount", DEPLOYER, "latest") == before


def test_change__answered_no__sends_nothing(own: Any, url: str) -> None:
    before = rpc(url, "eth_getTransactionCount", DEPLOYER, "latest")
    run = admin(own, "pause", "market", answer="n\n")
    assert run.exit_code == 1
    assert "intent: pause the market: `post` stops, nothing else changes" in run.output
    assert "send it?" in run.output
    assert rpc(url, "eth_getTransactionCount", DEPLOYER, "latest") == before


def test_fee_set__within_the_cap__is_read_back(own: Any) -> None:
    run = admin(own, "fee", "set", "50", HEIR)
    assert run.exit_code == 0, run.output
    assert json.loads(admin(own, "fee", "show", "--json").output) == {"bps": 50, "recipient": HEIR}
    assert admin(own, "fee", "set", "1001", HEIR).exit_code == 2
    assert "neither an address" in admin(own, "fee", "set", "1", "0x12").output


def test_roles__granted_and_revoked__record_follows(own: Any) -> None:
    assert admin(own, "roles", "grant", "pauser", HEIR).exit_code == 0
    assert own.store.load().roles["PAUSER"] == {DEPLOYER: 0, HEIR: 0}
    assert json.loads(admin(own, "roles", "show", "--json").output) == own.store.load().roles
    assert "may: NodeRegistry.createPool, NodeRegistry.tunePool" in admin(own, "roles", "show").output
    assert admin(own, "pause", "registry", "--account", "1").exit_code == 0
    assert admin(own, "roles", "revoke", "pauser", HEIR).exit_code == 0
    assert own.store.load().roles["PAUSER"] == {DEPLOYER: 0}
    run = admin(own, "unpause", "registry", "--account", "1")
    assert run.exit_code == 1
    assert f"would revert: AccessManagedUnauthorized(caller={HEIR})" in run.output
    assert "see who may with `ape run admin roles show`" in run.output


def test_roles_revoke__last_admin__is_refused(own: Any) -> None:
    run = admin(own, "roles", "revoke", "admin", DEPLOYER)
    assert run.exit_code == 1
    assert f"{DEPLOYER} is the only ADMIN" in run.output


def test_change__role_with_notice__is_announced_then_sent(own: Any, url: str) -> None:
    assert admin(own, "roles", "grant", "fees", HEIR, "--delay", "3600").exit_code == 0
    command = ("fee", "set", "9", HEIR, "--account", "1")
    first = admin(own, *command)
    assert first.exit_code == 0, first.output
    assert "announced in 0x" in first.output
    assert "not yet: run the same command again in 3" in first.output
    assert own.contracts()["JobMarket"].read("protocolFeeBps") == 0
    assert "not yet" in admin(own, *command).output
    rpc(url, "evm_increaseTime", 3600)
    rpc(url, "anvil_mine", "0x1")
    assert "read back equal" in admin(own, *command).output
    assert own.contracts()["JobMarket"].read("protocolFeeBps") == 9


def test_handover__to_a_contract__moves_every_role_and_renounces(own: Any) -> None:
    multisig = own.record.contracts["PaymentToken"].address  # any account with code
    kept = admin(own, "handover", multisig, "--keep")
    assert kept.exit_code == 0, kept.output
    assert f"{DEPLOYER} keeps its roles" in kept.output
    run = admin(own, "handover", multisig, "--delay", "60")
    assert run.exit_code == 0, run.output
    roles = own.store.load().roles
    assert roles == {"ADMIN": {multisig: 60}, **{r: {multisig: 0} for r in ("POOLS", "FEES", "PAUSER", "MINTER")}}
    assert run.output.index("gives up MINTER") < run.output.index("gives up ADMIN")
    again = admin(own, "handover", multisig)
    assert again.exit_code == 1
    assert f"{DEPLOYER} holds no role to hand over" in again.output
    record = own.store.load()
    assert read_back(own.chain, own.contracts(), record, own.params).faults == []


@pytest.mark.parametrize(
    ("heir", "message"), [(STRANGER, "has no code on chain 31337: it is not a multisig"), (DEPLOYER, "is the sender")]
)
def test_handover__to_the_wrong_account__is_refused(heir: str, message: str, own: Any) -> None:
    run = admin(own, "handover", heir)
    assert run.exit_code == 1
    assert message in run.output
    assert json.loads(admin(own, "roles", "show", "--json").output) == own.store.load().roles


def test_admin__recorded_deployment__binds_the_court(deployed: Any, url: str, folder: Path) -> None:
    session = Session(provider_at(url), folder)
    court = session.contracts(session.record())["Court"]
    assert (court.read("JUDGES"), court.read("WRONG_BPS")) == (5, 5_000)


def test_admin__no_record__says_where_it_looked(url: str, tmp_path: Path) -> None:
    run = ape(url, "run", "admin", "pool", "show", *OPTIONS, "--record", tmp_path)
    assert run.code == 1
    assert f"there is no deployment recorded for chain 31337 ({tmp_path}/31337.json)" in run.err
    assert "next: `ape run deploy` first" in run.err


def test_console__recorded_deployment__binds_every_contract(deployed: Any, record: Any, url: str, folder: Path) -> None:
    code = (
        "print(market.SETTLE_GRACE(), registry.RING(), ledger.REVEAL_GRACE(), token.symbol(), payment.decimals(), "
        "stablecoin.address == payment.address, court.JUDGES(), court.market() == market.address, authority.address)"
    )
    run = ape(url, "console", *OPTIONS, "-c", code, QUORATE_RECORD=str(folder)).checked()
    assert (
        "quorate: chain 31337, market, registry, ledger, court, token, payment, authority, stablecoin bound" in run.out
    )
    authority = record["contracts"]["AccessManager"]["address"]
    assert f"8 128 8 QRT 6 True 5 True {authority}" in run.out


def test_console__deployed_without_a_court__binds_the_rest(deployed: Any, own_folder: Path, url: str) -> None:
    path = own_folder / "31337.json"
    data = json.loads(path.read_text())
    del data["contracts"]["Court"]
    path.write_text(json.dumps(data))
    run = ape(url, "console", *OPTIONS, "-c", "print(market.jobCount())", QUORATE_RECORD=str(own_folder)).checked()
    assert "quorate: chain 31337, market, registry, ledger, token, payment, authority, stablecoin bound" in run.out


def test_console__no_record__says_so_and_opens(url: str, tmp_path: Path) -> None:
    run = ape(url, "console", *OPTIONS, "-c", "print(6 * 7)", QUORATE_RECORD=str(tmp_path)).checked()
    assert "quorate: no deployment is recorded for chain 31337" in run.out
    assert "42" in run.out
