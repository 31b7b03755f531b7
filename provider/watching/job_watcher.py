"""Watching the jobs of one experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...datasets.events import parse_time
from .cursors import JobCursor, milliseconds
from .desk import JOBS, Query
from .watcher import Watcher

if TYPE_CHECKING:
    from ...datasets.events import AssetVersion
    from .desk import Listing
    from .poll import Beat


class JobWatcher(Watcher):
    """Announces each job once, when it has reached one of the final states that are asked for."""

    def __init__(self, fields: dict[str, Any], *arguments: Any, **options: Any) -> None:
        super().__init__(fields, *arguments, **options)
        self._statuses: list[str] = fields["statuses"]
        self._last_polls = -1
        self._next: JobCursor = JobCursor()

    @property
    def query_name(self) -> str:
        """The name under which it asks the desk."""
        return JOBS

    def _nothing(self) -> JobCursor:
        return JobCursor()

    def _read_cursor(self, value: Any) -> JobCursor:
        return JobCursor.from_json(value)

    def _check_again(self) -> None:
        self._last_polls = -1

    async def _want(self, beat: Beat) -> None:
        if beat.fingerprints is None or beat.polls == self._last_polls:
            return
        self._last_polls = beat.polls
        cursor: JobCursor = self._cursor or JobCursor()
        beat.desk.want(JOBS, Query(since=cursor.since, jobs=set(cursor.open)))

    async def _take(self, listing: Listing) -> list[AssetVersion]:
        first = self._cursor is None
        cursor: JobCursor = self._cursor or JobCursor()
        there = listing.asked.union(job.name for job in listing.jobs)
        if listing.since > cursor.since or not cursor.open <= there:
            return []  # another asked, who had seen more
        mine = [
            job
            for job in listing.jobs
            if job.name in cursor.open or (job.experiment_name == self.name and not cursor.is_past(job.created_at))
        ]
        ended, self._next = cursor.to_announce(mine, listing.newest)
        if first:
            known = self._next if self._start == "latest" else JobCursor()
            await self._take_as_known(known)
            if self._start == "latest":
                return []
        matching = [job for job in ended if job.status in self._statuses and self.tags.items() <= job.tags.items()]
        if not matching:
            await self._improve(self._next)
        return sorted((job.as_version() for job in matching), key=lambda version: version.order)

    async def _after(self, piece: list[AssetVersion], rest: list[AssetVersion]) -> JobCursor:  # noqa: ARG002
        return self._next.keep_open(version.version for version in rest)

    def _replay(self, cursor: JobCursor, since: str | None, version: str | None) -> JobCursor:
        if version or not since:
            self._note = "Jobs are replayed with --since; --from-version is for models and data."
            return cursor
        high = min(since, cursor.high, key=parse_time) if milliseconds(since) > 0 else ""
        return JobCursor(high, open=cursor.open)
