"""``nodeagent withdraw`` and what ``status`` says waits: on a fake chain, with the real outbox and calldata."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from eth_abi.abi import encode
from fakechain import FakeChain, decode

from nodeagent.chain.deployment import Deployment
from nodeagent.chain.doors import Doors
from nodeagent.chain.errors import RpcError
from nodeagent.cli.node import main
from nodeagent.config import Home, NodeConfig, save_config
from nodeagent.keys import create_keystore
from nodeagent.protocol.keccak import keccak

OPERATOR, MARKET, REGISTRY = ("0x" + digits * 20 for digits in ("0b", "33", "44"))
VIEW = "(address,address,uint16,uint96,uint96,uint32,uint32[],uint64[4],bool)"
PULLS = {"withdraw(uint32)": MARKET, "collect(address)": MARKET, "collectReward(address)": REGISTRY}


def selector(signature: str) -> bytes:
    return keccak(signature.encode())[:4]


class Chain(FakeChain):
    """A node with money waiting. Mines whenever it is looked at; ``refuses`` maps a call to its error's name."""

    def __init__(self) -> None:
        super().__init__()
        self.amounts = {"earningsOf(uint32)": [0, 24], "owedTo(address)": [0], "rewardOf(address)": [0]}
        self.refuses: dict[str, str] = {}
        self.goes_after = len(PULLS)  # transactions until the endpoint is away
        self.sent: list[tuple[str, str]] = []  # (function, contract)
        self.before, self.on_push = self._look, self._note

    def _look(self, method: str) -> None:
        if method == "eth_getBlockByNumber":
            self.mine()

    def _note(self, raw: bytes) -> None:
        self.down = len(self.sent) >= self.goes_after
        fields = decode(raw)
        (name,) = [s for s in PULLS if fields["data"][:4] == selector(s)]
        self.sent.append((name.split("(")[0], "0x" + bytes(fields["to"]).hex()))

    def _eth_call(self, request: Any, block: str) -> Any:
        asked = bytes.fromhex(request["data"][2:10])
        answers: list[tuple[str, list[str], list[Any]]] = [
            ("nodeOf(address)", ["uint32"], [1]),
            ("nodeView(uint32)", [VIEW], [(OPERATOR, OPERATOR, 1, 5, 0, 0, [0], [0] * 4, False)]),
            ("symbol()", ["string"], ["TOK"]),
            ("decimals()", ["uint8"], [1]),
        ]
        answers += [(signature, ["uint256"] * len(values), values) for signature, values in self.amounts.items()]
        for signature, kinds, values in answers:
            if asked == selector(signature):
                return "0x" + encode(kinds, values).hex()
        for signature, error in self.refuses.items():
            if asked == selector(signature):
                return RpcError("eth_call", 3, "execution reverted", selector(error + "()"))
        return super()._eth_call(request, block)

    def block_number(self) -> int:
        return self.head

    def balance(self, _account: str) -> int:
        return 10**18


@pytest.fixture
def chain(monkeypatch: pytest.MonkeyPatch) -> Chain:
    made = Chain()
    others = dict.fromkeys(("ledger", "stake_token", "payment_token"), "0x" + "55" * 20)
    deployment = Deployment(
        31337, "local", 0, parameters={"EPOCH_BLOCKS": 10}, market=MARKET, registry=REGISTRY, **others
    )
    for module in ("start", "status"):
        monkeypatch.setattr(
            f"nodeagent.worker.{module}.open_chain", lambda *_: (made, deployment, Doors.of(made, deployment))
        )
    return made


@pytest.fixture
def home(tmp_path: Path) -> Home:
    found = Home(tmp_path / "node")
    save_config(found, NodeConfig(deployment="x.json"))
    create_keystore(found.key, "pw", cost="light")
    found.password.write_text("pw\n")
    return found


def run(home: Home, *words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["--home", str(home.path), *words])
    return int(ended.value.code or 0)


def waiting(chain: Chain, matured: int, owed: int, reward: int) -> None:
    chain.amounts |= {"earningsOf(uint32)": [matured, 24], "owedTo(address)": [owed], "rewardOf(address)": [reward]}


def test_withdraw__everything_waits__three_calls_and_says_so(
    home: Home, chain: Chain, capsys: pytest.CaptureFixture[str]
) -> None:
    waiting(chain, 30, 12, 75)
    assert run(home, "withdraw", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["withdrawn"], told["collected"], told["rewards"], told["maturing"]) == (30, 12, 75, 24)
    assert chain.sent == [(signature.split("(")[0], where) for signature, where in PULLS.items()]
    assert told["txs"] == list(chain.receipts) and told["operator"] == OPERATOR


def test_withdraw__only_a_reward__told_in_stake_tokens(
    home: Home, chain: Chain, capsys: pytest.CaptureFixture[str]
) -> None:
    waiting(chain, 0, 0, 75)
    assert run(home, "withdraw") == 0
    said = capsys.readouterr().err
    assert f"0 TOK to {OPERATOR}; 2.4 still maturing" in said
    assert f"7.5 TOK of rewards to {OPERATOR}" in said
    assert chain.sent == [("collectReward", REGISTRY)]


def test_withdraw__nothing_waits__no_call_and_no_password(
    home: Home, chain: Chain, capsys: pytest.CaptureFixture[str]
) -> None:
    home.password.unlink()
    assert run(home, "withdraw", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["withdrawn"], told["collected"], told["rewards"], told["txs"]) == (0, 0, 0, [])
    assert chain.sent == []


def test_withdraw__the_agent_was_faster__no_error_and_not_counted(
    home: Home, chain: Chain, capsys: pytest.CaptureFixture[str]
) -> None:
    waiting(chain, 30, 12, 75)
    chain.refuses["collect(address)"] = "NothingToWithdraw"
    assert run(home, "withdraw", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["withdrawn"], told["collected"], told["rewards"]) == (30, 0, 75)


def test_withdraw__one_refused__the_others_are_paid_and_the_command_fails(
    home: Home, chain: Chain, capsys: pytest.CaptureFixture[str]
) -> None:
    waiting(chain, 30, 12, 75)
    chain.refuses["withdraw(uint32)"] = "ReentrancyGuardReentrantCall"
    assert run(home, "withdraw", "--json") == 1
    printed = capsys.readouterr()
    told = json.loads(printed.out)
    assert (told["withdrawn"], told["collected"], told["rewards"]) == (0, 12, 75)
    assert "withdraw reverted: ReentrancyGuardReentrantCall" in printed.err


def test_withdraw__one_fails_when_mined__the_others_are_paid_and_the_command_fails(
    home: Home, chain: Chain, capsys: pytest.CaptureFixture[str]
) -> None:
    waiting(chain, 30, 12, 75)
    chain.fail_status.add(1)
    assert run(home, "withdraw", "--json") == 1
    printed = capsys.readouterr()
    told = json.loads(printed.out)
    assert (told["withdrawn"], told["collected"], told["rewards"], len(told["txs"])) == (30, 0, 75, 2)
    assert "error: collect reverted" in printed.err


def test_withdraw__endpoint_goes_away__tells_what_was_paid_and_sends_no_more(
    home: Home, chain: Chain, capsys: pytest.CaptureFixture[str]
) -> None:
    waiting(chain, 30, 12, 75)
    chain.goes_after = 1
    assert run(home, "withdraw", "--json") == 75
    printed = capsys.readouterr()
    told = json.loads(printed.out)
    assert (told["withdrawn"], told["collected"], told["rewards"], len(told["txs"])) == (30, 0, 0, 1)
    assert "the fake chain is down" in printed.err and [name for name, _ in chain.sent] == ["withdraw", "collect"]


def test_status__rewards_wait__shown(home: Home, chain: Chain, capsys: pytest.CaptureFixture[str]) -> None:
    waiting(chain, 30, 12, 75)
    assert run(home, "status", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["matured"], told["owed"], told["rewards"]) == (30, 12, 75)
    assert run(home, "status") == 0
    assert "rewards        75" in capsys.readouterr().out
