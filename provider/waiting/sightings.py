"""What somebody who waits has seen so far, for the log of the task: what for, how often, what last. Pure."""

from __future__ import annotations

from dataclasses import dataclass

FIRST_PAUSE, LONGEST_PAUSE = 600.0, 3600.0
"""Seconds until the log says that a wait goes on, though nothing has changed; doubled each time up to the second."""


@dataclass(slots=True)
class Sightings:
    """
    How often something was checked, and what was seen last.

    :param what: what is waited for: ``job 'x' to complete``.
    :param checks: how often it was checked so far; a list that shows it counts as well.
    :param last: what was seen last; empty before the first check.
    :param tell_at: when to say it next, by whatever clock is used.
    """

    what: str
    checks: int = 0
    last: str = ""
    tell_at: float = 0.0
    _pause: float = FIRST_PAUSE

    def see(self, now: str) -> None:
        """Take note of a check, and of what it saw."""
        self.checks += 1
        self.last = now

    def is_to_be_told(self, now: float) -> bool:
        """Return whether it is time to say it; the next time comes after a longer while."""
        if now < self.tell_at:
            return False
        self.tell_at, self._pause = now + self._pause, min(self._pause * 2, LONGEST_PAUSE)
        return True

    def __str__(self) -> str:
        times = "once" if self.checks == 1 else f"{self.checks:,} times" if self.checks else "not yet"
        last = f" Seen last: {self.last}." if self.last else ""
        return f"Waiting for {self.what}: checked {times}.{last}"
