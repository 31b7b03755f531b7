"""ARM's throttle: a token bucket per subscription, principal and kind of call.

Source: Microsoft's "Understand how Azure Resource Manager throttles requests", confirmed by the recorded headers
(249 and 3749 left after the first read, 199 and 2999 after the first write).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

GLOBAL_FACTOR = 15
LIMITS = {"reads": (250.0, 25.0), "writes": (200.0, 10.0), "deletes": (200.0, 10.0)}
"""For each kind of call: how many may come at once, and how many more each second."""

_KINDS = {"GET": "reads", "HEAD": "reads", "DELETE": "deletes"}


def kind_of(method: str) -> str:
    """Return the bucket that a method draws from; a POST that only lists secrets or cancels is a write."""
    return _KINDS.get(method, "writes")


@dataclass(slots=True)
class Bucket:
    """So many tokens at most, so many new ones each second."""

    size: float
    refill: float
    tokens: float = field(init=False)
    at: float = 0.0

    def __post_init__(self) -> None:
        self.tokens = self.size

    def take(self, now: float) -> bool:
        """Take one token if there is one."""
        self.tokens = min(self.size, self.tokens + max(0.0, now - self.at) * self.refill)
        self.at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True

    @property
    def wait(self) -> int:
        """Whole seconds until there is a token again, as Retry-After puts it."""
        return max(1, math.ceil((1 - self.tokens) / self.refill)) if self.refill else 3600


class Throttle:
    """Counts calls and, where `enforce` is set, refuses those above the limit."""

    def __init__(self, *, enforce: bool = False, limits: dict[str, tuple[float, float]] | None = None) -> None:
        self.enforce = enforce
        self.limits = {**LIMITS, **(limits or {})}
        self._buckets: dict[tuple[str, str, str], tuple[Bucket, Bucket]] = {}

    def count(self, subscription: str, principal: str, method: str, now: float) -> tuple[dict[str, str], int | None]:
        """Count a call; return its rate-limit headers and, when it is refused, the seconds to wait."""
        kind = kind_of(method)
        key = (subscription, principal, kind)
        if key not in self._buckets:
            size, refill = self.limits[kind]
            self._buckets[key] = (Bucket(size, refill), Bucket(size * GLOBAL_FACTOR, refill * GLOBAL_FACTOR))
        own, everyone = self._buckets[key]
        allowed = own.take(now)
        allowed = everyone.take(now) and allowed
        headers = {
            f"x-ms-ratelimit-remaining-subscription-{kind}": str(int(own.tokens)),
            f"x-ms-ratelimit-remaining-subscription-global-{kind}": str(int(everyone.tokens)),
        }
        return headers, None if allowed or not self.enforce else own.wait
