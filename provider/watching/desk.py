"""Where watchers ask for lists: a few are read at a time, each once however many ask, until the service answers."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING

from ...datasets.events import AssetVersion, parse_time
from ...datasets.workspace import Kind
from ..errors import AzureMachineLearningError, NotFoundError, RequestRefusedError, TransientError
from ..waiting.rounds import Roster, Subject
from .cursors import milliseconds

if TYPE_CHECKING:
    from ..rest.bodies import Job
    from ..rest.client import WorkspaceClient
    from ..waiting.rounds import Round

log = logging.getLogger(__name__)

JOBS = ""  # the name under which the workspace's list of jobs is asked for
_AT_ONCE = 4
_MOST_PAUSE = 60.0  # seconds between two tries while the service says no more than that it is busy
_INTERVAL = 60.0  # seconds between two lists of jobs, about: how many old jobs are worth further pages, or a read
_FORGOTTEN = 3600.0  # seconds after which a job that nobody has asked for is asked for no more


class View(IntEnum):
    """How much of a list is asked for; each holds what the ones before it hold."""

    RECENT = 1  # made since
    CHANGED = 2  # made or changed since
    ALL = 3


@dataclass(slots=True)
class Query:
    """
    What somebody asks of a list.

    :param since: of all but ALL: at this moment or later; milliseconds.
    :param jobs: names of jobs to be asked for where the list does not show them.
    """

    view: View = View.RECENT
    since: int = 0
    jobs: set[str] = field(default_factory=set)

    def merge(self, other: Query) -> None:
        """Ask for what another asks for, too."""
        self.view, self.since = max(self.view, other.view), min(self.since, other.since)
        self.jobs |= other.jobs


@dataclass(frozen=True, slots=True)
class Listing:
    """
    What a list holds, or the error that came instead.

    :param since: of all but ALL: what was asked for is of this moment or later; milliseconds. It may be less than
        another needs.
    :param asked: names of jobs that were asked for: those that are not among ``jobs`` do not exist.
    :param versions: not archived.
    :param archived: the archived ones, in the view ALL.
    :param is_whole: whether these are all versions that are not archived.
    :param changed: of CHANGED: when the last change was made, milliseconds; 0 if the list need not show changes first,
        so that next time all of it must be read again.
    :param newest: when the newest job of the workspace was made, ISO 8601, or empty.
    """

    view: View = View.ALL
    since: int = 0
    asked: frozenset[str] = frozenset()
    versions: tuple[AssetVersion, ...] = ()
    archived: tuple[AssetVersion, ...] = ()
    is_whole: bool = True
    changed: int = 0
    jobs: tuple[Job, ...] = ()
    newest: str = ""
    error: Exception | None = None


class Desk:
    """
    Reads the lists that watchers ask for, in turn; one for which the service is too busy goes to the end.

    :param kind: what is listed.
    :param on_found: is called when a list has come.
    """

    def __init__(self, kind: Kind, *, on_found: Callable[[], None]) -> None:
        self._client: WorkspaceClient | None = None
        self._kind = kind
        self._on_found = on_found
        self._wanted: dict[str, Query] = {}
        self._found: dict[str, Listing] = {}
        self._busy: dict[str, asyncio.Task[None]] = {}
        self._some = asyncio.Event()
        self._free = asyncio.Semaphore(_AT_ONCE)
        self._not_before = 0.0
        self._refused = 0
        self._open: Roster[Subject] = Roster(Subject)  # jobs that are older than what lists are read for
        self._knows_changes = True  # whether the service can be asked for what changed last
        self._shows_changes_first = False  # whether it was seen to do as it is asked then

    @property
    def client(self) -> WorkspaceClient:
        """
        What asks now.

        :raises TransientError: nothing does: there is no connection at the moment.
        """
        if self._client is None:
            raise TransientError("There is no connection at the moment.")
        return self._client

    def use(self, client: WorkspaceClient | None) -> None:
        """Ask with this client from now on; with none, wait for one."""
        self._client = client
        self._some.set()

    def want(self, name: str, query: Query) -> None:
        """Ask for a list. :meth:`collect` returns it once, a while later."""
        if name in self._wanted:
            self._wanted[name].merge(query)
        else:
            self._wanted[name] = query
        self._some.set()

    def collect(self) -> dict[str, Listing]:
        """Return the lists that have come since the last time."""
        found, self._found = self._found, {}
        self._some.set()
        return found

    async def run(self) -> None:
        """Serve until cancelled."""
        try:
            while True:
                await self._free.acquire()
                name, query = await self._next()
                self._busy[name] = asyncio.create_task(self._serve(name, query))
        finally:
            busy = [*self._busy.values()]
            for task in busy:
                task.cancel()
            await asyncio.gather(*busy, return_exceptions=True)

    async def _next(self) -> tuple[str, Query]:
        while True:
            # What nobody has collected yet is not to be overwritten.
            name = next((name for name in self._wanted if name not in self._busy and name not in self._found), None)
            pause = self._not_before - time.monotonic()
            if self._client is not None and name is not None and pause <= 0:
                return name, self._wanted.pop(name)
            self._some.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause if name is not None and pause > 0 else None):
                    await self._some.wait()

    async def _serve(self, name: str, query: Query) -> None:
        try:
            self._found[name] = await self._list(name, query)
            self._refused = 0
        except TransientError as error:
            self._wait(error)
            self.want(name, query)
            self._found.setdefault(name, Listing(error=error))
        except AzureMachineLearningError as error:
            self._found[name] = Listing(error=error)
        except Exception as error:
            log.exception("Listing %s %s failed.", self._kind.collection, name)
            self._found[name] = Listing(error=error)
        finally:
            del self._busy[name]
            self._free.release()
            self._some.set()
        self._on_found()

    def _wait(self, error: TransientError) -> None:
        """Ask nothing for as long as the service says, or longer and longer."""
        self._refused += 1
        pause = error.retry_after or min(2.0 ** min(self._refused - 1, 10), _MOST_PAUSE)
        self._not_before = max(self._not_before, time.monotonic() + pause)

    async def _list(self, name: str, query: Query) -> Listing:
        assert self._client is not None
        if self._kind is Kind.EXPERIMENT:
            return await self._list_jobs(query)
        try:
            if query.view is View.ALL:
                return await self._list_all(name)
            if query.view is View.CHANGED and self._knows_changes:
                return await self._list_changed(name, query)
            return await self._list_recent(name, query)
        except NotFoundError:
            return Listing(query.view, query.since)

    async def _list_all(self, name: str) -> Listing:
        assert self._client is not None
        found: dict[bool, list[AssetVersion]] = {False: [], True: []}
        async for version, is_archived in self._client.list_all_versions(self._kind, name):
            found[is_archived].append(version)
        return Listing(View.ALL, versions=tuple(found[False]), archived=tuple(found[True]))

    async def _list_recent(self, name: str, query: Query) -> Listing:
        assert self._client is not None
        found = []
        in_order = _InOrder()
        async for version in self._client.list_versions(self._kind, name):
            found.append(version)
            ordered = in_order.goes_on(version.created_at)
            if query.view is View.RECENT and ordered and milliseconds(version.created_at) < query.since:
                return Listing(query.view, query.since, versions=tuple(found), is_whole=False)
        return Listing(query.view, query.since, versions=tuple(found))

    async def _list_changed(self, name: str, query: Query) -> Listing:
        """
        Return what was changed since, if the service is known to show that first, and else all.

        A list in the order of changes differs from one in another order by those that changed after younger ones were
        made. A whole list that has such and is in order proves that the service does as it is asked; one that is not in
        order proves the contrary.
        """
        assert self._client is not None
        found = []
        by_change, by_creation = _InOrder(), _InOrder()
        newest, is_whole = 0, True
        is_ordered = True
        try:
            async for version, changed_at in self._client.list_changed_versions(self._kind, name):
                found.append(version)
                by_creation.goes_on(version.created_at)
                is_ordered = is_ordered and bool(changed_at) and by_change.goes_on(changed_at)
                newest = max(newest, milliseconds(changed_at))
                if not is_ordered:
                    self._shows_changes_first = False
                if self._shows_changes_first and milliseconds(changed_at) < query.since:
                    if len(found) > 1:
                        is_whole = False
                        break
                    self._shows_changes_first = False  # what was seen to be changed since has to stand before it
        except RequestRefusedError:
            self._knows_changes = False
            return await self._list_recent(name, query)
        if is_ordered and not by_creation.holds:
            self._shows_changes_first = True
        is_proven = is_ordered and self._shows_changes_first
        changed = newest if is_proven else 0
        return Listing(query.view, query.since, versions=tuple(found), is_whole=is_whole, changed=changed)

    async def _list_jobs(self, query: Query) -> Listing:
        """
        Return the jobs made since, and those that were asked for by name and still exist.

        Those are older. Where many are asked for, further pages of the list tell of most, as in the plan of waits: what
        no page mentions is read by itself, and so are, in turn, some of which the list says that they go on.
        """
        assert self._client is not None
        found: dict[str, Job] = {}
        newest = ""
        in_order = _InOrder()
        round_ = self._begin_round(query.jobs)
        past = False
        async for page in self._client.list_job_pages():
            round_.begin_page()
            for job in page:
                ordered = in_order.goes_on(job.created_at)
                newest = max(newest, job.created_at, key=parse_time)
                past = ordered and milliseconds(job.created_at) < query.since
                found[job.name] = job
                if (subject := self._open.subjects.get(job.name)) is not None and job.name in query.jobs:
                    round_.mentions(subject)
                    if not job.has_ended:
                        round_.quiet.append(subject)
            if past and not round_.wants_a_page():
                break
        agrees = True
        for subject in self._open.finish(round_, time.monotonic()):
            listed = found.get(subject.name)
            known = await self._client.find_job(subject.name)
            subject.checked = time.monotonic()
            if known is None:
                found.pop(subject.name, None)
            else:
                found[subject.name] = known
                agrees = agrees and (listed is None or not known.has_ended)
        (self._open.agreed if agrees else self._open.contradicted)()
        asked = frozenset(query.jobs)
        return Listing(query.view, query.since, asked, jobs=tuple(found.values()), newest=newest)

    def _begin_round(self, names: set[str]) -> Round[Subject]:
        """Return a round over the jobs that are asked for by name."""
        now = time.monotonic()
        for name in names:
            self._open.join(name, _INTERVAL, now, now).due = now
        for subject in [*self._open.subjects.values()]:
            subject.busy = subject.name not in names  # another watcher asks for it
            if subject.due < now - _FORGOTTEN:
                self._open.leave(subject)
        return self._open.begin(now)


class _InOrder:
    """Newest first is how lists were seen, not how they are documented: stop early only as long as it is so."""

    def __init__(self) -> None:
        self._last: str | None = None
        self.holds = True

    def goes_on(self, created_at: str) -> bool:
        """Take the next item's time and return whether all so far were in order."""
        if self._last is not None and parse_time(created_at) > parse_time(self._last):
            self.holds = False
        self._last = created_at
        return self.holds
