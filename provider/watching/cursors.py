"""What a watcher has announced: small enough to keep, exact enough that nothing is lost. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Any, Self

from ...datasets.events import AssetVersion, parse_time

if TYPE_CHECKING:
    from ..rest.bodies import Job


@dataclass(frozen=True, slots=True)
class VersionCursor:
    """
    Which versions of one asset were announced on one watched asset.

    It names them all, because a version may match long after newer ones did: tagged later, restored from the archive,
    made out of turn. Numbers are kept as ranges, so that ten thousand versions take as much room as ten.

    :param seen: the versions.
    :param high: when the newest version that was ever met was made, ISO 8601; a version in ``seen`` that is younger was
        deleted and made again, and is news.
    """

    seen: frozenset[str] = field(default_factory=frozenset)
    high: str = ""

    def news(self, versions: Iterable[AssetVersion], tags: dict[str, str]) -> tuple[list[AssetVersion], Self]:
        """
        Return what is to be announced, oldest first, and the cursor for after that.

        :param versions: those that there are, archived ones left out.
        :param tags: what a version must carry to match.
        """
        there = list(versions)
        high = parse_time(self.high)
        known = self.seen - {version.version for version in there if parse_time(version.created_at) > high}
        matching = [version for version in there if tags.items() <= version.tags.items()]
        new = sorted(
            (version for version in matching if version.version not in known), key=lambda version: version.order
        )
        newest = max([self.high, *(version.created_at for version in there)], key=parse_time)
        return new, type(self)(known | {version.version for version in new}, newest)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON for Airflow's asset state store."""
        numbers = sorted(int(text) for text in self.seen if _is_canonical(text))
        ranges = []
        for _, group in groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0]):
            run = [number for _, number in group]
            ranges.append([run[0], run[-1]])
        names = sorted(text for text in self.seen if not _is_canonical(text))
        return {"ranges": ranges, "names": names, "high": self.high}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """Return what :meth:`to_json` wrote."""
        numbers = (str(number) for first, last in value["ranges"] for number in range(first, last + 1))
        return cls(frozenset([*numbers, *value["names"]]), value["high"])


def _is_canonical(text: str) -> bool:
    """Tell numbers, which go into ranges, from texts such as 007, which would come back as 7."""
    return text.isascii() and text.isdecimal() and str(int(text)) == text


# A job may show up in lists a while after younger ones did.
_LATE = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class JobCursor:
    """
    Which jobs of one experiment a watcher has dealt with.

    :param high: when the newest job that was ever met was made, ISO 8601.
    :param recent: the names of jobs that were met and were made at most ten minutes before that.
    :param open: the names of jobs that were met and had not ended.
    """

    high: str = ""
    recent: frozenset[str] = field(default_factory=frozenset)
    open: frozenset[str] = field(default_factory=frozenset)

    def is_past(self, created_at: str) -> bool:
        """Return whether a job made then, and all older ones, were dealt with, but for those that are open."""
        return bool(self.high) and parse_time(created_at) < parse_time(self.high) - _LATE

    def news(self, jobs: Iterable[Job], newest: str) -> tuple[list[Job], Self]:
        """
        Return the jobs that have ended since, and the cursor for after that.

        :param jobs: the experiment's jobs that are not past, and the open ones that still exist.
        :param newest: when the newest job of the whole workspace was made, ISO 8601, or an empty text.
        """
        there = {job.name: job for job in jobs}
        fresh = [job for job in there.values() if job.name in self.open or job.name not in self.recent]
        high = max(self.high, newest, key=parse_time)
        after = type(self)(high)
        recent = frozenset(job.name for job in there.values() if not after.is_past(job.created_at))
        still_open = frozenset(job.name for job in fresh if not job.has_ended)
        return [job for job in fresh if job.has_ended], type(self)(high, recent, still_open)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON for Airflow's asset state store."""
        return {"high": self.high, "recent": sorted(self.recent), "open": sorted(self.open)}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """Return what :meth:`to_json` wrote."""
        return cls(value["high"], frozenset(value["recent"]), frozenset(value["open"]))
