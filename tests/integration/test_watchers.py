"""Watchers in Airflow's own shared streams, against the emulator: what fires, once each, at what cost."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from pydoc import locate
from typing import Any

import pytest
import structlog
from airflow.triggers.shared_stream import SharedStreamManager
from azure.storage.queue import QueueClient

from airflow_provider_azureml.datasets import Kind, Registry
from airflow_provider_azureml.provider.hook import AzureMachineLearningHook
from airflow_provider_azureml.provider.rest.client import WorkspaceClient
from airflow_provider_azureml.provider.rest.registry_client import RegistryClient
from airflow_provider_azureml.provider.triggers import watch as watch_module
from airflow_provider_azureml.provider.watching import poll as watching
from airflow_provider_azureml.sensors import watch


class Store:
    """Airflow's asset state store of one asset: it outlives the triggerer."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.changed = asyncio.Event()

    async def aget(self, key: str, default: Any = None) -> Any:
        return json.loads(self.values[key]) if key in self.values else default

    async def aset(self, key: str, value: Any) -> None:
        self.values[key] = json.dumps(value)
        self.changed.set()


class Watched:
    """A watched asset as a running triggerer holds it."""

    def __init__(self, asset: Any) -> None:
        (watcher,) = asset.watchers
        self.path, self.fields = watcher.trigger.serialize()
        self.store = Store()
        self.events: asyncio.Queue[Any] = asyncio.Queue()

    async def next(self) -> list[str]:
        """The versions that the next event announces, with the event stored by Airflow by then."""
        event = await asyncio.wait_for(self.events.get(), 20)
        return [version["version"] for version in json.loads(json.dumps(event.payload))["versions"]]

    async def kept(self, *versions: str) -> None:
        """Wait until the cursor holds these versions."""
        while not set(versions) <= self.seen():
            await asyncio.wait_for(self.store.changed.wait(), 20)
            self.store.changed.clear()

    def seen(self) -> set[str]:
        from airflow_provider_azureml.provider.watching.cursors import VersionCursor

        kept = json.loads(self.store.values.get("azureml", "null"))
        return set(VersionCursor.from_json(kept).seen) if kept else set()


class Triggerer:
    """Runs triggers with Airflow's own manager of shared streams, and stores events as its supervisor does."""

    def __init__(self) -> None:
        self.manager = SharedStreamManager(log=structlog.get_logger())
        self.tasks: list[asyncio.Task[None]] = []
        self.stores_events = True

    def start(self, *watched: Watched) -> None:
        for one in watched:
            trigger = locate(one.path)(**json.loads(json.dumps(one.fields)))
            trigger.asset_state_store = one.store
            self.tasks.append(asyncio.create_task(self.run(len(self.tasks) + 1, trigger, one.events)))

    async def run(self, trigger_id: int, trigger: Any, events: asyncio.Queue[Any]) -> None:
        key = trigger.shared_stream_key()
        stream = self.manager.subscribe(trigger_id=trigger_id, trigger=trigger, key=key)
        try:
            async for event in trigger.filter_shared_stream(stream):
                number = self.manager.bind_pending_event(trigger_id=trigger_id, key=key)
                if self.stores_events:
                    self.manager.confirm_persisted([number])
                events.put_nowait(event)
        finally:
            await self.manager.unsubscribe(trigger_id, key)

    async def stop(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await self.manager.stop_all()
        self.tasks.clear()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "_TICK", 0.1)
    monkeypatch.setattr(watch_module, "_SETTLED", 0.3)


@pytest.fixture
async def triggerer() -> AsyncIterator[Triggerer]:
    triggerer = Triggerer()
    yield triggerer
    await triggerer.stop()


@pytest.fixture
async def client(ws: Any) -> AsyncIterator[WorkspaceClient]:
    async with WorkspaceClient(AzureMachineLearningHook("azureml").get_workspace_connection()) as client:
        yield client


@pytest.fixture
def put(client: WorkspaceClient) -> Callable[..., Any]:
    """Make or change a version, as anybody may."""

    async def make(name: str, version: Any, *, kind: Kind = Kind.MODEL, archived: bool = False, **tags: str) -> None:
        words = {"modelType": "custom_model", "modelUri": f"azureml://datastores/d/paths/{name}"}
        if kind is Kind.DATA:
            words = {"dataType": "uri_folder", "dataUri": f"azureml://datastores/d/paths/{name}"}
        body = {"properties": {**words, "tags": tags, "isArchived": archived}}
        await client.put_version(kind, name, str(version), body)

    return make


def asset(ws: Any, name: str = "fraud", kind: Kind = Kind.MODEL, **arguments: Any) -> Watched:
    watched = watch(ws.asset(kind, name), **{"conn_id": "azureml", "poll_interval": 5, **arguments})
    one = Watched(watched)
    one.fields["poll_interval"] = 0.3  # shorter than users may
    return one


async def polled(azureml_emulator: Any, times: int = 2, path: str = "/models$") -> None:
    """Let the poll happen a few times."""
    last = max((call["number"] for call in azureml_emulator.calls()), default=0)
    await asyncio.to_thread(azureml_emulator.wait_for_call, "GET", path, count=times, after=last)


@pytest.mark.parametrize("kind", [Kind.MODEL, Kind.DATA])
async def test_each_new_version_is_announced_once_whoever_made_it(ws, triggerer, put, azureml_emulator, kind):
    await put("fraud", 1, kind=kind)
    one = asset(ws, kind=kind)
    triggerer.start(one)
    await one.kept("1")
    await put("fraud", 2, kind=kind)
    assert await one.next() == ["2"]
    await put("fraud", 3, kind=kind)
    assert await one.next() == ["3"]
    await polled(azureml_emulator, path=f"/{kind.collection}$")
    assert one.events.empty()


async def test_start_all_announces_what_is_there_in_one_event(ws, triggerer, put):
    for version in (1, 2, 10):
        await put("fraud", version)
    one = asset(ws, start="all")
    triggerer.start(one)
    assert await one.next() == ["1", "2", "10"]


async def test_a_model_that_does_not_exist_yet_is_announced_from_its_first_version(
    ws, triggerer, put, azureml_emulator
):
    one = asset(ws)
    triggerer.start(one)
    await polled(azureml_emulator)
    await put("fraud", 1)
    assert await one.next() == ["1"]


async def test_a_promotion_is_announced_when_the_tag_comes(ws, triggerer, put, azureml_emulator):
    """Version 1 was made long before; version 2 is made, and not promoted."""
    await put("fraud", 1)
    one = asset(ws, tags={"stage": "production"})
    triggerer.start(one)
    await polled(azureml_emulator)
    await put("fraud", 2)
    await put("fraud", 1, stage="production", by="someone")
    assert await one.next() == ["1"]
    await put("fraud", 1, stage="staging")
    await put("fraud", 2, stage="production")
    assert await one.next() == ["2"]
    await put("fraud", 1, stage="production")
    await polled(azureml_emulator)
    assert one.events.empty(), "promoted again is no news: each version once"


async def test_versions_made_out_of_turn_and_from_the_archive_are_announced(ws, triggerer, put, monkeypatch):
    from airflow_provider_azureml.provider.triggers.watch_version import AzureMachineLearningVersionWatchTrigger

    monkeypatch.setattr(AzureMachineLearningVersionWatchTrigger, "_RELIST", 0.2)
    await put("fraud", 5)
    await put("fraud", 2, archived=True)
    one = asset(ws)
    triggerer.start(one)
    await one.kept("5")
    await put("fraud", 3)
    assert await one.next() == ["3"]
    await put("fraud", 2)
    assert await one.next() == ["2"], "restored"


async def test_data_versions_need_not_be_numbers(ws, triggerer, put):
    one = asset(ws, kind=Kind.DATA, start="all")
    await put("fraud", "2026-11", kind=Kind.DATA)
    await put("fraud", "2026-02", kind=Kind.DATA)
    triggerer.start(one)
    assert await one.next() == ["2026-11", "2026-02"], "as they were made"


async def test_what_is_made_while_the_triggerer_is_down_is_announced_when_it_is_back(ws, triggerer, put):
    await put("fraud", 1)
    one = asset(ws)
    triggerer.start(one)
    await one.kept("1")
    await triggerer.stop()
    await put("fraud", 2)
    await put("fraud", 3)
    triggerer.start(one)
    assert await one.next() == ["2", "3"]
    await one.kept("2", "3")


async def test_an_event_that_airflow_did_not_store_is_told_again(ws, triggerer, put, azureml_emulator):
    """The triggerer dies between the event and its storage: the cursor has not moved."""
    await put("fraud", 1)
    one = asset(ws)
    triggerer.start(one)
    await one.kept("1")
    triggerer.stores_events = False
    await put("fraud", 2)
    assert await one.next() == ["2"]
    await polled(azureml_emulator, times=4)
    assert one.seen() == {"1"}
    await triggerer.stop()
    triggerer.stores_events = True
    triggerer.start(one)
    assert await one.next() == ["2"]
    await one.kept("2")


async def test_an_event_that_is_stored_is_not_told_again_after_a_restart(ws, triggerer, put, azureml_emulator):
    one = asset(ws, start="all")
    await put("fraud", 1)
    triggerer.start(one)
    assert await one.next() == ["1"]
    await one.kept("1")
    await triggerer.stop()
    azureml_emulator.clear_calls()
    triggerer.start(one)
    await polled(azureml_emulator, times=2)
    assert one.events.empty()
    assert not azureml_emulator.calls("GET", "/versions"), "nor is anything asked for, as nothing changed"


async def test_five_hundred_watched_models_cost_the_polls_of_one(ws, triggerer, put, azureml_emulator):
    for number in range(3):
        await put(f"m{number}", 1)
    many = [asset(ws, name=f"m{number}") for number in range(500)]
    triggerer.start(*many)
    for one in many[:3]:
        await one.kept("1")
    azureml_emulator.clear_calls()
    await put("m1", 2)
    assert await many[1].next() == ["2"]
    await polled(azureml_emulator, times=3)
    calls = [call for call in azureml_emulator.calls("GET") if "oauth2" not in call["path"]]
    versions = [call for call in calls if call["path"].endswith("/versions")]
    assert [call["path"].split("/")[-2] for call in versions] == ["m1"], "one more call, for what changed"
    assert len(calls) - 1 <= 8, [call["path"] for call in calls]


async def test_watchers_with_tags_share_a_call_for_each_model(ws, triggerer, put, azureml_emulator):
    await put("fraud", 1)
    watched = [asset(ws, tags={"stage": stage}) for stage in ("production", "staging", "test")]
    triggerer.start(*watched)
    await polled(azureml_emulator, times=3)
    azureml_emulator.clear_calls()
    await polled(azureml_emulator, times=4)
    lists = len(azureml_emulator.calls("GET", path="/models$"))
    # One for each list, and one whose list came before the calls were cleared; three times as many unless shared.
    assert len(azureml_emulator.calls("GET", path="/fraud/versions$")) <= lists + 1


async def test_two_filters_on_one_model_have_each_their_own_events(ws, triggerer, put):
    every, promoted = asset(ws), asset(ws, tags={"stage": "production"})
    await put("fraud", 1)
    triggerer.start(every, promoted)
    await every.kept("1")
    await put("fraud", 2)
    await put("fraud", 3, stage="production")
    announced = await every.next()
    if announced == ["2"]:
        announced += await every.next()
    assert announced == ["2", "3"]
    assert await promoted.next() == ["3"]


async def test_misbehaviour_is_waited_out_and_loses_nothing(ws, triggerer, put, azureml_emulator):
    await put("fraud", 1)
    one = asset(ws)
    triggerer.start(one)
    await one.kept("1")
    for fault in ({"status": 429, "retry_after": 1}, {"status": 503}, {"reset": True}, {"truncate": True}):
        azureml_emulator.misbehave("GET", "/models", times=1, **fault)
    await put("fraud", 2)
    azureml_emulator.misbehave("GET", "/fraud/versions", times=1, status=500)
    assert await one.next() == ["2"]
    assert not [task for task in triggerer.tasks if task.done()], "a watcher never ends"


async def test_a_revoked_permission_is_logged_once_and_heals(ws, triggerer, put, azureml_emulator, monkeypatch, caplog):
    who = azureml_emulator.create_principal()
    connection = azureml_emulator.connection
    connection.update(login=who["client_id"], password=who["client_secret"])
    await put("fraud", 1)
    monkeypatch.setenv("AIRFLOW_CONN_AZUREML", json.dumps(connection))
    one = asset(ws)
    triggerer.start(one)
    await one.kept("1")
    azureml_emulator.revoke(who["client_id"])
    await polled(azureml_emulator, times=3)
    azureml_emulator.grant(who["client_id"])
    await put("fraud", 2)
    assert await one.next() == ["2"]
    refused = [record.message for record in caplog.records if "AuthorizationFailed" in record.message]
    assert len(refused) == 1
    assert "role on the workspace" in refused[0]


async def test_a_connection_that_is_corrected_in_airflow_is_taken_up(ws, triggerer, put, azureml_emulator, monkeypatch):
    right = azureml_emulator.connection_json
    monkeypatch.setenv("AIRFLOW_CONN_AZUREML", right.replace(azureml_emulator.client_secret, "wrong"))
    await put("fraud", 1)
    one = asset(ws, start="all")
    triggerer.start(one)
    await asyncio.to_thread(azureml_emulator.wait_for_call, "POST", "/oauth2/v2.0/token", status=401)
    monkeypatch.setenv("AIRFLOW_CONN_AZUREML", right)
    assert await one.next() == ["1"]


async def test_jobs_of_an_experiment_are_announced_when_they_end(ws, triggerer, submit, azureml_emulator):
    old = await asyncio.to_thread(submit, ["Completed"], experiment="night")
    running = await asyncio.to_thread(submit, ["Running"], experiment="night")
    one, failures = asset(ws, "night", Kind.EXPERIMENT), asset(ws, "night", Kind.EXPERIMENT, statuses=["Failed"])
    triggerer.start(one, failures)
    await polled(azureml_emulator, path="/jobs$")
    done = await asyncio.to_thread(submit, ["Completed"], experiment="night")
    assert await one.next() == [done]
    azureml_emulator.job(running).fail("Oh", "no")
    assert await failures.next() == [running]
    await asyncio.to_thread(submit, ["Completed"], experiment="another")
    await polled(azureml_emulator, path="/jobs$")
    assert one.events.empty()
    assert failures.events.empty()
    assert old


class Queues:
    """The storage account's queues, as whoever sets Event Grid up makes them."""

    def __init__(self, azureml_emulator: Any) -> None:
        self.emulator = azureml_emulator
        self.account = f"https://{azureml_emulator.storage_account}.queue.core.windows.net"

    def make(self, name: str) -> str:
        with self.open(name) as queue:
            queue.create_queue()
        return f"{self.account}/{name}"

    def open(self, name: str) -> QueueClient:
        return QueueClient(self.account, name, credential=self.emulator.storage_key)

    def count(self, name: str) -> int:
        with self.open(name) as queue:
            return int(queue.get_queue_properties().approximate_message_count)


@pytest.fixture
def queues(azureml_emulator: Any) -> Queues:
    return Queues(azureml_emulator)


@pytest.mark.parametrize("form", [{}, {"envelope": "CloudEventSchemaV1_0", "encoding": "plain", "as_list": True}])
async def test_a_message_makes_the_poll_happen_now(ws, triggerer, put, azureml_emulator, queues, form):
    """Polling alone would take a quarter of an hour."""
    url = queues.make(f"events-{ws.name}")
    azureml_emulator.send_events_to(f"events-{ws.name}", workspace=ws.name, **form)
    one = asset(ws, event_queue=url)
    one.fields["poll_interval"] = 900.0
    await put("fraud", 1)
    triggerer.start(one)
    await one.kept("1")
    await put("fraud", 2)
    assert await one.next() == ["2"]
    while queues.count(f"events-{ws.name}"):
        await asyncio.sleep(0.05)


async def test_a_list_that_lags_behind_its_event_is_looked_at_again(ws, triggerer, put, azureml_emulator, queues):
    url = queues.make(f"late-{ws.name}")
    azureml_emulator.send_events_to(f"late-{ws.name}", workspace=ws.name)
    one = asset(ws, event_queue=url)
    one.fields["poll_interval"] = 900.0
    await put("fraud", 1)
    triggerer.start(one)
    await one.kept("1")
    azureml_emulator.configure(list_delay=1.0)
    try:
        await put("fraud", 2)
        assert await one.next() == ["2"]
    finally:
        azureml_emulator.configure(list_delay=0.0)


async def test_what_is_no_event_goes_to_the_poison_queue_and_the_rest_works_on(ws, triggerer, put, queues):
    url = queues.make(f"mixed-{ws.name}")
    one = asset(ws, event_queue=url)
    one.fields["poll_interval"] = 900.0
    await put("fraud", 1)
    triggerer.start(one)
    await one.kept("1")
    await put("fraud", 2)
    event = json.dumps({"eventType": "Microsoft.MachineLearningServices.ModelRegistered", "data": {}})
    with queues.open(f"mixed-{ws.name}") as queue:
        for text in ("no event", event, "[" * 2000):
            queue.send_message(text)
    assert await one.next() == ["2"]
    with queues.open(f"mixed-{ws.name}-poison") as poison:
        while poison.get_queue_properties().approximate_message_count < 2:
            await asyncio.sleep(0.05)
        assert {message.content for message in poison.receive_messages()} == {"no event", "[" * 2000}


async def test_a_queue_that_is_not_there_costs_latency_and_no_more(ws, triggerer, put, queues, caplog):
    one = asset(ws, event_queue=f"{queues.account}/nowhere", start="all")
    await put("fraud", 1)
    triggerer.start(one)
    assert await one.next() == ["1"]
    await put("fraud", 2)
    assert await one.next() == ["2"]
    assert len([record for record in caplog.records if "cannot be read; polling goes on" in record.message]) == 1


@pytest.mark.parametrize("kind", [Kind.MODEL, Kind.DATA])
async def test_a_registrys_versions_are_announced_too(ws, triggerer, azureml_emulator, kind):
    registry = Registry(azureml_emulator.create_registry())
    connection = AzureMachineLearningHook("azureml").get_workspace_connection()
    watched = watch(registry.asset(kind, "shared"), conn_id="azureml", start="all")
    one = Watched(watched)
    one.fields["poll_interval"] = 0.3
    async with RegistryClient(connection, registry=registry) as client:
        words = {f"{kind}Type": "uri_folder", f"{kind}Uri": "https://account.blob.core.windows.net/c/path"}
        await client.put_version(kind, "shared", "1", {"properties": words})
        triggerer.start(one)
        assert await one.next() == ["1"]
        await client.put_version(kind, "shared", "2", {"properties": words})
        assert await one.next() == ["2"]


async def test_leaving_closes_everything(ws, triggerer, put, azureml_emulator):
    """Warnings are errors: an unclosed session would fail this."""
    one = asset(ws, start="all")
    await put("fraud", 1)
    triggerer.start(one)
    await one.next()
    await triggerer.stop()
    with contextlib.suppress(KeyError):
        from airflow_provider_azureml.provider.rest import transport as module

        assert not module._shared
