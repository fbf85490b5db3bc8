"""``docs/protocol.md`` says what the code does: its numbers, tables, events and errors are compared, not trusted."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nodeagent.protocol import constants, epochs, payout
from nodeagent.protocol.documents import Document
from nodeagent.protocol.jobword import case_terms, pack_job_word, unpack_job_word
from nodeagent.protocol.leaves import Leaf
from nodeagent.protocol.manifest import BatchManifest, JobManifest
from nodeagent.protocol.nodedoc import NodeDocument
from nodeagent.protocol.receipts import Receipts, ShardReceipt, TaskReceipt
from nodeagent.protocol.sortition import draw_words, pack_slots
from nodeagent.protocol.trees import EMPTY_BATCH_ROOT
from nodeagent.protocol.types import Epoch, JobId, NodeId, Shard, ShardStatus
from nodeagent.runtimes.tensors import CODES

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "protocol.md").read_text()
STORY: dict[str, Any] = json.loads((ROOT / "tests" / "vectors" / "story.json").read_text())
INTERFACES = sorted((ROOT / "contracts" / "interfaces").glob("I*.sol"))


def printed() -> list[tuple[str, str]]:
    """Name and value of every line in the marked blocks; an indented line continues the one before."""
    found: list[tuple[str, str]] = []
    for block in re.findall(r"^```story\n(.*?)^```$", PAGE, flags=re.M | re.S):
        for line in block.splitlines():
            if line.startswith("  "):
                name, value = found.pop()
                found.append((name, value + line[2:]))
            else:
                name, _, value = line.partition(" = ")
                found.append((name, value))
    return found


@pytest.mark.parametrize(("name", "value"), printed())
def test_page__each_story_value__is_the_vector(name: str, value: str) -> None:
    match = re.fullmatch(r"(\w+)(?:\[(\d+)\])?", name)
    assert match is not None
    expected = STORY[match[1]]
    if match[2] is not None:
        expected = expected[int(match[2])]
    assert value == (expected if isinstance(expected, str) else json.dumps(expected))


def test_page__story_blocks__hold_the_whole_chain() -> None:
    names = {name.partition("[")[0] for name, _ in printed()}
    chain = {
        "seed", "slots", "taskLeaves", "resultRoots", "leaves", "batchRoots", "digests", "lanesOpen",
        "settleCalldata", "settlementRoot", "jobManifest", "claimOpening",
    }  # fmt: skip
    assert chain <= names
    assert not re.search(r"^@\w+", PAGE, flags=re.M)


def the_case() -> dict[str, Any]:
    """What the page's example of an appeal follows from: shard 0 of the story's job, appealed in block 1050."""
    job = replace(unpack_job_word(int(STORY["jobWord"], 16)), appeal_epochs=7)
    shard, settled_at = Shard(0), Epoch(STORY["settleEpoch"])
    judges, grace, report = constants.DEFAULT_JUDGES, constants.DEFAULT_SETTLE_GRACE, constants.DEFAULT_REPORT_EPOCHS
    case = case_terms(job, shard, epochs.counting_epoch(1050, 10, 4), judges)
    start, last = epochs.attempt_start(case, shard, 0), epochs.last_epoch(case, shard, grace)
    low, high = pack_slots([NodeId(node) for node in STORY["slots"][:3]])
    until = epochs.appeal_until(job, settled_at)
    leaf = Leaf(JobId(2), shard, bytes.fromhex(STORY["resultRoots"][0][2:]))

    def claims(*case_ended: Any) -> list[int]:
        span = epochs.claims_open(job, report, settled_at, *case_ended)
        return [span[0], span[-1]]

    return {
        "appealWord": pack_job_word(job),
        "lastAppealBlock": max(b for b in range(1000, 1200) if epochs.counting_epoch(b, 10, 4) <= until),
        "caseWord": pack_job_word(case),
        "bond": payout.bond(job, shard, judges, constants.DEFAULT_SETTLE_FEE_BPS),
        "exclusionLow": low,
        "exclusionHigh": high,
        "heldBefore": epochs.attempt_start(job, shard, 0),
        "caseStarts": [epochs.attempt_start(case, shard, a) for a in range(3)],
        "caseDrawWord": draw_words(bytes(32), JobId(2), shard, start, case.pool, judges, case=True)[1],
        "caseLeaf": "0x" + leaf.pack().hex(),
        "caseLast": last,
        "caseClosableFrom": epochs.closable_from(case, grace, report),
        "jobClosableFrom": epochs.closable_from(job, grace, report),
        "jobLife": epochs.job_life(job, grace, report),
        "claimsIfNeverAppealed": claims(),
        "claimsAfterVerdict": claims(ShardStatus.FINAL, epochs.settle_from(case, shard, 0)),
        "claimsIfContested": claims(ShardStatus.CONTESTED, last),
    }


def test_page__example_of_an_appeal__follows_from_the_rules() -> None:
    block = PAGE[PAGE.index("```case\n") + 8 :].partition("```")[0]
    told = dict(line.split(" = ") for line in block.splitlines())
    expected = the_case()
    words = {name for name, text in told.items() if len(text) == 66}
    assert {name: f"0x{value:064x}" if name in words else str(value) for name, value in expected.items()} == told
    money = [payout.settle_fee(24_000, 4, 100), expected["bond"] - 96_960, expected["bond"] - 96_240]
    assert money == [960, 24_240, 24_960]


def test_page__results_of_the_story__are_the_described_bytes() -> None:
    assert STORY["resultData"][0] == "0x" + bytes(i % 251 for i in range(1500)).hex()
    assert STORY["resultData"][1:] == ["0x0102030405", "0x"]
    assert STORY["resultStatus"] == [0, 0, 2]
    assert STORY["dissentData"] == "0x" + bytes(1500).hex()


def test_page__seat_walk__is_the_stream() -> None:
    told = re.findall(r"`0x([0-9a-f]{8})`", PAGE[PAGE.index("In shard 0 the first word") :][:600])
    stream = STORY["drawStream"][0][2:]
    assert told == [stream[i : i + 8] for i in range(0, 48, 8)]
    assert [int(word, 16) * 4 >> 32 for word in told] == [0, 2, 2, 1, 2, 3]


def test_page__empty_batch_root__is_printed() -> None:
    assert "0x" + EMPTY_BATCH_ROOT.hex() in PAGE


@pytest.mark.parametrize("kind", ["event", "error"])
def test_page__declarations__are_those_of_the_interfaces(kind: str) -> None:
    declared = {text for path in INTERFACES for text in declarations(kind, path.read_text())}
    assert len(declared) > 20
    assert set(declarations(kind, PAGE)) == declared


def declarations(kind: str, text: str) -> list[str]:
    code = re.sub(r"//[^\n]*", "", text)
    return [re.sub(r"\s+", "", item) for item in re.findall(rf"^\s*({kind} \w+\([^;]*\);)", code, flags=re.M)]


def test_page__defaults__are_the_constants() -> None:
    rows = dict(re.findall(r"^\| `([A-Z_]+)` \| ([\d,]+) \|", PAGE, flags=re.M))
    assert len(rows) == 11
    for name, value in rows.items():
        assert getattr(constants, f"DEFAULT_{name}") == int(value.replace(",", "")), name


def test_page__tensor_codes__are_the_encoders() -> None:
    table = PAGE[PAGE.index("| dtype | code |") : PAGE.index("Header integers are big-endian")]
    assert {name: int(code) for name, code in re.findall(r"([a-z]+\d*) \| (\d+)", table)} == CODES


@pytest.mark.parametrize(("model", "start", "end"), [
    (JobManifest, "**Job manifest**", "Content is an object"),
    (BatchManifest, "**Batch manifest**", "**Node document**"),
    (NodeDocument, "**Node document**", "A manifest that is malformed"),
    (Receipts, "The **receipts file**", "A hash is"),
])  # fmt: skip
def test_page__document_fields__are_the_models(model: type[Document], start: str, end: str) -> None:
    table = PAGE[PAGE.index(start) : PAGE.index(end)]
    assert re.findall(r"^\| `(\w+)` \|", table, flags=re.M) == aliases(model)


@pytest.mark.parametrize(("model", "row"), [(TaskReceipt, "tasks"), (ShardReceipt, "shards")])
def test_page__receipt_items__name_every_field(model: type[Document], row: str) -> None:
    receipts = PAGE[PAGE.index("The **receipts file**") :]
    line = next(text for text in receipts.splitlines() if text.startswith(f"| `{row}` |"))
    assert set(re.findall(r"`(\w+)`", line)) >= set(aliases(model))


def aliases(model: type[Document]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]
