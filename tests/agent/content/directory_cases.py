"""Folders whose CIDs Kubo told (``directory_vectors.json``), and the blocks of a folder built in memory."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path

from nodeagent.content import Cid, unixfs
from nodeagent.content.directory import Entry
from nodeagent.content.hamt import grow_directory

Files = Mapping[str, bytes | None]  # by path below the folder; none for a folder that has nothing in it
VECTORS: dict[str, str] = json.loads((Path(__file__).parent / "directory_vectors.json").read_text())["vectors"]

# Made by inverting the hash: 0102030405060700 twice, …701, …800
SAME_HASH = ("same hash, one  q.YNGq+SV3Dox|6L", "same hash, two  N~x$hu,:R2PcQ<o(")
SEVEN_BYTES_SAME = "seven bytes sameuS3(,^XYb|HzaLcA"
SIX_BYTES_SAME = "six bytes alike $SF1^Gf)TJS?&i*)"

LONG: Files = {f"{n:03d}".ljust(250, "x"): b"" for n in range(900)}  # more than fits in a block
ODD_NAMES: Files = {
    name: name.encode()
    for name in (
        "é",
        "e\u0301",
        "日本",
        "😀" * 60,
        "a" * 255,
        "a b",
        "\n\t",
        "\uffff",
        "\U00010000",
        "%2F",
        "\\",
        "A",
        "a",
    )
}


def of_size(block_bytes: int) -> Files:
    """Files of one byte in a folder whose one block would have ``block_bytes``: 246 a link, 4 for the rest."""
    count, rest = divmod(block_bytes - 4, 246)
    names = [f"{n:04d}".ljust(200, "x") for n in range(count)]
    for n in range(5):  # no name may have more than 255
        names[n] += "y" * ((rest + n) // 5)
    return dict.fromkeys(names, b"q")


CASES: dict[str, Files] = {
    "empty": {},
    "one": {"a": b"x"},
    "hidden": {".hidden": b"h", ".dir/.x": b"", "v": b"v"},
    "nested": {"a/b/c/d": b"deep", "a/empty": None, "a/b/x": b"x", "z": b"deep"},
    "equal": {"one": b"same", "two": b"same", "in/one": b"same", "in/two": b"same"},
    "several blocks": {"zeros": bytes(3 << 20), "in/text": b"ab" * (1 << 20), "chunk": bytes(1 << 20)},
    "odd names": ODD_NAMES,
    "4000 files": {f"file-{n:05d}.txt": b"%d" % n for n in range(4000)},
    "5000 files": {f"file-{n:05d}.txt": b"%d" % n for n in range(5000)},
    "262143 bytes": of_size(262_143),
    "262144 bytes": of_size(262_144),
    "262145 bytes": of_size(262_145),
    "eight levels": {**LONG, SAME_HASH[0]: b"a", SEVEN_BYTES_SAME: b"b", SIX_BYTES_SAME: b"c"},
    "same hash in one block": dict.fromkeys(SAME_HASH, b"a"),
    "sharded in sharded": {
        **LONG,
        "in/empty": None,
        **{f"in/{name}": data for name, data in LONG.items()},
        "large": bytes((1 << 20) + 1),
    },
}
LARGE = frozenset(name for name, files in CASES.items() if len(files) > 100)


def write(root: Path, files: Files) -> Path:
    """The folder ``root`` with ``files`` in it, on disk."""
    root.mkdir()
    for name, data in files.items():
        path = root / name
        (path if data is None else path.parent).mkdir(parents=True, exist_ok=True)
        if data is not None:
            path.write_bytes(data)
    return root


def read(root: Path) -> dict[str, bytes | None]:
    """What is in the folder ``root`` on disk, as ``write`` takes it."""
    found: dict[str, bytes | None] = {}
    for path in root.rglob("*"):
        name = str(path.relative_to(root))
        if path.is_file():
            found[name] = path.read_bytes()
        elif path.is_dir() and not any(path.iterdir()):
            found[name] = None
    return found


def built(files: Files) -> tuple[Cid, dict[Cid, bytes]]:
    """The root and every block of a folder of ``files``."""
    blocks: dict[Cid, bytes] = {}
    return _built(_nested(files), blocks).cid, blocks


def _nested(files: Files) -> dict[str, object]:
    tree: dict[str, object] = {}
    for path, data in files.items():
        *above, name = path.split("/")
        place = tree
        for part in above:
            place = place.setdefault(part, {})  # type: ignore[assignment]
        place[name] = {} if data is None else data
    return tree


def _built(tree: Mapping[str, object], blocks: dict[Cid, bytes]) -> Entry:
    entries = []
    for name, found in tree.items():
        if isinstance(found, bytes):
            child = unixfs.build(unixfs.cut(io.BytesIO(found)), blocks.__setitem__)
            entries.append(Entry(name, child.cid, child.tsize))
        else:
            below = _built(found, blocks)  # type: ignore[arg-type]
            entries.append(Entry(name, below.cid, below.tsize))
    for root, block in grow_directory(entries):
        blocks[root.cid] = block
    return root
