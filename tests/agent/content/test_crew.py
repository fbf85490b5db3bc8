"""Threads that are kept: used again, as many as there is work at once, gone when there is none."""

from __future__ import annotations

import queue
import threading

from nodeagent.content.crew import Crew

WAIT = 30.0


def test_do__one_piece_after_the_other__one_thread() -> None:
    crew, said = Crew(), queue.SimpleQueue[int]()
    idents = set()
    for _ in range(20):
        crew.do(lambda: said.put(threading.get_ident()))
        idents.add(said.get(timeout=WAIT))
        while not crew.idle:  # it says so just after its work
            pass
    assert len(idents) == 1 and crew.idle == 1


def test_do__work_that_waits__others_are_not_held_up() -> None:
    crew, gate, said = Crew(), threading.Event(), queue.SimpleQueue[int]()
    for number in range(5):
        crew.do(lambda number=number: (gate.wait(WAIT), said.put(number)))  # type: ignore[misc]
    crew.do(lambda: said.put(-1))
    assert said.get(timeout=WAIT) == -1
    gate.set()
    assert {said.get(timeout=WAIT) for _ in range(5)} == set(range(5))


def test_do__nothing_to_do__the_thread_ends_and_another_takes_the_next() -> None:
    crew, said = Crew(idle_s=0.01), queue.SimpleQueue[threading.Thread]()
    crew.do(lambda: said.put(threading.current_thread()))
    first = said.get(timeout=WAIT)
    first.join(WAIT)
    assert not first.is_alive() and crew.idle == 0
    crew.do(lambda: said.put(threading.current_thread()))
    assert said.get(timeout=WAIT) is not first


def test_do__asked_just_when_they_give_up__nothing_is_lost() -> None:
    crew, said = Crew(idle_s=0.0005), queue.SimpleQueue[int]()
    for number in range(500):
        crew.do(lambda number=number: said.put(number))  # type: ignore[misc]
        if number % 3 == 0:
            threading.Event().wait(0.0005)
    assert sorted(said.get(timeout=WAIT) for _ in range(500)) == list(range(500))
