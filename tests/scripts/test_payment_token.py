"""A payment token that exists: read back and adopted when it is the one meant, else refused before anything is sent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support import HEIR, deploy_here, provider_at

from scripts._lib.chain import Chain
from scripts._lib.errors import ScriptError
from scripts._lib.params import PaymentToken
from scripts._lib.readback import read_back, read_payment_token


def test_deploy__payment_token_exists__is_read_back_and_adopted(
    url: str, record: dict[str, Any], local_toml: str, tmp_path: Path
) -> None:
    token = record["contracts"]["PaymentToken"]["address"]
    path = tmp_path / "edited.toml"
    table = f'[PaymentToken]\naddress = "{token}"\nsymbol = "TUSD"\ndecimals = 6\n'
    test_table = local_toml[local_toml.index("[TestStablecoin]") : local_toml.index("[NodeRegistry]")]
    path.write_text(local_toml.replace("devnet = true", "devnet = false").replace(test_table, table))
    run = deploy_here(url, tmp_path / "records", path)
    assert run.record.contracts["PaymentToken"].address == token
    assert run.record.contracts["PaymentToken"].tx is None
    assert run.contracts()["JobMarket"].read("paymentToken") == token
    assert read_back(run.chain, run.contracts(), run.record, run.params).faults == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"symbol": "USDC"}, "PaymentToken.symbol: expected 'USDC', the token at"),
        ({"decimals": 18}, "PaymentToken.decimals: expected 18, the token at"),
        ({"address": HEIR}, f"PaymentToken.address {HEIR} has no code on chain 31337"),
    ],
)
def test_read_payment_token__not_the_token_meant__is_refused(
    changes: dict[str, Any], message: str, url: str, record: dict[str, Any]
) -> None:
    token = {"address": record["contracts"]["PaymentToken"]["address"], "symbol": "TUSD", "decimals": 6, **changes}
    with pytest.raises(ScriptError) as caught:
        read_payment_token(Chain(provider_at(url)), PaymentToken(**token))
    assert message in caught.value.message


def test_read_payment_token__contract_that_is_no_token__is_refused(url: str, record: dict[str, Any]) -> None:
    market = record["contracts"]["JobMarket"]["address"]
    with pytest.raises(ScriptError) as caught:
        read_payment_token(Chain(provider_at(url)), PaymentToken(market, "TUSD", 6))
    assert f"{market} does not answer symbol()" in caught.value.message
