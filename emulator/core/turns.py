"""Which form an answer takes, where the service was seen to answer in several and it is not known which when."""

from __future__ import annotations

from collections import Counter


class Turns:
    """Every form in its turn, or always the first."""

    def __init__(self, *, both: bool) -> None:
        self.both = both
        self._taken: Counter[str] = Counter()

    def take(self, question: str, forms: int = 2) -> int:
        """Return which of so many forms is due for an answer; the first is the one seen last, or most often."""
        if not self.both:
            return 0
        self._taken[question] += 1
        return (self._taken[question] - 1) % forms
