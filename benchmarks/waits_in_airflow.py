"""
A thousand deferred sensors in Airflow's own triggerer: what they cost, and how 200 jobs that end in one second resume.

    .venv/bin/python benchmarks/waits_in_airflow.py [--waits 1000] [--seconds 180]

A whole Airflow runs, against the emulator with ARM's documented bucket of reads in force. The tasks do not go through a
thousand worker processes to get there, which would take a quarter of an hour and is Airflow's own: their rows are put
into its database as the execution API puts them when a task defers. From there on all is Airflow's: its triggerer runs
the triggers, its scheduler resumes the tasks, its workers finish them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sqlite3
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "demo"))

from scenario import airflow_environment
from standalone import StandaloneAirflow
from waits import INTERVAL, submit

from airflow_provider_azureml.emulator import Emulator
from airflow_provider_azureml.provider.triggers.job import AzureMachineLearningJobTrigger

BURST = 200
DAG = """
from airflow.sdk import DAG
from airflow_provider_azureml.sensors import AzureMachineLearningJobSensor

with DAG("waits", schedule=None, max_active_tasks=2000):
    AzureMachineLearningJobSensor.partial(task_id="wait", conn_id="azureml", pool="held").expand(job_name={names})
"""


class Database:
    """Airflow's database, beside Airflow."""

    def __init__(self, airflow: StandaloneAirflow) -> None:
        self._connection = sqlite3.connect(airflow.home / "airflow.db", timeout=60, isolation_level=None)

    def states(self) -> dict[int, str]:
        """Return the state of each mapped task."""
        query = "SELECT map_index, state FROM task_instance WHERE dag_id = 'waits' AND map_index >= 0"
        return dict(self._connection.execute(query).fetchall())

    def defer(self, names: list[str]) -> None:
        """Put the tasks where they are once they have deferred."""
        now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
        self._connection.execute("BEGIN IMMEDIATE")
        for number, name in enumerate(names):
            path, fields = AzureMachineLearningJobTrigger(
                conn_id="azureml", job_name=name, poll_interval=INTERVAL
            ).serialize()
            trigger = self._connection.execute(
                "INSERT INTO trigger (classpath, kwargs, created_date) VALUES (?, ?, ?)",
                (path, json.dumps(fields), now),
            ).lastrowid
            self._connection.execute(
                "UPDATE task_instance SET state = 'deferred', trigger_id = ?, next_method = 'execute_complete',"
                " next_kwargs = '{}', start_date = ?, try_number = 1 WHERE dag_id = 'waits' AND map_index = ?",
                (trigger, now, number),
            )
        self._connection.execute("COMMIT")


def until(condition: Any, seconds: float) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(1)


def triggerer(airflow: StandaloneAirflow) -> tuple[float, float]:
    """Return the triggerer's processor seconds and resident MB, its processes together."""
    processes = airflow.component("triggerer").processes
    cpu = sum(sum(process.cpu_times()[:2]) for process in processes)
    return cpu, sum(process.memory_info().rss for process in processes) / 1e6


def measure(emulator: Emulator, airflow: StandaloneAirflow, waits: int, seconds: float) -> dict[str, Any]:
    """Return what the waits took."""
    database, chance = Database(airflow), random.Random(11)
    names = [f"wait-{number:04}" for number in range(waits)]
    airflow.rest.wait_for_dags("waits")
    airflow.rest.trigger("waits")
    until(lambda: list(database.states().values()).count("scheduled") == waits, 400)
    begin = time.time() + 10 + waits / 100
    ends = dict.fromkeys(names, begin + 86400.0)
    for name in chance.sample(names, waits // 20):
        ends[name] = begin + chance.uniform(2 * INTERVAL, seconds - 5)
    burst = chance.sample([name for name in names if ends[name] > begin + 10000], min(BURST, waits // 5))
    for name in burst:
        ends[name] = begin + seconds * 0.7 + chance.uniform(0, 1)
    asyncio.run(submit(emulator, ends))
    time.sleep(max(0.0, begin - time.time()))
    emulator.clear_calls()
    emulator.configure(throttle=True)
    cpu_before, memory_before = triggerer(airflow)
    database.defer(names)
    airflow.command("pools", "set", "held", "64", "resumed tasks")
    fired: dict[int, float] = {}
    finished: dict[int, float] = {}
    found: dict[str, Any] = {}
    while len(finished) < waits // 20 + len(burst) and time.time() < begin + seconds + 600:
        now = time.time()
        for index, state in database.states().items():
            if state != "deferred":
                fired.setdefault(index, now)
            if state in ("success", "failed"):
                finished.setdefault(index, now)
        if now > begin + seconds * 0.7 - 2 and not found:  # before the burst
            cpu, memory = triggerer(airflow)
            reads = [call for call in emulator.calls(method="GET") if "/jobs" in call["path"]]
            found = {
                "reads_a_second": len(reads) / (now - begin),
                "triggerer_cpu_share": (cpu - cpu_before) / (now - begin),
                "triggerer_kilobytes_a_wait": (memory - memory_before) * 1000 / waits,
            }
        time.sleep(0.5)
    ended = {name: emulator.job(name).history[-1][1] for name in names if ends[name] < begin + 10000}
    index = {name: number for number, name in enumerate(names)}
    read = {call["path"].rpartition("/")[2]: call["at"] for call in emulator.calls(method="GET")}  # the last of each
    found_out = sorted(read[name] - end if name in read else 1e9 for name, end in ended.items())
    delays = sorted(fired.get(index[name], 1e9) - end for name, end in ended.items())
    failed = [number for number, state in database.states().items() if state == "failed"]
    last_end = max(ended[name] for name in burst)
    log = airflow.component_log("triggerer").read_text(errors="replace")
    return {
        **found,
        "refused": sum(call["status"] == 429 for call in emulator.calls()),
        "ended": len(ended),
        "fired": sum(delay < 1e9 for delay in delays),
        "failed": len(failed),
        "p99_seconds_to_the_read_that_tells": found_out[int(len(found_out) * 0.99)],
        "median_seconds_to_event": delays[len(delays) // 2],
        "p99_seconds_to_event": delays[int(len(delays) * 0.99)],
        "burst_all_events_after_seconds": max(fired.get(index[name], 1e9) for name in burst) - last_end,
        "burst_all_finished_after_seconds": max(finished.get(index[name], 1e9) for name in burst) - last_end,
        "triggerer_blocked_warnings": log.count("async thread was blocked"),
    }


def tell(found: dict[str, Any], waits: int) -> None:
    """Write the report."""
    from report import write

    part = "seconds from the end of a job, 99th percentile"
    rows = [
        {
            "who": f"this provider: {part} to the read that tells",
            "measured": found["p99_seconds_to_the_read_that_tells"],
        },
        {"who": f"with Airflow: {part} to the resumed task", "measured": found["p99_seconds_to_event"]},
        {
            "who": "200 that end in one second: until all are resumed",
            "measured": found["burst_all_events_after_seconds"],
        },
        {
            "who": "200 that end in one second: until all tasks succeeded",
            "measured": found["burst_all_finished_after_seconds"],
        },
        {"who": "reads a second", "measured": found["reads_a_second"]},
        {"who": "reads refused (429)", "measured": found["refused"]},
        {"who": "triggerer, share of a core", "measured": found["triggerer_cpu_share"]},
        {"who": "triggerer, KB a wait, Airflow's part included", "measured": found["triggerer_kilobytes_a_wait"]},
        {
            "who": "jobs ended / resumed / failed",
            "measured": f"{found['ended']} / {found['fired']} / {found['failed']}",
        },
    ]
    write(
        "waits_in_airflow",
        f"{waits:,} deferred sensors in Airflow's own triggerer",
        rows,
        goals={
            "no read is refused (429)": found["refused"] == 0,
            "every job that ended resumed its task": found["fired"] == found["ended"] and not found["failed"],
            f"{part} to the read that tells, within two intervals": found["p99_seconds_to_the_read_that_tells"]
            <= 2 * INTERVAL,
            f"{part} to the resumed task, within two intervals": found["p99_seconds_to_event"] <= 2 * INTERVAL,
        },
        bars="measured",
        conditions=(
            f"Job sensors, {INTERVAL:.0f} s, ARM's documented bucket enforced; scheduler, triggerer, API server, four "
            "workers, emulator and SQLite share the machine."
        ),
    )


def main() -> None:
    """Measure, and write the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--waits", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=180.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Emulator(throttle=False) as emulator:
        names = [f"wait-{number:04}" for number in range(options.waits)]
        Path(folder, "waits.py").write_text(DAG.format(names=names))
        environment = {**airflow_environment(emulator), "AIRFLOW__CORE__MAX_MAP_LENGTH": "2000"}
        with StandaloneAirflow(
            Path(folder), environment=environment, connections={"azureml": emulator.connection}
        ) as airflow:
            airflow.command("pools", "set", "held", "0", "not yet")
            found = measure(emulator, airflow, options.waits, options.seconds)
    print(json.dumps(found), flush=True)
    tell(found, options.waits)


if __name__ == "__main__":
    main()
