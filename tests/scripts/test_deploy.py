"""``ape run deploy``.

first run        → contracts, wiring, pools, roles, record; read back equal
second run       → nothing sent, the record's bytes the same, and it says so
├── parameters changed: fixed ones are faults, tunable ones notes
├── record of another chain, or of other code → refused with the next step; --fresh sets it aside
without a court  → said, wired to none, and fixed for ever
interrupted      → wherever an answer was lost, the next run ends with the same contracts, none deployed twice
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ape import Contract
from support import DEPLOYER, HEIR, Proxy, Run, ape, deploy_here, provider_at, rpc

from ape_console_extras import ape_abi
from scripts._lib.chain import Chain
from scripts._lib.errors import ScriptError
from scripts._lib.readback import check_code, read_back
from scripts._lib.record import Store

NAMES = ["AccessManager", "QuorateToken", "PaymentToken", "NodeRegistry", "CommitLedger", "Court", "JobMarket"]


def ape_contracts(record: dict[str, Any]) -> dict[str, Any]:
    """The recorded contracts as ape's console has them."""
    return {
        name: Contract(record["contracts"][name]["address"], abi=ape_abi(name))
        for name in ("JobMarket", "NodeRegistry", "Court")
    }


def without_court(folder: Path, text: str) -> Path:
    """The shipped file, edited to deploy no court."""
    path = folder / "lacking.toml"
    table = text[text.index("[Court]") : text.index("[fee]")]
    path.write_text(text.replace(table, "").replace("# court = false", "court = false"))
    return path


def nonce(url: str) -> int:
    return int(rpc(url, "eth_getTransactionCount", DEPLOYER, "latest"), 16)


# --- first run -------------------------------------------------------------------------------------------------------


def test_deploy__fresh_chain__records_every_contract_with_its_code_hash(
    deployed: Run, record: dict[str, Any], url: str
) -> None:
    chain = Chain(provider_at(url))
    assert "every constant, link and role read back equal" in deployed.out
    assert list(record["contracts"]) == NAMES
    assert record["complete"] is True
    assert "pending" not in record
    for entry in record["contracts"].values():
        receipt = rpc(url, "eth_getTransactionReceipt", entry["tx"])
        assert receipt["contractAddress"].lower() == entry["address"].lower()
        assert int(receipt["blockNumber"], 16) == entry["block"] >= record["startBlock"]
        assert chain.code_hash(entry["address"]) == entry["codeHash"]
    assert record["pools"] == {"cpu": 1}
    assert record["deployer"] == DEPLOYER


def test_deploy__fresh_chain__constants_are_the_files(record: dict[str, Any]) -> None:
    assert record["parameters"] == {
        "CAP": 10**27,
        "EPOCH_BLOCKS": 10,
        "RING": 128,
        "LEAD": 4,
        "UNBONDING": 256,
        "REVEAL_GRACE": 8,
        "UNREVEALED_BPS": 1000,
        "MAX_LEAVES": 512,
        "SETTLE_GRACE": 8,
        "REPORT_EPOCHS": 4,
        "SETTLE_FEE_BPS": 100,
        "ABSENT_BPS": 10,
        "JUDGES": 5,
        "WRONG_BPS": 5000,
    }


def test_deploy__fresh_chain__roles_are_the_deployers_and_nobody_elses(record: dict[str, Any]) -> None:
    roles = ("ADMIN", "POOLS", "FEES", "PAUSER", "MINTER")
    assert record["roles"] == {role: {DEPLOYER: 0} for role in roles}


def test_deploy__fresh_chain__court_market_and_registry_name_each_other(record: dict[str, Any], deployed: Run) -> None:
    found = {name: entry["address"] for name, entry in record["contracts"].items()}
    assert "wired NodeRegistry to CommitLedger and JobMarket, to Court" in deployed.out
    run = ape_contracts(record)
    assert run["JobMarket"].court() == run["NodeRegistry"].court() == found["Court"]
    assert run["Court"].market() == found["JobMarket"]
    assert (run["Court"].registry(), run["Court"].ledger()) == (found["NodeRegistry"], found["CommitLedger"])


def test_deploy__without_a_court__is_said_and_no_job_can_be_appealed(url: str, tmp_path: Path, local_toml: str) -> None:
    path = without_court(tmp_path, local_toml)
    said: list[str] = []
    run = deploy_here(url, tmp_path, path, said)
    assert any(line.endswith("wired NodeRegistry to CommitLedger and JobMarket, without a court") for line in said)
    assert list(run.record.contracts) == [name for name in NAMES if name != "Court"]
    contracts = run.contracts()
    assert contracts["JobMarket"].read("court") == contracts["NodeRegistry"].read("court") == "0x" + "00" * 20
    found = read_back(run.chain, contracts, run.record, run.params)
    assert found.faults == []
    assert "JUDGES" not in found.parameters
    before = nonce(url)
    assert deploy_here(url, tmp_path, path).actions == []
    assert nonce(url) == before


@pytest.mark.parametrize("deployed_with", [True, False])
def test_read_back__court_wanted_or_not_wanted_later__is_a_fault(
    deployed_with: bool, url: str, own_folder: Path, tmp_path: Path, local_toml: str
) -> None:
    lacking = without_court(tmp_path, local_toml)
    if deployed_with:
        run = deploy_here(url, own_folder, lacking)
    else:
        folder = tmp_path / "lacking"
        run = deploy_here(url, folder, lacking)
        run.record.complete = True
        run.store.save(run.record)
        run = deploy_here(url, folder)
    faults = read_back(run.chain, run.contracts(), run.record, run.params).faults
    has, wants = ("a court", "lacking.toml wants none") if deployed_with else ("no court", "local.toml wants one")
    assert len(faults) == 1
    assert faults[0].startswith(f"this deployment has {has}, {wants}: it is fixed for this deployment")


def test_read_back__court_parameter_changed__is_a_fault(
    url: str, own_folder: Path, local_toml: str, tmp_path: Path
) -> None:
    path = tmp_path / "edited.toml"
    path.write_text(local_toml.replace("judges = 5 ", "judges = 7 ").replace("wrongBps = 5000 ", "wrongBps = 1 "))
    run = deploy_here(url, own_folder, path)
    faults = read_back(run.chain, run.contracts(), run.record, run.params).faults
    assert [fault.split(":")[0] for fault in faults] == [
        "Court.JUDGES is 5, edited.toml says 7",
        "Court.WRONG_BPS is 5000, edited.toml says 1",
    ]


# --- second run ------------------------------------------------------------------------------------------------------


def test_deploy__second_run__changes_nothing_and_says_so(deployed: Run, url: str, own_folder: Path) -> None:
    before = (nonce(url), rpc(url, "eth_blockNumber"), (own_folder / "31337.json").read_bytes())
    run = ape(url, "run", "deploy", "--network", "ethereum:local:foundry", "--record", own_folder, "--json").checked()
    assert (nonce(url), rpc(url, "eth_blockNumber"), (own_folder / "31337.json").read_bytes()) == before
    assert "nothing to do: everything stands as recorded" in run.err
    summary = json.loads(run.out)
    assert summary["actions"] == []
    assert summary["gas"] == 0
    assert list(summary["contracts"]) == NAMES


def test_read_back__fixed_parameter_changed__is_a_fault(
    url: str, own_folder: Path, local_toml: str, tmp_path: Path
) -> None:
    path = tmp_path / "edited.toml"
    path.write_text(local_toml.replace("ring = 128 ", "ring = 256 "))
    run = deploy_here(url, own_folder, path)
    faults = read_back(run.chain, run.contracts(), run.record, run.params).faults
    assert len(faults) == 1
    assert faults[0].startswith("NodeRegistry.RING is 128, edited.toml says 256: it is fixed for this deployment")


def test_read_back__tunable_parameter_changed__is_a_note(
    url: str, own_folder: Path, local_toml: str, tmp_path: Path
) -> None:
    path = tmp_path / "edited.toml"
    pool = (
        local_toml[local_toml.index("[pools.cpu]") :]
        .replace("[pools.cpu]", "\n[pools.gpu]")
        .replace("id = 1", "id = 9")
    )
    path.write_text(local_toml.replace("floor = 1 ", "floor = 2 ").replace("bps = 0  ", "bps = 7  ") + pool)
    before = nonce(url)
    run = deploy_here(url, own_folder, path)
    found = read_back(run.chain, run.contracts(), run.record, run.params)
    assert nonce(url) == before
    assert found.faults == []
    assert [note.split(" (`")[0] for note in found.notes] == [
        "pool cpu: floor is 1, edited.toml says 2",
        "pool gpu (9) is not there: `ape run admin pool create gpu`",
        "the protocol fee is 0 bps, edited.toml says 7",
    ]


def test_read_back__role_that_nobody_recorded__is_a_fault(url: str, tmp_path: Path) -> None:
    run = deploy_here(url, tmp_path)
    authority = run.contracts()["AccessManager"]
    run.sender.transact(authority.address, authority.interface.encode("grantRole", 3, HEIR, 0))
    faults = read_back(run.chain, run.contracts(), run.record, run.params).faults
    assert len(faults) == 1
    assert faults[0].startswith("role PAUSER is held by")
    assert HEIR in faults[0]


# --- records ---------------------------------------------------------------------------------------------------------


def edit(folder: Path, change: Callable[[dict[str, Any]], None]) -> Any:
    path = folder / "31337.json"
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))
    return Store(folder, 31337).load()


def test_check_code__record_of_another_chain__is_refused(url: str, own_folder: Path, artifacts: Any) -> None:
    record = edit(own_folder, lambda data: data.update(genesis="0x" + "00" * 32))
    with pytest.raises(ScriptError) as caught:
        check_code(Chain(provider_at(url)), record, artifacts)
    assert "the record is of another chain with id 31337" in caught.value.message
    assert "--fresh" in caught.value.message


def test_check_code__address_without_code__is_refused(url: str, own_folder: Path, artifacts: Any) -> None:
    empty = "0x" + "ab" * 20
    record = edit(own_folder, lambda data: data["contracts"]["JobMarket"].update(address=empty))
    with pytest.raises(ScriptError) as caught:
        check_code(Chain(provider_at(url)), record, artifacts)
    assert f"JobMarket is recorded at {empty}, where this chain has no code" in caught.value.message


def test_check_code__code_hash_differs__is_refused(url: str, own_folder: Path, artifacts: Any) -> None:
    record = edit(own_folder, lambda data: data["contracts"]["CommitLedger"].update(codeHash="0x" + "00" * 32))
    with pytest.raises(ScriptError) as caught:
        check_code(Chain(provider_at(url)), record, artifacts)
    assert "CommitLedger at" in caught.value.message
    assert "recorded is 0x0000" in caught.value.message


def test_check_code__sources_changed_since__are_named(url: str, own_folder: Path, artifacts: Any) -> None:
    chain, record = Chain(provider_at(url)), Store(own_folder, 31337).load()
    changed = {**artifacts, "JobMarket": artifacts["NodeRegistry"]}
    assert record is not None
    assert check_code(chain, record, artifacts) == []
    assert check_code(chain, record, changed) == ["JobMarket"]
    record.complete = False
    with pytest.raises(ScriptError) as caught:
        check_code(chain, record, changed)
    assert "JobMarket were deployed from other sources than these, and the deployment is not finished" in str(
        caught.value.message
    )


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"contracts": {"JobMarket": {"where": 1}}}'])
def test_load__file_that_is_no_record__is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "31337.json").write_text(text)
    with pytest.raises(ScriptError) as caught:
        Store(tmp_path, 31337).load()
    assert "31337.json is not a deployment record" in caught.value.message


def test_deploy__fresh__sets_the_old_record_aside_and_deploys_anew(
    url: str, own_folder: Path, record: dict[str, Any]
) -> None:
    edit(own_folder, lambda data: data.update(genesis="0x" + "00" * 32))
    options = ("--network", "ethereum:local:foundry", "--record", own_folder, "--yes")
    refused = ape(url, "run", "deploy", *options)
    assert refused.code == 1
    assert "add --fresh: the old record is set aside" in refused.err
    ape(url, "run", "deploy", *options, "--fresh").checked()
    anew = json.loads((own_folder / "31337.json").read_text())
    assert (own_folder / "31337.json.old1").exists()
    assert anew["complete"]
    assert anew["contracts"]["JobMarket"]["address"] != record["contracts"]["JobMarket"]["address"]


# --- interrupted -----------------------------------------------------------------------------------------------------


class Lost:
    """Lets everything pass until the ``count``-th transaction; its answer, and all later ones, are lost."""

    def __init__(self, count: int) -> None:
        self.left = count

    def __call__(self, method: str, params: list[Any], answer: dict[str, Any]) -> dict[str, Any] | None:
        if method == "eth_sendRawTransaction":
            self.left -= 1
        return answer if self.left > 0 else None


@pytest.mark.parametrize("count", range(1, 11))
def test_deploy__answer_lost_after_sending__resumes_and_deploys_nothing_twice(
    count: int, url: str, tmp_path: Path
) -> None:
    before = nonce(url)
    with Proxy(url, Lost(count)) as proxy, pytest.raises(OSError):
        deploy_here(proxy.url, tmp_path)
    assert nonce(url) == before + count
    said: list[str] = []
    run = deploy_here(url, tmp_path, said=said)
    assert nonce(url) == before + 10
    assert run.record.pending is None
    assert list(run.record.contracts) == NAMES
    assert read_back(run.chain, run.contracts(), run.record, run.params).faults == []
    found = [line for line in said if "found what an interrupted run deployed" in line]
    assert len(found) == (1 if count <= 7 else 0)


def test_deploy__signed_but_never_sent__sends_that_very_transaction(url: str, tmp_path: Path) -> None:
    run = deploy_here(url, tmp_path)
    store, record = run.store, run.record
    assert len(record.contracts) == 7
    before = nonce(url)

    # As after a crash between writing the record and sending: a signed creation, not on its way.
    del record.contracts["JobMarket"]
    artifact = run.artifacts["JobMarket"]
    sent: list[Any] = []
    run.sender.send = lambda signed: sent.append(signed) or (_ for _ in ()).throw(ScriptError("power cut"))
    with pytest.raises(ScriptError, match="power cut"):
        run._create("JobMarket", artifact)
    assert nonce(url) == before
    pending = store.load().pending
    assert pending is not None
    assert pending.tx == sent[0].tx

    again = deploy_here(url, tmp_path)
    assert again.record.contracts["JobMarket"].tx == pending.tx
    assert nonce(url) == before + 2  # the market, and the roles of its functions


def test_deploy__begun_by_another_account__is_refused(url: str, own_folder: Path) -> None:
    edit(own_folder, lambda data: data.update(complete=False))
    options = ("--network", "ethereum:local:foundry", "--record", own_folder, "--yes", "--account", "3")
    run = ape(url, "run", "deploy", *options)
    assert run.code == 1
    assert f"this deployment was begun by {DEPLOYER}" in run.err
