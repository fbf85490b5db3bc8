"""``quorate simulate`` as a person calls it: files, tables, JSON, errors."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest

from lab.simulate.command import parse_coins, parse_sweep, run_sweep, understand
from lab.simulate.kinds import BadMix, Kind
from lab.simulate.plot import NoPlots, draw_plot, need_plots
from nodeagent.cli import requester_simulate
from nodeagent.cli.common import NoFolder
from nodeagent.cli.requester_lab import lab
from nodeagent.cli.requester_simulate import NoLab, load_lab, simulate

PLOTS = importlib.util.find_spec("matplotlib") is not None
with_plots = pytest.mark.skipif(not PLOTS, reason="needs the toolkit extra: matplotlib")
SMALL = ["--nodes", "1000", "--shards", "2000"]


def invoke(*args: str) -> None:
    simulate.main([*SMALL, *args], standalone_mode=False)


def given(**changes: Any) -> dict[str, Any]:
    """The options as click hands them over."""
    context = simulate.make_context("simulate", [])
    return {**{k: v for k, v in context.params.items() if k != "as_json"}, **changes}


def test_simulate__a_mix__prints_tables_and_writes_the_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    invoke("--sweep", "off", "--out", str(tmp_path))
    printed = capsys.readouterr().out
    for word in ("honest", "withholder", "flipflop", "wrong settled", "against honest", "all accounted for"):
        assert word in printed
    report = json.loads((tmp_path / "simulate.json").read_text())
    (scenario,) = report["scenarios"]
    assert report["format"] == "quorate/simulate/1" and report["options"]["mix"]["cartel"] == 0.2
    wanted = {"name", "adversary_net", "honest_net", "wrong_settled", "expected_wrong_settled"}
    wanted |= {"wrong_final", "expected_wrong_final", "honest_slashed", "interval_wrong_settled", "closed_form"}
    assert wanted <= scenario.keys()
    assert scenario["interval_wrong_settled"][0] <= scenario["expected_wrong_settled"]
    by_kind = {p["kind"]: p for p in scenario["parties"]}
    assert by_kind.keys() == {"honest", "lazy", "cartel", "withholder", "ghost", "flipflop"}
    assert by_kind["honest"]["against_honest"] == 0 > by_kind["cartel"]["against_honest"]
    assert not (tmp_path / "simulate.png").exists()


def test_simulate__json__is_the_file_on_stdout_and_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    invoke("--sweep", "off", "--json", "--out", str(tmp_path))
    assert json.loads(capsys.readouterr().out) == json.loads((tmp_path / "simulate.json").read_text())


@with_plots
def test_simulate__a_sweep__adds_a_row_a_share_and_a_plot(tmp_path: Path) -> None:
    invoke("--sweep", "0.1,0.3", "--out", str(tmp_path))
    scenarios = json.loads((tmp_path / "simulate.json").read_text())["scenarios"]
    assert [s["name"] for s in scenarios[1:]] == ["honest=0.9,cartel=0.1", "honest=0.7,cartel=0.3"]
    assert scenarios[2]["wrong_settled"] > scenarios[1]["wrong_settled"] > 0
    assert (tmp_path / "simulate.png").read_bytes().startswith(b"\x89PNG")


@with_plots
def test_draw_plot__results_without_a_single_wrong_one__are_drawn(tmp_path: Path) -> None:
    options = understand(given(nodes=300, shards=300, out=tmp_path)).options
    draw_plot(run_sweep(options, [0.0, 0.01]), tmp_path / "deep" / "plot.png")
    assert (tmp_path / "deep" / "plot.png").stat().st_size > 10_000


def test_run_sweep__points__are_in_order_and_of_seeds_of_their_own() -> None:
    options = understand(given(nodes=300, shards=500)).options
    outcomes = run_sweep(options, [0.4, 0.1])
    assert [o.options.mix[Kind.CARTEL] for o in outcomes] == [0.4, 0.1]
    assert [o.options.seed for o in outcomes] == [2, 3]


def test_need_plots__not_installed__says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(NoPlots, match=r"quorate\[toolkit\]"):
        need_plots()


def test_perform__no_plots__is_said_before_anything_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(NoPlots):
        invoke("--sweep", "0.1", "--out", str(tmp_path))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--mix", "spy=1"), "unknown kind"),
        (("--sweep", "0.5:x:1"), "not a grid"),
        (("--sweep", "0.1,1.5"), "not a grid"),
        (("--price", "0.0000001"), "--price"),
        (("--seat-stake", "none"), "--seat-stake"),
        (("--nodes", "4"), "4 are missing"),
    ],
)
def test_simulate__nonsense__is_refused_in_words(args: tuple[str, ...], message: str, tmp_path: Path) -> None:
    with pytest.raises(BadMix, match=message):
        invoke(*args, "--out", str(tmp_path / "new"))
    assert not (tmp_path / "new").exists()


def test_simulate__folder_that_cannot_be_made__is_said_before_anything_runs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr("lab.simulate.command.simulate", lambda *_: pytest.fail("it ran"))
    with pytest.raises(NoFolder, match=r"cannot write to .*/file/deep: Not a directory"):
        invoke("--sweep", "off", "--out", str(tmp_path / "file" / "deep"))


def test_simulate__a_share_below_a_node__warns_that_nobody_is_of_the_kind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = ["--nodes", "3", "--seats", "1", "--appeal-epochs", "0", "--sweep", "off", "--json", "--out", str(tmp_path)]
    invoke(*few, "--mix", "lazy=0.01,cartel=0.34")
    found = capsys.readouterr()
    assert "nobody is lazy: 0.01 of the stake is less than one of 3 nodes with 3 seats" in found.err
    assert "cartel" not in found.err
    assert {p["kind"] for p in json.loads(found.out)["scenarios"][0]["parties"]} == {"honest", "cartel"}


def test_show__parties__counts_come_before_money(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    invoke("--sweep", "off", "--out", str(tmp_path))
    head = capsys.readouterr().out.splitlines()[0].split("  ")
    names = [name.strip() for name in head if name.strip()]
    assert names[:5] == ["kind", "nodes", "seats", "drawn", "slashes"]
    assert names[5:10] == ["paid", "forfeited", "slashed", "bonds net", "rewards"]


@pytest.mark.parametrize("args", [("--scenario", "lazy", "--all"), ("--all", "--scenario", "lazy", "--list")])
def test_lab__a_scenario_and_all__is_a_usage_error(args: tuple[str, ...]) -> None:
    with pytest.raises(click.UsageError, match="one of the two"):
        lab.main(list(args), standalone_mode=False)


def test_lab__folder_that_cannot_be_made__is_said_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr("lab.command.find_ape", lambda: None)
    monkeypatch.setattr("lab.command.LabNet", lambda *_, **__: pytest.fail("it started"))
    with pytest.raises(NoFolder, match=r"cannot write to .*/file/deep: Not a directory"):
        lab.main(["--scenario", "lazy", "--out", str(tmp_path / "file" / "deep")], standalone_mode=False)


def test_parse_sweep__ranges__include_both_ends() -> None:
    assert parse_sweep("0.05:0.5:0.05") == pytest.approx([i / 20 for i in range(1, 11)])
    assert parse_sweep("0.1, 0.2") == (0.1, 0.2)
    assert parse_sweep("off") == ()


def test_parse_coins__decimals__are_millionths() -> None:
    assert parse_coins("0.012345", "x") == 12_345


def test_understand__defaults__are_the_protocol_pages() -> None:
    options = understand(given()).options
    assert (options.nodes, options.shards, options.committee, options.quorum) == (60_000, 1_000_000, 3, 2)
    assert (options.judges, options.attempts, options.appeal_epochs) == (5, 3, 7)


def test_load_lab__no_checkout__says_where_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(requester_simulate, "LAB", "lab.simulate.command")
    for name in [name for name in sys.modules if name == "lab" or name.startswith("lab.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "lab", None)
    with pytest.raises(NoLab, match="source checkout"):
        load_lab()


def test_load_lab__a_package_is_missing__names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nowhere_to_be_found", None)
    with pytest.raises(NoLab, match="needs nowhere_to_be_found"):
        load_lab("nowhere_to_be_found")


def test_module__imported__brings_neither_numpy_nor_the_lab() -> None:
    code = "import sys, nodeagent.cli.requester_simulate; print({'numpy', 'lab', 'pydantic'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
