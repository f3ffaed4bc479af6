"""Generators that run in a thread: order, bounds, errors and ends."""

from __future__ import annotations

import threading
from contextlib import closing
from contextvars import ContextVar

import pytest

from coffea_equitag.read_ahead import read_ahead


def test_items_come_in_order_from_one_thread():
    def numbers():
        for number in range(20):
            yield number, threading.current_thread().name

    found = list(read_ahead(numbers(), 2))
    assert [number for number, _ in found] == list(range(20))
    assert {name for _, name in found} == {"equitag-ahead"}


def test_so_many_are_made_ahead_and_no_more():
    made, third = [], threading.Event()

    def numbers():
        for number in range(20):
            made.append(number)
            if number == 3:
                third.set()
            yield number

    with closing(read_ahead(numbers(), 2)) as items:
        assert next(items) == 0
        assert third.wait(60)  # 1 and 2 wait for us, and 3 for room
        assert made == [0, 1, 2, 3]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_comes_after_what_was_made_before_it(error):
    def numbers():
        yield 0
        yield 1
        raise error("two")

    items = read_ahead(numbers(), 5)
    assert [next(items), next(items)] == [0, 1]
    with pytest.raises(error, match="two"):
        next(items)


def test_the_thread_ends_with_who_asks():
    ended = []

    def numbers():
        try:
            while True:
                yield threading.current_thread()
        finally:
            ended.append(True)

    with closing(read_ahead(numbers(), 1)) as items:
        thread = next(items)
        assert thread.is_alive()
    assert not thread.is_alive()
    assert ended == [True]


def test_the_thread_sees_the_callers_context():
    wanted = ContextVar("wanted", default="")

    def values():
        yield wanted.get()

    token = wanted.set("ours")
    try:
        assert list(read_ahead(values(), 1)) == ["ours"]
    finally:
        wanted.reset(token)
