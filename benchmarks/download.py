"""Downloads: this provider, azure-ai-ml, and azure-storage-blob at its best setting, found by search.

python benchmarks/download.py [--files 1000] [--size 4096] [--megabytes 256] [--latency 0.05] [--rounds 2]
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import report
import transfers

from airflow_provider_azureml.provider.hook import AzureMachineLearningHook

MANY = [("threads", 16), ("threads", 32), ("tasks", 16), ("tasks", 32)]  # files at once
ONE = [("threads", 8), ("threads", 16), ("tasks", 8), ("tasks", 16)]  # ranges of the file at once


def put(folder: Path, name: str) -> None:
    """Have a model version of the files in a folder."""
    from azure.ai.ml.entities import Model

    with AzureMachineLearningHook("azureml").ml_client() as ml:
        ml.models.create_or_update(Model(name=name, version="1", path=str(folder), type="custom_model"))


def ours(name: str) -> Callable[[], Any]:
    """This provider's download."""
    import azure.identity.aio  # noqa: F401

    import airflow_provider_azureml.provider.rest.registry_client
    import airflow_provider_azureml.provider.storage.download  # noqa: F401

    hook = AzureMachineLearningHook("azureml")
    found = hook.find_version("model", name)
    assert found is not None
    return lambda: hook.download(found, Path(tempfile.mkdtemp(dir=".")) / "ours")


def azure_ai_ml(name: str) -> Callable[[], Any]:
    """The SDK's download of a model."""
    ml = AzureMachineLearningHook("azureml").ml_client().__enter__()
    return lambda: ml.models.download(name, "1", download_path=tempfile.mkdtemp(dir="."))


def script(name: str, kind: str, at_once: int, one: bool) -> Callable[[], Any]:
    """azure-storage-blob: so many files at once, or so many ranges of one."""
    from concurrent.futures import ThreadPoolExecutor

    import requests.adapters
    from azure.core.pipeline.transport import RequestsTransport
    from azure.storage.blob import ContainerClient
    from azure.storage.blob.aio import ContainerClient as AsyncContainerClient

    account, container, secret = transfers.place()
    found = AzureMachineLearningHook("azureml").find_version("model", name)
    assert found is not None
    prefix = found.path.partition("/paths/")[2].rstrip("/") + "/"
    files, ranges = (1, at_once) if one else (at_once, 1)
    to = Path(tempfile.mkdtemp(dir="."))

    def run() -> None:
        session = requests.Session()
        session.mount("https://", requests.adapters.HTTPAdapter(pool_maxsize=at_once))
        transport = RequestsTransport(session=session, session_owner=False)
        client = ContainerClient(account, container, credential=secret, transport=transport)

        def fetch(blob: str) -> None:
            with (to / Path(blob).name).open("wb") as stream:
                client.download_blob(blob, max_concurrency=ranges).readinto(stream)

        with ThreadPoolExecutor(files) as pool:
            list(pool.map(fetch, [blob.name for blob in client.list_blobs(prefix)]))

    async def arun() -> None:
        async with AsyncContainerClient(account, container, credential=secret) as client:
            waiting = iter([blob.name async for blob in client.list_blobs(prefix)])

            async def work() -> None:
                for blob in waiting:
                    with (to / Path(blob).name).open("wb") as stream:
                        await (await client.download_blob(blob, max_concurrency=ranges)).readinto(stream)

            await asyncio.gather(*(work() for _ in range(files)))

    return (lambda: asyncio.run(arun())) if kind == "tasks" else run


def contender(name: str, who: str, at_once: str = "0") -> None:
    """Run one of them, in a process of its own."""
    make = {"ours": lambda: ours(name), "sdk": lambda: azure_ai_ml(name)}
    transfers.measured(make.get(who, lambda: script(name, who, int(at_once), name == "one")))


def main() -> None:
    """Let them race, first for many small files, then for a large one."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--megabytes", type=int, default=256)
    parser.add_argument("--latency", type=float, default=0.05)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    rows, goals = [], {}
    for name, files, size, settings in (
        ("many", options.files, options.size, MANY),
        ("one", 1, options.megabytes * 2**20, ONE),
    ):
        what = f"{files:,} files of {size:,} bytes" if files > 1 else f"1 file of {options.megabytes} MB"
        who = [
            ("this provider", ["ours"]),
            ("azure-ai-ml", ["sdk"]),
            *((f"azure-storage-blob, {n} {kind}", [kind, str(n)]) for kind, n in settings),
        ]
        with transfers.slow_storage(0.0) as emulator, transfers.folder_of(files, size) as folder:
            put(folder, name)
            emulator.misbehave("GET", host="blob", latency=options.latency)
            with tempfile.TemporaryDirectory() as scratch:
                script = str(Path(__file__).resolve())
                contenders = [["--contender", name, *arguments] for _, arguments in who]
                best = transfers.race(script, contenders, rounds=options.rounds, folder=scratch)
        found = [
            {
                "what": what,
                "who": label,
                "seconds": one["seconds"],
                "processor seconds": one["processor"],
                "memory, MB": one["memory"],
            }
            for (label, _), one in zip(who, best, strict=True)
        ]
        fastest = min(found[2:], key=lambda row: row["seconds"])
        ratio, times = fastest["seconds"] / found[0]["seconds"], found[1]["seconds"] / found[0]["seconds"]
        if files > 1:
            goals[f"{what}: three times as fast as azure-ai-ml ({times:.1f} times)"] = times >= 3
        goals[f"{what}: 0.9 of {fastest['who']} ({ratio:.2f})"] = ratio >= 0.9
        goals[f"{what}: at most 200 MB of memory ({best[0]['memory']:.0f})"] = best[0]["memory"] <= 200
        rows += found
    report.write(
        "download",
        "Downloading",
        rows,
        goals=goals,
        bars="seconds",
        conditions=f"Each GET {options.latency * 1000:.0f} ms late; the best of {options.rounds} rounds, in turn. "
        "Ours also compares each file's MD5, and shows nothing at the destination before all is there.",
    )


if __name__ == "__main__":
    contender(*sys.argv[2:]) if sys.argv[1:2] == ["--contender"] else main()
