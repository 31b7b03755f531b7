"""How far a transfer of many bytes is, told at a pace that a log can bear."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from logging import Logger

_FIRST_PAUSE, _LONGEST_PAUSE = 10.0, 60.0  # seconds between two lines


class Progress:
    """
    Counts what was done, and says it in the log after 10 seconds and then ever more rarely, at least each minute.

    :param verb: what is done: ``Uploading``.
    :param files: how many there are.
    :param size: bytes of all.
    :param log: gets the lines.
    """

    def __init__(self, verb: str, files: int, size: int, log: Logger) -> None:
        self._verb, self._files, self._size, self._log = verb, files, size, log
        self._began = self._logged = time.monotonic()
        self._pause = _FIRST_PAUSE
        self.done_files = self.done = 0
        self.reused_files = self.reused = 0

    def count(self, size: int, *, files: int = 0, reused: bool = False) -> None:
        """
        Take note that bytes, and perhaps the last bytes of a file, are where they should be.

        :param reused: they were there already.
        """
        self.done += size
        self.done_files += files
        if reused:
            self.reused += size
            self.reused_files += files
        now = time.monotonic()
        if now - self._logged >= self._pause:
            self._logged, self._pause = now, min(self._pause * 1.5, _LONGEST_PAUSE)
            self._log.info("%s", self.line(now))

    def line(self, now: float) -> str:
        """Return how far it is, how fast and how long it may take."""
        rate = (self.done - self.reused) / max(now - self._began, 1e-3)
        left = f", about {duration((self._size - self.done) / rate)} left" if rate else ""
        return (
            f"{self._verb}: {size_of(self.done)} of {amount(self._files, self._size)}, {self.done_files:,} done; "
            f"{size_of(rate)}/s{left}."
        )

    def summary(self) -> str:
        """Return what was done in all, and how fast."""
        took = time.monotonic() - self._began
        reused = f" ({amount(self.reused_files, self.reused)} were there)" if self.reused else ""
        rate = (self.done - self.reused) / max(took, 1e-3)
        return f"{amount(self.done_files, self.done)} in {took:,.1f} s{reused}, {size_of(rate)}/s."


def amount(files: int, size: int) -> str:
    """Return a number of files and bytes for a person."""
    return f"{files:,} file{'' if files == 1 else 's'}, {size_of(size)}"


def size_of(size: float) -> str:
    """Return a number of bytes for a person."""
    return f"{size:,.0f} B" if size < 1e3 else f"{size / 1e3:,.1f} kB" if size < 1e6 else f"{size / 1e6:,.1f} MB"


def duration(seconds: float) -> str:
    """Return seconds for a person."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:,.1f} h"
