"""One for all who use it in an event loop: opened once, closed with the last, whatever goes wrong."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from airflow_provider_azureml.provider.shared import SharedInLoop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Thing:
    """Something that has to be opened and closed, and takes a moment for both."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.is_open = False


class Things:
    """Makes them; the first ``failures`` cannot be opened."""

    def __init__(self, failures: int = 0) -> None:
        self.made: list[Thing] = []
        self.failures = failures
        self.shared = SharedInLoop(self._open)

    @asynccontextmanager
    async def _open(self, key: str) -> AsyncIterator[Thing]:
        await asyncio.sleep(0)
        if self.failures:
            self.failures -= 1
            raise OSError("cannot be opened")
        thing = Thing(key)
        self.made.append(thing)
        thing.is_open = True
        try:
            yield thing
        finally:
            await asyncio.sleep(0)
            thing.is_open = False

    async def use(self, key: str = "a", seconds: float = 0.0) -> Thing:
        async with self.shared.use(key) as thing:
            assert thing.is_open
            await asyncio.sleep(seconds)
            assert thing.is_open
            return thing


async def test_all_who_use_it_at_the_same_time_get_the_same_which_is_closed_with_the_last():
    things = Things()
    used = await asyncio.gather(*(things.use(seconds=number / 1000) for number in range(20)))
    assert len(set(used)) == len(things.made) == 1
    assert not used[0].is_open
    assert len(things.shared) == 0


async def test_each_key_has_its_own():
    things = Things()
    one, other = await asyncio.gather(things.use("a", 0.01), things.use("b", 0.01))
    assert (one.key, other.key) == ("a", "b")


async def test_whoever_comes_after_the_last_has_left_gets_a_new_one_also_while_the_old_one_is_closed():
    things = Things()
    leaving = asyncio.create_task(things.use())
    while not things.made:
        await asyncio.sleep(0)
    await asyncio.sleep(0)  # it has begun to close
    assert len(things.shared) == 0
    assert things.made[0].is_open
    assert await things.use() is not await leaving


def test_each_event_loop_has_its_own_also_while_another_runs_in_another_thread():
    things = Things()

    async def use_while_another_does() -> None:
        async with things.shared.use("a") as thing:
            with ThreadPoolExecutor(1) as another:
                assert another.submit(asyncio.run, things.use()).result() is not thing

    asyncio.run(use_while_another_does())
    assert [thing.is_open for thing in things.made] == [False, False]


async def test_when_it_cannot_be_opened_the_next_who_waits_for_it_tries():
    things = Things(failures=1)
    first, *others = await asyncio.gather(*(things.use(seconds=0.01) for _ in range(3)), return_exceptions=True)
    assert isinstance(first, OSError)
    assert others == things.made * 2
    assert len(things.shared) == 0


async def test_one_that_is_canceled_while_it_opens_takes_it_from_nobody():
    things = Things()
    canceled, waiting = asyncio.create_task(things.use()), asyncio.create_task(things.use())
    await asyncio.sleep(0)
    canceled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await canceled
    assert await waiting is things.made[-1]
    assert len(things.shared) == 0


async def test_a_user_that_fails_closes_it_for_no_other():
    things = Things()

    async def fail() -> None:
        async with things.shared.use("a"):
            raise ZeroDivisionError

    async with things.shared.use("a") as thing:
        with pytest.raises(ZeroDivisionError):
            await fail()
        assert thing.is_open
    assert not thing.is_open
