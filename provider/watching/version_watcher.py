"""Watching versions of one model or data asset."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from .cursors import OldVersionCursor, VersionCursor, milliseconds
from .desk import Query, View
from .pieces import MOST
from .watcher import Watcher

if TYPE_CHECKING:
    from ...datasets.events import AssetVersion
    from .desk import Listing
    from .poll import Beat

# Seconds from check to check after a fingerprint has changed: a list may show a version later than the fingerprint
# says, or a younger one first.
_PAUSES = (2.0, 5.0, 15.0, 45.0)
_LATE_CHANGES = 600_000  # milliseconds by which a change may show up later than a younger one
_MANY = 1_000  # versions from which on a cursor is compacted in a thread


class VersionWatcher(Watcher):
    """Announces each version once, when it first matches."""

    # An asset's fingerprint says when it gets a version, not when one is restored from the archive.
    _RELIST = 3600.0

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._old: OldVersionCursor | None = None
        self._seen_mark: str | None = None  # the fingerprint whose change is being checked
        self._mark_now: str | None = None
        self._checks = 0  # since it changed
        self._next_check = 0.0
        self._relist = 0.0
        self._last_polls = -1
        self._held_back = 0
        self._changed = 0  # what was changed before, in milliseconds, was seen; not kept
        self._from_version: str | None = None
        self._found_version = 0
        self._every: Listing | None = None  # while much of it is to be announced

    def _nothing(self) -> VersionCursor:
        return VersionCursor()

    def _read_cursor(self, value: Any) -> Any:
        if isinstance(value, dict) and "ranges" in value:
            self._old = OldVersionCursor.from_json(value)
            return VersionCursor()
        return VersionCursor.from_json(value)

    def _check_again(self) -> None:
        self._relist = 0.0

    async def _want(self, beat: Beat) -> None:
        if beat.fingerprints is None or not (beat.is_complete or self.name in beat.fingerprints):
            return
        now, mark = time.monotonic(), beat.fingerprints.get(self.name)
        first = self._last_polls < 0
        is_new = beat.polls != self._last_polls
        self._last_polls, self._mark_now = beat.polls, mark
        if first and self._cursor is not None and self._old is None and mark == self._mark:
            self._seen_mark, self._checks = mark, len(_PAUSES)
            self._next_check = float("inf")
            self._relist = now + self._RELIST
        if mark != self._seen_mark:
            self._seen_mark, self._checks, self._next_check = mark, 0, now
        if mark is None:
            if self._cursor is None:
                await self._take_as_known(VersionCursor())  # there is nothing of that name yet
        elif self._cursor is None or self._old is not None or now >= self._relist:
            self._relist = now + self._RELIST
            beat.desk.want(self.name, Query(View.ALL))
        else:
            if now >= self._next_check:
                # After a while it is time to ask whether the newest version is in the archive.
                view = View.RECENT if self._checks <= len(_PAUSES) else View.ALL
                self._next_check = now + self._pause()
                beat.desk.want(self.name, Query(view, since=self._cursor.floor))
            if self.tags and is_new:
                # Tags leave no mark, so a watcher with tags checks what was changed each time.
                beat.desk.want(self.name, Query(View.CHANGED, since=self._changed))

    def _pause(self) -> float:
        """Return the seconds until the same fingerprint is checked again."""
        self._checks += 1
        if self._checks <= len(_PAUSES):
            return _PAUSES[self._checks - 1]
        return float(min(60 * 2 ** (self._checks - len(_PAUSES)), self._RELIST))

    async def _take(self, listing: Listing) -> list[AssetVersion]:
        if self._cursor is None or self._old is not None or self._from_version is not None:
            if listing.view is not View.ALL:
                return []
            await self._begin(listing)
        if not self._is_enough(listing):
            return []
        if listing.view is View.CHANGED:
            self._changed = max(0, listing.changed - _LATE_CHANGES)
        new: list[AssetVersion] = self._cursor.to_announce(listing.versions, self.tags)
        self._log_held_back(listing, new)
        if len(new) > MOST and listing.view is View.ALL:
            self._every = listing
        if not new:
            if listing.view is View.ALL:
                await self._improve(await self._compact(self._cursor, listing))
            await self._finish(listing)
        return new

    def _is_enough(self, listing: Listing) -> bool:
        """Whether it shows what this watcher has not seen: another may have asked, who had seen more."""
        seen: int = self._changed if self.tags and listing.view is View.CHANGED else self._cursor.floor
        return listing.is_whole or listing.since <= seen

    async def _begin(self, listing: Listing) -> None:
        every = (*listing.versions, *listing.archived)
        if self._old is not None:
            old, self._old = self._old, None
            self._cursor = self._stored = await self._compact(
                VersionCursor().with_announced(version for version in every if old.knows(version)), listing
            )
        elif self._from_version is not None:
            made = {version.version: milliseconds(version.created_at) for version in every}
            self._found_version = made.get(self._from_version, -1)
        else:
            cursor = VersionCursor()
            if self._start == "latest":
                cursor = cursor.with_announced(cursor.to_announce(listing.versions, self.tags))
            await self._take_as_known(await self._compact(cursor, listing))

    async def _compact(self, cursor: VersionCursor, listing: Listing) -> VersionCursor:
        every = (*listing.versions, *listing.archived)
        if len(every) < _MANY:
            return cursor.compact(every)
        return await asyncio.to_thread(cursor.compact, every)

    async def _finish(self, listing: Listing) -> None:
        """Stop checking a fingerprint when the list has held its latest version, and a while has passed."""
        latest = (self._mark_now or "").partition("|")[0]
        there = {version.version for version in (*listing.versions, *listing.archived)}
        if self._checks >= len(_PAUSES) and self._seen_mark == self._mark_now and (latest in there or not latest):
            self._next_check = float("inf")
            await self._note_mark(self._mark_now)

    def _log_held_back(self, listing: Listing, new: list[AssetVersion]) -> None:
        if not self.tags or not listing.is_whole:
            return
        waiting = sum(1 for version in listing.versions if not self._cursor.knows(version)) - len(new)
        if waiting != self._held_back:
            self._held_back = waiting
            self._log.info("%d versions of %s %s are there without %s.", waiting, self.kind, self.name, self.tags)

    async def _after(self, piece: list[AssetVersion], rest: list[AssetVersion]) -> VersionCursor:
        cursor: VersionCursor = self._cursor.with_announced(piece)
        if self._every is not None and len(cursor.recent) > _MANY:
            cursor = await self._compact(cursor, self._every)
        if not rest and self._every is not None:
            self._every = None
            self._check_again()
        return cursor

    def _replay(self, cursor: VersionCursor, since: str | None, version: str | None) -> VersionCursor | None:
        if since:
            return cursor.forget_since(milliseconds(since))
        if not self._found_version:
            self._from_version = version
            return None
        found, self._found_version, self._from_version = self._found_version, 0, None
        if found < 0:
            self._note = f"Replaying from version {version} was asked for, but there is none."
            self._log.warning("%s: %s", self._asset, self._note)
            return cursor
        return cursor.forget_since(found)
