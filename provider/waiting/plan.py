"""
All waits of one workspace in a triggerer: which of them check when, in as few reads as are needed.

A trigger waits for its turn, checks, and waits for the next turn if there is nothing yet. The plan decides whose turn
it is, from lists where one answers for many (``rounds.py``). The check itself is always an exact read, of the thing
and not of a list.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import heapq
import itertools
import logging
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from .. import metrics
from ..errors import AzureMachineLearningError, TransientError
from ..shared import SharedInLoop
from .rounds import Roster, Subject
from .shared_reads import SharedReads

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from ..connection import WorkspaceConnection
    from ..rest.client import WorkspaceClient
    from .rounds import Round

log = logging.getLogger(__name__)

_CHECKS_AT_ONCE = 16
_WOKEN_AT_ONCE = 200  # waits, so that the event loop has time for others in between
_PAGE_TRIES = 4
_MOST_BACKOFF = 8  # intervals


@dataclass(frozen=True, slots=True)
class Listing:
    """
    A list that may answer for many things at once.

    :param path: below the workspace: ``("computes",)``, ``("onlineEndpoints", "fraud", "deployments")``.
    :param params: query parameters, as pairs.
    """

    path: tuple[str, ...]
    params: tuple[tuple[str, str], ...] = ()


class Waiter(Protocol):
    """
    Who waits for something.

    A triggerer may have ten thousand, and Python's garbage collector, which holds the event loop up, looks at whatever
    each of them keeps: so the plan is given this one object and no closures, and a wait is one coroutine.
    """

    def listing_and_name(self) -> tuple[Listing, str]:
        """Return the list that may show it, and its name there."""

    def see_listed(self, item: dict[str, Any] | None) -> bool:
        """
        Take note of what the list shows, and return whether that is a reason to check now.

        It gets the item about this name, or None when the whole list does not mention it. Where a list can say less
        than a check would, it has to say yes.
        """

    async def check_once(self, client: WorkspaceClient) -> Any:
        """Read the thing itself, and return what was found, or None as long as there is nothing."""

    def remind(self) -> float:
        """
        Do what is to be done now and then, and return after how many seconds to be reminded again.

        It is called in the waiter's own task, at the beginning too. What it raises ends the wait.
        """


@dataclass(slots=True, eq=False)
class _Wait:
    waiter: Waiter
    interval: float
    remind_at: float
    turn: asyncio.Future[bool] | None = None  # True: to check; False: to be reminded


@dataclass(slots=True, eq=False)
class _Place(Subject):
    """A subject, those who wait for it, and how far its check is."""

    waits: list[_Wait] = field(default_factory=list)
    checking: int = 0  # waits that check it now
    is_listed: bool = False  # a list was the reason to check it
    is_spot_check: bool = False  # it is read although a list has just called it unchanged
    held_until: float = -math.inf  # the service was busy: whatever a list says, it is not asked sooner


_Places = Roster[_Place]


class Plan:
    """
    The waits of one workspace in one event loop. An async context manager.

    :param connection: which workspace, and who asks.
    :param transport: a pipeline to share; it is not closed here.
    """

    def __init__(self, connection: WorkspaceConnection, transport: Any) -> None:
        from ..rest.registry_client import client_for

        reads: Any = SharedReads(transport)
        name = connection.owner.label
        self.client: WorkspaceClient = client_for(connection, transport=reads, retry=False, reader=f"waits {name}")
        self._lists = client_for(connection, transport=transport, retry=False, reader=f"lists {name}")
        # What is shown of logs waits its own turn, and is never asked before what the waits themselves ask.
        self.logs = client_for(connection, transport=reads, retry=False, reader=f"logs {name}")
        self._tags = {"workspace": name}
        self._rosters: dict[Listing, _Places] = {}
        self._ready: list[tuple[float, int, _Places, _Place]] = []
        self._number = itertools.count()
        self._checking = 0
        self._waits = 0
        self._next_reminder = math.inf
        self._reading: dict[Listing, asyncio.Task[None]] = {}
        self._changed = asyncio.Event()
        self._now = asyncio.get_running_loop().time
        self._keeper = self._start(self._keep())

    async def __aenter__(self) -> Plan:
        return self

    async def __aexit__(self, *_: object) -> None:
        tasks = [self._keeper, *self._reading.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        metrics.gauge("azureml.waits", 0, **self._tags)

    def _start(self, work: Any) -> asyncio.Task[None]:
        # In a context of its own: what Airflow keeps there to tell triggers' logs apart belongs to one trigger.
        return asyncio.get_running_loop().create_task(work, context=contextvars.Context())

    async def wait(self, waiter: Waiter, *, interval: float) -> Any:
        """
        Let somebody check, each time that it is their turn, until there is something, and return that.

        :param interval: seconds between two checks at most, as far as the budget of reads allows; the first comes after
            one interval, as the waiter has just checked.
        :raises Exception: what a check or a reminder raises, except TransientError of a check, which is logged and
            waited out.
        """
        failures = 0
        roster, place, wait = self._enroll(waiter, interval)
        try:
            while True:
                if self._now() >= wait.remind_at:
                    wait.remind_at = self._now() + waiter.remind()
                    self._remind_at(wait.remind_at)
                wait.turn = asyncio.get_running_loop().create_future()
                try:
                    checks = await wait.turn
                except asyncio.CancelledError:
                    if wait.turn.done() and not wait.turn.cancelled() and wait.turn.result():
                        self._checked(roster, place, 0.0, found=False, failed=False)
                    raise
                finally:
                    wait.turn = None
                if not checks:
                    continue
                pause, found, failed = interval, None, False
                try:
                    found = await waiter.check_once(self.client)
                    failures = 0
                except TransientError as error:
                    failures, failed = failures + 1, True
                    pause = max(interval * min(2 ** (failures - 1), _MOST_BACKOFF), error.retry_after or 0)
                    log.warning("%s Trying again in %.0f s.", error, pause)
                finally:
                    self._checked(roster, place, pause, found=found is not None, failed=failed)
                if found is not None:
                    return found
        finally:
            self._leave(roster, place, wait)

    def _enroll(self, waiter: Waiter, interval: float) -> tuple[_Places, _Place, _Wait]:
        (listing, name), now = waiter.listing_and_name(), self._now()
        if (roster := self._rosters.get(listing)) is None:
            roster = self._rosters[listing] = Roster(_Place)
        place = roster.join(_folded(name), interval, now, now + interval)
        wait = _Wait(waiter, interval, remind_at=now)
        place.waits.append(wait)
        self._waits += 1
        self._changed.set()
        return roster, place, wait

    def _leave(self, roster: _Places, place: _Place, wait: _Wait) -> None:
        place.waits.remove(wait)
        self._waits -= 1
        if not place.waits:
            roster.leave(place)
            if not roster.subjects:
                self._forget_empty_rosters()

    def _forget_empty_rosters(self) -> None:
        for listing, roster in list(self._rosters.items()):
            if not roster.subjects and listing not in self._reading:
                del self._rosters[listing]

    def _remind_at(self, when: float) -> None:
        if when < self._next_reminder:
            self._next_reminder = when
            self._changed.set()

    async def _remind(self) -> None:
        """Wake those who want to be reminded. One who checks is reminded after it."""
        if (now := self._now()) < self._next_reminder:
            return
        waits = [
            wait for roster in self._rosters.values() for place in roster.subjects.values() for wait in place.waits
        ]
        self._next_reminder = min((wait.remind_at for wait in waits if wait.remind_at > now), default=math.inf)
        turns = [wait.turn for wait in waits if wait.remind_at <= now and wait.turn and not wait.turn.done()]
        for start in range(0, len(turns), _WOKEN_AT_ONCE):
            for turn in turns[start : start + _WOKEN_AT_ONCE]:
                if not turn.done():
                    turn.set_result(False)
            await asyncio.sleep(0)  # after it they wait for their turn again

    def _checked(self, roster: _Places, place: _Place, pause: float, *, found: bool, failed: bool) -> None:
        """Take note that one wait has checked; the subject's check ends with the last of them."""
        now = self._now()
        if failed:
            place.held_until = max(place.held_until, now + pause)
        if found and place.is_spot_check and not place.is_listed:
            roster.contradicted()
        place.checking -= 1
        if place.checking == 0:
            self._checking -= 1
            place.is_listed = place.is_spot_check = place.busy = False
            if not failed:
                place.checked = now
            if place.name in roster.subjects:
                roster.expect(place, max(place.held_until, now + place.interval))
            self._changed.set()

    async def _keep(self) -> None:
        """Begin each round when it is due, and give turns."""
        while True:
            self._changed.clear()
            try:
                self._begin_rounds()
                await self._remind()
                await self._give_turns()
            except Exception:  # all waits hang on this
                log.exception("The plan of waits goes on after a mistake of its own.")
                await asyncio.sleep(1.0)
            idle = (roster for listing, roster in self._rosters.items() if listing not in self._reading)
            wake = min((roster.next_due for roster in idle), default=math.inf)
            wake = min(wake, self._next_reminder)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(None if wake == math.inf else max(0.01, wake - self._now())):
                    await self._changed.wait()

    def _begin_rounds(self) -> None:
        now = self._now()
        for listing, roster in list(self._rosters.items()):
            if roster.next_due > now or listing in self._reading or not (round_ := roster.begin(now)).due:
                continue
            metrics.gauge("azureml.waits", self._waits, **self._tags)
            if round_.wants_a_page():
                self._reading[listing] = self._start(self._read(listing, roster, round_))
            else:
                self._finish(roster, round_)

    def _finish(self, roster: _Places, round_: Round[_Place]) -> None:
        quiet = set(map(id, round_.quiet))
        for place in roster.finish(round_, self._now()):
            if roster.subjects.get(place.name) is place and not place.busy:
                self._make_ready(roster, place, spot_check=id(place) in quiet)

    async def _read(self, listing: Listing, roster: _Places, round_: Round[_Place]) -> None:
        """Read as much of a list as is worth it; then those whom it did not mention one by one."""
        try:
            await self._read_pages(listing, roster, round_)
            roster.agreed()
        except TransientError as error:
            log.info("A list was read up to page %d; the others are read one by one. %s", round_.pages, error)
        except AzureMachineLearningError as error:
            roster.refused()
            log.warning("What is waited for is read one by one, as its list cannot be read. %s", error)
        except Exception:  # whatever the list holds, the waits go on without it
            roster.refused()
            log.exception("What is waited for is read one by one, as its list is not understood.")
        finally:
            self._finish(roster, round_)
            del self._reading[listing]
            self._forget_empty_rosters()
            self._changed.set()

    async def _read_pages(self, listing: Listing, roster: _Places, round_: Round[_Place]) -> None:
        from ..rest.bodies import next_link

        link: str | None = None
        links: set[str] = set()
        while round_.wants_a_page():
            round_.begin_page()
            page = await self._page(listing, link)
            metrics.count("azureml.waits.pages", **self._tags)
            for item in page.get("value") or ():
                if (place := roster.subjects.get(_folded(item["name"]))) is not None:
                    self._mention(roster, place, round_, item)
            if not (link := next_link(page, links)):
                self._miss(roster, round_)
            self._changed.set()
            if not link:
                return

    def _miss(self, roster: _Places, round_: Round[_Place]) -> None:
        """Take note of whom a whole list does not mention."""
        for place in list(round_.due.values()):
            if roster.subjects.get(place.name) is place and not sum(
                wait.waiter.see_listed(None) for wait in place.waits
            ):
                self._mention(roster, place, round_, None)

    async def _page(self, listing: Listing, link: str | None) -> dict[str, Any]:
        for attempt in itertools.count(1):
            try:
                return await self._lists.get_page(*listing.path, params=dict(listing.params), link=link)
            except TransientError as error:
                if attempt == _PAGE_TRIES:
                    raise
                # After a 429 the budget of reads is quiet for as long as the service asks.
                await asyncio.sleep(max(0.5 * 2**attempt, min(error.retry_after or 0, 60.0)))
        raise AssertionError

    def _mention(self, roster: _Places, place: _Place, round_: Round[_Place], item: dict[str, Any] | None) -> None:
        now = self._now()
        round_.mentions(place)
        if place.busy or now < place.held_until:
            return
        if sum(wait.waiter.see_listed(item) for wait in place.waits):  # not any(): each notes it
            self._make_ready(roster, place, listed=True)
        else:
            round_.quiet.append(place)
            roster.expect(place, now + place.interval)

    def _make_ready(self, roster: _Places, place: _Place, *, listed: bool = False, spot_check: bool = False) -> None:
        place.is_listed, place.is_spot_check, place.busy = listed, spot_check, True
        heapq.heappush(self._ready, (place.urgency(listed=listed), next(self._number), roster, place))

    async def _give_turns(self) -> None:
        while self._ready and self._checking < _CHECKS_AT_ONCE:
            _, _, roster, place = heapq.heappop(self._ready)
            turns = [wait.turn for wait in place.waits if wait.turn and not wait.turn.done()]
            if not turns:
                place.busy = False
                if place.name in roster.subjects:
                    roster.expect(place, self._now() + place.interval)
                continue
            place.checking = len(turns)
            self._checking += 1
            metrics.count("azureml.waits.checks", why=_why(place), **self._tags)
            for start in range(0, len(turns), _WOKEN_AT_ONCE):
                if start:
                    await asyncio.sleep(0)
                for turn in turns[start : start + _WOKEN_AT_ONCE]:
                    if not turn.done():
                        turn.set_result(True)
                    else:  # canceled meanwhile
                        self._checked(roster, place, 0.0, found=False, failed=False)


def _folded(name: str) -> str:
    """Return a name as all spell it: ARM's names have no case, and a list may have another than the waiter."""
    return name.lower()


def _why(place: _Place) -> str:
    return "listed" if place.is_listed else "spot" if place.is_spot_check else "due"


@contextlib.asynccontextmanager
async def _open_plan(connection: WorkspaceConnection) -> AsyncIterator[Plan]:
    from ..rest.transport import shared_transport

    async with shared_transport(connection) as transport, Plan(connection, transport) as plan:
        yield plan


plans = SharedInLoop(_open_plan)
"""The plan that all share who wait in an event loop for the same workspace in the same name."""
