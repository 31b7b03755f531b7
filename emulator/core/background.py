"""What the service does in storage of its own accord, behind the caller's back and one after the other."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

_log = logging.getLogger(__name__)


class Background:
    """A line of blocking calls, made in a thread in the order in which they were asked for."""

    def __init__(self) -> None:
        self._waiting: asyncio.Queue[Callable[[], None]] = asyncio.Queue()

    def run(self, errand: Callable[[], None], delay: float = 0.0) -> None:
        """Put an errand at the end of the line, after a delay if one is given."""
        if delay:
            asyncio.get_running_loop().call_later(delay, self._waiting.put_nowait, errand)
        else:
            self._waiting.put_nowait(errand)

    async def wait_for(self, errand: Callable[[], None]) -> None:
        """Put an errand at the end of the line, and wait until it has been run."""
        done = asyncio.Event()
        loop = asyncio.get_running_loop()

        def run() -> None:
            try:
                errand()
            finally:
                loop.call_soon_threadsafe(done.set)

        self.run(run)
        await done.wait()

    async def work(self) -> None:
        """Run the errands until cancelled; one that fails is logged and forgotten."""
        while True:
            errand = await self._waiting.get()
            try:
                await asyncio.to_thread(errand)
            except Exception:  # noqa: BLE001 - the next errand is worth running all the same
                _log.exception("an errand failed")
