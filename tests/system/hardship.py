"""
Watching while everything around the watchers fails: what is lost, what is told again, what starts a DAG for nothing.

It asks no log and no watcher, but Airflow's database: which versions did the DAG runs get? `make hardship` runs the
long form of it, `make test` a short one (test_hardship.py).
"""

from __future__ import annotations

import json
import random
import statistics
import threading
import time
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import httpx
from airflow_rest import AirflowError, until
from azure.storage.queue import QueueClient
from sqlalchemy import create_engine, text
from sqlalchemy.exc import SQLAlchemyError
from standalone import StandaloneAirflow

from airflow_provider_azureml.emulator import Emulator

from .conftest import Outsider
from .servers import PostgreSQL

T = TypeVar("T")
NAME = "hardship"
DAGS = ("active", "paused", "promoted", "rows", "jobs")
TRIGGERERS = ("triggerer-1", "triggerer-2")
SETTINGS = {
    # What takes minutes in production, and must not be waited for here.
    "AIRFLOW__SCHEDULER__PARSING_CLEANUP_INTERVAL": "4",
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "4",
    "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "2",
    "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "2",
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "10",
}
HOSTILE = (
    "no event",
    "[" * 3000,
    '{"eventType": 7}',
    "null",
    '{"eventType": "x.ModelRegistered", "topic": "/another"}',
)


@dataclass
class Heard:
    """What the runs of one DAG got: each run with the versions of its events."""

    runs: list[list[str]]
    moments: dict[str, datetime]  # when the first run with it began to be
    again: list[datetime] = field(default_factory=list)  # when something was told that had been told

    @property
    def counts(self) -> Counter[str]:
        return Counter(version for run in self.runs for version in run)

    @property
    def for_nothing(self) -> int:
        """How many runs got nothing at all."""
        return sum(1 for run in self.runs if not run)

    @property
    def repetitions(self) -> int:
        """How many runs got nothing that an earlier one had not."""
        known: set[str] = set()
        found = 0
        for run in self.runs:
            found += bool(run) and known.issuperset(run)
            known.update(run)
        return found


@dataclass
class Outcome:
    """What came of it."""

    troubles: Counter[str]
    revived: Counter[str]
    expected: dict[str, set[str]]
    heard: dict[str, Heard]
    delays: dict[str, list[float]] = field(default_factory=dict)
    begun: list[tuple[datetime, str]] = field(default_factory=list)  # when which trouble began

    @property
    def blamed(self) -> Counter[str]:
        """After which trouble how much was told again: that which had begun last."""
        found: Counter[str] = Counter()
        for heard in self.heard.values():
            for moment in heard.again:
                place = bisect_right(self.begun, moment, key=lambda pair: pair[0])
                found[self.begun[place - 1][1] if place else "before"] += 1
        return found

    @property
    def lost(self) -> dict[str, list[str]]:
        found = {name: sorted(self.expected[name] - self.heard[name].counts.keys()) for name in DAGS}
        return {name: versions for name, versions in found.items() if versions}

    def __str__(self) -> str:
        lines = [
            f"{sum(self.troubles.values())} troubles: {_list(self.troubles)}",
            f"ended by themselves and started again: {_list(self.revived)}",
            f"told again, by the trouble that had begun last: {_list(self.blamed)}",
        ]
        for name in DAGS:
            heard, wanted = self.heard[name], self.expected[name]
            repeated = [count - 1 for count in heard.counts.values() if count > 1]
            delays = self.delays.get(name) or [0.0]
            lines.append(
                f"{name:9}{len(wanted):5} expected, {len(wanted - heard.counts.keys())} lost, "
                f"{sum(repeated)} told again (one up to {max(repeated, default=0)} times); "
                f"{len(heard.runs)} runs, {heard.for_nothing} for nothing, {heard.repetitions} with repetitions only; "
                f"median {statistics.median(delays):.1f} s, longest {max(delays):.0f} s"
            )
        return "\n".join(lines)


def _list(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items())) or "none"


class Database:
    """Airflow's database, beside Airflow."""

    def __init__(self, url: str) -> None:
        self._engine = create_engine(url)

    def rows(self, query: str) -> list[Any]:
        """Return the rows, whenever the database is there again."""
        return insist(lambda: self._rows(query))

    def _rows(self, query: str) -> list[Any]:
        with self._engine.connect() as connection:
            return list(connection.execute(text(query)))

    def heard(self, dag: str) -> Heard:
        """Return what the runs of a DAG got."""
        query = (
            "SELECT r.id, r.queued_at, e.id, e.extra, e.timestamp FROM dag_run r "
            "LEFT JOIN dagrun_asset_event x ON x.dag_run_id = r.id LEFT JOIN asset_event e ON e.id = x.event_id "
            f"WHERE r.dag_id = 'hardship_{dag}' ORDER BY r.id, e.id"
        )
        runs: dict[int, list[str]] = {}
        moments: dict[str, datetime] = {}
        told_at: list[tuple[int, str, datetime]] = []
        for run, queued, event, extra, stored in self.rows(query):
            versions = runs.setdefault(run, [])
            if event is None:
                continue
            told = extra if isinstance(extra, dict) else json.loads(extra)
            for version in told["payload"]["versions"]:
                versions.append(_name(version["version"], version["created_at"]))
                moments.setdefault(versions[-1], _moment(queued))
                told_at.append((event, versions[-1], _moment(stored)))
        known: set[str] = set()
        again = []
        for _, version, moment in sorted(told_at):
            if version in known:
                again.append(moment)
            known.add(version)
        return Heard(list(runs.values()), moments, again)

    def is_in_use(self, asset: str) -> bool:
        """Whether Airflow knows that a DAG refers to this asset."""
        return bool(self.rows(f"SELECT 1 FROM asset_active WHERE name LIKE '%{asset}%'"))

    def is_watched(self, asset: str) -> bool:
        """Whether Airflow has a trigger for this asset."""
        query = "SELECT 1 FROM asset a JOIN asset_watcher w ON w.asset_id = a.id"
        return bool(self.rows(f"{query} WHERE a.name LIKE '%{asset}%'"))

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()


def insist(act: Callable[[], T], *, seconds: float = 180) -> T:
    """Do it again until it works, as whoever needs it does while servers come and go."""
    end = time.monotonic() + seconds
    while True:
        try:
            return act()
        except (httpx.HTTPError, AirflowError, SQLAlchemyError, ConnectionError):
            if time.monotonic() > end:
                raise
            time.sleep(0.3)


def _moment(value: Any) -> datetime:
    """SQLite has texts."""
    return value if isinstance(value, datetime) else datetime.fromisoformat(f"{value}+00:00")


def _name(version: str, created_at: str) -> str:
    """A version is its name and when it was made: made again it is another."""
    return f"{version} of {created_at[:19]}"


class Author(threading.Thread):
    """Somebody outside Airflow who registers, promotes, archives, deletes and makes again, and remembers it."""

    def __init__(self, outsider: Outsider, *, versions: int, seconds: float, seed: int) -> None:
        super().__init__(daemon=True)
        self._outsider = outsider
        self._versions = versions
        self._pace = seconds / versions
        self._chance = random.Random(seed)
        self._tags: dict[str, dict[str, str]] = {}
        self._made: dict[str, datetime] = {}
        self._archived: list[str] = []
        self.expected: dict[str, set[str]] = {name: set() for name in DAGS}
        self.made_at: dict[str, datetime] = {}
        self.error: BaseException | None = None
        self.enough = threading.Event()

    def begin(self) -> None:
        """Make one of each."""
        self._register("1", stage="production")
        self._make(2, "rows")
        self._make(3, "job")

    def run(self) -> None:
        try:
            for number in range(4, self._versions + 1):
                self._make(number)
                if self._chance.random() < 0.4:
                    self._change()
                if self.enough.wait(self._chance.expovariate(1 / self._pace)):
                    break
            self._restore(len(self._archived))
            # A restored version is noticed when its model gets another one, or within an hour.
            self._register(str(self._versions + 1))
        except BaseException as error:
            self.error = error
            raise

    def _make(self, number: int, kind: str = "") -> None:
        kind = kind or self._chance.choices(("model", "rows", "job"), (6, 2, 2))[0]
        if kind == "model":
            self._register(str(number), **({"stage": "production"} if self._chance.random() < 0.2 else {}))
        elif kind == "rows":
            path, words = (
                f"data/{NAME}/versions/day-{number}",
                {"dataType": "uri_folder", "dataUri": "azureml://x/paths/y"},
            )
            body = insist(lambda: self._outsider.put(path, **words))
            self._note("rows", f"day-{number}", body["systemData"]["createdAt"])
        else:
            body = insist(lambda: self._submit(f"hardship_{number}"))
            self._note("jobs", f"hardship_{number}", body["systemData"]["createdAt"])

    def _submit(self, job: str) -> dict[str, Any]:
        if (body := self._outsider.find(f"jobs/{job}")) is None:
            self._outsider.submit_job(job, experiment=NAME)
            body = self._outsider.find(f"jobs/{job}")
        assert body is not None
        return body

    def _change(self) -> None:
        """Do something to a version of the model that may be old."""
        if not self._tags:
            return
        version = self._chance.choice([*self._tags])
        what = self._chance.choices(("promote", "archive", "restore", "again"), (5, 2, 2, 1))[0]
        if what == "promote":
            self._put(version, stage="production")
        elif what == "archive" and version not in self._archived:
            self._archived.append(version)
            self._put(version)
        elif what == "restore":
            self._restore(min(1, len(self._archived)))
        elif what == "again" and version not in self._archived:
            insist(lambda: self._outsider.delete(f"models/{NAME}/versions/{version}"))
            self._forget(version)
            time.sleep(1.1)  # made again in the same second it would have the same name here
            self._register(version)

    def _restore(self, count: int) -> None:
        for _ in range(count):
            self._put(self._archived.pop(0))

    def _register(self, version: str, **tags: str) -> None:
        self._tags[version] = {}
        self._put(version, **tags)

    def _put(self, version: str, **tags: str) -> None:
        self._tags[version].update(tags)
        words = {"modelType": "custom_model", "modelUri": "azureml://datastores/d/paths/x", "tags": self._tags[version]}
        path, archived = f"models/{NAME}/versions/{version}", version in self._archived
        body = insist(lambda: self._outsider.put(path, **words, isArchived=archived))
        created = body["systemData"]["createdAt"]
        for name in ("active", "paused"):
            self._note(name, version, created)
        if self._tags[version]:
            self._note("promoted", version, created, matched=datetime.now(UTC))

    def _note(self, dag: str, version: str, created: str, *, matched: datetime | None = None) -> None:
        name = _name(version, created)
        self.expected[dag].add(name)
        made = datetime.fromisoformat(created.replace("Z", "+00:00"))
        self.made_at.setdefault(f"{dag} {name}", matched or made)

    def _forget(self, version: str) -> None:
        """Who was deleted before anybody heard of it need not be heard of."""
        for name in ("active", "paused", "promoted"):
            self.expected[name] = {one for one in self.expected[name] if not one.startswith(f"{version} of ")}


class Troubles:
    """What goes wrong around the watchers, one after the other."""

    def __init__(
        self,
        airflow: StandaloneAirflow,
        emulator: Emulator,
        database: Database,
        postgres: PostgreSQL | None,
        dag_file: Path,
        seed: int,
        only: str = "",
    ) -> None:
        self._airflow, self._emulator, self._database, self._postgres = airflow, emulator, database, postgres
        self._dag_file = dag_file
        self._only = only
        self._chance = random.Random(seed)
        self.counts: Counter[str] = Counter()
        self.begun: list[tuple[datetime, str]] = []
        self.revived: Counter[str] = Counter()

    def plan(self, count: int) -> Iterator[str]:
        """Yield what is to go wrong: each once, and then by chance."""
        weights = {
            "database killed": 3 if self._postgres else 0,
            "bad deployment": 2,
            "triggerer killed": 10,
            "scheduler killed": 3,
            "both triggerers killed": 3,
            "DAG file away": 1,
            "consumer paused": 2,
            "workspace restarted": 1,
            "lists lag behind": 1,
        }
        kinds = [kind for kind, weight in weights.items() if weight and self._only in kind]
        yield from kinds[:count]
        for _ in range(count - len(kinds)):
            yield self._chance.choices(kinds, [weights[kind] for kind in kinds])[0]

    def make(self, kind: str) -> None:
        """Let it go wrong, and put it right again."""
        acts: dict[str, Callable[[], None]] = {
            "triggerer killed": self._kill_triggerer,
            "both triggerers killed": self._kill_triggerers,
            "scheduler killed": lambda: self._kill("scheduler"),
            "database killed": self._kill_database,
            "bad deployment": self._deploy_badly,
            "DAG file away": self._take_dag_file_away,
            "consumer paused": self._pause,
            "workspace restarted": self._restart_workspace,
            "lists lag behind": self._lag,
        }
        self.begun.append((datetime.now(UTC), kind))
        acts[kind]()
        self.counts[kind] += 1

    def mend(self) -> None:
        """Start what has ended by itself."""
        self.revived.update(self._airflow.revive())

    def rest(self, seconds: float) -> None:
        """Let things go on."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(left, 1.0))
            self.mend()

    def _kill(self, name: str) -> None:
        self._airflow.kill_component(name)
        time.sleep(self._chance.uniform(0, 2))
        self._airflow.start_component(name)

    def _kill_triggerer(self) -> None:
        self._kill(self._chance.choice(TRIGGERERS))

    def _kill_triggerers(self) -> None:
        for name in TRIGGERERS:
            self._airflow.kill_component(name)
        for name in TRIGGERERS:
            self._airflow.start_component(name)

    def _kill_database(self) -> None:
        assert self._postgres is not None
        self._postgres.kill()
        time.sleep(self._chance.uniform(0, 4))
        self._postgres.start_again()
        self.rest(3)

    @contextmanager
    def _out_of_use(self) -> Iterator[None]:
        """
        Be out of use until Airflow has seen to it, then come back; meanwhile the triggerers may be killed.

        (Who is back before Airflow looks for what is out of use meets a window of Airflow's own: docs/watchers.md.)
        """
        yield
        self._wait(lambda: not self._database.is_in_use(f"{NAME}@"), "the assets are still in use")
        if not self.counts["bad deployment"] or self._chance.random() < 0.5:
            self._kill_triggerers()
        self.rest(self._chance.uniform(0, 4))

    def _deploy_badly(self) -> None:
        good = self._dag_file.read_text()
        try:
            with self._out_of_use():
                self._dag_file.write_text("raise RuntimeError('a bad deployment')\n")
        finally:
            self._dag_file.write_text(good)
        self._wait(lambda: self._database.is_in_use(f"{NAME}@"), "the assets are not in use again")

    def _take_dag_file_away(self) -> None:
        away = self._dag_file.with_suffix(".away")
        try:
            with self._out_of_use():
                self._dag_file.rename(away)
        finally:
            away.rename(self._dag_file)
        self._wait(lambda: self._database.is_in_use(f"{NAME}@"), "the assets are not in use again")

    def _pause(self) -> None:
        rest = self._airflow.rest
        insist(lambda: rest.pause("hardship_paused"))
        try:
            self._wait(lambda: not self._database.is_watched("for paused"), "the paused DAG's asset is still watched")
            self.rest(self._chance.uniform(0, 5))
        finally:
            insist(lambda: rest.pause("hardship_paused", paused=False))

    def _restart_workspace(self) -> None:
        self._emulator.kill()
        time.sleep(self._chance.uniform(0, 3))
        self._emulator.restart()
        misbehave(self._emulator)

    def _lag(self) -> None:
        insist(lambda: self._emulator.configure(list_delay=3.0))
        self.rest(self._chance.uniform(5, 10))
        insist(lambda: self._emulator.configure(list_delay=0.0))

    def _wait(self, condition: Callable[[], bool], otherwise: str) -> None:
        def met() -> bool:
            self.mend()
            return condition()

        until(met, 120, lambda: otherwise)


def misbehave(emulator: Emulator) -> None:
    """Refuse and cut off some of what watchers ask."""
    for path in ("/models", "/data", "/jobs"):
        emulator.misbehave("GET", f"{path}", status=429, retry_after=1, probability=0.04)
        emulator.misbehave("GET", f"{path}", reset=True, probability=0.04)


def endure(
    airflow: StandaloneAirflow,
    emulator: Emulator,
    outsider: Outsider,
    events: QueueClient,
    dag_file: Path,
    postgres: PostgreSQL | None,
    *,
    troubles: int,
    versions: int,
    seed: int,
    only: str = "",
) -> Outcome:
    """Let things go wrong, one after the other, while versions are made, and return what came of it."""
    url = postgres.url if postgres else f"sqlite:///{airflow.home / 'airflow.db'}"
    database = Database(url)
    trouble = Troubles(airflow, emulator, database, postgres, dag_file, seed, only)
    pace = random.Random(seed)
    last = max((call["number"] for call in emulator.calls()), default=0)
    for path in ("/models$", "/data$", "/jobs$"):
        emulator.wait_for_call("GET", path, count=2, after=last, timeout=120)
    _wait_until_watching(database)
    author = Author(outsider, versions=versions, seconds=troubles * 10, seed=seed + 1)
    author.begin()
    # The first run of a DAG can be for nothing if its file breaks just then: a window of Airflow's own, see the page.
    until(lambda: all(database.heard(name).runs for name in DAGS), 120, lambda: "not every DAG has had a run")
    misbehave(emulator)
    author.start()
    try:
        for number, kind in enumerate(trouble.plan(troubles), 1):
            begin = time.monotonic()
            trouble.make(kind)
            for message in pace.sample(HOSTILE, pace.randrange(3)):
                events.send_message(message)
            trouble.rest(pace.uniform(1, 12) if troubles > 10 else 3)
            made = sum(map(len, author.expected.values()))
            print(f"{number:4} {kind}: {time.monotonic() - begin:.0f} s; {made} expected by now", flush=True)
    finally:
        emulator.behave()
        author.enough.set()
        author.join(60)
    if author.error is not None:
        raise author.error
    return _outcome(author, trouble, database)


def _wait_until_watching(database: Database) -> None:
    """Wait until each watcher has taken what is there as known."""
    query = "SELECT count(DISTINCT asset_id) FROM asset_state_store WHERE key = 'azureml'"
    until(lambda: database.rows(query)[0][0] >= len(DAGS), 120, lambda: "not all watchers have begun")


def _outcome(author: Author, trouble: Troubles, database: Database) -> Outcome:
    def now() -> Outcome:
        heard = {name: database.heard(name) for name in DAGS}
        return Outcome(trouble.counts, trouble.revived, author.expected, heard, begun=trouble.begun)

    end = time.monotonic() + 240
    while now().lost and time.monotonic() < end:
        trouble.rest(2)
    trouble.rest(5)  # what is told again comes too
    outcome = now()
    for name in DAGS:
        moments = outcome.heard[name].moments
        outcome.delays[name] = [
            (moments[version] - author.made_at[f"{name} {version}"]).total_seconds()
            for version in author.expected[name] & moments.keys()
        ]
    database.close()
    return outcome
