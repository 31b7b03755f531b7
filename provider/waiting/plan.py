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
from typing import TYPE_CHECKING, Any, TypeVar

from .. import metrics
from ..errors import AzureMachineLearningError, TransientError
from ..shared import SharedInLoop
from .rounds import Roster, Round, Subject
from .shared_reads import SharedReads

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from contextlib import AbstractAsyncContextManager

    from ..connection import WorkspaceConnection
    from ..rest.client import WorkspaceClient

_T = TypeVar("_T")
log = logging.getLogger(__name__)

_CHECKS_AT_ONCE = 16
_WOKEN_AT_ONCE = 200  # waits for one and the same thing, so that the event loop has time for others in between
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


@dataclass(frozen=True, slots=True)
class Question:
    """
    What somebody waits for.

    :param listing: the list that may show it.
    :param name: its name there.
    :param calls_for_check: whether an item of the list is a reason to check now. It gets the item about this name, or
        None when the whole list does not mention it. Where a list can say less than a check would, it has to say yes.
    """

    listing: Listing
    name: str
    calls_for_check: Callable[[dict[str, Any] | None], bool]


@dataclass(slots=True, eq=False)
class _Wait:
    question: Question
    interval: float
    turn: asyncio.Future[None] | None = None


@dataclass(slots=True, eq=False)
class _Place:
    """A subject, those who wait for it, and how far its check is."""

    subject: Subject
    roster: Roster
    waits: list[_Wait] = field(default_factory=list)
    checking: int = 0  # waits that check it now
    is_listed: bool = False  # a list was the reason to check it
    is_spot_check: bool = False  # it is read although a list has just called it unchanged
    held_until: float = -math.inf  # the service was busy: whatever a list says, it is not asked sooner


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
        self._rosters: dict[Listing, Roster] = {}
        self._places: dict[tuple[Listing, str], _Place] = {}
        self._ready: list[tuple[float, int, _Place]] = []
        self._number = itertools.count()
        self._checking = 0
        self._waits = 0
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

    async def wait(self, question: Question, check: Callable[[], Awaitable[_T | None]], *, interval: float) -> _T:
        """
        Check, each time that it is this wait's turn, until there is something.

        :param check: reads the thing itself; returns None as long as there is nothing.
        :param interval: seconds between two checks at most, as far as the budget of reads allows; the first comes after
            one interval, as the waiter has just checked.
        :raises Exception: what ``check`` raises, except TransientError, which is logged and waited out.
        """
        failures = 0
        with self._enrolled(question, interval) as (place, wait):
            while True:
                await self._turn(place, wait)
                pause, found, failed = interval, None, False
                try:
                    found = await check()
                    failures = 0
                except TransientError as error:
                    failures, failed = failures + 1, True
                    pause = max(interval * min(2 ** (failures - 1), _MOST_BACKOFF), error.retry_after or 0)
                    log.warning("%s Trying again in %.0f s.", error, pause)
                finally:
                    self._checked(place, pause, found=found is not None, failed=failed)
                if found is not None:
                    return found

    @contextlib.contextmanager
    def _enrolled(self, question: Question, interval: float) -> Any:
        now, key = self._now(), (question.listing, question.name)
        roster = self._rosters.setdefault(question.listing, Roster())
        subject = roster.join(question.name, interval, now, now + interval)
        place = self._places.setdefault(key, _Place(subject, roster))
        wait = _Wait(question, interval)
        place.waits.append(wait)
        self._waits += 1
        self._changed.set()
        try:
            yield place, wait
        finally:
            place.waits.remove(wait)
            self._waits -= 1
            if not place.waits:
                roster.leave(subject)
                del self._places[key]
                if not roster.subjects and question.listing not in self._reading:
                    self._rosters.pop(question.listing, None)

    async def _turn(self, place: _Place, wait: _Wait) -> None:
        wait.turn = asyncio.get_running_loop().create_future()
        try:
            await wait.turn
        except asyncio.CancelledError:
            if wait.turn.done() and not wait.turn.cancelled():
                self._checked(place, 0.0, found=False, failed=False)
            raise
        finally:
            wait.turn = None

    def _checked(self, place: _Place, pause: float, *, found: bool, failed: bool) -> None:
        """Take note that one wait has checked; the subject's check ends with the last of them."""
        now = self._now()
        if failed:
            place.held_until = max(place.held_until, now + pause)
        if found and place.is_spot_check and not place.is_listed:
            place.roster.contradicted()
        place.checking -= 1
        if place.checking == 0:
            self._checking -= 1
            place.is_listed = place.is_spot_check = place.subject.busy = False
            if not failed:
                place.subject.checked = now
            if place.subject.name in place.roster.subjects:
                place.roster.expect(place.subject, max(place.held_until, now + place.subject.interval))
            self._changed.set()

    async def _keep(self) -> None:
        """Begin each round when it is due, and give turns."""
        while True:
            self._changed.clear()
            try:
                self._begin_rounds()
                await self._give_turns()
            except Exception:  # all waits hang on this
                log.exception("The plan of waits goes on after a mistake of its own.")
                await asyncio.sleep(1.0)
            idle = (roster for listing, roster in self._rosters.items() if listing not in self._reading)
            wake = min((roster.next_due for roster in idle), default=math.inf)
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
                self._finish(listing, roster, round_)

    def _finish(self, listing: Listing, roster: Roster, round_: Round) -> None:
        quiet = set(map(id, round_.quiet))
        for subject in roster.finish(round_, self._now()):
            if (place := self._places.get((listing, subject.name))) is not None and not subject.busy:
                self._make_ready(place, spot_check=id(subject) in quiet)

    async def _read(self, listing: Listing, roster: Roster, round_: Round) -> None:
        """Read as much of a list as is worth it; then those whom it did not mention one by one."""
        try:
            await self._read_pages(listing, round_)
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
            self._finish(listing, roster, round_)
            del self._reading[listing]
            if not roster.subjects:
                self._rosters.pop(listing, None)
            self._changed.set()

    async def _read_pages(self, listing: Listing, round_: Round) -> None:
        link: str | None = None
        while round_.wants_a_page():
            round_.begin_page()
            page = await self._page(listing, link)
            metrics.count("azureml.waits.pages", **self._tags)
            for item in page.get("value") or ():
                if (place := self._places.get((listing, item["name"]))) is not None:
                    self._mention(place, round_, item)
            if not (link := page.get("nextLink")):
                self._miss(listing, round_)
            self._changed.set()
            if not link:
                return

    def _miss(self, listing: Listing, round_: Round) -> None:
        """Take note of whom a whole list does not mention."""
        for name in list(round_.due):
            place = self._places.get((listing, name))
            if place is not None and not sum(wait.question.calls_for_check(None) for wait in place.waits):
                self._mention(place, round_, None)

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

    def _mention(self, place: _Place, round_: Round, item: dict[str, Any] | None) -> None:
        subject, now = place.subject, self._now()
        round_.mentions(subject)
        if subject.busy or now < place.held_until:
            return
        if sum(wait.question.calls_for_check(item) for wait in place.waits):  # not any(): each logs what it saw
            self._make_ready(place, listed=True)
        else:
            round_.quiet.append(subject)
            place.roster.expect(subject, now + subject.interval)

    def _make_ready(self, place: _Place, *, listed: bool = False, spot_check: bool = False) -> None:
        place.is_listed, place.is_spot_check, place.subject.busy = listed, spot_check, True
        heapq.heappush(self._ready, (place.subject.urgency(listed=listed), next(self._number), place))

    async def _give_turns(self) -> None:
        while self._ready and self._checking < _CHECKS_AT_ONCE:
            _, _, place = heapq.heappop(self._ready)
            turns = [wait.turn for wait in place.waits if wait.turn and not wait.turn.done()]
            if not turns:
                place.subject.busy = False
                if place.subject.name in place.roster.subjects:
                    place.roster.expect(place.subject, self._now() + place.subject.interval)
                continue
            place.checking = len(turns)
            self._checking += 1
            metrics.count("azureml.waits.checks", why=_why(place), **self._tags)
            for start in range(0, len(turns), _WOKEN_AT_ONCE):
                if start:
                    await asyncio.sleep(0)
                for turn in turns[start : start + _WOKEN_AT_ONCE]:
                    if not turn.done():
                        turn.set_result(None)
                    else:  # canceled meanwhile
                        self._checked(place, 0.0, found=False, failed=False)


def _why(place: _Place) -> str:
    return "listed" if place.is_listed else "spot" if place.is_spot_check else "due"


@contextlib.asynccontextmanager
async def _open_plan(connection: WorkspaceConnection) -> AsyncIterator[Plan]:
    from ..rest.transport import shared_transport

    async with shared_transport(connection) as transport, Plan(connection, transport) as plan:
        yield plan


_plans = SharedInLoop(_open_plan)


def plan_of_waits(connection: WorkspaceConnection) -> AbstractAsyncContextManager[Plan]:
    """Give the plan that all share who wait in this event loop over the same connection."""
    return _plans.use(connection)
