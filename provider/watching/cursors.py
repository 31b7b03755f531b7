"""What a watcher has announced: small enough to keep, exact enough that nothing is lost. Pure."""

from __future__ import annotations

import base64
import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import accumulate, groupby
from typing import TYPE_CHECKING, Any, Self

from ...datasets.events import AssetVersion, parse_time

if TYPE_CHECKING:
    from ..rest.bodies import Job

# A version may show up in lists this much later than younger ones; less where so many are young that they take much
# room.
_LATE_VERSIONS = (3_600_000, 600_000, 60_000)  # milliseconds
_ROOM = 12_000  # bytes of JSON
_LONG_NAME = 16


def milliseconds(created_at: str) -> int:
    """Return when something was made, in milliseconds since 1970; 0 if that is not known."""
    return int(parse_time(created_at).timestamp() * 1000)


@dataclass(frozen=True, slots=True)
class VersionCursor:
    """
    Which versions of one asset were announced on one watched asset. Exact, whatever their number and names.

    A version is its name and the moment at which it was made: made again, it is another. The young ones are kept one
    by one. Of the old ones, of which no more will show up, only the moments are kept at which announced ones are
    followed by others, or others by announced ones: none where all were announced.

    :param floor: milliseconds; of versions made before, ``flips`` says which were announced.
    :param flips: milliseconds, ascending: what was made before the first was announced, from there to the second not.
    :param recent: key of a version -> milliseconds at which it was made.
    """

    floor: int = 0
    flips: tuple[int, ...] = ()
    recent: Mapping[str, int] = field(default_factory=dict)

    def knows(self, version: AssetVersion) -> bool:
        """Return whether this version was announced."""
        made = milliseconds(version.created_at)
        if self.recent.get(_key(version.version)) == made:
            return True
        return 0 < made < self.floor and bisect_right(self.flips, made) % 2 == 0

    def to_announce(self, versions: Iterable[AssetVersion], tags: Mapping[str, str]) -> list[AssetVersion]:
        """
        Return what is to be announced, oldest first.

        :param versions: those that there are, or some of them; archived ones left out. A list that changes while its
            pages are read may show one twice.
        :param tags: what a version must carry to match.
        """
        new = (version for version in versions if tags.items() <= version.tags.items() and not self.knows(version))
        found = {(version.version, version.created_at): version for version in new}
        return sorted(found.values(), key=lambda version: version.order)

    def with_announced(self, versions: Iterable[AssetVersion]) -> Self:
        """Return the cursor for after these were announced."""
        known = {_key(version.version): milliseconds(version.created_at) for version in versions}
        return replace(self, recent={**self.recent, **known})

    def compact(self, versions: Iterable[AssetVersion]) -> Self:
        """
        Return a cursor that says the same of these versions and is as small as can be.

        :param versions: all that there are, archived ones too.
        """
        every = list(versions)
        newest = max((milliseconds(version.created_at) for version in every), default=0)
        found = self
        for late in _LATE_VERSIONS:
            found = self._raise(max(self.floor, newest - late), every)
            if found.size() <= _ROOM:
                break
        return found

    def _raise(self, floor: int, versions: Iterable[AssetVersion]) -> Self:
        old: dict[int, list[tuple[str, bool]]] = {}
        recent = {}
        for version in versions:
            key, made, known = _key(version.version), milliseconds(version.created_at), self.knows(version)
            if 0 < made < floor:
                old.setdefault(made, []).append((key, known))
            elif known:
                recent[key] = made
        flips: list[int] = []
        last = 0
        for made in sorted(old):
            known = all(known for _, known in old[made])
            recent.update({key: made for key, is_known in old[made] if is_known and not known})
            if known != (len(flips) % 2 == 0):
                flips.append(_coarsest(last, made))
            last = made
        # What is young and in no list now may be in the next one.
        kept = {key: made for key, made in self.recent.items() if made >= floor and key not in recent}
        return type(self)(floor, tuple(flips), {**kept, **recent})

    def forget_since(self, made: int) -> Self:
        """Return a cursor for which what was made from this moment (milliseconds) on was not announced."""
        recent = {key: moment for key, moment in self.recent.items() if moment < made}
        flips = self.flips[: bisect_left(self.flips, made)]
        return type(self)(min(self.floor, made), flips, recent)

    def size(self) -> int:
        """Return about how many bytes it takes when it is kept."""
        from .packing import pack

        return len(str(pack(self.to_json())))

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        names = sorted(self.recent, key=_by_number)
        made = [self.recent[name] for name in names]
        return {"floor": self.floor, "flips": _deltas(self.flips), "names": _ranges(names), "made": _deltas(made)}

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """
        Return what :meth:`to_json` wrote.

        :raises ValueError: it is something else.
        """
        try:
            floor, flips, made = int(value["floor"]), _moments(value["flips"]), _moments(value["made"])
            names = _expand(value["names"], len(made))
        except (TypeError, KeyError, ValueError) as error:
            raise ValueError(f"not a cursor of versions: {type(error).__name__}: {error}") from None
        if list(flips) != sorted(flips):
            raise ValueError("not a cursor of versions: its moments are not in order")
        return cls(floor, flips, dict(zip(names, made, strict=True)))


@dataclass(frozen=True, slots=True)
class OldVersionCursor:
    """The cursor of releases before 0.2, which knew versions by name alone; read once, when a watcher takes over."""

    ranges: tuple[tuple[int, int], ...]
    names: frozenset[str]
    high: int

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """
        Return what such a release wrote.

        :raises ValueError: it is something else.
        """
        try:
            ranges = tuple(sorted((int(first), int(last)) for first, last in value["ranges"]))
            return cls(ranges, frozenset(map(str, value["names"])), milliseconds(value["high"]))
        except (TypeError, KeyError, ValueError) as error:
            raise ValueError(f"not a cursor of versions: {type(error).__name__}: {error}") from None

    def knows(self, version: AssetVersion) -> bool:
        """Return whether this version was announced."""
        if milliseconds(version.created_at) > self.high:
            return False
        if not _is_canonical(version.version):
            return version.version in self.names
        place = bisect_right(self.ranges, int(version.version), key=lambda pair: pair[0])
        return place > 0 and int(version.version) <= self.ranges[place - 1][1]


def _key(name: str) -> str:
    """Return a version's name, or for a long one what stands for it alone: 72 bits of its SHA-256."""
    if len(name) <= _LONG_NAME and not name.startswith(("#", "[")):
        return name
    return "#" + base64.urlsafe_b64encode(hashlib.sha256(name.encode()).digest()[:9]).decode()


def _coarsest(low: int, high: int) -> int:
    """Return the number above ``low`` and up to ``high`` that ends in the most zeros: those take no room."""
    unit = 10**12
    while (number := high // unit * unit) <= low:
        unit //= 10
    return number


def _is_canonical(text: str) -> bool:
    """Return whether a name is a number, which goes into ranges; a text such as 007 would come back as 7."""
    return text.isascii() and text.isdecimal() and (text == "0" or text[0] != "0") and len(text) <= _LONG_NAME


def _by_number(name: str) -> tuple[int, str]:
    return (int(name), "") if _is_canonical(name) else (10**_LONG_NAME, name)


def _ranges(names: Sequence[str]) -> list[Any]:
    """Return names in order, with ``[first, last]`` for numbers that follow each other."""
    found: list[Any] = []
    for _, group in groupby(enumerate(names), key=lambda pair: _by_number(pair[1])[0] - pair[0]):
        run = [name for _, name in group]
        if _is_canonical(run[0]) and len(run) > 1:
            found.append([int(run[0]), int(run[-1])])
        else:
            found.extend(run)
    return found


def _expand(names: Any, count: int) -> list[str]:
    """Return what :func:`_ranges` was given; ``count`` is how many that must be, known before any room is taken."""
    sizes = [last - first + 1 if not isinstance(name, str) else 1 for name in names for first, last in [_ends(name)]]
    if sum(sizes) != count or min(sizes, default=1) < 1:
        raise ValueError("names and moments do not match")
    found: list[str] = []
    for name in names:
        first, last = _ends(name)
        found.extend([name] if isinstance(name, str) else map(str, range(first, last + 1)))
    return found


def _ends(name: Any) -> tuple[int, int]:
    if isinstance(name, str):
        return 0, 0
    first, last = name
    return int(first), int(last)


def _deltas(moments: Sequence[int]) -> list[int]:
    return [moment - before for before, moment in zip((0, *moments), moments, strict=False)]


def _moments(deltas: Any) -> tuple[int, ...]:
    return tuple(accumulate(int(delta) for delta in deltas))


# A job may show up in lists a while after younger ones did.
_LATE = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class JobCursor:
    """
    Which jobs of one experiment a watcher has dealt with.

    :param high: when the newest job that was ever met was made, ISO 8601.
    :param recent: the names of jobs that were met and were made at most ten minutes before that.
    :param open: the names of jobs that were met and had not ended, or were not announced yet.
    """

    high: str = ""
    recent: frozenset[str] = field(default_factory=frozenset)
    open: frozenset[str] = field(default_factory=frozenset)

    def is_past(self, created_at: str) -> bool:
        """Return whether a job made then, and all older ones, were dealt with, but for those that are open."""
        return bool(self.high) and parse_time(created_at) < parse_time(self.high) - _LATE

    @property
    def since(self) -> int:
        """When the oldest job was made that is not past; milliseconds, 0 if none is."""
        return int((parse_time(self.high) - _LATE).timestamp() * 1000) if self.high else 0

    def to_announce(
        self, jobs: Iterable[Job], newest: str, *, ends: Callable[[Job], bool] = lambda job: job.has_ended
    ) -> tuple[list[Job], Self]:
        """
        Return the jobs that have ended since, and the cursor for after that.

        :param jobs: the experiment's jobs that are not past, and the open ones that still exist.
        :param newest: when the newest job of the whole workspace was made, ISO 8601, or an empty text.
        :param ends: whether nothing more is to be heard of a job.
        """
        there = {job.name: job for job in jobs}
        fresh = [job for job in there.values() if job.name in self.open or job.name not in self.recent]
        high = max(self.high, newest, key=parse_time)
        after = type(self)(high)
        recent = frozenset(job.name for job in there.values() if not after.is_past(job.created_at))
        still_open = frozenset(job.name for job in fresh if not ends(job))
        return [job for job in fresh if ends(job)], type(self)(high, recent, still_open)

    def keep_open(self, names: Iterable[str]) -> Self:
        """Return a cursor for which these too were met and not announced."""
        return replace(self, open=self.open.union(names))

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {"high": self.high, "recent": sorted(self.recent), "open": sorted(self.open)}

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """
        Return what :meth:`to_json` wrote.

        :raises ValueError: it is something else.
        """
        try:
            parse_time(value["high"])
            return cls(value["high"], frozenset(map(str, value["recent"])), frozenset(map(str, value["open"])))
        except (TypeError, KeyError, ValueError) as error:
            raise ValueError(f"not a cursor of jobs: {type(error).__name__}: {error}") from None
