"""Attaching: the same call finds the job it made, wherever it was interrupted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nodeagent.chain.deployment import Deployment
from nodeagent.client.jobstate import BadJobState, JobState, JobStates
from nodeagent.client.posting import OtherTerms, Poster
from nodeagent.client.quote import JobTerms, Quote
from nodeagent.client.wallet import Wallet
from nodeagent.protocol.epochs import closable_from
from tests.agent.client.conftest import MANIFEST, TERMS, Chain, posted_log

KEY = bytes(31) + b"\x01"


@pytest.fixture
def chain() -> Chain:
    return Chain()


@pytest.fixture
def wallet(chain: Chain) -> Wallet:
    return Wallet(chain, 31337, KEY, sleep=lambda _: None)


@pytest.fixture
def states(tmp_path: Path) -> JobStates:
    return JobStates(tmp_path / "jobs")


@pytest.fixture
def poster(chain: Chain, deployment: Deployment, wallet: Wallet, states: JobStates) -> Poster:
    return Poster(chain, deployment, wallet, states, lambda _: None)


@pytest.fixture
def state(deployment: Deployment, wallet: Wallet) -> JobState:
    return JobState(31337, deployment.market, wallet.address, MANIFEST.hex())


def quoted(**changes: Any) -> Quote:
    terms = JobTerms(1, 5, 2, 3, 2, 0, 1, 3, 0, 4, 3)
    return Quote(replace(terms, **changes), 2, 180, 1, 0, 181, 4, 20, 30.0, 0, 0, 5, 20, (), 1, 1)


def test_attach__nothing_posted__gives_none(poster: Poster, state: JobState) -> None:
    assert poster.attach(state, quoted()) is None


def test_attach__remembered_number__finds_the_job(poster: Poster, state: JobState, chain: Chain) -> None:
    chain.logs = [posted_log(7)]
    found = poster.attach(replace(state, job=7), quoted())
    assert found is not None
    assert (found.job, found.terms) == (7, TERMS)


def test_attach__sent_and_mined_before_it_was_noted__finds_the_job(
    poster: Poster, state: JobState, chain: Chain, states: JobStates
) -> None:
    tx = f"0x{7:064x}"
    chain.receipts[tx] = {
        "status": "0x1",
        "transactionHash": tx,
        "blockNumber": "0x3eb",
        "gasUsed": "0x1",
        "logs": [posted_log(7)],
    }
    found = poster.attach(replace(state, tx=tx), quoted())
    assert found is not None
    assert found.job == 7
    assert states.load(state).job == 7


def test_attach__home_lost_and_job_running__finds_it_on_chain(
    poster: Poster, state: JobState, chain: Chain, wallet: Wallet
) -> None:
    chain.logs = [posted_log(5, requester=wallet.address), posted_log(6, requester=wallet.address, manifest=bytes(32))]
    found = poster.attach(state, quoted())
    assert found is not None
    assert found.job == 5


def test_attach__home_lost_and_job_over__gives_none(
    poster: Poster, state: JobState, chain: Chain, wallet: Wallet, deployment: Deployment
) -> None:
    chain.logs = [posted_log(5, requester=wallet.address)]
    over = closable_from(TERMS, deployment.settle_grace, deployment.report_epochs)
    chain.block_at = over * 10 - 1
    assert poster.attach(state, quoted()) is not None
    chain.block_at = over * 10
    assert poster.attach(state, quoted()) is None


def test_attach__anothers_job_with_the_same_manifest__is_not_ours(
    poster: Poster, state: JobState, chain: Chain
) -> None:
    chain.logs = [posted_log(5)]
    assert poster.attach(state, quoted()) is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"committee": 5}, "committee 3 instead of 5"),
        ({"quorum": 3}, "quorum 2 instead of 3"),
        ({"pool": 2}, "pool 1 instead of 2"),
        ({"units": 5}, "units 4 instead of 5"),
    ],
)
def test_attach__other_terms__says_which(
    poster: Poster, state: JobState, chain: Chain, change: dict[str, int], words: str
) -> None:
    chain.logs = [posted_log(7)]
    with pytest.raises(OtherTerms, match=f"job 7 .* {words}"):
        poster.attach(replace(state, job=7), quoted(**change))


def test_attach__price_moved__still_attaches(poster: Poster, state: JobState, chain: Chain) -> None:
    chain.logs = [posted_log(7)]
    assert poster.attach(replace(state, job=7), quoted(unit_price=9)) is not None


def test_states__saved__are_found_by_key_and_by_number(states: JobStates, state: JobState) -> None:
    states.save(replace(state, job=7, tx="0x12"))
    assert states.load(state) == replace(state, job=7, tx="0x12")
    assert states.find(31337, state.market.upper().replace("0X", "0x"), 7) == replace(state, job=7, tx="0x12")
    assert states.load(replace(state, manifest="00" * 32)).job is None


def test_states__file_damaged__says_what_to_do(states: JobStates, state: JobState) -> None:
    states.save(state)
    (states.folder / state.name).write_text('{"chain_id": "seven"}')
    with pytest.raises(BadJobState, match="running jobs are found on chain again"):
        states.load(state)
