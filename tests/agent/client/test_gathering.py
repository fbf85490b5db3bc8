"""Inputs as people have them.

parse_recipe
├── image, bytes ............................... canonical text, with every default written out
└── anything else .............................. BadInputs that says what is understood
Recipe.make
├── image ...................................... size, colours, normalisation and layout, by hand
├── a picture turned by its camera ............. is turned back
├── no picture ................................. BadRow
└── bytes ...................................... the first COUNT, padded
gather
├── .npz, .npy ................................. as before, without pre-processing
├── a folder ................................... files by name, hidden ones and links left out
├── a table .................................... columns by input, in the model's type and shape
├── a bad file or row .......................... named by its number; left out with skip_bad, and listed
└── options that do not fit the path ........... BadInputs
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from PIL import Image

from nodeagent.client.gathering import How, gather
from nodeagent.client.inputs import BadInputs
from nodeagent.client.recipes import MEAN, STD, BadRow, parse_recipe
from nodeagent.protocol.manifest import Preprocessing
from nodeagent.runtimes.types import ValueFacts

X = [ValueFacts("x", "float32", (None, 2))]


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("image:224x224:rgb:imagenet", "image:224x224:rgb:imagenet:chw"),
        ("image:8x4:gray:raw:hwc", "image:8x4:gray:raw:hwc"),
        ("bytes:2048", "bytes:2048:uint8:0"),
        ("bytes:16:int32:256", "bytes:16:int32:256"),
        ("bytes:4:float32", "bytes:4:float32:0"),
    ],
)
def test_parse_recipe__known__is_spelled_in_full(text: str, canonical: str) -> None:
    assert parse_recipe(text).text == canonical
    assert parse_recipe(canonical).text == canonical


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sound:16000",
        "image",
        "image:224:rgb:unit",
        "image:0x4:rgb:unit",
        "image:5000x4:rgb:unit",
        "image:4x4:cmyk:unit",
        "image:4x4:gray:imagenet",
        "image:4x4:rgb:unit:whc",
        "image:4x4:rgb:unit:chw:more",
        "bytes:",
        "bytes:0",
        "bytes:99999999999",
        "bytes:4:uint8:256",
        "bytes:4:object",
        "bytes:4:nonsense",
        "bytes:4:int8:-200",
        "bytes:4:int32:many",
    ],
)
def test_parse_recipe__unknown__says_what_is_understood(text: str) -> None:
    with pytest.raises(BadInputs) as caught:
        parse_recipe(text)
    assert "image:WIDTHxHEIGHT" in str(caught.value.hint)


def picture(path: Path, size: tuple[int, int] = (2, 1), colour: tuple[int, int, int] = (255, 0, 51)) -> Path:
    Image.new("RGB", size, colour).save(path)
    return path


@pytest.mark.parametrize(
    ("text", "shape", "first"),
    [
        ("image:4x3:rgb:raw", (3, 3, 4), 255),
        ("image:4x3:rgb:raw:hwc", (3, 4, 3), 255),
        ("image:4x3:rgb:unit", (3, 3, 4), 1.0),
        ("image:4x3:rgb:imagenet", (3, 3, 4), (np.float32(1) - MEAN[0]) / STD[0]),
        ("image:4x3:gray:raw", (1, 3, 4), 82),  # 255 * .299 + 51 * .114
    ],
)
def test_make__image__has_its_numbers(tmp_path: Path, text: str, shape: tuple[int, ...], first: float) -> None:
    recipe = parse_recipe(text)
    made = recipe.make(picture(tmp_path / "a.png"))
    assert (made.shape, made.flat[0]) == (shape, first)
    assert made.dtype == (np.uint8 if "raw" in text else np.float32)
    assert str(recipe.software).startswith("pillow ")


def test_make__picture_turned_by_its_camera__is_turned_back(tmp_path: Path) -> None:
    image = Image.new("L", (2, 1))
    image.putpixel((0, 0), 200)
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    image.save(tmp_path / "a.png", exif=exif)
    made = parse_recipe("image:1x2:gray:raw").make(tmp_path / "a.png")
    assert made.tolist() == [[[200], [0]]]


def test_make__no_picture__is_a_bad_row(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    for name in ("a.png", "absent.png"):
        with pytest.raises(BadRow):
            parse_recipe("image:4x4:rgb:unit").make(tmp_path / name)


def test_make__bytes__are_cut_or_padded(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(bytes([1, 2, 255]))
    assert parse_recipe("bytes:2").make(tmp_path / "f").tolist() == [1, 2]
    made = parse_recipe("bytes:5:int32:256").make(tmp_path / "f")
    assert made.tolist() == [1, 2, 255, 256, 256]
    assert made.dtype == np.int32


def test_gather__arrays__as_they_are(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=np.ones((3, 2), np.float32))
    np.save(tmp_path / "x.npy", np.ones((4, 2), np.float32))
    assert gather(tmp_path / "x.npz", X, How()).inputs.tasks == 3
    found = gather(tmp_path / "x.npy", X, How())
    assert (found.inputs.tasks, found.preprocessing, found.sources) == (4, None, ())


def test_gather__folder__files_by_name_without_hidden_ones_and_links(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    (folder / "b" / ".hidden").mkdir(parents=True)
    for name in ("z", "b/a", ".x", "b/.hidden/c"):
        (folder / name).write_bytes(name.encode())
    (folder / "link").symlink_to(folder / "z")
    found = gather(folder, [ValueFacts("bytes", "uint8", (None, 3))], How("bytes:3"))
    assert found.sources == ("b/a", "z")
    assert found.inputs.arrays["bytes"].tolist() == [list(b"b/a"), [ord("z"), 0, 0]]
    assert found.preprocessing == Preprocessing(recipe="bytes:3:uint8:0")


def test_gather__file_that_is_no_picture__is_named_or_left_out(tmp_path: Path) -> None:
    for name in ("a.png", "c.png"):
        picture(tmp_path / name)
    (tmp_path / "b.png").write_text("no picture")
    wanted, recipe = [ValueFacts("x", "float32", (None, 3, 2, 2))], "image:2x2:rgb:unit"
    with pytest.raises(BadInputs, match=r"file 1 \(b\.png\): not a picture") as caught:
        gather(tmp_path, wanted, How(recipe))
    assert "--skip-bad" in str(caught.value.hint)
    found = gather(tmp_path, wanted, How(recipe, skip_bad=True))
    assert found.sources == ("a.png", "c.png")
    assert [line.split(":")[0] for line in found.skipped] == ["file 1 (b.png)"]
    assert found.inputs.arrays["x"].shape == (2, 3, 2, 2)
    for name in ("a.png", "c.png"):
        (tmp_path / name).unlink()
    with pytest.raises(BadInputs, match="no task is left"):
        gather(tmp_path, wanted, How(recipe, skip_bad=True))


CSV = "a,b,c\n1,2,x\n3.5,-4,y\n\n5,6,z\n"


def table(tmp_path: Path, kind: str, text: str = CSV) -> Path:
    path = tmp_path / f"t{kind}"
    if kind == ".csv":
        path.write_text(text)
    else:
        columns = {"a": [1.0, 3.5, 5.0], "b": [2, -4, 6], "c": ["x", "y", "z"]}
        pyarrow.parquet.write_table(pyarrow.table(columns), path)
    return path


@pytest.mark.parametrize("kind", [".csv", ".parquet"])
@pytest.mark.parametrize(
    ("wanted", "columns", "recipe", "arrays"),
    [
        (X, "a,b", "columns:x=a,b", {"x": [[1, 2], [3.5, -4], [5, 6]]}),
        (X, "b, a", "columns:x=b,a", {"x": [[2, 1], [-4, 3.5], [6, 5]]}),
        ([ValueFacts("x", "float64", (None,))], "b", "columns:x=b", {"x": [2, -4, 6]}),
        ([ValueFacts("x", "int8", (1, 2, 1))], "b,b", "columns:x=b,b", {"x": [[[2], [2]], [[-4], [-4]], [[6], [6]]]}),
        (
            [ValueFacts("y", "float32", (None, 1)), ValueFacts("x", "float32", (None, 2))],
            "x=a,b;y=b",
            "columns:x=a,b;y=b",
            {"x": [[1, 2], [3.5, -4], [5, 6]], "y": [[2], [-4], [6]]},
        ),
    ],
)
def test_gather__table__columns_in_the_models_type_and_shape(
    tmp_path: Path, kind: str, wanted: list[ValueFacts], columns: str, recipe: str, arrays: dict[str, list[object]]
) -> None:
    found = gather(table(tmp_path, kind), wanted, How(columns=columns))
    assert {name: array.tolist() for name, array in found.inputs.arrays.items()} == arrays
    assert {name: array.dtype.name for name, array in found.inputs.arrays.items()} == {v.name: v.dtype for v in wanted}
    assert found.preprocessing == Preprocessing(recipe=recipe)
    assert found.sources == ("0", "1", "2")


def test_gather__table_without_columns__takes_all(tmp_path: Path) -> None:
    found = gather(table(tmp_path, ".csv", "a,b\n1,2\n"), X, How())
    assert found.preprocessing == Preprocessing(recipe="columns:x=a,b")


@pytest.mark.parametrize(
    ("dtype", "cell", "good"),
    [
        ("float32", "1e39", False),
        ("float32", "nan", True),
        ("float32", "inf", True),
        ("float32", "", False),
        ("float32", "1,5", False),
        ("int8", "127", True),
        ("int8", "128", False),
        ("int8", "1.0", False),
        ("uint8", "-1", False),
        ("int64", " 7 ", True),
        ("bool", "true", True),
        ("bool", "0", True),
        ("bool", "yes", False),
    ],
)
def test_gather__cell__fits_exactly_or_is_bad(tmp_path: Path, dtype: str, cell: str, good: bool) -> None:
    path = table(tmp_path, ".csv", f'a\n1\n"{cell}"\n1\n')
    wanted = [ValueFacts("x", dtype, (None,))]
    if good:
        assert gather(path, wanted, How()).inputs.tasks == 3
        return
    with pytest.raises(BadInputs, match=rf"row 1: column 'a' is .*: expected {dtype}"):
        gather(path, wanted, How())
    found = gather(path, wanted, How(skip_bad=True))
    assert found.sources == ("0", "2") and len(found.skipped) == 1


def test_gather__parquet_without_a_value__is_a_bad_row(tmp_path: Path) -> None:
    columns = {"a": [1.0, None], "b": [1.5, 2.0]}
    pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / "t.parquet")
    with pytest.raises(BadInputs, match="row 1: column 'a' is None: expected float32"):
        gather(tmp_path / "t.parquet", X, How())
    with pytest.raises(BadInputs, match=r"row 0: column 'b' is 1\.5: expected int32"):
        gather(tmp_path / "t.parquet", [ValueFacts("x", "int32", (None, 2))], How())


@pytest.mark.parametrize(
    ("path", "how", "what"),
    [
        (".", How(), "say how a task is made of a file"),
        (".", How("bytes:2", "a"), "say how a task is made of a file"),
        ("empty", How("bytes:2"), "there are no files"),
        ("x.npz", How("bytes:2"), "--as is for a folder"),
        ("x.npz", How(columns="a"), "--columns is for .csv"),
        ("t.csv", How(columns="a,d"), "there is no column 'd': the file has a, b, c"),
        ("t.csv", How(columns="y=a"), "'y' is no input of the model, which has x"),
        ("t.csv", How(), "row 0: column 'c' is 'x'"),
        ("short.csv", How(columns="a,b"), "row 0: it has 1 cells, the header has 2"),
        ("empty.csv", How(), "no line with the columns' names"),
        ("quote.csv", How(), "not a CSV file"),
        ("latin.csv", How(), "not a CSV file in UTF-8"),
        ("t.parquet", How(), "not a Parquet file"),
        ("absent.csv", How(), "cannot be read"),
    ],
)
def test_gather__what_does_not_fit__says_so(tmp_path: Path, path: str, how: How, what: str) -> None:
    (tmp_path / "empty").mkdir()
    np.savez(tmp_path / "x.npz", x=np.ones((3, 2), np.float32))
    table(tmp_path, ".csv")
    (tmp_path / "short.csv").write_text("a,b\n1\n")
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "quote.csv").write_text('a\n"1" 2\n')
    (tmp_path / "latin.csv").write_bytes(b"a\n\xff\n")
    (tmp_path / "t.parquet").write_text("PAR0")
    with pytest.raises(BadInputs, match=what.replace("(", r"\(")):
        gather(tmp_path / path, X, how)


def test_gather__table_for_a_model_of_several_inputs__wants_to_know_which(tmp_path: Path) -> None:
    wanted = [*X, ValueFacts("y", "float32", (None, 2))]
    with pytest.raises(BadInputs, match="say which columns are for which"):
        gather(table(tmp_path, ".csv"), wanted, How(columns="a,b"))
    with pytest.raises(BadInputs, match="a folder gives one input a task"):
        gather(tmp_path, wanted, How("bytes:2"))
