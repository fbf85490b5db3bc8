"""The shelf: a budget over models, the least recently used first, never one in use, and a floor under the free disk."""

from __future__ import annotations

import contextlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nodeagent.runtimes.errors import Pass
from nodeagent.worker.shelf import NoRoom, Room, Shelf

ROOMY = 1 << 60


class Disk:
    """How much is free, less what lies in the folder."""

    def __init__(self, size: int = ROOMY) -> None:
        self.size = size

    def __call__(self, folder: Path) -> int:
        return self.size - sum(file.stat().st_size for file in folder.iterdir())


def shelf(folder: Path, max_bytes: int = 100, disk: Disk | None = None) -> Shelf:
    return Shelf(folder, Room(max_bytes, 50), disk or Disk())


def put(on: Shelf, name: str, size: int, *, evict: bool = True) -> None:
    with on.using(name, size, evict=evict) as path:
        path.write_bytes(bytes(size))


def held(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()}


def test_using__over_the_budget__the_least_recently_used_make_room(tmp_path: Path) -> None:
    on = shelf(tmp_path)
    for name in ("a", "b", "c"):
        put(on, name, 30)
    put(on, "a", 30)
    put(on, "d", 40)
    assert held(tmp_path) == {"c", "a", "d"}


def test_using__others_are_in_use__they_stay_and_there_is_no_room(tmp_path: Path) -> None:
    on = shelf(tmp_path)
    put(on, "idle", 30)
    with on.using("a", 40, evict=True) as path, on.using("a", 40, evict=True):
        path.write_bytes(bytes(40))
        put(on, "b", 60)
        assert held(tmp_path) == {"a", "b"}
        with pytest.raises(NoRoom, match="over the 100 that models may take"):
            put(on, "c", 61)
        assert held(tmp_path) == {"a", "b"}, "nothing goes for what cannot come anyway"
    put(on, "c", 61)
    assert held(tmp_path) == {"c"}
    assert issubclass(NoRoom, Pass)


def test_using__without_evict__takes_only_what_is_free(tmp_path: Path) -> None:
    on = shelf(tmp_path)
    put(on, "a", 60, evict=False)
    put(on, "a", 60, evict=False)
    with pytest.raises(NoRoom):
        put(on, "b", 41, evict=False)
    put(on, "b", 40, evict=False)
    assert held(tmp_path) == {"a", "b"}


def test_using__never_filled__takes_no_room(tmp_path: Path) -> None:
    on = shelf(tmp_path)
    with pytest.raises(ZeroDivisionError), on.using("a", 100, evict=True):
        raise ZeroDivisionError
    put(on, "b", 100, evict=False)


def test_using__told_too_large__counts_as_large_as_it_is(tmp_path: Path) -> None:
    on = shelf(tmp_path)
    with on.using("a", 90, evict=True) as path:
        path.write_bytes(bytes(10))
    put(on, "b", 90, evict=False)


def test_shelf__restarted__same_order_smaller_budget_and_no_halves(tmp_path: Path) -> None:
    on = shelf(tmp_path)
    for name in ("a", "b", "c"):
        put(on, name, 30)
    for seconds, name in ((1, "b"), (2, "c"), (3, "a")):
        os.utime(tmp_path / name, (seconds, seconds))
    (tmp_path / "d.0123.part").write_bytes(bytes(99))
    again = shelf(tmp_path, 60)
    assert held(tmp_path) == {"c", "a"}
    put(again, "c", 30)
    put(again, "d", 30)
    assert held(tmp_path) == {"c", "d"}


def test_writing__less_left_than_the_floor__no_room_and_nothing_goes_in_vain(tmp_path: Path) -> None:
    on = shelf(tmp_path, disk=Disk(140))
    put(on, "a", 40)
    with on.writing(50, evict=False):
        with pytest.raises(NoRoom, match="1 bytes short of the 50 to be left free"), on.writing(1, evict=False):
            pass
        with pytest.raises(NoRoom), on.writing(41, evict=True):
            pass
        assert held(tmp_path) == {"a"}
        with on.writing(40, evict=True):
            assert held(tmp_path) == set()
    with on.writing(90, evict=False):
        pass


def test_drop__in_use__stays(tmp_path: Path) -> None:
    on = shelf(tmp_path)
    put(on, "a", 10)
    with on.using("a", 10, evict=True):
        on.drop("a")
        assert held(tmp_path) == {"a"}
    on.drop("a")
    on.drop("never seen")
    assert held(tmp_path) == set()


def test_using__many_at_once_from_threads__nobody_loses_what_it_uses_and_the_budget_holds(tmp_path: Path) -> None:
    on, lost = shelf(tmp_path), list[int]()

    def one(number: int) -> None:
        with contextlib.suppress(NoRoom), on.using(f"m{number % 7}", 30, evict=True) as path:
            part = tmp_path / f"{number}.part"
            part.write_bytes(bytes(30))
            part.replace(path)
            held(tmp_path)
            if not path.exists():
                lost.append(number)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(one, range(200)))
    assert lost == [] and 1 <= len(held(tmp_path)) <= 3
