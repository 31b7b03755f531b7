"""The log of every call, for assertions and for the eye."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from .storage import storage_service

KEEP = 100_000
"""How many calls are kept; the oldest are forgotten first."""
KEEP_ANSWERS = 5_000
"""How many answers are kept, if they are asked for."""


@dataclass(slots=True)
class Call:
    """One call as it came and as it was answered; `status` is 0 when the answer never left."""

    number: int
    at: float
    method: str
    host: str
    path: str
    query: dict[str, str]
    api_version: str = ""
    principal: str = ""
    template: str = ""
    user_agent: str = ""
    client_request_id: str = ""
    status: int = 0
    milliseconds: float = 0.0
    known: bool = True
    fault: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class Match:
    """Which calls are meant; `path` and `host` are regular expressions, searched in the path and the host.

    Fields that are not given match everything, with one exception: calls to storage are meant only if `host` is given.
    """

    method: str | None = None
    path: str | None = None
    host: str | None = None
    status: int | None = None
    principal: str | None = None
    path_contains: str | None = None
    query: dict[str, str] = field(default_factory=dict)

    def meets(self, call: Call) -> bool:
        """Say whether a call is meant."""
        return (
            (self.method is None or call.method == self.method.upper())
            and (self.path is None or re.search(self.path, call.path, re.IGNORECASE) is not None)
            and (self.path_contains is None or self.path_contains.lower() in call.path.lower())
            and self._meets_host(call.host)
            and (self.status is None or call.status == self.status)
            and (self.principal is None or call.principal == self.principal)
            and all(call.query.get(name) == value for name, value in self.query.items())
        )

    def _meets_host(self, host: str) -> bool:
        return storage_service(host) is None if self.host is None else re.search(self.host, host) is not None


class _Waiting:
    """Somebody who waits for so many calls."""

    def __init__(self, match: Match, count: int, after: int, seen: list[Call]) -> None:
        self.match, self.count, self.after, self.seen = match, count, after, seen
        self.done = asyncio.Event()
        self._look()

    def notice(self, call: Call) -> None:
        """Take note of a call that was answered."""
        if call.number > self.after and self.match.meets(call):
            self.seen.append(call)
            self._look()

    def _look(self) -> None:
        if len(self.seen) >= self.count:
            self.done.set()


class CallLog:
    """The calls, oldest first; answered calls wake those who wait for them."""

    def __init__(self) -> None:
        self.answers: deque[dict[str, Any]] = deque(maxlen=KEEP_ANSWERS)
        """What calls were answered, bodies included, for whoever takes them away."""
        self._calls: deque[Call] = deque(maxlen=KEEP)
        self._number = 0
        self._waiting: list[_Waiting] = []

    def begin(self, at: float, method: str, host: str, path: str, query: dict[str, str]) -> Call:
        """Note that a call came in."""
        self._number += 1
        call = Call(self._number, at, method, host, path, query, query.get("api-version", ""))
        self._calls.append(call)
        return call

    def end(self, call: Call, milliseconds: float) -> None:
        """Note that a call was answered."""
        call.milliseconds = milliseconds
        for waiting in self._waiting:
            waiting.notice(call)

    def find(self, match: Match, after: int = 0) -> Iterable[Call]:
        """Yield the calls that are meant, of those with a number above `after`."""
        return (call for call in self._calls if call.number > after and match.meets(call))

    async def wait(self, match: Match, count: int, seconds: float, after: int = 0) -> list[dict[str, Any]]:
        """Wait until `count` such calls were answered; return those that were, too few if the time ran out."""
        waiting = _Waiting(match, count, after, [call for call in self.find(match, after) if call.milliseconds])
        self._waiting.append(waiting)
        try:
            async with asyncio.timeout(seconds):
                await waiting.done.wait()
        except TimeoutError:
            pass
        finally:
            self._waiting.remove(waiting)
        return [asdict(call) for call in waiting.seen]

    def clear(self) -> None:
        """Forget all calls."""
        self._calls.clear()
