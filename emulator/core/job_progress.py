"""How jobs get on: by themselves along a script, or driven by the test.

A script is a list of steps, each a status and how long it lasts. The default leads a job to Completed within the
configured duration. `emulator.duration` (seconds), `emulator.result` (Completed, Failed, Canceled) and
`emulator.error` (message) as a tag or property of the job say otherwise for that job: an extension of the emulator,
ignored by the real service.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Callable
from typing import Any

from .store import Document, Store

TERMINAL = frozenset({"Completed", "Failed", "Canceled"})
"""NotResponding is none: from it a run can go to any of the previous states (JobStatus in the specification)."""

FIRST = {"Command": "Starting", "Sweep": "Running", "AutoML": "NotStarted", "Pipeline": "NotStarted"}
"""The status in the answer to PUT (recorded_shapes/README.md, "Jobs"). Of others it is not known."""

_SHARES = {
    "Command": (("Starting", 0.1), ("Preparing", 0.1), ("Queued", 0.1), ("Running", 0.6), ("Finalizing", 0.1)),
    "Sweep": (("Running", 1.0),),
}
_OTHER_SHARES = (("NotStarted", 0.2), ("Running", 0.8))

Step = dict[str, Any]
"""{"status": ..., "seconds": ... or None for ever, and what comes with it: "error" and "metrics"}."""


def steps(script: list[Any]) -> list[Step]:
    """Read a script: steps are `"Running"`, `["Running", 2.5]` or `{"status": "Running", "seconds": 2.5}`."""
    read: list[Step] = []
    for item in script:
        if isinstance(item, str):
            read.append({"status": item, "seconds": 0.0})
        elif isinstance(item, dict):
            read.append({"seconds": 0.0, **item})
        else:
            status, seconds = item
            read.append({"status": status, "seconds": seconds})
    return read


def default_script(job_type: str, seconds: float, wishes: dict[str, str | None]) -> list[Step]:
    """Return the way of a job that nobody wrote a script for."""
    seconds = float(wishes.get("emulator.duration") or seconds)
    script: list[Step] = [
        {"status": status, "seconds": share * seconds} for status, share in _SHARES.get(job_type, _OTHER_SHARES)
    ]
    last: Step = {"status": wishes.get("emulator.result") or "Completed", "seconds": None}
    if last["status"] == "Failed":
        message = wishes.get("emulator.error") or "Execution failed. User process exited with status code 1."
        last["error"] = {"code": "UserError", "message": message}
    return [*script, last]


Moved = Callable[[str, str, Document], None]
"""Called with the collection, the name and the job, which has just taken a step."""


class Runner:
    """
    Moves jobs along their scripts when their time has come.

    `moved` is called after each step; whoever knows what follows from one sets it.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self.moved: Moved = lambda *_: None
        self._due: list[tuple[float, str, str]] = []
        for entry in store.entries("running", newest_first=False):
            heapq.heappush(self._due, (entry.document["due"], entry.document["collection"], entry.document["name"]))

    def script_for(self, name: str, job_type: str, seconds: float, wishes: dict[str, str | None]) -> list[Step]:
        """Return the script for a new job: the first that was set for names like this, or the default."""
        for entry in self._store.entries("scripts"):
            if re.search(entry.document["name"], name):
                return steps(entry.document["script"])
        return default_script(job_type, seconds, wishes)

    def start(self, collection: str, name: str, job: Document, script: list[Step], now: float) -> None:
        """Put a job on its way; the first step is taken at once."""
        job["script"] = script
        self._step(collection, name, job, now)

    def catch_up(self, now: float) -> None:
        """Take every step that is due, each at its own time."""
        while self._due and self._due[0][0] <= now:
            due, collection, name = heapq.heappop(self._due)
            job = self._store.get(collection, name)
            if job is not None and job.get("due") == due:
                self._step(collection, name, job, due)

    def _step(self, collection: str, name: str, job: Document, now: float) -> None:
        script = job["script"]
        while script:
            step = script.pop(0)
            self._take(collection, name, job, step, now)
            if step["seconds"] is None:
                break
            if step["seconds"]:
                self._wait(collection, name, job, now + step["seconds"])
                return
        self._rest(collection, name, job)

    def set(self, collection: str, name: str, step: Step, now: float) -> Document:
        """Take a job off its script and into a status."""
        job = self._store.get(collection, name)
        if job is None:
            raise KeyError(name)
        job["script"] = []
        self._take(collection, name, job, step, now)
        self._rest(collection, name, job)
        return job

    def redirect(self, collection: str, name: str, script: list[Step], now: float) -> Document:
        """Give a job a new script."""
        job = self._store.get(collection, name)
        if job is None:
            raise KeyError(name)
        self.start(collection, name, job, script, now)
        return job

    def _take(self, collection: str, name: str, job: Document, step: Step, now: float) -> None:
        job["status"] = step["status"]
        job["history"].append([step["status"], now])
        if step.get("error") is not None:
            job["error"] = step["error"]
        job["metrics"].update(step.get("metrics") or {})
        self.moved(collection, name, job)

    def _wait(self, collection: str, name: str, job: Document, due: float) -> None:
        job["due"] = due
        self._store.put(collection, name, job)
        entry = {"due": due, "collection": collection, "name": name}
        self._store.put("running", f"{collection}/{name}", entry)
        heapq.heappush(self._due, (due, collection, name))

    def _rest(self, collection: str, name: str, job: Document) -> None:
        job["due"] = None
        self._store.put(collection, name, job)
        self._store.delete("running", f"{collection}/{name}")
