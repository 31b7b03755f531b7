"""The emulator's time, which a test may push forward, slow down or stop."""

from __future__ import annotations

import time
from datetime import UTC, datetime


class Clock:
    """Seconds since the epoch, at a rate of its own: 1 is real time, 0 stands still, 60 is a minute a second.

    Jobs, long-running operations and throttling follow this clock. Tokens and storage signatures do not, as those who
    check their life time (azure-identity, Azurite) live in real time.
    """

    def __init__(self, rate: float = 1.0, ahead: float = 0.0) -> None:
        self._rate = rate
        self._base = time.time() + ahead
        self._since = time.monotonic()

    def now(self) -> float:
        """Return the current time in seconds since the epoch."""
        return self._base + (time.monotonic() - self._since) * self._rate

    def advance(self, seconds: float) -> None:
        """Move forward at once. Time never runs backwards, as the order of versions rests on it."""
        if seconds < 0:
            raise ValueError("the clock does not run backwards")
        self._base += seconds

    @property
    def ahead(self) -> float:
        """How far this clock is ahead of real time, so that another can go on from there after a restart."""
        return self.now() - time.time()

    @property
    def rate(self) -> float:
        """How many emulated seconds pass in one real second."""
        return self._rate

    @rate.setter
    def rate(self, rate: float) -> None:
        if rate < 0:
            raise ValueError("the clock does not run backwards")
        self._base, self._since = self.now(), time.monotonic()
        self._rate = rate


def timestamp(seconds: float, zone: str = "+00:00") -> str:
    """Write a time as AzureML does: no more fraction digits than it has (recorded_shapes/README.md, "Headers")."""
    moment = datetime.fromtimestamp(seconds, UTC)
    fraction = f".{moment.microsecond:06d}".rstrip("0").rstrip(".")
    return f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}{zone}"
