"""The provider's own code against the emulator: real SDKs, real storage, a task context made by hand."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from pydoc import locate
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk._shared.secrets_masker import reset_secrets_masker
from airflow.sdk.exceptions import TaskDeferred
from airflow.sdk.execution_time.context import OutletEventAccessors

from airflow_provider_azureml.datasets import Registry, Workspace
from airflow_provider_azureml.emulator import Emulator
from airflow_provider_azureml.provider.hook import AzureMachineLearningHook
from airflow_provider_azureml.provider.operators.compute import AzureMachineLearningCreateComputeResourceOperator
from airflow_provider_azureml.provider.rest.client import WorkspaceClient

from .azure_calls import WATCHERS, asked
from .emulator import contract

SLOW = {
    "test_batch_operator.py",
    "test_cli.py",
    "test_constraints.py",
    "test_docs.py",
    "test_endpoint_hardship.py",
    "test_endpoint_operators.py",
    "test_life.py",
    "test_nouns.py",
    "test_predecessor.py",
    "test_release.py",
    "test_wheel.py",
}
"""Files whose tests mostly take seconds each, by `--durations`."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what `make check` leaves out."""
    here = Path(__file__).parent
    for item in items:
        if not item.path.is_relative_to(here):
            continue
        if item.path.name in SLOW or "kill_at_each_call" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.slow)


class StateStore:
    """Airflow's task state store for one task instance: it survives retries."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}

    def get(self, key: str, default: Any = None) -> Any:
        return json.loads(self.values[key]) if key in self.values else default

    def set(self, key: str, value: Any) -> None:
        self.values[key] = json.dumps(value)


class TaskInstance:
    """As much of Airflow's running task instance as the operators touch."""

    dag_id, run_id, map_index = "dag", "manual__1", -1

    def __init__(self, task_id: str, max_tries: int, try_number: int) -> None:
        self.task_id, self.max_tries, self.try_number = task_id, max_tries, try_number
        self.xcoms: dict[str, Any] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcoms[key] = json.loads(json.dumps(value))


class TaskRunner:
    """Runs one operator as Airflow would, over several tries; `clear()` makes the next one a new run of the task."""

    def __init__(self, make: Callable[[], Any]) -> None:
        with DAG("dag"):
            self.operator = make()
        self.store = StateStore()
        self.while_deferred: Callable[[], Any] = lambda: None
        self.cleared = self.tried = 0

    @property
    def context(self) -> dict[str, Any]:
        return {
            "ti": self.ti,
            "task": self.operator,
            "task_state_store": self.store,
            "outlet_events": self.events,
        }

    def begin(self) -> dict[str, Any]:
        """Begin a try, and return its context."""
        self.tried += 1
        retries = self.operator.retries or 0
        self.ti = TaskInstance(self.operator.task_id, self.cleared + retries, self.cleared + self.tried)
        self.events = OutletEventAccessors()
        self.deferral: TaskDeferred | None = None
        return self.context

    def run(self) -> Any:
        """Run a try; each deferral goes through the trigger, as its database row would tell it, and comes back."""
        step = partial(self.operator.execute, self.begin())
        who = type(self.operator).__name__
        while True:
            try:
                with asked.by(who):
                    return json.loads(json.dumps(step()))
            except TaskDeferred as deferral:
                self.deferral = deferral
                self.while_deferred()
                with asked.by(who):
                    event = asyncio.run(fire(deferral.trigger))
                step = partial(self.operator.resume_execution, deferral.method_name, {"event": event}, self.context)

    def poke(self) -> Any:
        """Look once, as a sensor that reschedules does."""
        self.ti = TaskInstance(self.operator.task_id, 0, 1)
        self.events = OutletEventAccessors()
        return self.operator.poke(self.context)

    def clear(self) -> None:
        self.cleared += 1
        self.tried = 0

    def announced(self, asset: Any) -> list[dict[str, Any]]:
        return self.events[asset].extra.get("versions", [])


async def fire(trigger: Any) -> Any:
    """Store a trigger and load it again, as Airflow does, and return its first event."""
    path, fields = trigger.serialize()
    again = locate(path)(**json.loads(json.dumps(fields)))
    async for event in again.run():
        return json.loads(json.dumps(event.payload))
    raise AssertionError("the trigger ended without an event")


@pytest.fixture(autouse=True)
def _secrets_of_earlier_tests_are_forgotten() -> None:
    """
    A test relies on no secret that another told Airflow's masker.

    Of all that it was ever told it builds one regular expression, anew for each secret: a third of these tests' time.
    """
    reset_secrets_masker()


@pytest.fixture(scope="session")
def azureml_emulator_session(own_authority_only: Callable[[], Any]) -> Iterator[Emulator]:
    """One emulator for all tests (of a worker of pytest-xdist), as unkind as Azure may be.

    What passes here does not rest on the emulator's kindness.
    """
    emulator = Emulator(unkind=os.environ.get("UNKIND") != "0", keep_answers=True)
    asked.wanted = os.environ.get("AZURE_CALLS") == "1"
    with own_authority_only():
        emulator.start()
    yield emulator
    emulator.stop()
    if asked.wanted:
        asked.keep()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the page of calls once all workers have ended."""
    if os.environ.get("AZURE_CALLS") == "1" and "PYTEST_XDIST_WORKER" not in os.environ:
        asked.write()


@pytest.fixture
def azureml_emulator(azureml_emulator: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    """A clean workspace; whatever it answered in a test has to hold Microsoft's published contract."""
    asked.emulator = azureml_emulator
    yield azureml_emulator
    if asked.wanted and request.node.path.name == "test_watchers.py":
        calls = azureml_emulator.calls("GET", host="azure")
        asked.note(WATCHERS, [call for call in calls if call["user_agent"].startswith("airflow-provider-azureml")])
    complaints = {text for answer in azureml_emulator.take_answers() for text in contract.complaints(answer)}
    assert sorted(complaints) == []


@pytest.fixture
def ws(azureml_emulator: Any, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A clean workspace, with the Airflow connection `azureml` to it."""
    monkeypatch.setenv("AIRFLOW_CONN_AZUREML", azureml_emulator.connection_json)
    extra = azureml_emulator.connection["extra"]
    return Workspace(extra["subscriptionId"], extra["resource_group_name"], extra["workspace_name"])


@pytest.fixture
def task() -> Callable[..., TaskRunner]:
    def make(operator: type, **arguments: Any) -> TaskRunner:
        return TaskRunner(lambda: operator(task_id="it", conn_id="azureml", **arguments))

    return make


@pytest.fixture
def long_operations(azureml_emulator: Emulator) -> Callable[[bool], Callable[[], Any]]:
    """Let Azure's operations last, if wanted, until what is returned is called: the while_deferred of a deferred task.

    So there is something left to defer for on a machine of whatever speed.
    """

    def last(wanted: bool) -> Callable[[], Any]:
        if wanted:
            azureml_emulator.configure(operation_seconds=30)
        return lambda: azureml_emulator.advance(30)

    return last


class FileStateStore(StateStore):
    """One that outlives the process."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path

    def get(self, key: str, default: Any = None) -> Any:
        self.values = json.loads(self.path.read_text()) if self.path.exists() else {}
        return super().get(key, default)

    def set(self, key: str, value: Any) -> None:
        super().set(key, value)
        new = self.path.with_suffix(".new")
        new.write_text(json.dumps(self.values))
        new.replace(self.path)


@pytest.fixture
def kill_at_each_call(tmp_path: Path) -> Callable[[TaskRunner], int]:
    """Run tries of a task in processes that SIGKILL ends after the answer to their 1st, 2nd ... call, until one ends.

    Returns how many were killed.
    """

    def run(runner: TaskRunner) -> int:
        import azure.ai.ml.entities
        import azure.storage.blob  # noqa: F401 - once, not in each process

        runner.store = FileStateStore(tmp_path / "state.json")
        for number in range(1, 60):
            if (pid := os.fork()) == 0:
                _try_and_die(runner, number)
            status = os.waitpid(pid, 0)[1]
            assert status in (0, signal.SIGKILL), f"the try that was to die at call {number} failed: see its output"
            if status == 0:
                return number - 1
        raise AssertionError("no try came through")

    return run


def _try_and_die(runner: TaskRunner, number: int) -> None:
    """In a forked process: run a try, count its calls over HTTP, and end at once after the answer to the Nth."""
    from aiohttp import ClientSession
    from asgiref.sync import SyncToAsync
    from requests import Session

    SyncToAsync.single_thread_executor = ThreadPoolExecutor(1)  # its thread stayed behind in the parent
    calls = 0

    def count() -> None:
        nonlocal calls
        calls += 1
        if calls == number:
            os.kill(os.getpid(), signal.SIGKILL)

    send, request = Session.send, ClientSession._request

    def counted_send(*args: Any, **kwargs: Any) -> Any:
        answer = send(*args, **kwargs)
        count()
        return answer

    async def counted_request(*args: Any, **kwargs: Any) -> Any:
        answer = await request(*args, **kwargs)
        count()
        return answer

    Session.send, ClientSession._request = counted_send, counted_request
    try:
        runner.run()
    except BaseException:  # noqa: BLE001 - reported, and never back into the copy of pytest
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
    os._exit(0)


@pytest.fixture
def ask(ws: Workspace, azureml_emulator: Any) -> Iterator[Callable[..., Any]]:
    """Ask the workspace something with the provider's own client: `ask(lambda client: client.get_job("j"))`.

    What a test looks at is all there: its lists do not lag, as those of the code under test do.
    """
    lag = azureml_emulator.emulator.settings["list_delay"]

    def run(question: Callable[[WorkspaceClient], Any]) -> Any:
        async def answer() -> Any:
            async with WorkspaceClient(AzureMachineLearningHook("azureml").get_workspace_connection()) as client:
                answer = question(client)
                return [item async for item in answer] if hasattr(answer, "__aiter__") else await answer

        azureml_emulator.configure(list_delay=0)
        try:
            return asyncio.run(answer())
        finally:
            azureml_emulator.configure(list_delay=lag)

    return run


@pytest.fixture
def lists_caught_up(azureml_emulator: Any) -> Callable[[], Any]:
    """Let so much time pass, on the emulator's clock, that lists show all that was made so far."""
    return lambda: azureml_emulator.advance(azureml_emulator.emulator.settings["list_delay"])


@pytest.fixture
def cpu(ws: Workspace, task: Callable[..., TaskRunner], azureml_emulator: Any) -> None:
    """The cluster `cpu`, with no call on record for it."""
    spec = {"name": "cpu", "type": "amlcompute", "size": "Standard_DS3_v2"}
    task(AzureMachineLearningCreateComputeResourceOperator, compute=spec, waiting=False).run()
    azureml_emulator.clear_calls()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two files, as users upload them."""
    source = tmp_path / "source"
    (source / "nested").mkdir(parents=True)
    (source / "a.txt").write_text("alpha")
    (source / "nested" / "b.txt").write_text("beta")
    return source


@pytest.fixture
def blobs(azureml_emulator: Any) -> Callable[[], dict[str, bytes]]:
    """All blobs that the provider has uploaded to the workspace's default datastore: name -> bytes."""
    from azure.storage.blob import ContainerClient

    def read() -> dict[str, bytes]:
        connection = AzureMachineLearningHook("azureml").get_workspace_connection()

        async def datastore() -> Any:
            async with WorkspaceClient(connection) as client:
                return await client.get_datastore()

        store = asyncio.run(datastore())
        with ContainerClient(store.account_url, store.container, credential=azureml_emulator.storage_key) as container:
            found = container.list_blobs(name_starts_with="airflow/", include=["metadata"])
            names = [blob.name for blob in found if "hdi_isfolder" not in (blob.metadata or {})]
            return {name: container.download_blob(name).readall() for name in names}

    return read


@pytest.fixture
def submit(ws: Workspace, azureml_emulator: Any) -> Callable[..., str]:
    """Submit a command job as somebody outside of Airflow does, with the SDK; returns its name."""

    def run(script: list[Any] | None = None, experiment: str | None = None) -> str:
        from azure.ai.ml import command

        azureml_emulator.script_jobs(script)
        with AzureMachineLearningHook("azureml").ml_client() as ml:
            environment = "azureml://registries/azureml/environments/e/versions/1"
            job = command(command="echo", environment=environment, experiment_name=experiment)
            return str(ml.jobs.create_or_update(job).name)

    return run


@pytest.fixture
def registry(ws: Any, azureml_emulator: Any) -> Registry:
    """An empty registry, which the identity of the connection `azureml` may use."""
    return Registry(azureml_emulator.create_registry())


@pytest.fixture
def prod(ws: Workspace, azureml_emulator: Any, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """Another workspace, with the Airflow connection `prod` to it."""
    name = azureml_emulator.create_workspace()
    connection = json.loads(azureml_emulator.connection_json)
    connection["extra"]["workspace_name"] = name
    monkeypatch.setenv("AIRFLOW_CONN_PROD", json.dumps(connection))
    return Workspace(ws.subscription_id, ws.resource_group, name)
