"""Announces what is new of one watched asset, and remembers it. The base of both kinds of watchers."""

from __future__ import annotations

import logging
import time
from abc import ABC, abstractmethod
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ..configuration import settle_time
from ..errors import TransientError
from ..rest.made_by import with_metrics
from . import metrics
from .memory import Kept, Memory
from .pieces import pieces

if TYPE_CHECKING:
    from ...datasets.events import AssetVersion
    from .desk import Listing
    from .poll import Beat

# Airflow starts one DAG run for events in quick succession, and shows it the first only (apache/airflow#56050).
_SPACING = 3.0  # seconds between two events of one asset
_UNCONFIRMED = 30.0  # seconds after which an event counts as stored where Airflow does not say so
_UNREADABLE = 3  # times that Airflow fails to give what was kept, until that counts as unreadable
_REFUSALS = 3  # errors in a row that make a watcher a failing one
_HEALTH_AGAIN = 60.0  # seconds until what Airflow did not take for the asset's page is written again


@dataclass(slots=True)
class _Announcement:
    """
    An event that was handed to Airflow: with which beat, when, and the cursor for after it.

    Without a beat, one that an earlier try of this watcher had stored.
    """

    beat: Beat | None
    at: float
    cursor: Any
    is_kept: bool = False

    def stored(self, *, confirmed: bool) -> float | None:
        """Return when it was stored, on the monotonic clock, or None if it is not, as far as is known."""
        if self.beat is None:
            return self.at
        if confirmed:
            return self.beat.stored
        return self.at + _UNCONFIRMED if time.monotonic() > self.at + _UNCONFIRMED else None


class Watcher(ABC):
    """
    Announces what is new of one asset.

    It keeps three things apart: what it has announced, what of that Airflow has stored (in the asset's state store),
    and what of that surely reached its DAGs (in the copy). So after a crash nothing that was stored is announced
    again, and after a pause or a bad deployment nothing is left out that was stored but reached no DAG.

    :param fields: the trigger's.
    :param memory: where it keeps that.
    :param trigger_id: Airflow's id of the trigger; None without Airflow.
    :param confirmed: whether Airflow says when events are stored.
    :param log: the trigger's.
    """

    def __init__(
        self, fields: dict[str, Any], memory: Memory, *, trigger_id: int | None, confirmed: bool, log: logging.Logger
    ) -> None:
        self.kind: str = fields["kind"]
        self.name: str = fields["name"]
        self.tags: dict[str, str] = fields["tags"]
        self._asset: str = fields.get("asset") or self.name
        self._start: str = fields["start"]
        self._with_metrics = bool(fields.get("metrics"))
        self._metrics: dict[str, dict[str, float | None]] = {}  # of jobs, until what they made is announced
        self._memory = memory
        self._trigger_id = trigger_id
        self._confirmed = confirmed
        self._log = log
        self._cursor: Any = None  # what was announced; None: this watcher has not begun
        self._stored: Any = None  # what of that Airflow has stored
        self._stored_at: float | None = None  # when, in seconds since 1970, if it is not settled
        self._settling: _Announcement | None = None  # what is kept of those on the way from the one to the other
        self._settled: Any = None  # what of that surely reached its DAGs
        self._kept: Kept | None = None
        self._mark: str | None = None
        self._request: str | None = None
        self._is_loaded = False
        self._backlog: list[AssetVersion] = []
        self._announced: deque[_Announcement] = deque()
        self._last_announced = 0.0
        self._polls = 0
        self._complaint = ""
        self._errors = 0
        self._unread = 0
        self._trouble = ""
        self._query_trouble = ""
        self._note = ""
        self._health: dict[str, Any] = {}
        self._health_due = 0.0  # when it is to be written, on the monotonic clock
        self._last_announcement: str | None = None

    # What the kinds of it do

    @abstractmethod
    def _nothing(self) -> Any:
        """Return the cursor of a watcher that has announced nothing."""

    @abstractmethod
    def _read_cursor(self, value: Any) -> Any:
        """Return the cursor that was written as JSON; ValueError if that is not one."""

    @abstractmethod
    async def _want(self, beat: Beat) -> None:
        """Ask the beat's desk for the lists that are to be checked now, if any."""

    @abstractmethod
    async def _take(self, listing: Listing) -> list[AssetVersion]:
        """Return what is new in a list that was asked for."""

    @abstractmethod
    async def _after(self, piece: list[AssetVersion], rest: list[AssetVersion]) -> Any:
        """Return the cursor for after a piece of what is new was announced, and the rest not yet."""

    @abstractmethod
    def _check_again(self) -> None:
        """Check everything again, as if nothing had been seen."""

    @abstractmethod
    def _replay(self, cursor: Any, since: str | None, version: str | None) -> Any:
        """
        Return the cursor of a watcher that has announced nothing made since a moment, or since a version was made.

        None: that version must be looked up first.
        """

    @property
    def query_name(self) -> str:
        """The name under which it asks the desk."""
        return self.name

    # The way of a beat

    async def hear(self, beat: Beat) -> list[AssetVersion]:
        """Return what is to be announced in one event now; call it with each beat, and do as it says."""
        try:
            piece = await self._hear(beat)
        except Exception as error:  # noqa: BLE001 - a watcher that fails is restarted at once, for ever
            piece = []
            self._complain(error)
        else:
            self._complaint = self._trouble = ""
        await self._write_health(beat)
        return piece

    async def _hear(self, beat: Beat) -> list[AssetVersion]:
        if not self._is_loaded:
            await self._load()
        await self._keep_what_is_stored()
        await self._settle()
        await self._do_request(beat.requests.get(self._asset))
        listing = beat.found.get(self.query_name)
        if listing is not None and not self._backlog:
            if listing.error is None:
                self._errors, self._query_trouble = 0, ""
                self._backlog = await self._take(listing)
            else:
                self._note_refusal(listing.error)
        if not self._backlog:
            await self._want(beat)
        return await self._next_piece(beat)

    async def _next_piece(self, beat: Beat) -> list[AssetVersion]:
        now = time.monotonic()
        if not self._backlog or now - self._last_announced < _SPACING:
            return []
        # While an asset is out of use, what it announces starts nothing. Airflow does not take its state then.
        if not await self._keep(always=True):
            return []
        piece = next(pieces(self._backlog))
        rest = self._backlog[len(piece) :]
        if self._with_metrics:
            # Before it counts as announced: a service that is busy is asked again with the next beat.
            piece = await with_metrics(beat.desk.client, piece, self._metrics)
            self._metrics.clear()
        self._cursor = await self._after(piece, rest)
        self._announced.append(_Announcement(beat, now, self._cursor))
        beat.is_announced = True
        self._backlog = rest
        self._last_announced = now
        self._last_announcement = _clock()
        self._log.info(
            "New of %s: %s%s.", self._asset, _summary(piece), f"; {len(rest)} more will follow" if rest else ""
        )
        metrics.announced(self.kind, piece)
        return piece

    # Memory

    async def _load(self) -> None:
        try:
            row = await self._memory.read()
        except Exception:
            self._unread += 1
            if self._unread < _UNREADABLE:
                raise
            # If Airflow takes something else for this asset, it is what was kept that is broken.
            await self._memory.write_health({"state": "failing", "why": "What this watcher kept cannot be read."})
            row = "what Airflow cannot read"
        copy = await self._memory.read_copy()
        kept, cursor = self._understand(row, "the asset's state store")
        copied, settled = self._understand(copy, "the variable")
        if kept is not None and (kept.trigger in (None, self._trigger_id) or settled is None):
            self._mark, self._kept = kept.mark, kept
            self._cursor, self._settled = cursor, cursor if settled is None else settled
        elif settled is not None:
            # The watcher was away: perhaps what it announced last reached no DAG.
            self._cursor = self._settled = settled
        elif row is not None or copy is not None:
            self._note += " All is announced again."
            self._cursor = self._settled = self._nothing()
        self._stored = self._cursor
        if kept is not None and self._cursor != self._settled:
            # Who crashes again and again must not begin to wait again each time.
            self._stored_at = kept.stored
            await self._load_settling(kept, copied)
            self._announced.append(_Announcement(None, _since(kept.stored), self._cursor, is_kept=True))
        newest = kept or copied
        self._request = newest.request if newest else None
        self._is_loaded = True

    async def _load_settling(self, kept: Kept, copied: Kept | None) -> None:
        older, cursor = self._understand(await self._memory.read_settling(), "the asset's state store")
        if older is None or copied is None or older.trigger != kept.trigger:
            return
        if (copied.stored or float("inf")) < (older.stored or 0.0) <= (kept.stored or 0.0):
            self._settling = _Announcement(None, _since(older.stored), cursor, is_kept=True)
            self._announced.append(self._settling)

    def _understand(self, value: Any, place: str) -> tuple[Kept | None, Any]:
        if value is None:
            return None, None
        try:
            kept = Kept.from_json(value)
            return kept, self._read_cursor(kept.cursor)
        except ValueError as error:
            self._note = f"What {place} kept could not be read: {error}."
            self._log.error("Watching %s: %s What was announced may be announced again.", self._asset, self._note)
            return None, None

    async def _keep(self, *, always: bool = False) -> bool:
        """
        Keep what Airflow has stored, and return whether this watcher goes on from there.

        :param always: write it even if it is kept already, to learn whether the asset is in use.
        :raises Exception: it is not, or Airflow is not there.
        """
        if self._kept is not None and not await self._memory.is_there():
            await self._begin_again()
            return False
        is_clean = not self._backlog and all(event.is_kept for event in self._announced)
        mark = self._mark if is_clean else None
        kept = Kept(self._stored.to_json(), self._trigger_id, mark, self._request, self._stored_at)
        if always or kept != self._kept:
            await self._memory.write(kept)
            self._kept = kept
        return True

    async def _keep_what_is_stored(self) -> None:
        stored = []
        last = None
        for event in self._announced:
            if (moment := event.stored(confirmed=self._confirmed)) is None:
                break
            stored.append(event)
            last = moment
        if last is None or stored[-1].is_kept:
            return
        await self._keep_what_settles()
        self._stored, self._stored_at = stored[-1].cursor, time.time() - max(0.0, time.monotonic() - last)
        if await self._keep():
            for event in stored:
                event.is_kept = True

    async def _keep_what_settles(self) -> None:
        """
        Keep what is kept now as well, before something younger takes its place.

        A watcher that crashes again and again, with news in between, would always be waiting for the youngest.
        """
        if any(event is self._settling for event in self._announced):
            return
        if (older := next((event for event in reversed(self._announced) if event.is_kept), None)) is None:
            return
        if await self._memory.is_there():
            kept = Kept(older.cursor.to_json(), self._trigger_id, stored=self._stored_at)
            await self._memory.write_settling(kept)
            self._settling = older

    async def _settle(self) -> None:
        """Move to the copy what was stored so long ago that it surely reached its DAGs."""
        settled = None
        moment = 0.0
        wait = settle_time()
        while self._announced and self._announced[0].is_kept:
            stored = self._announced[0].stored(confirmed=self._confirmed)
            if stored is None or time.monotonic() - stored < wait:
                break
            if settled is None and not await self._memory.is_there():
                await self._begin_again()
                return
            settled, moment = self._announced.popleft().cursor, stored
        if settled is not None:
            await self._keep_copy(settled, time.time() - (time.monotonic() - moment))

    async def _keep_copy(self, cursor: Any, stored: float | None = None) -> None:
        """Keep what surely reached its DAGs, of events that Airflow had stored then (seconds since 1970), or by now."""
        stored = time.time() if stored is None else stored
        await self._memory.write_copy(Kept(cursor.to_json(), request=self._request, stored=stored))
        self._settled = cursor
        if not self._announced:
            self._stored_at = None

    async def _begin_again(self) -> None:
        """Go back to what surely reached its DAGs: the asset was out of use meanwhile."""
        self._log.warning(
            "Airflow has deleted what was kept for %s: it was out of use for a while. What may have been announced to "
            "nobody since is announced again.",
            self._asset,
        )
        self._cursor = self._stored = self._settled
        self._kept, self._mark, self._stored_at = None, None, None
        self._health_due = 0.0  # that is gone, too
        self._announced.clear()
        self._backlog = []
        self._check_again()
        await self._keep()

    async def _take_as_known(self, cursor: Any) -> None:
        """Take what is there for known, at the very start. If that cannot be kept, this watcher has not begun."""
        self._stored = cursor
        await self._keep(always=True)
        await self._keep_copy(cursor)
        self._cursor = cursor
        self._log.info("Watching %s from now on.", self._asset)

    async def _improve(self, cursor: Any) -> None:
        """Take a cursor that says the same and is smaller, or newer."""
        if self._announced or self._backlog or cursor == self._cursor:
            return
        self._cursor = self._stored = cursor
        if await self._keep():
            await self._keep_copy(cursor)

    async def _note_mark(self, mark: str | None) -> None:
        """Remember the fingerprint of the asset for which all versions were seen."""
        if mark != self._mark:
            self._mark = mark
            await self._keep()

    # Requests of `airflow azureml watchers`

    async def _do_request(self, request: Any) -> None:
        if not isinstance(request, dict) or not request.get("id") or request["id"] == self._request:
            return
        if self._cursor is None and request.get("do") == "forget":
            self._request = request["id"]  # it is done: this watcher has just begun
            return
        if self._cursor is None or self._backlog or not all(event.is_kept for event in self._announced):
            return  # what is under way comes first
        self._log.info("%s: as was asked for: %s.", self._asset, request)
        self._check_again()
        self._mark = None
        if request.get("do") == "forget":
            self._cursor = None
            self._request = request["id"]
            return
        try:
            cursor = self._replay(self._cursor, request.get("since"), request.get("from_version"))
        except ValueError as error:  # somebody wrote the variable by hand
            self._note = f"What was asked for was not understood: {error}."
            cursor = self._cursor
        if cursor is None:
            return  # the version has to be looked up first
        self._request = request["id"]
        self._announced.clear()
        self._cursor = self._stored = cursor
        if await self._keep():
            await self._keep_copy(cursor)

    # Health

    def _note_refusal(self, error: Exception) -> None:
        """Take note that the service refused a list; one refusal is no trouble."""
        self._errors += 1
        if self._errors >= _REFUSALS or not isinstance(error, TransientError):
            text = f"{type(error).__name__}: {error}"
            if type(error).__name__ != self._query_trouble.partition(":")[0]:
                self._log.warning("Watching %s: %s", self._asset, error)
            self._query_trouble = text

    def _complain(self, error: Exception) -> None:
        self._trouble = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        if type(error).__name__ != self._complaint:
            self._complaint = type(error).__name__
            waiting = f" {len(self._backlog)} versions wait to be announced." if self._backlog else ""
            self._log.warning("Watching %s: %s%s", self._asset, error, waiting)

    async def _write_health(self, beat: Beat) -> None:
        """Write how it is where the asset's page shows it, when that has changed."""
        trouble = beat.trouble
        why = trouble.why if trouble else self._trouble or self._query_trouble
        since = trouble.since if trouble else self._health.get("failing_since") or _clock()
        health: dict[str, Any] = {
            "state": "failing" if why else "ok",
            "why": why or self._note or None,
            "failing_since": since if why else None,
            "next_poll": trouble.next_poll if trouble else None,
            "last_announced": self._last_announcement,
        }
        if health != self._health:
            self._health, self._health_due = health, 0.0
            metrics.failing(self._asset, fails=bool(why))
        if time.monotonic() < self._health_due or (self._cursor is None and not why):  # not before it has begun
            return
        try:
            await self._memory.write_health({**health, "last_poll": beat.last_poll, "written": _clock()})
            self._health_due = float("inf")
        except Exception as error:  # noqa: BLE001 - it is out of use, or Airflow is; both are logged elsewhere
            self._health_due = time.monotonic() + _HEALTH_AGAIN
            self._log.debug("Health of %s could not be written: %s", self._asset, error)

    def leave(self) -> None:
        """Send that it watches no more."""
        metrics.failing(self._asset, fails=False)


def _since(moment: float | None) -> float:
    """Return a time of day, in seconds since 1970, on the monotonic clock; now if it is not known, or to come."""
    return time.monotonic() - (0.0 if moment is None else max(0.0, time.time() - moment))


def _clock() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _summary(versions: list[AssetVersion]) -> str:
    names = [version.version for version in versions]
    return ", ".join(names) if len(names) <= 10 else f"{', '.join(names[:3])} ... {names[-1]} ({len(names)} versions)"
