"""Files as people and strangers have them: what is odd is refused or left out with its number, nothing is guessed."""

from __future__ import annotations

import os
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest

from nodeagent.client.gathering import Gathered, How, gather
from nodeagent.client.inputs import BadInputs, load_inputs
from nodeagent.client.recipes import BadRow, parse_recipe
from nodeagent.runtimes.types import ValueFacts

PIL = pytest.importorskip("PIL.Image", reason="needs Pillow: the data extra")
pyarrow = pytest.importorskip("pyarrow", reason="needs pyarrow: the data extra")
SKIP = How(skip_bad=True)


def table(path: Path, text: str, how: How = SKIP, dtype: str = "float32", width: int = 2) -> Gathered:
    path.write_bytes(text.encode())
    return gather(path, [ValueFacts("x", dtype, (None, width))], how)


def values(gathered: Gathered) -> list[list[float]]:
    return gathered.inputs.arrays["x"].tolist()


# --- tables -----------------------------------------------------------------------------------------------------------


def test_table__row_longer_or_shorter_than_the_header__is_bad(tmp_path: Path) -> None:
    """A decimal comma makes a cell more: taken as it is, every number after it would be of another column."""
    found = table(tmp_path / "t.csv", "a,b\n1,5,2\n3\n4,5\n")
    assert values(found) == [[4, 5]] and found.sources == ("2",)
    assert found.skipped == ("row 0: it has 3 cells, the header has 2", "row 1: it has 1 cells, the header has 2")


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_table__two_columns_of_one_name__are_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"t.{kind}"
    if kind == "parquet":
        import pyarrow.parquet

        pyarrow.parquet.write_table(pyarrow.table([[1.0], [2.0]], names=["a", "a"]), path)
    else:
        path.write_text("a,a\n1,2\n")
    with pytest.raises(BadInputs, match="2 columns 'a'"):
        gather(path, [ValueFacts("x", "float32", (None, 2))], SKIP)


def test_table__blanks_after_commas_and_a_suffix_in_capitals__are_as_meant(tmp_path: Path) -> None:
    found = table(tmp_path / "T.CSV", "a, b\n1, 2\n", How(columns="b,a"))
    assert values(found) == [[2, 1]]


def test_table__header_alone__says_that_there_is_no_row(tmp_path: Path) -> None:
    with pytest.raises(BadInputs, match="there is no row"):
        table(tmp_path / "t.csv", "a,b\n")


def test_table__wide_as_pictures_in_columns__is_taken(tmp_path: Path) -> None:
    names = [f"pixel{n}" for n in range(784)]
    found = table(tmp_path / "t.csv", ",".join(names) + "\n" + ",".join(["7"] * 784) + "\n", width=784)
    assert found.preprocessing is not None and found.preprocessing.recipe.endswith("pixel783")


def test_table__names_beyond_a_manifest__says_how_many_characters(tmp_path: Path) -> None:
    names = ",".join(f"{n:0200d}" for n in range(400))
    with pytest.raises(BadInputs, match="a manifest has room for 65,536"):
        table(tmp_path / "t.csv", names + "\n" + ",".join(["7"] * 400) + "\n", width=400)


def test_table__input_that_takes_words__is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputs, match="'x' is string"):
        table(tmp_path / "t.csv", "a,b\n1,2\n", dtype="string")


def test_table__an_input_given_twice__is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputs, match="given once"):
        table(tmp_path / "t.csv", "a,b\n1,2\n", How(columns="x=a;x=b"))


def test_table__long_cell__is_cut_in_the_error(tmp_path: Path) -> None:
    (line,) = table(tmp_path / "t.csv", "a,b\n1,2\n3," + "y" * 100_000 + "\n").skipped
    assert "expected float32" in line and len(line) < 200


@pytest.mark.parametrize(
    ("dtype", "cell", "good"),
    [("float32", "3.4028235e+38", True), ("float32", "3.5e38", False), ("float16", "65519", True)],
)
def test_table__float_at_the_edge__fits_when_it_rounds_to_one(
    tmp_path: Path, dtype: str, cell: str, good: bool
) -> None:
    found = table(tmp_path / "t.csv", f"a,b\n1,2\n{cell},0\n", dtype=dtype)
    assert len(found.sources) == (2 if good else 1)


def test_parquet__columns_nobody_chose__do_no_harm(tmp_path: Path) -> None:
    import pyarrow.parquet

    odd = pyarrow.array([2**62, 5], pyarrow.timestamp("s"))
    path = tmp_path / "t.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"when": odd, "a": [1.0, 2.0], "b": [3.0, 4.0]}), path)
    found = gather(path, [ValueFacts("x", "float32", (None, 2))], How(columns="b,a"))
    assert values(found) == [[3, 1], [4, 2]]


def test_parquet__damaged_page__is_said_in_a_line(tmp_path: Path) -> None:
    import pyarrow.parquet

    path = tmp_path / "t.parquet"
    numbers = np.random.default_rng(1).random(10_000)
    pyarrow.parquet.write_table(pyarrow.table({"a": numbers, "b": numbers}), path, compression="zstd")
    blob = bytearray(path.read_bytes())
    blob[1_000:60_000] = bytes(59_000)
    path.write_bytes(blob)
    with pytest.raises(BadInputs, match="cannot be read"):
        gather(path, [ValueFacts("x", "float32", (None, 2))], SKIP)


# --- arrays -----------------------------------------------------------------------------------------------------------


def test_load_inputs__header_that_declares_more_than_there_is__says_so(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    np.save(path, np.zeros(4, np.float32))
    head = path.read_bytes()
    path.write_bytes(head.replace(b"(4,), }" + b" " * 12, b"(" + b"9" * 12 + b",), }"))
    with pytest.raises(BadInputs, match="not a readable"):
        load_inputs(path, "x")


@pytest.mark.parametrize("damage", ["deflate", "header"])
def test_load_inputs__damaged__says_so(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "x.npz"
    np.savez_compressed(path, x=np.random.default_rng(1).random(50_000))
    blob = bytearray(path.read_bytes())
    if damage == "deflate":
        blob[20_000:21_000] = b"\xff" * 1_000
        path.write_bytes(blob)
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("x.npy", b"\x93NUMPY\x01\x00\x10\x00{'descr': '<f4\n(((" + bytes(20))
    with pytest.raises(BadInputs):
        load_inputs(path)


# --- pictures ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["I;16", "I", "F"])
def test_picture__more_than_eight_bits__is_refused_and_not_clipped(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "deep.tiff"
    PIL.fromarray(np.zeros((4, 4), {"I;16": np.uint16, "I": np.int32, "F": np.float32}[mode])).save(path)
    with pytest.raises(BadRow, match="8 bits"):
        parse_recipe("image:4x4:gray:unit").make(path)


def test_picture__of_a_format_whose_decoder_runs_programs__is_never_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = tmp_path / "ran"
    (tmp_path / "bin").mkdir()
    ghostscript = tmp_path / "bin" / "gs"
    ghostscript.write_text(f"#!/bin/sh\ntouch {ran}\n")
    ghostscript.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    path = tmp_path / "holiday.jpg"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n%%EOF\n")
    with pytest.raises(BadRow, match="not a picture"):
        parse_recipe("image:4x4:rgb:raw").make(path)
    assert not ran.exists()


def test_picture__of_very_many_pixels__is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    PIL.new("1", (13_000, 13_000)).save(path)
    with warnings.catch_warnings(action="error"), pytest.raises(BadRow, match="pixels"):
        parse_recipe("image:4x4:rgb:raw").make(path)


def test_folder__name_with_control_characters__forges_no_line(tmp_path: Path) -> None:
    (tmp_path / "f").mkdir()
    PIL.new("RGB", (4, 4)).save(tmp_path / "f" / "good.png")
    (tmp_path / "f" / "a\x1b[31m\nskipped nothing.png").write_bytes(b"no picture")
    (line,) = gather(
        tmp_path / "f", [ValueFacts("x", "uint8", (None, 3, 4, 4))], How(recipe="image:4x4:rgb:raw", skip_bad=True)
    ).skipped
    assert line.isprintable()


def test_folder__links__are_left_out_and_said(tmp_path: Path) -> None:
    (tmp_path / "f" / "in").mkdir(parents=True)
    (tmp_path / "f" / "in" / "b").write_bytes(b"b")
    (tmp_path / "f" / "a").symlink_to("in/b")
    (tmp_path / "f" / "other").symlink_to("in")
    (tmp_path / "f" / ".hidden").mkdir()
    (tmp_path / "f" / ".hidden" / "c").write_bytes(b"c")
    wanted = [ValueFacts("x", "uint8", (None, 1))]
    found = gather(tmp_path / "f", wanted, How(recipe="bytes:1"))
    assert found.sources == ("in/b",) and found.skipped == ("2 links: they are not followed",)
    (tmp_path / "f" / "in" / "b").unlink()
    with pytest.raises(BadInputs, match="but 2 links"):
        gather(tmp_path / "f", wanted, How(recipe="bytes:1"))


def test_folder__below_cannot_be_listed__says_which(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "closed").mkdir()
    (tmp_path / "a").write_bytes(b"a")
    scan = os.scandir

    def refusing(path: str) -> object:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr("os.scandir", refusing)  # root may list everything
    with pytest.raises(BadInputs, match="closed cannot be read: Permission denied"):
        gather(tmp_path, [ValueFacts("x", "uint8", (None, 1))], How(recipe="bytes:1"))


def test_bytes__type_that_cannot_hold_every_byte__is_refused() -> None:
    with pytest.raises(BadInputs, match="cannot hold bytes"):
        parse_recipe("bytes:16:int8")
    assert parse_recipe("bytes:16:int16:-1").text == "bytes:16:int16:-1"
