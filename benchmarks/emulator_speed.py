"""How fast the emulator answers, and how much memory it takes.

    python benchmarks/emulator_speed.py

Two measurements for each question: through the proxy and TLS as a client sees it (one aiohttp client in this process,
which shares the machine with the emulator), and how much processor time the service itself spends on a call.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import ssl
import time
from pathlib import Path
from typing import Any

import aiohttp

from airflow_provider_azureml.emulator import Emulator

CONCURRENCY = 16
_TICKS = os.sysconf("SC_CLK_TCK")


def memory(pid: int) -> float:
    """Return a process's resident memory in MB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def processor_seconds(pid: int) -> float:
    """Return how long a process has been at work."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


class Client:
    """One aiohttp session, as the async SDK stack has it."""

    def __init__(self, emulator: Emulator, session: aiohttp.ClientSession, *, proxy: bool) -> None:
        self.emulator, self.session = emulator, session
        self.proxy = emulator.environment["HTTPS_PROXY"] if proxy else None
        host = "https://management.azure.com" if proxy else f"https://127.0.0.1:{emulator.ports['service']}"
        self.workspace = (
            f"{host}/subscriptions/{emulator.subscription_id}/resourceGroups/{emulator.resource_group}"
            f"/providers/Microsoft.MachineLearningServices/workspaces/{emulator.workspace_name}"
        )
        self.headers = {"Authorization": f"Bearer {emulator.token()}", "Host": "management.azure.com"}

    async def call(self, method: str, path: str, body: Any = None) -> bytes:
        """Make one call, which must succeed."""
        url = f"{self.workspace}{path}{'&' if '?' in path else '?'}api-version=2024-10-01"
        async with self.session.request(method, url, json=body, headers=self.headers, proxy=self.proxy) as answer:
            content = await answer.read()
            assert answer.status < 300, (answer.status, content[:300])
            return content

    async def many(self, calls: list[tuple[str, str, Any]]) -> float:
        """Make calls, some at once; return how many were answered in a second."""
        waiting = iter(calls)

        async def work() -> None:
            for call in waiting:
                await self.call(*call)

        began = time.perf_counter()
        await asyncio.gather(*(work() for _ in range(CONCURRENCY)))
        return len(calls) / (time.perf_counter() - began)


def job(number: int) -> dict[str, Any]:
    """Return a command job of an ordinary size."""
    return {
        "properties": {
            "jobType": "Command",
            "command": f"python train.py --seed {number}",
            "environmentId": "azureml:env:1",
            "experimentName": "bench",
            "tags": {"number": str(number)},
            "properties": {"airflow.provider": "bench"},
            "inputs": {"data": {"jobInputType": "uri_folder", "uri": "azureml:sales:1"}},
        }
    }


def model(number: int) -> dict[str, Any]:
    """Return a model version."""
    uri = f"azureml://jobs/j{number}/outputs/artifacts/paths/model/"
    return {"properties": {"modelType": "mlflow_model", "modelUri": uri, "tags": {"number": str(number)}}}


async def measure(emulator: Emulator, jobs: int, models: int, gets: int) -> None:
    """Fill the emulator and ask it."""
    context = ssl.create_default_context(cafile=emulator.environment["SSL_CERT_FILE"])
    service = emulator.pids["service"]
    print(f"service when new: {memory(service):.0f} MB; mapper {memory(emulator.pids['mapper']):.0f} MB")
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context, limit=CONCURRENCY)) as session:
        client, direct = (Client(emulator, session, proxy=proxy) for proxy in (True, False))
        rate = await client.many([("PUT", f"/jobs/j{n}", job(n)) for n in range(jobs)])
        print(f"submit a job:        {rate:6.0f} /s through the proxy")
        rate = await client.many([("PUT", f"/models/m{n}/versions/1", model(n)) for n in range(models)])
        print(f"register a model:    {rate:6.0f} /s through the proxy")
        for name, path, count in (
            ("job GET", "/jobs/j{n}", gets),
            ("model version GET", "/models/m{n}/versions/1", gets),
            ("list of 100 jobs", "/jobs?listViewType=ActiveOnly", gets // 20),
            ("list of 100 models", "/models?listViewType=ActiveOnly", gets // 20),
        ):
            calls = [("GET", path.format(n=n % min(jobs, models)), None) for n in range(count)]
            spent = processor_seconds(service)
            rate = await client.many(calls)
            spent = (processor_seconds(service) - spent) / count
            straight = await direct.many(calls)
            print(
                f"{name + ':':20} {rate:6.0f} /s through the proxy, {straight:6.0f} /s without it; "
                f"{spent * 1000:.2f} ms of the service's time each"
            )
    print(f"service with {jobs} jobs and {models} models: {memory(service):.0f} MB")


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--models", type=int, default=1_000)
    parser.add_argument("--gets", type=int, default=4_000)
    options = parser.parse_args()
    began = time.perf_counter()
    with Emulator(jobs="driven") as emulator:
        print(f"started in {time.perf_counter() - began:.1f} s")
        asyncio.run(measure(emulator, options.jobs, options.models, options.gets))


if __name__ == "__main__":
    main()
