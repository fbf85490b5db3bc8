"""Parameter files.

load
├── as shipped                                  → read, every number where the ABI wants it
├── a value of the wrong type or range          → named with its place, expected and found
├── a name that is missing or unknown           → named, with the nearest known one
├── a relation that does not hold               → said with the numbers
├── several faults                              → all at once
└── not TOML, no such file                      → said
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support import DEPLOYER, ROOT

from scripts._lib import params as params_module
from scripts._lib.errors import ScriptError
from scripts._lib.relations import default_job_life


def load(text: str, tmp_path: Path, interfaces: Any) -> params_module.Params:
    path = tmp_path / "edited.toml"
    path.write_text(text)
    return params_module.load(path, interfaces, DEPLOYER)


@pytest.mark.parametrize("name", ["local", "sepolia"])
def test_load__file_as_shipped__is_accepted(name: str, interfaces: Any) -> None:
    params = params_module.load(ROOT / "scripts" / "params" / f"{name}.toml", interfaces, DEPLOYER)
    assert params.constructor["NodeRegistry"] == {"epochBlocks": 10, "ring": 128, "lead": 4}
    assert params.constructor["QuorateToken"]["cap"] == 10**27
    assert params.court is True
    assert params.constructor["Court"] == {"judges": 5, "wrongBps": 5_000}
    assert params.constructor["QuorateToken"]["holder"] == DEPLOYER
    assert params.roles["PAUSER"].holders == (DEPLOYER,)
    assert [pool.name for pool in params.pools] == ["cpu"]
    assert (params.payment is None) == params.devnet == (name == "local")


def test_load__every_number_as_shipped__has_a_reason_beside_it() -> None:
    for path in (ROOT / "scripts" / "params").glob("*.toml"):
        for line in path.read_text().splitlines():
            value = line.partition("=")[2]
            is_number = value.strip()[:1].isdigit() or value.strip().strip('"')[:1].isdigit()
            if is_number:
                assert "#" in value, f"{path.name}: {line}"


FAULTS = {
    "ring over the history": (
        ("ring = 128 ", "ring = 900 "),
        "NodeRegistry.ring: (ring + 1) * epochBlocks = 9010 is over the 8191 blocks",
    ),
    "ring says its limit": (("ring = 128 ", "ring = 819 "), "with epochBlocks 10 the ring can be at most 818"),
    "ring under a job's life": (("ring = 128 ", "ring = 45 "), "a default job lives 45 epochs"),
    "no judge": (("judges = 5 ", "judges = 0 "), "Court.judges: expected 1 to 15, found 0"),
    "more judges than a committee": (("judges = 5 ", "judges = 16 "), "Court.judges: expected 1 to 15, found 16"),
    "wrong costs nothing": (("wrongBps = 5000", "wrongBps = 0"), "Court.wrongBps: expected 1 to 10000, found 0"),
    "wrong costs more than all": (
        ("wrongBps = 5000", "wrongBps = 10001"),
        "Court.wrongBps: expected 1 to 10000, found 10001",
    ),
    "court forgotten": (
        ("[Court]\n", "[Courts]\n"),
        "[Court] is missing: it needs judges, wrongBps; without a court nothing can be appealed: then say "
        '"court = false" in [network]',
    ),
    "court and none": (
        ("# court = false ", "court = false "),
        "[Court] is there and network.court is false: drop one of them",
    ),
    "court neither true nor false": (
        ("# court = false ", "court = 0 "),
        "network.court: expected true or false, found 0",
    ),
    "lead not under the epoch": (
        ("lead = 4 ", "lead = 10 "),
        "NodeRegistry.lead (less than epochBlocks): expected 1 to 9, found 10",
    ),
    "grace too short": (("revealGrace = 8", "revealGrace = 1"), "CommitLedger.revealGrace: expected 2 to 15, found 1"),
    "share too large": (
        ("unrevealedBps = 1000", "unrevealedBps = 10001"),
        "CommitLedger.unrevealedBps: expected 1 to 10000, found 10001",
    ),
    "fee too large": (("bps = 0  ", "bps = 1001 "), "fee.bps: expected 0 to 1000, found 1001"),
    "number over its type": (
        ("epochBlocks = 10 ", "epochBlocks = 4294967296 "),
        "NodeRegistry.epochBlocks: expected 0 to 4294967295 (uint32), found 4294967296",
    ),
    "negative": (("lead = 4 ", "lead = -1 "), "NodeRegistry.lead: expected 0 to 4294967295 (uint32), found -1"),
    "text for a number": (
        ("lead = 4 ", 'lead = "four" '),
        "NodeRegistry.lead: expected a whole number (uint32), found 'four'",
    ),
    "a fraction of a unit": (
        ('supply = "1_000_000_000e6"', 'supply = "0.5"'),
        "TestStablecoin.supply: expected a whole number (uint256), found '0.5'",
    ),
    "true for a number": (("lead = 4 ", "lead = true "), "NodeRegistry.lead: expected a whole number (uint32)"),
    "not an address": (
        ('holder = "deployer"         # hands stake', 'holder = "0x1234"  # hands stake'),
        "QuorateToken.holder: expected an address of 20 bytes with a right checksum, found '0x1234'",
    ),
    "wrong checksum": (
        ('recipient = "deployer"', 'recipient = "0xF39Fd6e51aad88F6F4ce6aB8827279cffFb92266"'),
        "fee.recipient: expected an address of 20 bytes",
    ),
    "misspelt name": (
        ("epochBlocks = 10 ", "epochBlock = 10 "),
        "unknown NodeRegistry parameter 'epochBlock'; did you mean epochBlocks?",
    ),
    "missing name": (("absentBps = 10 ", "# absentBps = 10 "), "JobMarket.absentBps is missing (uint16)"),
    "argument that the script wires": (
        ("lead = 4 ", f'authority = "{DEPLOYER}"\nlead = 4 '),
        "unknown NodeRegistry parameter 'authority'",
    ),
    "unknown table": (("[fee]", "[fees]"), "[fee] is missing"),
    "unknown role": (("[roles.MINTER]", "[roles.MINTERS]"), "unknown role 'MINTERS'; did you mean MINTER?"),
    "missing role": (("[roles.MINTER]", "[roles.MINTERS]"), "roles.MINTER is missing: say who holds it"),
    "role without holders": (
        ('[roles.FEES]\nholders = ["deployer"]', "[roles.FEES]\nholders = []"),
        "roles.FEES.holders: expected a list of addresses, found []",
    ),
    "supply over the cap": (('supply = "100_000_000e18"', 'supply = "2_000_000_000e18"'), "is over its cap"),
    "pool of nine seats": (
        ("maxSeatsPerNode = 4", "maxSeatsPerNode = 9"),
        "pools.cpu.maxSeatsPerNode: expected 1 to 8, found 9",
    ),
    "pool without stake": (
        ('seatStake = "100e18"', "seatStake = 0"),
        "pools.cpu.seatStake: expected 1 to",
    ),
    "pool number zero": (("id = 1 ", "id = 0 "), "pools.cpu.id: expected 1 to 65535, found 0"),
    "flag that is a number": (("open = true", "open = 1"), "pools.cpu.open: expected true or false, found 1"),
    "no payment token on a real network": (("devnet = true ", "devnet = false "), "[PaymentToken] is missing"),
    "not TOML": (("[NodeRegistry]", "[NodeRegistry"), "edited.toml is not TOML"),
}


@pytest.mark.parametrize("case", FAULTS)
def test_load__one_fault__names_place_expected_and_found(
    case: str, local_toml: str, tmp_path: Path, interfaces: Any
) -> None:
    (old, new), message = FAULTS[case]
    assert local_toml.count(old) == 1, f"the case no longer fits local.toml: {old!r}"
    with pytest.raises(ScriptError) as caught:
        load(local_toml.replace(old, new), tmp_path, interfaces)
    assert message in caught.value.message


def test_load__several_faults__reports_all_at_once(local_toml: str, tmp_path: Path, interfaces: Any) -> None:
    text = local_toml.replace("ring = 128 ", 'ring = "x" ').replace("open = true", "open = 1").replace("[fee]", "[fe]")
    with pytest.raises(ScriptError) as caught:
        load(text, tmp_path, interfaces)
    assert caught.value.message.count("\n  - ") == 4
    assert "nothing was sent" in caught.value.message


def test_load__two_pools_of_one_id__names_the_first(local_toml: str, tmp_path: Path, interfaces: Any) -> None:
    pool = local_toml[local_toml.index("[pools.cpu]") :].replace("[pools.cpu]", "\n[pools.gpu]")
    with pytest.raises(ScriptError) as caught:
        load(local_toml + pool, tmp_path, interfaces)
    assert "pools.gpu.id: 1 is cpu's already" in caught.value.message


def test_path_for__network_without_file__lists_those_there_are() -> None:
    with pytest.raises(ScriptError) as caught:
        params_module.path_for("holesky", None)
    assert "no parameter file holesky.toml" in caught.value.message
    assert "local, sepolia" in caught.value.message


@pytest.mark.parametrize(
    ("text", "number"), [("1", 1), ("1_000", 1000), ("1.5e6", 1_500_000), ("0.000001e6", 1), ("100e18", 10**20)]
)
def test_amount__exact_text__is_the_whole_number(text: str, number: int) -> None:
    assert params_module.amount(text) == number


@pytest.mark.parametrize("text", ["", "e6", "1e", "1.5", "-1", "1e6e6", "0x10", "1 000"])
def test_amount__anything_else__comes_back_as_text(text: str) -> None:
    assert params_module.amount(text) == text


def test_load__without_a_court__needs_no_room_for_appeals(local_toml: str, tmp_path: Path, interfaces: Any) -> None:
    table = local_toml[local_toml.index("[Court]") : local_toml.index("[fee]")]
    text = (
        local_toml.replace(table, "").replace("# court = false", "court = false").replace("ring = 128 ", "ring = 39 ")
    )
    params = load(text, tmp_path, interfaces)
    assert params.court is False
    assert "Court" not in params.constructor
    with pytest.raises(ScriptError) as caught:
        load(text.replace("ring = 39 ", "ring = 38 "), tmp_path, interfaces)
    assert "a default job lives 38 epochs" in caught.value.message


def test_default_job_life__defaults__is_the_protocols_number() -> None:
    assert default_job_life(settle_grace=8, report_epochs=4) == 3 * (3 + 1 + 2) + 16 + 7 + 4
    assert default_job_life(settle_grace=8, report_epochs=4, court=False) == 3 * (3 + 1 + 2) + 16 + 4
