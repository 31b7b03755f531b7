"""Misbehaviour on purpose, by rule and by chance."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from .calls import Call, Match


@dataclass(slots=True)
class Fault:
    """What goes wrong, for which calls, how often.

    status       answer this, without acting; with `code`, `message` and `retry_after` (seconds, sent as Retry-After)
    latency      wait so many seconds first
    reset        drop the connection, without acting
    lose_answer  act, then drop the connection
    truncate     act, then send half of the body and drop the connection
    crash        end the service process at once: before acting, or after it together with `lose_answer`
    operation_fails  act, but let the operation that this begins end in Failed: `code`, `message`
    times        how many calls it applies to (None: all); `probability` how likely each of them is hit
    after        how many matching calls pass unharmed first
    """

    match: Match = field(default_factory=Match)
    status: int | None = None
    code: str = ""
    message: str = ""
    latency: float = 0.0
    reset: bool = False
    lose_answer: bool = False
    truncate: bool = False
    crash: bool = False
    operation_fails: bool = False
    times: int | None = None
    after: int = 0
    probability: float = 1.0
    retry_after: float | None = None
    hits: int = 0

    @property
    def operation_error(self) -> dict[str, str] | None:
        """What the long-running operation that a call begins ends with."""
        if not self.operation_fails:
            return None
        return {"code": self.code or "InternalServerError", "message": self.message or "The emulator was told to fail."}

    @property
    def name(self) -> str:
        """What a log of calls says of it."""
        flags = ("reset", "lose_answer", "truncate", "crash", "operation_fails")
        names = [name for name in flags if getattr(self, name)]
        if self.status:
            names.append(str(self.status))
        if self.latency:
            names.append(f"{self.latency:g}s late")
        return "+".join(names)


class Faults:
    """The rules in force; the first that fits a call is applied."""

    def __init__(self, seed: int) -> None:
        self._rules: list[Fault] = []
        self._chance = random.Random(seed)  # noqa: S311 - reproducible, not secret

    def add(self, rule: dict[str, Any]) -> None:
        """Add a rule."""
        match = Match(**rule.pop("match", {}))
        self._rules.append(Fault(match=match, **rule))

    def clear(self) -> None:
        """Behave again."""
        self._rules.clear()

    def all(self) -> list[Fault]:
        """Return the rules, with how often each was applied."""
        return self._rules

    def pick(self, call: Call) -> Fault | None:
        """Return the rule that this call runs into."""
        for rule in self._rules:
            if not rule.match.meets(call) or (rule.times is not None and rule.hits >= rule.times):
                continue
            if rule.after > 0:
                rule.after -= 1
                continue
            if rule.probability < 1.0 and self._chance.random() >= rule.probability:
                continue
            rule.hits += 1
            return rule
        return None
