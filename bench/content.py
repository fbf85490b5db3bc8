"""What content costs: ``make bench-content``, into ``build/bench/content.json``.

Side by side in one run on the same file, rounds of each in turn, medians, megabytes (10^6) a second:

- ``sha256_mbps``: the hash alone; ``cid_mbps``: our CID of the file; ``kubo_mbps``: ``ipfs add --only-hash``;
  ``library_mbps``: ipfs-unixfs-importer under Node. Programs count with their start. All must give one CID;
- ``car_import_mbps``, ``car_export_mbps``: a CAR into an empty store, safely on disk, and out of it to a file;
  ``peak_rss_mb`` is the most memory (10^6 bytes) that a process that did one of them ever had, ``idle_rss_mb`` that of
  one that did nothing;
- ``fetch_mbps``: a file of ``fetch_bytes`` from two gateways of ours into an empty store; ``curl_mbps``: one ``curl``
  of its CAR from one of them; ``fetch_over_curl``: the median of both's ratios.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from nodeagent.cli.common import start_logging
from nodeagent.content import MIB, Cid, LocalStore
from nodeagent.content.fetch import Fetcher
from nodeagent.content.gateway import Gateway
from nodeagent.content.unixfs import file_cid
from nodeagent.memory import keep_freed_memory

ROOT = Path(__file__).resolve().parent.parent
REPORT = ROOT / "build" / "bench" / "content.json"
LIBRARY = ROOT / "bench" / "unixfs"
BYTES: Final = 1 << 30
FETCH_BYTES: Final = 200_000_000
ROUNDS: Final = 5
PROFILE: Final = ("--cid-version=1", "--raw-leaves", "--chunker=size-1048576", "--max-file-links=1024")
Rate = Callable[[], float]


def seconds(action: Callable[[], object]) -> float:
    begun = time.perf_counter()
    action()
    return time.perf_counter() - begun


def make_file(path: Path, size: int) -> Path:
    """A file whose chunks all differ, and are in memory afterwards."""
    with path.open("wb") as out:
        for start in range(0, size, MIB):
            out.write((hashlib.sha256(b"%d" % start).digest() * (MIB // 32))[: size - start])
    return path


def hash_alone(path: Path) -> None:
    with path.open("rb", buffering=0) as stream:
        hashlib.file_digest(stream, "sha256")


def our_cid(path: Path) -> str:
    with path.open("rb") as stream:
        return str(file_cid(stream))


def told(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def hashing(path: Path, folder: Path) -> dict[str, float | None]:
    """Medians of who gives the CID of ``path`` how fast; none for a program that is not here."""
    expected = our_cid(path)
    ways: dict[str, Callable[[], object]] = {"sha256_mbps": lambda: hash_alone(path), "cid_mbps": lambda: our_cid(path)}
    commands: dict[str, list[str]] = {}
    if ipfs := shutil.which("ipfs"):
        repo = ["env", f"IPFS_PATH={folder / 'ipfs'}", ipfs]
        told(*repo, "init", "--profile=test")
        commands["kubo_mbps"] = [*repo, "add", "--only-hash", "--quieter", *PROFILE, str(path)]
    if (LIBRARY / "node_modules").is_dir():
        commands["library_mbps"] = ["node", str(LIBRARY / "add.mjs"), str(path)]
    for name, command in commands.items():
        if (found := told(*command)) != expected:
            raise SystemExit(f"{name}: {' '.join(command)} gives {found}, ours is {expected}")
        ways[name] = lambda command=command: told(*command)  # type: ignore[misc]
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            taken[name].append(seconds(way))
    rates: dict[str, float | None] = dict.fromkeys(("kubo_mbps", "library_mbps"))
    return rates | {name: round(path.stat().st_size / 1e6 / statistics.median(t), 1) for name, t in taken.items()}


# --- CARs, each in a process of its own, so that its memory can be told -----------------------------------------------


def car_work(action: str, store: str, car: str, cid: str) -> None:
    """Does one thing and prints its seconds and the process's peak memory in bytes."""
    import resource

    keep_freed_memory()
    local = LocalStore(Path(store))
    begun = time.perf_counter()
    if action == "import":
        with Path(car).open("rb") as stream:
            local.import_car(stream)
    elif action == "export":
        local.export_car(Cid.parse(cid), Path(car))
    took = time.perf_counter() - begun
    print(json.dumps([took, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024]))


def cars(path: Path, folder: Path) -> dict[str, float]:
    """Medians of a CAR in and out, and the memory it took."""
    cid = str(LocalStore(folder / "first").put_file(path))
    car = str(folder / "file.car")

    def work(action: str, store: Path) -> tuple[float, float]:
        told_ = told(sys.executable, "-m", "bench.content", action, str(store), car, cid)
        took, peak = json.loads(told_)
        return took, peak

    exports, imports, idle = [], [], work("nothing", folder / "first")[1]
    for _ in range(ROUNDS):
        exports.append(work("export", folder / "first"))
        imports.append(work("import", folder / "second"))
        shutil.rmtree(folder / "second")
    size = path.stat().st_size / 1e6
    return {
        "car_import_mbps": round(size / statistics.median(t for t, _ in imports), 1),
        "car_export_mbps": round(size / statistics.median(t for t, _ in exports), 1),
        "peak_rss_mb": round(max(peak for _, peak in exports + imports) / 1e6, 1),
        "idle_rss_mb": round(idle / 1e6, 1),
    }


# --- fetching ---------------------------------------------------------------------------------------------------------


def serve(store: str) -> None:
    """A gateway until standard input ends. It says nothing but its address: nobody reads on."""
    start_logging(False, "error")
    keep_freed_memory()
    with Gateway(LocalStore(Path(store))) as gateway:
        print(gateway.url, flush=True)
        sys.stdin.read()


@contextmanager
def served(store: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "bench.content", "serve", str(store)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.close()


def fetching(folder: Path) -> dict[str, float]:
    """Medians of a fetch from two gateways and of ``curl`` from one."""
    path = make_file(folder / "payload", FETCH_BYTES)
    stores = [folder / "served-1", folder / "served-2"]
    cid, _ = (LocalStore(store).put_file(path) for store in stores)
    size, ours, curls = FETCH_BYTES / 1e6, [], []
    with served(stores[0]) as one, served(stores[1]) as two:
        for number in range(2 * ROUNDS):
            target = folder / f"fetched-{number}"
            car = folder / f"curl-{number}.car"
            curl = ["curl", "--silent", "--fail", "--output", str(car), f"{one}/ipfs/{cid}?format=car"]
            curls.append(size / seconds(lambda curl=curl: told(*curl)))  # type: ignore[misc]
            fetcher = Fetcher(LocalStore(target))
            ours.append(size / seconds(lambda f=fetcher: f.fetch(cid, [one, two], max_bytes=FETCH_BYTES)))  # type: ignore[misc]
    return {
        "fetch_mbps": round(statistics.median(ours), 1),
        "curl_mbps": round(statistics.median(curls), 1),
        "fetch_over_curl": round(statistics.median(a / b for a, b in zip(ours, curls, strict=True)), 3),
        "fetch_bytes": FETCH_BYTES,
    }


def main() -> dict[str, Any]:
    """Measures everything; returns what goes into the report."""
    keep_freed_memory()  # as the command lines do
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=REPORT.parent) as name:
        folder = Path(name)
        path = make_file(folder / "file", BYTES)
        found = {**hashing(path, folder), **cars(path, folder), "bytes": BYTES}
        path.unlink()
        return found | fetching(folder)


if __name__ == "__main__":
    match sys.argv[1:]:
        case []:
            report = main()
            REPORT.write_text(json.dumps(report, indent=2) + "\n")
            print(json.dumps(report, indent=2))
        case ["serve", store]:
            serve(store)
        case [action, store, car, cid]:
            car_work(action, store, car, cid)
        case other:
            raise SystemExit(f"no such work: {' '.join(other)}")
