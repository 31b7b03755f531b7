"""One for all who use it in an event loop: made for the first of them, closed with the last."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_Key = TypeVar("_Key", bound=Hashable)
_Thing = TypeVar("_Thing")


@dataclass(slots=True, eq=False)
class _Shared(Generic[_Thing]):
    users: int = 0
    opening: asyncio.Lock = field(default_factory=asyncio.Lock)
    opened: list[_Thing] = field(default_factory=list)
    closing: AsyncExitStack = field(default_factory=AsyncExitStack)


class SharedInLoop(Generic[_Key, _Thing]):
    """
    Things that are shared by all who use the same one in an event loop: a triggerer runs thousands of triggers in one.

    :param open_one: returns the context manager of a new one, for a key.
    """

    def __init__(self, open_one: Callable[[_Key], AbstractAsyncContextManager[_Thing]]) -> None:
        self._open_one = open_one
        self._shared: dict[tuple[asyncio.AbstractEventLoop, _Key], _Shared[_Thing]] = {}

    def __len__(self) -> int:
        """Return how many are in use."""
        return len(self._shared)

    async def join(self, key: _Key) -> _Thing:
        """
        Return the one for a key; :meth:`leave` has to follow. Of what thousands hold, :meth:`use` would take more.

        Whoever comes while it is being opened waits for that; whoever comes while it is being closed gets a new one.

        :raises Exception: it could not be opened; then the next who waits for it tries, and nothing has to follow.
        """
        shared = self._shared.setdefault((asyncio.get_running_loop(), key), _Shared())
        shared.users += 1
        try:
            async with shared.opening:
                if not shared.opened:
                    shared.opened.append(await shared.closing.enter_async_context(self._open_one(key)))
            return shared.opened[0]
        except BaseException:
            await self.leave(key)
            raise

    async def leave(self, key: _Key) -> None:
        """End what :meth:`join` began; with the last who leaves, the thing is closed."""
        place = (asyncio.get_running_loop(), key)
        shared = self._shared[place]
        shared.users -= 1
        if not shared.users:
            del self._shared[place]
            await shared.closing.aclose()

    @asynccontextmanager
    async def use(self, key: _Key) -> AsyncIterator[_Thing]:
        """
        Give the one for a key, for as long as it is used.

        :raises Exception: it could not be opened.
        """
        thing = await self.join(key)
        try:
            yield thing
        finally:
            await self.leave(key)
