"""The same thing read by several at the same time is read once."""

from __future__ import annotations

import asyncio
import contextvars
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..rest.transport import Answer, Transport


@dataclass(slots=True)
class _Asking:
    task: asyncio.Task[Answer]
    askers: int = 0


class SharedReads:
    """
    A transport over another: a read of what is being read already gets the same answer.

    An answer is never kept: it is at most as old as it took to come. The bodies are shared, so nobody may change them.

    :param transport: what really asks.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._asking: dict[tuple[Any, ...], _Asking] = {}

    async def request(
        self, method: str, url: str, *, params: dict[str, str] | None = None, reader: str = "", **options: Any
    ) -> Answer:
        """Send a request and return the answer, as Transport.request does."""
        if method != "GET":
            return await self._transport.request(method, url, params=params, reader=reader, **options)
        key = (url, tuple(sorted((params or {}).items())), reader)
        if (asking := self._asking.get(key)) is None:
            # In a context of its own: what Airflow keeps there to tell triggers' logs apart is the first asker's alone.
            task = asyncio.get_running_loop().create_task(
                self._transport.request(method, url, params=params, reader=reader, **options),
                context=contextvars.Context(),
            )
            asking = self._asking[key] = _Asking(task)
            task.add_done_callback(lambda done: self._answered(key, done))
        asking.askers += 1
        try:
            return await asyncio.shield(asking.task)
        finally:
            asking.askers -= 1
            if not asking.askers and not asking.task.done():
                del self._asking[key]
                asking.task.cancel()

    def _answered(self, key: tuple[Any, ...], task: asyncio.Task[Answer]) -> None:
        if (asking := self._asking.get(key)) is not None and asking.task is task:
            del self._asking[key]
        if not task.cancelled():
            task.exception()  # it is seen, also when all who asked have left
