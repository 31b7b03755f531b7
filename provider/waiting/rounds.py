"""
Which of many waits a round of checks is about, and whether by a list or one by one. Pure: callers pass the time.

A list can only make a check come earlier. What it says is confirmed by a read of the thing itself; what it does not
mention is read by itself; and what it calls unchanged is read by itself from time to time, more often when that shows
that the list lags. So nothing rests on a list's order, page size or freshness but the number of reads.
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

SPOT_CHECKS_PER_SECOND = 0.2
"""Reads of things that a list has just called unchanged."""

FEW_PER_SECOND = 0.4
"""So few waits for each second of their interval need no list at all."""

MOST_PAGES = 500
"""Pages of one list in one round, however much it would save."""

_NEAR = 0.1  # of its interval: a thing that is due so soon is checked now
_MOST_DOUBT = 10  # doublings
_ROUNDS_TO_TRUST = 10


@dataclass(slots=True, eq=False)
class Subject:
    """
    One thing that somebody waits for, however many they are.

    :param name: as lists call it.
    :param interval: seconds between two checks: the shortest that one of its waits asks for.
    :param due: when to check next.
    :param began: since when it is waited for.
    :param page: the page of the list that mentioned it last; None: none has.
    :param checked: when it was last read by itself.
    :param busy: whether a read of it is due or on its way.
    """

    name: str
    interval: float
    due: float
    began: float
    page: int | None = None
    checked: float = 0.0
    busy: bool = False

    def urgency(self, *, listed: bool) -> float:
        """
        Return by when to read it: earliest first when there are more to read than reads are granted.

        What a list gives reason to check goes first. What has been waited for long may wait longer: a tenth of the time
        so far, up to five intervals. As these are points in time, whatever waits comes first at last.
        """
        if listed:
            return self.due - 10 * self.interval
        return self.due + min(0.1 * max(0.0, self.due - self.began), 5 * self.interval)


S = TypeVar("S", bound=Subject)


class Round(Generic[S]):
    """
    One round over the subjects of a list.

    :param due: those to check, by name; the list may mention them, or not.
    :param depth: how many pages are worth their read, by where the subjects were last found; None: no list at all.
    :param explore: whether to go on for those that no page has mentioned yet.
    """

    def __init__(self, due: dict[str, S], *, depth: int | None = None, explore: bool = False) -> None:
        self.due = due
        self.explore = explore
        self.pages = 0
        self.quiet: list[S] = []
        self._depth = depth
        self._found_beyond = 0
        self._missing = sum(self._expected(subject) for subject in due.values())

    def wants_a_page(self) -> bool:
        """
        Return whether the next page is worth its read.

        Beyond the depth, pages may cost half of what it costs to read one by one those who are missing.
        """
        if self._depth is None or not self.due or self.pages >= MOST_PAGES:
            return False
        return self.pages < self._depth or self.pages - self._depth < self._found_beyond + self._missing // 2

    def begin_page(self) -> None:
        """Take note that a page is read."""
        self.pages += 1

    def mentions(self, subject: Subject) -> None:
        """Take note that the page mentions a subject."""
        if self.due.pop(subject.name, None) is not None:
            self._missing -= self._expected(subject)
            self._found_beyond += self.pages > (self._depth or 0)
        subject.page = self.pages

    def _expected(self, subject: Subject) -> bool:
        return self.explore or subject.page is not None

    @property
    def explored_in_vain(self) -> bool:
        """Whether the pages beyond the depth cost more than they found."""
        return self.pages - (self._depth or 0) > self._found_beyond


class Roster(Generic[S]):
    """
    All subjects of one list in one workspace, and what experience says of the list.

    :param make: the kind of subject.
    """

    def __init__(self, make: Callable[..., S]) -> None:
        self._make = make
        self.subjects: dict[str, S] = {}
        self.next_due = math.inf
        self._rest = 0  # rounds to go before exploring again
        self._last_rest = 0
        self._doubt = 0
        self._trusted_rounds = 0
        self._credit = 0.0
        self._last_round: float | None = None

    def join(self, name: str, interval: float, now: float, due: float) -> S:
        """Add a wait for something, and return the subject that it shares with all who wait for the same."""
        if (subject := self.subjects.get(name)) is None:
            subject = self.subjects[name] = self._make(name, interval, due, now, checked=now)
        subject.interval = min(subject.interval, interval)
        self.expect(subject, min(subject.due, due))
        return subject

    def leave(self, subject: S) -> None:
        """Forget a subject that nobody waits for any more."""
        del self.subjects[subject.name]

    def expect(self, subject: Subject, due: float) -> None:
        """Say when to check next."""
        subject.due = due
        if not subject.busy:
            self.next_due = min(self.next_due, due)

    def begin(self, now: float) -> Round[S]:
        """
        Return the round that is due now; an empty one if none is.

        A subject that is due within half an interval takes part: so waits for different things come into step, and one
        list answers for all.
        """
        idle = [subject for subject in self.subjects.values() if not subject.busy]
        self.next_due = min((subject.due for subject in idle), default=math.inf)
        if self.next_due > now:
            return Round({})
        due = {subject.name: subject for subject in idle if subject.due <= now + subject.interval / 2}
        interval = min(subject.interval for subject in due.values())
        passed = interval if self._last_round is None else min(interval, now - self._last_round)
        self._last_round = now
        self._credit = min(self._credit + SPOT_CHECKS_PER_SECOND * passed * 2**self._doubt, float(len(self.subjects)))
        if len(due) <= max(1.0, FEW_PER_SECOND * interval):
            return Round(due)
        depth = best_depth(subject.page for subject in due.values() if subject.page is not None)
        explore = self._rest <= 0
        self._rest -= 1
        return Round(due, depth=depth, explore=explore)

    def finish(self, round_: Round[S], now: float) -> list[S]:
        """Return whom to read one by one, after as much of the list was read as is worth it."""
        if round_.explore and round_.pages:
            self._rest = self._last_rest = min(32, max(1, self._last_rest * 2)) if round_.explored_in_vain else 0
        singly: list[S] = []
        for subject in round_.due.values():
            if round_.pages:
                subject.page = None
            if subject.due <= now + _NEAR * subject.interval:
                singly.append(subject)
            else:
                self.expect(subject, subject.due)
        checks = int(self._credit) if round_.pages else 0
        self._credit = self._credit - checks if round_.pages else 0.0
        return singly + heapq.nsmallest(checks, round_.quiet, key=lambda subject: subject.checked)

    def agreed(self) -> None:
        """Take note that a whole list was read and nothing spoke against it."""
        self._trusted_rounds += 1
        if self._doubt and self._trusted_rounds % _ROUNDS_TO_TRUST == 0:
            self._doubt -= 1

    def contradicted(self) -> None:
        """Take note that a read found what the list had not shown: it lags. More of what it says is checked."""
        self._doubt = min(_MOST_DOUBT, self._doubt + 1)
        self._trusted_rounds = 0

    def refused(self) -> None:
        """Take note that the list cannot be read: do without it for some rounds."""
        self._rest = self._last_rest = min(32, max(1, self._last_rest * 2))


def best_depth(pages: Iterable[int]) -> int:
    """
    Return after how many pages of a list to stop, when each page is one read and so is each subject beyond.

    :param pages: the page on which each subject was found last.
    """
    ordered = sorted(pages)
    best, least = 0, len(ordered)
    for index, page in enumerate(ordered):
        if (cost := page + len(ordered) - index - 1) < least:
            best, least = page, cost
    return best
