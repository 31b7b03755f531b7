"""Watching a model while everything around the watcher fails: what is lost, what is announced again.

`make hardship` runs the long form of it, `make test` a short one (test_watchers.py).
"""

import random
import threading
import time
from collections import Counter
from dataclasses import dataclass

from airflow_rest import AirflowRest
from standalone import StandaloneAirflow

from airflow_provider_azureml.emulator import Emulator

from .conftest import Outsider

MODEL = "hardship"
DAG = "watch_hardship"


@dataclass
class Outcome:
    """What came of it."""

    versions: int
    kills: int
    lost: list[str]
    repeated: int

    def __str__(self) -> str:
        return (
            f"{self.versions} versions, {self.kills} kills of the triggerer: "
            f"{len(self.lost)} lost, {self.repeated} announced again"
        )


def announced(rest: AirflowRest, uri: str) -> list[str]:
    """The versions in a watched asset's events, in the order of the events."""
    events = rest.asset_events(uri)
    return [version["version"] for event in events for version in event["extra"]["payload"]["versions"]]


def wait_until_watching(emulator: Emulator, path: str = "/workspaces/[^/]+/models$") -> None:
    """Wait for two polls: the first one takes what is there as known."""
    last = max((call["number"] for call in emulator.calls()), default=0)
    emulator.wait_for_call("GET", path, count=2, after=last, timeout=120)


def endure(
    airflow: StandaloneAirflow,
    emulator: Emulator,
    outsider: Outsider,
    uri: str,
    *,
    kills: int,
    versions: int,
    seed: int,
) -> Outcome:
    """
    Kill the triggerer at random moments while versions are registered, and return what came of it.

    Meanwhile the consumer is paused, polls are throttled and cut off, the workspace restarts.
    """
    rest = airflow.rest
    rest.wait_for_dags(DAG)
    wait_until_watching(emulator)
    chance = random.Random(seed)
    made: list[str] = []
    enough = threading.Event()
    emulator.misbehave("GET", "/models", status=429, retry_after=1, probability=0.03)
    emulator.misbehave("GET", "/models", reset=True, probability=0.03)

    def register() -> None:
        pace = random.Random(seed + 1)
        while len(made) < versions and not enough.is_set():
            number = str(len(made) + 1)
            if outsider.try_to_register(MODEL, number):
                made.append(number)
            time.sleep(pace.expovariate(versions / (kills * 8)))

    author = threading.Thread(target=register)
    author.start()
    try:
        for number in range(kills):
            time.sleep(chance.uniform(0, 20))
            airflow.kill_component("triggerer")
            airflow.start_component("triggerer")
            if number % 20 == 10:
                rest.pause(DAG)
                time.sleep(chance.uniform(0, 15))
                rest.pause(DAG, paused=False)
            if number % 50 == 25:
                emulator.kill()
                emulator.restart()
            if number % 10 == 0:
                print(f"{number + 1} kills, {len(made)} versions", flush=True)
        author.join(kills * 30 + 60)
    finally:
        enough.set()
        author.join()
        emulator.behave()
    deadline = time.monotonic() + 300
    while (lost := sorted(set(made) - set(told := announced(rest, uri)), key=int)) and time.monotonic() < deadline:
        time.sleep(2)
    return Outcome(len(made), kills, lost, sum(count - 1 for count in Counter(told).values()))
