"""What operators, sensors and watchers ask of Azure: collected from the emulator's log while the tests run.

`make azure-calls` writes docs/azure-calls.md from it. What can be told without running anything (records, actions,
roles) is recomputed by tests/unit/test_azure_calls.py.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from airflow_provider_azureml.emulator.core.directory import action_of
from airflow_provider_azureml.emulator.core.roles import BUILT_IN

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "azure-calls.md"
RECORDS = ROOT / "tests" / "integration" / "emulator" / "recorded_shapes"
PARTS = ROOT / "build" / "azure-calls"
WATCHERS = "watch()"

_ROLES = ("Reader", "AzureML Data Scientist", "AzureML Compute Operator", "Contributor")
_PROVIDER = "Microsoft.MachineLearningServices"
_INTRODUCTION = """\
# What is asked of Azure

Every call that the operators, sensors and watchers made of Azure while the integration tests ran, in the order of their
names; written by `make azure-calls`, not by hand. Use it to give an identity what it needs and no more, and to see what
the emulator's answer rests on. `airflow azureml role` prints a role for what you use.

- *record*: whether the answer of the real service to this call was recorded: `yes`, `other` (at another api-version) or
  **no** (the emulator answers from Microsoft's published models, or as the SDK expects).
- *action*: what Azure checks; with *least role*, the built-in role with the fewest rights that allows it. Calls to
  `storage` need *Storage Blob Data Reader* or *Contributor* only where a datastore's secret is not given out.
- Signing in (login.microsoftonline.com) is left out: it needs no right.
"""


class Asked(NamedTuple):
    """One kind of call."""

    method: str
    path: str
    api_version: str


class Collector:
    """Notes who asks what."""

    def __init__(self) -> None:
        self.emulator: Any = None
        self.wanted = False
        self.seen: defaultdict[str, set[Asked]] = defaultdict(set)

    @contextlib.contextmanager
    def by(self, who: str) -> Iterator[None]:
        """Note what is asked in the meantime."""
        if not self.wanted or self.emulator is None:
            yield
            return
        before = max((call["number"] for call in self.emulator.calls(host=".")), default=0)
        try:
            yield
        finally:
            self.note(who, self.emulator.calls(host=".", after=before))

    def note(self, who: str, calls: list[dict[str, Any]]) -> None:
        """Note calls of somebody."""
        for call in calls:
            if call["host"].startswith("login.") or not (call["template"] or ".core." in call["host"]):
                continue
            service = call["host"].split(".")[1] if ".core." in call["host"] else ""
            path = f"storage: {service}" if service else canonical(call["template"])
            self.seen[who].add(Asked(call["method"], path, "" if service else call["api_version"]))

    def keep(self) -> None:
        """Keep what was seen in this process: pytest-xdist has several."""
        PARTS.mkdir(parents=True, exist_ok=True)
        part = PARTS / f"{os.environ.get('PYTEST_XDIST_WORKER', 'main')}.json"
        part.write_text(json.dumps({who: sorted(calls) for who, calls in self.seen.items()}))

    def write(self) -> None:
        """Write the page of what all processes have kept."""
        for part in sorted(PARTS.glob("*.json")):
            for who, calls in json.loads(part.read_text()).items():
                self.seen[who] |= {Asked(*call) for call in calls}
            part.unlink()
        lines = [_INTRODUCTION]
        gaps = set()
        for who in sorted(self.seen):
            lines += [f"## {who}", "", "| call | api-version | record | action | least role |", "|---|---|---|---|---|"]
            for asked in sorted(self.seen[who], key=lambda one: (one.path, one.method, one.api_version)):
                lines.append(row(asked))
                if record(asked) == "**no**":
                    gaps.add(f"- `{asked.method} {asked.path}` {asked.api_version}".rstrip())
            lines.append("")
        lines += ["## Calls without a record", "", *sorted(gaps), ""]
        PAGE.write_text("\n".join(lines))


def canonical(template: str) -> str:
    """Return a path that can be compared: workspaces and the like are one word, every other name is `{}`."""
    workspace = rf"/subscriptions/{{[^}}]+}}/resourceGroups/{{[^}}]+}}/providers/{_PROVIDER}/workspaces/{{[^}}]+}}"
    text = re.sub(workspace, "{workspace}", template, flags=re.IGNORECASE)
    location = rf"/subscriptions/{{[^}}]+}}/providers/{_PROVIDER}/locations/{{[^}}]+}}"
    text = re.sub(location, "{location}", text)
    text = text.replace("/…/workspaces/{ws}", "{workspace}").replace("{ws arm id}", "{workspace}")
    text = re.sub(r"^https://[^/]+", "", text)
    registry = rf"/mferp/managementfrontend/subscriptions/{{[^}}]+}}/resourceGroups/{{[^}}]+}}/providers/{_PROVIDER}"
    text = re.sub(rf"{registry}/registries/{{[^}}]+}}", "{registry}", text, flags=re.IGNORECASE)
    text = text.replace("registries/{registry}", "registries/{}")
    return re.sub(r"{(?!workspace}|location}|registry}|data_plane})[^}]*}", "{}", text)


def records() -> set[Asked]:
    """Return what was recorded."""
    found = [record for path in sorted(RECORDS.glob("*.json")) for record in json.loads(path.read_text())]
    return {Asked(one["method"], canonical(one["path"]), one["api_version"] or "") for one in found}


def record(asked: Asked) -> str:
    """Say whether a call's answer was recorded."""
    known = records()
    if asked in known or (asked._replace(api_version="v1.0") in known and not asked.api_version):
        return "yes"
    if asked.path.startswith("storage"):
        return "Azurite"
    return "other" if any(one[:2] == asked[:2] for one in known) else "**no**"


def action(asked: Asked) -> str:
    """Return the action that Azure checks."""
    if asked.path.startswith("storage"):
        return ""
    if not asked.path.startswith(("{workspace}", "{location}")):
        return (
            f"{_PROVIDER}/workspaces/experiments/runs/read" if "/runs" in asked.path or "rundata" in asked.path else ""
        )
    root = "/workspaces/w" if asked.path.startswith("{workspace}") else "/locations/l"
    path = f"/providers/{_PROVIDER}{root}{asked.path.partition('}')[2].replace('{}', 'x')}"
    return action_of(asked.method, path)


def least_role(asked: Asked) -> str:
    """Return the built-in role with the fewest rights that allows a call."""
    if not action(asked):
        return ""
    return next((role for role in _ROLES if BUILT_IN[role].allows(action(asked))), "Owner")


def row(asked: Asked) -> str:
    """Return a row of the page."""
    call = f"`{asked.method} {asked.path}`"
    return f"| {call} | {asked.api_version} | {record(asked)} | {action(asked)} | {least_role(asked)} |"


asked = Collector()
