"""
What a thousand waits for jobs cost, and how late they hear: this provider's triggers beside two usual ways to wait.

    .venv/bin/python benchmarks/waits.py [--cases triggers:1000,client:1000,own:1000,triggers:10000] [--seconds 150]

The ways: `triggers`, this provider's; `client`, a loop for each wait over one shared azure-core client; `own`, a loop
with a client and a credential for each wait. Each in a process of its own, as a principal of its own, against the
emulator with ARM's documented bucket of reads (250, and 25 a second) in force. Every wait is looked at each 30 seconds;
one job in twenty ends meanwhile.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

INTERVAL = float(os.environ.get("INTERVAL", "30"))
TAIL = 2.5 * INTERVAL  # seconds after the window, for those to hear whose job ended late in it


# In the process that waits -------------------------------------------------------------------------------------------


def memory() -> float:
    """Return this process's resident memory in KB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1024


class Callbacks:
    """
    The longest that the event loop was held up, in seconds of processor time.

    Apart from each other: by one callback, and by Python's garbage collection, whose pauses grow with all that the
    process holds and are nobody's callback.
    """

    def __init__(self) -> None:
        self.longest = self.collection = self._collecting = self._began = 0.0
        run = asyncio.events.Handle._run

        def timed(handle: Any) -> None:
            began = time.thread_time() - self._collecting
            run(handle)
            self.longest = max(self.longest, time.thread_time() - self._collecting - began)

        def collected(phase: str, _: Any) -> None:
            if phase == "start":
                self._began = time.thread_time()
            else:
                pause = time.thread_time() - self._began
                self._collecting += pause
                self.collection = max(self.collection, pause)

        asyncio.events.Handle._run = timed
        gc.callbacks.append(collected)


async def by_triggers(names: list[str], heard: dict[str, float], start: Any) -> None:
    """Wait as Airflow's triggerer does."""
    from airflow_provider_azureml.provider.triggers.job import AzureMachineLearningJobTrigger

    async def one(number: int, name: str) -> None:
        await start(number)
        trigger = AzureMachineLearningJobTrigger(conn_id="azureml", job_name=name, poll_interval=INTERVAL)
        async for event in trigger.run():
            assert event.payload["status"] == "success", event.payload
            heard[name] = time.time()

    await asyncio.gather(*(one(number, name) for number, name in enumerate(names)))


async def by_loops(names: list[str], heard: dict[str, float], start: Any, *, shared: bool) -> None:
    """Wait as a trigger of one's own would: ask for the job, sleep, ask again."""
    from azure.core import AsyncPipelineClient
    from azure.core.exceptions import HttpResponseError
    from azure.core.pipeline.policies import AsyncBearerTokenCredentialPolicy, AsyncRetryPolicy
    from azure.core.rest import HttpRequest
    from azure.identity.aio import ClientSecretCredential

    extra = json.loads(os.environ["AIRFLOW_CONN_AZUREML"])
    host = "https://management.azure.com"
    workspace = (
        f"{host}/subscriptions/{extra['extra']['subscriptionId']}/resourceGroups/{extra['extra']['resource_group_name']}"
        f"/providers/Microsoft.MachineLearningServices/workspaces/{extra['extra']['workspace_name']}"
    )

    def client() -> Any:
        credential = ClientSecretCredential(extra["extra"]["tenantId"], extra["login"], extra["password"])
        bearer = AsyncBearerTokenCredentialPolicy(credential, f"{host}/.default")
        # Without repetitions: the loop comes again anyway, and each would be a call more.
        return AsyncPipelineClient(host, policies=[AsyncRetryPolicy(retry_total=0), bearer])

    one_for_all = client()

    async def one(number: int, name: str) -> None:
        await start(number)
        mine = one_for_all if shared else client()
        await asyncio.sleep(INTERVAL)
        while True:
            request = HttpRequest("GET", f"{workspace}/jobs/{name}", params={"api-version": "2024-10-01"})
            try:
                async with await mine.send_request(request) as answer:
                    answer.raise_for_status()
                    if answer.json()["properties"]["status"] == "Completed":
                        heard[name] = time.time()
                        return
            except HttpResponseError as error:
                if error.status_code != 429:
                    raise
            await asyncio.sleep(INTERVAL)

    await asyncio.gather(*(one(number, name) for number, name in enumerate(names)))


PATTERNS = {
    "triggers": by_triggers,
    "client": lambda *arguments: by_loops(*arguments, shared=True),
    "own": lambda *arguments: by_loops(*arguments, shared=False),
}


async def work(pattern: str, names: list[str], seconds: float) -> dict[str, Any]:
    """Bring into memory what all waits need, wait for so long, and return what that took."""
    heard: dict[str, float] = {}
    callbacks = Callbacks()

    async def at_once(_: int) -> None:
        return

    async def one_by_one(number: int) -> None:
        await asyncio.sleep(INTERVAL * number / len(names))

    warming = asyncio.create_task(PATTERNS[pattern](["warm"], {}, at_once))
    await asyncio.sleep(INTERVAL + 5)
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    memory_before, callbacks.longest, callbacks.collection, cpu = memory(), 0.0, 0.0, time.process_time()
    waiting = asyncio.create_task(PATTERNS[pattern](names, heard, one_by_one))
    await asyncio.sleep(seconds)
    cpu, memory_after = time.process_time() - cpu, memory()
    await asyncio.sleep(TAIL)
    for task in (waiting, warming):
        if task.done():
            task.result()
        task.cancel()
    return {
        "cpu_seconds": cpu,
        "kilobytes_a_wait": (memory_after - memory_before) / len(names),
        "longest_callback_milliseconds": callbacks.longest * 1000,
        "longest_collection_milliseconds": callbacks.collection * 1000,
        "heard": heard,
    }


# In the process that measures ----------------------------------------------------------------------------------------


async def submit(emulator: Any, ends: dict[str, float]) -> None:
    """Put jobs that end at their times, in seconds since the epoch."""
    import ssl

    import aiohttp
    from emulator_speed import Client

    async def put(client: Client, left: Any) -> None:
        for name, end in left:
            words = {"jobType": "Command", "command": "python train.py", "environmentId": "azureml:e:1"}
            words |= {"experimentName": "waits", "tags": {"emulator.duration": f"{end - time.time():.2f}"}}
            await client.call("PUT", f"/jobs/{name}", {"properties": words})

    context = ssl.create_default_context(cafile=emulator.environment["SSL_CERT_FILE"])
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session:
        client, left = Client(emulator, session, proxy=True), iter(ends.items())
        await asyncio.gather(*(put(client, left) for _ in range(8)))


def measure(emulator: Any, pattern: str, waits: int, seconds: float, burst: int) -> dict[str, Any]:
    """Let one pattern wait, and return what it took."""
    emulator.configure(throttle=False)
    principal, chance = emulator.create_principal(), random.Random(11)
    asyncio.run(submit(emulator, {"warm": time.time() + 86400}))
    names = [f"{pattern}-{number:05}" for number in range(waits)]
    connection = emulator.connection_for(principal=principal)
    environment = {**os.environ, **emulator.environment, "AIRFLOW_CONN_AZUREML": json.dumps(connection)}
    command = [sys.executable, __file__, "--work", pattern, "--seconds", str(seconds)]
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdin is not None
        assert worker.stdout is not None
        worker.stdin.write(f"{json.dumps(names)}\n")
        worker.stdin.flush()
        while worker.stdout.readline() != "ready\n":
            assert worker.poll() is None
        begin = time.time() + 3 + waits / 100
        ends = dict.fromkeys(names, begin + 86400.0)
        for name in chance.sample(names, waits // 20):
            ends[name] = begin + chance.uniform(min(40, seconds / 2), seconds - 5)
        for name in chance.sample(names, burst):
            ends[name] = begin + seconds * 0.6 + chance.uniform(0, 1)
        asyncio.run(submit(emulator, ends))
        time.sleep(max(0.0, begin - time.time()))
        emulator.clear_calls()
        emulator.configure(throttle=True)
        worker.stdin.write("go\n")
        worker.stdin.flush()
        found: dict[str, Any] = json.loads(worker.stdout.read().splitlines()[-1])
    reads = [call for call in emulator.calls(principal=principal["client_id"]) if call["method"] == "GET"]
    counted = Counter(call["status"] for call in reads if call["at"] < begin + seconds)
    heard = found.pop("heard")
    ended = [name for name, end in ends.items() if end < begin + seconds]
    delays = sorted(heard[name] - emulator.job(name).history[-1][1] if name in heard else 1e9 for name in ended)
    return {
        "reads": counted.total(),
        "refused": counted[429],
        **found,
        "ended": len(ended),
        "heard": sum(delay < 1e9 for delay in delays),
        "median_seconds": delays[len(delays) // 2],
        "p99_seconds": delays[min(len(delays) - 1, int(len(delays) * 0.99))],
    }


WHO = {
    "triggers": "this provider's triggers",
    "client": "a loop for each wait, one client",
    "own": "a loop, client and credential for each wait",
}


def tell(measured: list[tuple[str, int, dict[str, Any]]], seconds: float) -> None:
    """Write the report: a row for each (pattern, number of waits, what was found)."""
    from report import write

    rows = [
        {
            "who": f"{WHO[pattern]}, {waits:,} waits",
            "reads": found["reads"],
            "of them refused (429)": found["refused"],
            "processor seconds": found["cpu_seconds"],
            "KB a wait": found["kilobytes_a_wait"],
            "longest callback, ms": found["longest_callback_milliseconds"],
            "longest garbage collection, ms": found.get("longest_collection_milliseconds"),
            "jobs ended": found["ended"],
            "heard of": found["heard"],
            "median delay, s": _seconds(found["median_seconds"]),
            "99th percentile, s": _seconds(found["p99_seconds"]),
        }
        for pattern, waits, found in measured
    ]
    by_case = {(pattern, waits): found for pattern, waits, found in measured}
    ours, own, many = (by_case.get(case) for case in (("triggers", 1000), ("own", 1000), ("triggers", 10_000)))
    goals = {}
    if ours and own:
        goals["1,000 waits: a twentieth of the reads of a client for each wait, at most"] = (
            ours["reads"] * 20 <= own["reads"]
        )
        goals["1,000 waits: a fifth of the processor time of a client for each wait, at most"] = (
            ours["cpu_seconds"] * 5 <= own["cpu_seconds"]
        )
    for found, name in ((ours, "1,000"), (many, "10,000")):
        if found:
            goals[f"{name} waits: no read is refused (429)"] = found["refused"] == 0
            goals[f"{name} waits: 99th percentile from the end of a job to the event within two intervals"] = (
                found["p99_seconds"] <= 2 * INTERVAL
            )
            goals[f"{name} waits: under 20 KB a wait"] = found["kilobytes_a_wait"] < 20
            goals[f"{name} waits: no callback holds the event loop up for 100 ms"] = (
                found["longest_callback_milliseconds"] < 100
            )
    write(
        "waits",
        "Waiting for jobs by the thousand",
        rows,
        goals=goals,
        bars="reads",
        conditions=(
            f"Each wait is looked at every {INTERVAL:.0f} s, for {seconds:.0f} s; one job in twenty ends meanwhile, "
            "each heard of by a read of its own (with 10,000 waits, 200 more end in one second). The emulator enforces "
            "ARM's documented bucket: 250 reads, and 25 more a second. Callbacks and garbage collection are measured "
            "apart, in processor time. The loops do not repeat a refused read before the next interval, which keeps "
            "their reads few."
        ),
    )


def _seconds(delay: float) -> float | str:
    return delay if delay < 1e8 else "not heard of in time"


def main() -> None:
    """Measure the cases one after another, and write the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", default="triggers:1000,client:1000,own:1000,triggers:10000")
    parser.add_argument("--seconds", type=float, default=150.0)
    parser.add_argument("--work", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        print(
            json.dumps(asyncio.run(work(options.work, json.loads(sys.stdin.readline()), options.seconds))), flush=True
        )
        os._exit(0)  # the loops leave a thousand clients open
    from airflow_provider_azureml.emulator import Emulator

    measured = []
    for case in options.cases.split(","):
        pattern, waits = case.split(":")
        with Emulator() as emulator:
            found = measure(emulator, pattern, int(waits), options.seconds, 200 if int(waits) >= 10_000 else 0)
        print(case, json.dumps(found), flush=True)
        measured.append((pattern, int(waits), found))
    tell(measured, options.seconds)


if __name__ == "__main__":
    main()
