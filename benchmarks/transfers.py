"""What the benchmarks of transfers share: an emulator with latency, and contenders in processes of their own."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from airflow_provider_azureml.emulator import Emulator
from airflow_provider_azureml.provider.hook import AzureMachineLearningHook


@contextmanager
def slow_storage(latency: float, method: str | None = None) -> Iterator[Emulator]:
    """Start an emulator whose storage answers each request so many seconds late."""
    with Emulator() as emulator:
        os.environ.update(emulator.environment)
        os.environ["AIRFLOW_CONN_AZUREML"] = json.dumps(emulator.connection)
        emulator.misbehave(method, host="blob", latency=latency)
        yield emulator


def race(script: str, contenders: list[list[str]], *, rounds: int, folder: str | None = None) -> list[dict[str, float]]:
    """Run contenders in turn, several rounds, each in a process of its own; return the best round of each.

    A contender's arguments are given to the script, which calls `measured` and works in the folder.
    """
    best: list[dict[str, float]] = [{} for _ in contenders]
    for _ in range(rounds):
        for number, arguments in enumerate(contenders):
            command = [sys.executable, script, *arguments]
            done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, text=True, check=False)
            if done.returncode:
                raise SystemExit(f"{arguments} failed")
            found = json.loads(done.stdout.splitlines()[-1])
            if not best[number] or found["seconds"] < best[number]["seconds"]:
                best[number] = found
            print(arguments, found, file=sys.stderr, flush=True)
    return best


def measured(prepare: Callable[[], Callable[[], Any]]) -> None:
    """In a contender's process: print seconds, processor seconds and the memory that it took on top of its imports."""
    warnings.simplefilter("ignore")
    logging.disable()
    run = prepare()
    idle, processor, began = _peak(), time.process_time(), time.perf_counter()
    run()
    print(
        json.dumps(
            {
                "seconds": time.perf_counter() - began,
                "processor": time.process_time() - processor,
                "memory": _peak() - idle,
                "whole_memory": _peak(),
            }
        )
    )


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def place() -> tuple[str, str, str]:
    """Return account, container and signature of the default datastore, as a script would have them."""

    async def ask() -> tuple[str, str, str]:
        async with AzureMachineLearningHook("azureml").client() as client:
            store = await client.get_datastore()
            return store.account_url, store.container, await client.get_datastore_secret(store.name)

    return asyncio.run(ask())


@contextmanager
def folder_of(files: int, size: int) -> Iterator[Path]:
    """Make a folder with so many files of so many random bytes."""
    with tempfile.TemporaryDirectory() as made:
        for number in range(files):
            with (Path(made) / f"{number:05d}.bin").open("wb") as stream:
                for offset in range(0, size, 2**20):
                    stream.write(os.urandom(min(2**20, size - offset)))
        yield Path(made)


def ours_up(folder: str) -> Callable[[], Any]:
    """This provider's upload, as its operators do it; what it imports is loaded before, as for the others."""
    import azure.identity.aio  # noqa: F401

    import airflow_provider_azureml.provider.rest.client  # noqa: F401
    from airflow_provider_azureml.provider.storage.container import Container
    from airflow_provider_azureml.provider.storage.sources import find_source
    from airflow_provider_azureml.provider.storage.upload import Upload

    async def run() -> None:
        async with AzureMachineLearningHook("azureml").client() as client:
            store = await client.get_datastore()
            async with Container(client, store) as container:
                source = find_source(folder, folder=Path())
                await Upload(source, container, f"ours/{os.getpid()}", log=logging.getLogger()).run()

    return lambda: asyncio.run(run())


def azure_ai_ml_up(folder: str) -> Callable[[], Any]:
    """The SDK's upload of a data asset."""
    import uuid

    from azure.ai.ml.entities import Data

    manager = AzureMachineLearningHook("azureml").ml_client()
    ml = manager.__enter__()
    name = f"d{uuid.uuid4().hex[:8]}"
    # The SDK would find the same content of an earlier round and send nothing.
    (Path(folder) / "round").write_text(name)
    return lambda: ml.data.create_or_update(Data(name=name, path=folder, type="uri_folder"))


def threads_up(folder: str, workers: int) -> Callable[[], Any]:
    """azure-storage-blob, as a script would use it: so many files at once."""
    from concurrent.futures import ThreadPoolExecutor

    import requests.adapters
    from azure.core.pipeline.transport import RequestsTransport
    from azure.storage.blob import ContainerClient

    account, container, secret = place()
    session = requests.Session()
    session.mount("https://", requests.adapters.HTTPAdapter(pool_maxsize=workers))
    client = ContainerClient(
        account, container, credential=secret, transport=RequestsTransport(session=session, session_owner=False)
    )

    def send(path: Path) -> None:
        with path.open("rb") as stream:
            client.upload_blob(f"threads/{os.getpid()}/{path.name}", stream, overwrite=True)

    def run() -> None:
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(send, Path(folder).iterdir()))

    return run


def tasks_up(folder: str, workers: int) -> Callable[[], Any]:
    """azure-storage-blob's asynchronous client, so many files at once."""
    from azure.storage.blob.aio import ContainerClient

    account, container, secret = place()
    paths = list(Path(folder).iterdir())

    async def run() -> None:
        async with ContainerClient(account, container, credential=secret) as client:
            waiting = iter(paths)

            async def work() -> None:
                for path in waiting:
                    with path.open("rb") as stream:
                        await client.upload_blob(f"tasks/{os.getpid()}/{path.name}", stream, overwrite=True)

            await asyncio.gather(*(work() for _ in range(workers)))

    return lambda: asyncio.run(run())


def blocks_up(folder: str, megabytes: int, at_once: int, asynchronous: bool) -> Callable[[], Any]:
    """azure-storage-blob with one large file: blocks of so many megabytes, so many at once."""
    from azure.storage.blob import ContainerClient
    from azure.storage.blob.aio import ContainerClient as AsyncContainerClient

    account, container, secret = place()
    (path,) = [path for path in Path(folder).iterdir() if path.name != "round"]
    name = f"blocks/{os.getpid()}"
    settings: dict[str, Any] = {"max_block_size": megabytes * 2**20, "max_single_put_size": megabytes * 2**20}

    def run() -> None:
        with ContainerClient(account, container, credential=secret, **settings) as client, path.open("rb") as stream:
            client.upload_blob(name, stream, overwrite=True, max_concurrency=at_once)

    async def arun() -> None:
        async with AsyncContainerClient(account, container, credential=secret, **settings) as client:
            with path.open("rb") as stream:
                await client.upload_blob(name, stream, overwrite=True, max_concurrency=at_once)

    return (lambda: asyncio.run(arun())) if asynchronous else run
