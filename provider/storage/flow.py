"""What bounds a transfer: how many requests and bytes are on their way at once, and the threads that read and write."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

REQUESTS = 32  # at once; more did not pay at 20 to 50 ms a request (benchmarks/upload_small_files.py)
BYTES = 48 * 2**20  # at once, so that all copies of them stay below 200 MB
BLOCK = 8 * 2**20  # files above this go in blocks
_BLOCKS = 50_000  # that a blob can have
_THREADS = 16


def block_size(size: int) -> int:
    """Return into blocks of how many bytes a file of this size goes."""
    return max(BLOCK, -(-size // _BLOCKS))


class Budget:
    """So many requests and bytes at once, and no more. One block that is larger than all goes alone."""

    def __init__(self) -> None:
        self._requests = self._bytes = 0
        self._freed = asyncio.Event()

    async def take(self, size: int) -> None:
        """Wait until there is room for one more request with this many bytes, and take it."""
        while self._requests >= REQUESTS or (self._requests and self._bytes + size > BYTES):
            self._freed.clear()
            await self._freed.wait()
        self._requests += 1
        self._bytes += size

    def give(self, size: int) -> None:
        """Give back what was taken."""
        self._requests -= 1
        self._bytes -= size
        self._freed.set()


class Threads:
    """
    Threads for what blocks: files, and object stores through fsspec.

    Unlike those of ``asyncio.to_thread``, nobody waits for them at the end: a task that is ended must not hang for a
    read that takes long. So what a thread may just be opening or using is closed by :meth:`at_end`.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="azureml-transfer")
        self._lock = threading.Lock()
        self._working = 0
        self._ended = False
        self._closing = ExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            self._ended, idle = True, not self._working
        if idle:
            self._closing.close()

    def at_end(self, close: Callable[[], Any]) -> None:
        """Call a function at the end, once no thread works any more."""
        self._closing.callback(close)

    async def run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a function in one of the threads."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._work, function, *arguments)

    def _work(self, function: Callable[..., Any], *arguments: Any) -> Any:
        with self._lock:
            if self._ended:
                return None  # nobody waits for it
            self._working += 1
        try:
            return function(*arguments)
        finally:
            if self._is_last():
                self._closing.close()

    def _is_last(self) -> bool:
        with self._lock:
            self._working -= 1
            return self._ended and not self._working
