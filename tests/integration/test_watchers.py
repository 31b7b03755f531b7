"""Watchers in Airflow's own shared streams, against the emulator: what fires, once each, at what cost."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pydoc import locate
from typing import Any

import pytest
import structlog
from airflow.triggers.shared_stream import SharedStreamManager
from azure.storage.queue import QueueClient
from freezegun import freeze_time

from airflow_provider_azureml.datasets import Kind, Registry
from airflow_provider_azureml.provider.hook import AzureMachineLearningHook
from airflow_provider_azureml.provider.rest.client import WorkspaceClient
from airflow_provider_azureml.provider.rest.registry_client import RegistryClient
from airflow_provider_azureml.provider.watching import event_queue as event_queue_module
from airflow_provider_azureml.provider.watching import memory, version_watcher, watcher
from airflow_provider_azureml.provider.watching import poll as watching
from airflow_provider_azureml.provider.watching.cursors import VersionCursor
from airflow_provider_azureml.provider.watching.memory import Kept
from airflow_provider_azureml.sensors import watch


class Store:
    """Airflow's asset state store of one asset: it outlives the triggerer, not the asset's use."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.changed = asyncio.Event()
        self.is_active = True
        self.writes: list[str] = []

    async def aget(self, key: str, default: Any = None) -> Any:
        return json.loads(self.values[key]) if key in self.values and self.is_active else default

    async def aset(self, key: str, value: Any) -> None:
        if not self.is_active:
            raise RuntimeError("404: Asset not found")
        self.values[key] = json.dumps(value)
        self.writes.append(key)
        self.changed.set()

    def deactivate(self) -> None:
        """What the scheduler does to an asset that no DAG file refers to."""
        self.is_active = False
        self.values.clear()


class Watched:
    """A watched asset as a running triggerer holds it."""

    def __init__(self, asset: Any) -> None:
        (watcher,) = asset.watchers
        self.path, self.fields = watcher.trigger.serialize()
        self.store = Store()
        self.trigger_id = 1
        self.events: asyncio.Queue[Any] = asyncio.Queue()

    async def next(self) -> list[str]:
        """The versions that the next event announces, with the event stored by Airflow by then."""
        event = await asyncio.wait_for(self.events.get(), 60)
        return [version["version"] for version in json.loads(json.dumps(event.payload))["versions"]]

    async def kept(self, *versions: str) -> None:
        """Wait until the cursor holds these versions."""
        while not set(versions) <= self.seen():
            await asyncio.wait_for(self.store.changed.wait(), 60)
            self.store.changed.clear()

    async def done(self) -> None:
        """Wait until lists are believed: nothing more is looked for until the fingerprint changes."""
        while json.loads(self.store.values.get("azureml", "{}")).get("mark") is None:
            await asyncio.wait_for(self.store.changed.wait(), 60)
            self.store.changed.clear()

    def seen(self) -> set[str]:
        cursor = self.cursor()
        every = [*cursor.recent] if cursor else []
        return set(every)

    def cursor(self) -> VersionCursor | None:
        kept = json.loads(self.store.values.get("azureml", "null"))
        return VersionCursor.from_json(Kept.from_json(kept).cursor) if kept else None

    @property
    def health(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.store.values.get("azureml:health", "{}"))
        return found


class Triggerer:
    """Runs triggers with Airflow's own manager of shared streams, and stores events as its supervisor does."""

    def __init__(self, lists_caught_up: Callable[[], Any]) -> None:
        self.lists_caught_up = lists_caught_up
        self.manager = SharedStreamManager(log=structlog.get_logger())
        self.tasks: list[asyncio.Task[None]] = []
        self.stores_events = True

    def start(self, *watched: Watched) -> None:
        """Start or restart watching; what was made before somebody watches for the first time was made long before."""
        if not all(one.store.values for one in watched):
            self.lists_caught_up()
        for one in watched:
            trigger = locate(one.path)(**json.loads(json.dumps(one.fields)))
            trigger.asset_state_store = one.store
            trigger.trigger_id = one.trigger_id
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
        await asyncio.sleep(0.05)  # TLS connections end


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "_TICK", 0.1)
    monkeypatch.setattr(watching, "_GATHER", 0.02)
    monkeypatch.setattr(watcher, "_SPACING", 0.1)
    monkeypatch.setattr(watcher, "settle_time", lambda: 0.3)
    monkeypatch.setattr(version_watcher, "_PAUSES", (0.2, 0.5, 1.0))
    monkeypatch.setattr(event_queue_module, "_LIFE", 1.0)


@pytest.fixture(autouse=True)
def variables(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Airflow's variables, which outlive everything."""
    kept: dict[str, str] = {}
    monkeypatch.setattr(memory, "read_variable", kept.get)
    monkeypatch.setattr(memory, "write_variable", lambda name, value, description: kept.update({name: value}))
    return kept


@pytest.fixture
async def triggerer(lists_caught_up: Callable[[], Any]) -> AsyncIterator[Triggerer]:
    triggerer = Triggerer(lists_caught_up)
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


@pytest.fixture
def many_writes(azureml_emulator: Any) -> None:
    """Hundreds of versions are made by many people: no one of them runs into ARM's limit of 200 writes at once."""
    azureml_emulator.configure(limits={"writes": (1000, 100)})


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


async def test_a_version_comes_with_the_metrics_of_its_job_though_the_service_is_busy(
    ws, triggerer, client, submit, azureml_emulator
):
    job = await asyncio.to_thread(submit, ["Running"])
    await asyncio.to_thread(azureml_emulator.job(job).complete, None, {"f1": 0.9})
    one = asset(ws, metrics=True)
    triggerer.start(one)
    await polled(azureml_emulator)
    azureml_emulator.misbehave("GET", "/mlflow/", status=503, times=2)
    words = {"modelType": "custom_model", "modelUri": "azureml://datastores/d/paths/x", "jobName": job}
    await client.put_version(Kind.MODEL, "fraud", "1", {"properties": words})
    event = await asyncio.wait_for(one.events.get(), 60)
    (version,) = event.payload["versions"]
    assert version["metrics"] == {"f1": 0.9}


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


async def test_versions_made_out_of_turn_and_from_the_archive_are_announced_at_the_hourly_second_check(
    ws, triggerer, put
):
    await put("fraud", 5)
    await put("fraud", 2, archived=True)
    one = asset(ws)
    with freeze_time(datetime.now(UTC), tick=True, real_asyncio=True) as clock:
        triggerer.start(one)
        await one.kept("5")
        await put("fraud", 3)
        clock.tick(timedelta(hours=1, seconds=1))
        assert await one.next() == ["3"]
        await put("fraud", 2)
        clock.tick(timedelta(hours=1, seconds=1))
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
    await one.done()
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
        await one.done()
    azureml_emulator.clear_calls()
    await put("m1", 2)
    assert await many[1].next() == ["2"]
    await polled(azureml_emulator, times=3)
    calls = [call for call in azureml_emulator.calls("GET") if "oauth2" not in call["path"]]
    versions = [call for call in calls if call["path"].endswith("/versions")]
    looks = [call["path"].split("/")[-2] for call in versions]
    assert set(looks) == {"m1"}, "what changed, and nothing else"
    assert len(looks) <= 4, "a few looks, as lists may lag"
    assert len(calls) - len(looks) <= 8, [call["path"] for call in calls]


async def test_watchers_with_tags_share_a_call_for_each_model(ws, triggerer, put, azureml_emulator, monkeypatch):
    # The further looks into a version that is new, in the first 45 s, would be counted with those of each poll.
    monkeypatch.setattr("airflow_provider_azureml.provider.watching.version_watcher._PAUSES", ())
    await put("fraud", 1)
    watched = [asset(ws, tags={"stage": stage}) for stage in ("production", "staging", "test")]
    triggerer.start(*watched)
    await polled(azureml_emulator, times=3)
    azureml_emulator.clear_calls()
    await polled(azureml_emulator, times=4)
    asked = len(azureml_emulator.calls("GET", path="/fraud/versions$"))
    lists = len(azureml_emulator.calls("GET", path="/models$"))
    # One for each list, and one whose list came before the calls were cleared; three times as many unless shared.
    assert asked <= lists + 1


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


async def test_a_job_that_does_not_respond_is_announced_when_it_ends_after_all(ws, triggerer, submit, azureml_emulator):
    """NotResponding is not final: a run can go from it to any of the previous states (specification)."""
    one = asset(ws, "night", Kind.EXPERIMENT, statuses=["Completed", "Failed"])
    triggerer.start(one)
    await polled(azureml_emulator, path="/jobs$")
    job = await asyncio.to_thread(submit, ["NotResponding"], experiment="night")
    await polled(azureml_emulator, times=3, path="/jobs$")
    assert one.events.empty()
    await triggerer.stop()
    triggerer.start(one)
    azureml_emulator.job(job).complete()
    assert await one.next() == [job]


async def test_a_triggerer_that_crashes_again_and_again_settles_what_it_announced_all_the_same(
    ws, triggerer, put, azureml_emulator, monkeypatch, variables
):
    """Else one bad deployment after an hour of crashes would repeat the whole hour."""
    monkeypatch.setattr(watcher, "settle_time", lambda: 4.0)
    one = asset(ws)
    await watching_from_one(one, triggerer, put)
    await put("fraud", 2)
    assert await one.next() == ["2"]
    await one.kept("2")

    def is_settled() -> bool:
        copy = Kept.from_json(json.loads(variables[memory.variable_name(one.fields["asset"])]))
        return "2" in VersionCursor.from_json(copy.cursor).recent

    for _ in range(30):
        if is_settled():
            return
        await triggerer.stop()
        triggerer.start(one)
        await polled(azureml_emulator, times=2)  # less than a second
    pytest.fail("it waits anew each time")


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
    while queues.count(f"mixed-{ws.name}"):
        await asyncio.sleep(0.05)
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
    async with RegistryClient(connection.for_owner(registry)) as client:
        path = (kind.collection, "shared", "versions")
        words = {f"{kind}Type": "uri_folder", f"{kind}Uri": "https://account.blob.core.windows.net/c/path"}
        await client.change_resource("PUT", *path, "1", json={"properties": words})
        triggerer.start(one)
        assert await one.next() == ["1"]
        await client.change_resource("PUT", *path, "2", json={"properties": words})
        assert await one.next() == ["2"]


async def test_leaving_closes_everything(ws, triggerer, put, azureml_emulator):
    """Warnings are errors: an unclosed session would fail this."""
    one = asset(ws, start="all")
    await put("fraud", 1)
    triggerer.start(one)
    await one.next()
    await triggerer.stop()
    from airflow_provider_azureml.provider.rest import transport as module

    assert len(module._transports) == 0


async def until(condition: Callable[[], Any], seconds: float = 60) -> None:
    """Wait until something holds."""
    end = asyncio.get_running_loop().time() + seconds
    while not condition():
        assert asyncio.get_running_loop().time() < end, "it does not come to hold"
        await asyncio.sleep(0.02)


async def watching_from_one(one: Watched, triggerer: Triggerer, put: Callable[..., Any]) -> None:
    """Version 1 is there and known."""
    await put("fraud", 1)
    triggerer.start(one)
    await one.done()


async def test_what_is_made_during_a_bad_deployment_is_announced_after_the_repair(ws, triggerer, put, azureml_emulator):
    """An import error takes the asset out of use and its state away; the trigger runs on (facts of Airflow 3.3)."""
    one = asset(ws)
    await watching_from_one(one, triggerer, put)
    one.store.deactivate()
    await put("fraud", 2)
    await polled(azureml_emulator, times=4)
    assert one.events.empty(), "it would start nothing, and count as told"
    one.store.is_active = True
    assert await one.next() == ["2"]


async def test_a_triggerer_that_restarts_during_a_bad_deployment_does_not_begin_anew(
    ws, triggerer, put, azureml_emulator
):
    one = asset(ws)
    await watching_from_one(one, triggerer, put)
    one.store.deactivate()
    await triggerer.stop()
    await put("fraud", 2)
    one.trigger_id += 1
    triggerer.start(one)
    await polled(azureml_emulator, times=3)
    assert one.events.empty()
    one.store.is_active = True
    assert await one.next() == ["2"]


async def test_a_triggerer_that_was_down_during_a_bad_deployment_does_not_begin_anew(ws, triggerer, put):
    """Nor does it announce with start="all" what it announced."""
    one = asset(ws, start="all")
    await put("fraud", 1)
    triggerer.start(one)
    assert await one.next() == ["1"]
    await one.done()
    await triggerer.stop()
    one.store.deactivate()
    await put("fraud", 2)
    one.store.is_active = True
    one.trigger_id += 1
    triggerer.start(one)
    assert await one.next() == ["2"]


async def test_what_was_announced_just_before_an_asset_fell_out_of_use_is_announced_again(
    ws, triggerer, put, monkeypatch
):
    """Its DAG had lost its schedule by then: Airflow stored the event, and started nothing."""
    monkeypatch.setattr(watcher, "settle_time", lambda: 3.0)
    one = asset(ws)
    await watching_from_one(one, triggerer, put)
    await put("fraud", 2)
    assert await one.next() == ["2"]
    await one.kept("2")
    one.store.deactivate()
    await asyncio.sleep(0.2)
    one.store.is_active = True
    assert await one.next() == ["2"]


async def test_a_crash_repeats_nothing_that_is_stored_and_a_pause_what_nobody_may_have_heard(
    ws, triggerer, put, azureml_emulator, monkeypatch
):
    monkeypatch.setattr(watcher, "settle_time", lambda: 60.0)
    one = asset(ws)
    await watching_from_one(one, triggerer, put)
    await put("fraud", 2)
    assert await one.next() == ["2"]
    await one.kept("2")
    await triggerer.stop()
    triggerer.start(one)  # the same trigger, as after a crash
    await polled(azureml_emulator, times=4)
    assert one.events.empty()
    await triggerer.stop()
    one.trigger_id += 1  # a new trigger, as after a pause
    triggerer.start(one)
    assert await one.next() == ["2"]


async def test_lists_that_lag_behind_lose_nothing(ws, triggerer, put, azureml_emulator, monkeypatch):
    """The fingerprint says that there is a new version before the list shows it."""
    monkeypatch.setattr(version_watcher, "_PAUSES", (0.2, 0.5, 1.0, 2.0))
    one = asset(ws)
    await watching_from_one(one, triggerer, put)
    azureml_emulator.configure(list_delay=1.0)
    told: list[str] = []
    try:
        for version in range(2, 8):
            await put("fraud", version)
            await asyncio.sleep(0.4)
        while len(told) < 6:
            told += await one.next()
    finally:
        azureml_emulator.configure(list_delay=0.0)
    assert told == ["2", "3", "4", "5", "6", "7"]


async def test_a_restart_while_a_list_lags_behind_loses_nothing(ws, triggerer, put, azureml_emulator):
    one = asset(ws)
    await watching_from_one(one, triggerer, put)
    azureml_emulator.configure(list_delay=2.0)
    try:
        await put("fraud", 2)
        await polled(azureml_emulator, times=3)
        await triggerer.stop()
        triggerer.start(one)
        assert await one.next() == ["2"]
    finally:
        azureml_emulator.configure(list_delay=0.0)


async def test_without_a_shared_stream_the_cursor_moves_too(ws, put, monkeypatch):
    monkeypatch.setattr(watcher, "_UNCONFIRMED", 0.2)
    one = asset(ws, start="all")
    await put("fraud", 1)
    trigger = locate(one.path)(**one.fields)
    trigger.asset_state_store = one.store
    events = trigger.run()
    try:
        first = await anext(events)
        assert [version["version"] for version in first.payload["versions"]] == ["1"]
        following = asyncio.create_task(anext(events))
        await one.kept("1")
        await put("fraud", 2)
        assert [version["version"] for version in (await following).payload["versions"]] == ["2"]
    finally:
        await events.aclose()
        await asyncio.sleep(0.05)


async def test_a_long_announcement_comes_in_events_of_a_hundred_in_order_and_a_kill_between_them_loses_none(
    ws, triggerer, put, many_writes, monkeypatch
):
    monkeypatch.setattr(watcher, "_SPACING", 0.5)
    one = asset(ws, start="all")
    await asyncio.gather(*(put("fraud", version) for version in range(1, 251)))
    triggerer.start(one)
    told = await one.next()
    assert len(told) == 100
    await until(lambda: len(one.seen()) >= 100)
    await triggerer.stop()
    triggerer.start(one)
    for size in (100, 50):
        piece = await one.next()
        assert len(piece) == size
        told += piece
    assert sorted(told, key=int) == [str(version) for version in range(1, 251)]
    assert len(one.store.values["azureml"]) < 16_000


@pytest.mark.parametrize(
    "row",
    ["{}", "[]", '"text"', '{"format": 3, "cursor": {}}', '{"format": 2}', '{"ranges": [[1, "x"]]}', '{"open": []}'],
)
async def test_a_state_that_cannot_be_read_is_told_loudly_and_the_copy_counts(ws, triggerer, put, capsys, row):
    one = asset(ws)
    await watching_from_one(one, triggerer, put)
    await triggerer.stop()
    one.store.values["azureml"] = row
    await put("fraud", 2)
    triggerer.start(one)
    assert await one.next() == ["2"]
    assert "could not be read" in capsys.readouterr().out
    await until(lambda: "could not be read" in str(one.health.get("why")))


async def test_without_a_copy_an_unreadable_state_leads_to_repeating_and_never_to_forgetting(
    ws, triggerer, put, variables
):
    one = asset(ws)
    await watching_from_one(one, triggerer, put)
    await triggerer.stop()
    one.store.values["azureml"] = "{}"
    variables.clear()
    await put("fraud", 2)
    triggerer.start(one)
    told = await one.next()
    if told == ["1"]:  # the list lagged
        told += await one.next()
    assert told == ["1", "2"]


@pytest.mark.parametrize("copy", ["{no JSON", "", "[]", '{"format": 2, "cursor": {"zlib": "eA=="}}'])
async def test_a_copy_that_somebody_has_spoilt_does_not_stop_the_watcher(ws, triggerer, put, variables, capsys, copy):
    one = asset(ws)
    await watching_from_one(one, triggerer, put)
    await triggerer.stop()
    variables[memory.variable_name(one.fields["asset"])] = copy
    await put("fraud", 2)
    triggerer.start(one)
    assert await one.next() == ["2"]
    assert "could not be read" in capsys.readouterr().out


async def test_a_state_that_airflow_itself_cannot_read_does_not_stop_the_watcher(ws, triggerer, put, monkeypatch):
    one = asset(ws)
    await watching_from_one(one, triggerer, put)
    await triggerer.stop()
    one.store.values["azureml"] = "no JSON"
    await put("fraud", 2)
    triggerer.start(one)
    assert await one.next() == ["2"]


async def test_what_an_earlier_release_kept_goes_on(ws, triggerer, put, variables, azureml_emulator):
    await put("fraud", 1)
    await put("fraud", 2)
    one = asset(ws)
    one.store.values["azureml"] = json.dumps({"ranges": [[1, 10**7]], "names": [], "high": "2099-01-01T00:00:00Z"})
    triggerer.start(one)
    await polled(azureml_emulator, times=3)
    assert one.events.empty()
    one.store.values["azureml"] = json.dumps(
        {"ranges": [[1, 1]], "names": [], "high": "2099-01-01T00:00:00Z", "mark": "x"}
    )
    await triggerer.stop()
    variables.clear()
    triggerer.start(one)
    assert await one.next() == ["2"]


async def test_nudges_shorten_no_back_off(ws, triggerer, put, azureml_emulator, queues):
    """429 with Retry-After while an event comes twice a second."""
    url = queues.make(f"storm-{ws.name}")
    one = asset(ws, event_queue=url)
    await watching_from_one(one, triggerer, put)
    azureml_emulator.misbehave("GET", "/models$", status=429, retry_after=60, times=100)
    last = max(call["number"] for call in azureml_emulator.calls())
    event = json.dumps({"eventType": "Microsoft.MachineLearningServices.ModelRegistered", "topic": ws.id, "data": {}})
    with queues.open(f"storm-{ws.name}") as queue:
        for _ in range(6):
            queue.send_message(event)
            await asyncio.sleep(0.5)
    asked = [call for call in azureml_emulator.calls("GET", path="/models$") if call["number"] > last]
    assert len(asked) <= 2


@pytest.mark.slow
async def test_nudges_have_a_least_spacing_and_those_of_other_workspaces_are_not_heeded(
    ws, triggerer, put, azureml_emulator, queues
):
    url = queues.make(f"busy-{ws.name}")
    one = asset(ws, event_queue=url)
    one.fields["poll_interval"] = 900.0
    await watching_from_one(one, triggerer, put)
    await asyncio.sleep(watching._NUDGE_SPACING)

    async def polls_for(topic: str) -> int:
        last = max(call["number"] for call in azureml_emulator.calls())
        kind = "Microsoft.MachineLearningServices.ModelRegistered"
        with queues.open(f"busy-{ws.name}") as queue:
            for _ in range(8):
                queue.send_message(json.dumps({"eventType": kind, "topic": topic, "data": {}}))
                await asyncio.sleep(0.5)
        return len([call for call in azureml_emulator.calls("GET", path="/models$") if call["number"] > last])

    assert await polls_for(ws.id.replace(ws.name, "another")) == 0
    assert 1 <= await polls_for(ws.id.upper()) <= 3


async def test_one_queue_serves_models_and_jobs(ws, triggerer, put, submit, azureml_emulator, queues):
    """What the documentation's own commands set up: all events of a workspace in one queue."""
    url = queues.make(f"all-{ws.name}")
    azureml_emulator.send_events_to(f"all-{ws.name}", workspace=ws.name)
    models, jobs = asset(ws, event_queue=url), asset(ws, "night", Kind.EXPERIMENT, event_queue=url)
    for one in (models, jobs):
        one.fields["poll_interval"] = 900.0
    await put("fraud", 1)
    triggerer.start(models, jobs)
    await models.kept("1")
    await until(lambda: "azureml" in jobs.store.values)
    for version in range(2, 6):
        job = await asyncio.to_thread(submit, ["Completed"], experiment="night")
        await put("fraud", version)
        assert await models.next() == [str(version)]
        assert await jobs.next() == [job]
    assert len(event_queue_module._listeners) == 1


@pytest.mark.slow
async def test_two_triggerers_on_one_queue_hear_every_message_of_every_workspace(
    ws, azureml_emulator, queues, monkeypatch
):
    from airflow_provider_azureml.provider.watching.event_queue import EventQueue

    monkeypatch.setattr(event_queue_module, "_LIFE", 6.0)
    url = queues.make(f"shared-{ws.name}")
    connection = AzureMachineLearningHook("azureml").get_workspace_connection()
    heard: list[set[str]] = [set(), set()]

    async def listen(number: int) -> None:
        async with connection.async_credential() as credential, EventQueue(url, credential) as queue:
            while True:
                heard[number].update(nudge.workspace for nudge in await queue.hear())
                await asyncio.sleep(0.1 + number / 20)

    tasks = [asyncio.create_task(listen(number)) for number in range(2)]
    with queues.open(f"shared-{ws.name}") as queue:
        for number in range(40):
            kind = "Microsoft.MachineLearningServices.ModelRegistered"
            queue.send_message(json.dumps({"type": kind, "source": f"/w/{number}"}))
            if number % 2:
                queue.send_message("hostile" * number)
    await until(lambda: all(len(one) == 40 for one in heard), 60)
    await until(lambda: queues.count(f"shared-{ws.name}") == 0, 60)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.sleep(0.05)


@pytest.mark.slow
async def test_two_hundred_tagged_models_under_a_small_budget_all_get_their_turn(
    ws, triggerer, put, azureml_emulator, monkeypatch
):
    """60 reads at once and 20 a second, for lists of 200 models: none starves, and refusals are few."""
    monkeypatch.setenv("AIRFLOW__AZUREML__MAX_READS_PER_SECOND", "20")
    names = [f"m{number}" for number in range(200)]
    await asyncio.gather(*(put(name, 1) for name in names))
    many = [asset(ws, name=name, tags={"stage": "production"}) for name in names]
    for one in many:
        one.fields["poll_interval"] = 2.0
    # The budget is for pages as long as those that were recorded.
    azureml_emulator.configure(throttle=True, page_size=50, limits={"reads": (60, 20), "writes": (1000, 100)})
    azureml_emulator.clear_calls()
    try:
        triggerer.start(*many)
        await until(lambda: all("azureml" in one.store.values for one in many), 40)
        await asyncio.gather(*(put(name, 1, stage="production") for name in names))
        for one in many:
            assert await asyncio.wait_for(one.events.get(), 90)
        calls = azureml_emulator.calls("GET")
        refused = sum(call["status"] == 429 for call in calls)
        assert refused < len(calls) * 0.05, f"{refused} of {len(calls)}"
    finally:
        azureml_emulator.configure(throttle=False)


async def test_a_list_of_many_pages_of_which_some_are_refused_is_read_to_its_end(
    ws, triggerer, put, azureml_emulator, monkeypatch
):
    from airflow_provider_azureml.provider.rest import client as client_module

    monkeypatch.setattr(client_module, "_PAGE_TRIES", 20)
    await asyncio.gather(*(put("fraud", version) for version in range(1, 101)))
    azureml_emulator.configure(page_size=2)
    azureml_emulator.misbehave("GET", "/fraud/versions", status=503, retry_after=0, probability=0.2)
    one = asset(ws, start="all")
    triggerer.start(one)
    try:
        assert len(await one.next()) == 100
    finally:
        azureml_emulator.configure(page_size=50)


async def test_a_poll_that_finds_nothing_new_costs_one_read_however_many_versions_and_models_there_are(
    ws, triggerer, put, azureml_emulator
):
    await asyncio.gather(*(put("fraud", version) for version in range(1, 31)))
    await asyncio.gather(*(put(f"other{number}", 1) for number in range(30)))
    azureml_emulator.configure(page_size=3)
    try:
        one = asset(ws)
        triggerer.start(one)
        await one.done()
        azureml_emulator.clear_calls()
        await polled(azureml_emulator, times=4, path="/models/fraud$")
        assert not azureml_emulator.calls("GET", path="/models$"), "by name, as that is fewer than the pages"
        assert not azureml_emulator.calls("GET", "/versions")
        await put("fraud", 31)
        assert await one.next() == ["31"]
    finally:
        azureml_emulator.configure(page_size=50)


@pytest.mark.parametrize("way", ["honoured", "ignored", "refused"])
async def test_a_tag_that_an_old_version_gets_is_noticed_whether_lists_show_changes_first_or_not(
    ws, triggerer, put, azureml_emulator, monkeypatch, way
):
    """Where they do, a poll that finds nothing new reads one page of the versions; else it reads all of them."""
    monkeypatch.setattr(version_watcher, "_LATE_CHANGES", 200)
    monkeypatch.setattr(version_watcher, "_PAUSES", ())
    await asyncio.gather(*(put("fraud", version) for version in range(1, 31)))
    azureml_emulator.configure(page_size=3, answers={"order by change": way})
    try:
        promoted, tested = (asset(ws, tags={"stage": stage}) for stage in ("production", "test"))
        triggerer.start(promoted, tested)
        await promoted.done()
        await tested.done()
        for version in (7, 28, 2):
            await put("fraud", version, stage="production")
            assert await promoted.next() == [str(version)]
        await put("fraud", 1, stage="test")
        assert await tested.next() == ["1"]
        await asyncio.sleep(0.5)
        await polled(azureml_emulator, times=2, path="/models$")
        azureml_emulator.clear_calls()
        await polled(azureml_emulator, times=4, path="/models$")
        polls = len(azureml_emulator.calls("GET", path="/models$"))
        pages = len(azureml_emulator.calls("GET", path="/fraud/versions$"))
        # One more, as the window may begin within a poll.
        assert (pages <= polls + 1) == (way == "honoured"), f"{pages} pages in {polls} polls"
    finally:
        azureml_emulator.configure(page_size=50, answers={})


async def test_what_is_restored_from_the_archive_is_noticed_by_a_watcher_with_tags_at_the_next_poll(
    ws, triggerer, put, azureml_emulator
):
    for version in range(1, 5):
        await put("fraud", version, archived=version == 2, stage="production")
    one = asset(ws, tags={"stage": "production"})
    triggerer.start(one)
    await one.done()
    await put("fraud", 2, stage="production")
    assert await one.next() == ["2"]


async def test_a_failing_watcher_says_why_and_since_when_on_its_assets_page(
    ws, triggerer, put, azureml_emulator, monkeypatch
):
    """And writes that when it changes, not at each poll."""
    who = azureml_emulator.create_principal()
    connection = azureml_emulator.connection
    connection.update(login=who["client_id"], password=who["client_secret"])
    monkeypatch.setenv("AIRFLOW_CONN_AZUREML", json.dumps(connection))
    one = asset(ws)
    await watching_from_one(one, triggerer, put)
    assert one.health["state"] == "ok"
    azureml_emulator.revoke(who["client_id"])
    await until(lambda: one.health["state"] == "failing")
    assert "AuthorizationFailed" in one.health["why"]
    assert one.health["failing_since"] <= one.health["next_poll"]
    await polled(azureml_emulator, times=2)
    azureml_emulator.grant(who["client_id"])
    await until(lambda: one.health["state"] == "ok")
    assert one.health["failing_since"] is None
    written = one.store.writes.count("azureml:health")
    await polled(azureml_emulator, times=4)
    assert one.store.writes.count("azureml:health") == written


async def test_replaying_and_forgetting_are_asked_for_and_done_once(
    ws, triggerer, put, variables, azureml_emulator, monkeypatch
):
    monkeypatch.setattr(watching, "_REQUESTS", 0.1)
    one = asset(ws, start="all")
    for version in range(1, 5):
        await put("fraud", version)
    triggerer.start(one)
    assert await one.next() == ["1", "2", "3", "4"]
    await one.done()

    def ask(number: int, **request: Any) -> None:
        variables[memory.REQUESTS] = json.dumps({one.fields["asset"]: {"id": str(number), **request}})

    ask(1, do="replay", from_version="3")
    assert await one.next() == ["3", "4"]
    await one.done()
    await triggerer.stop()
    triggerer.start(one)
    await polled(azureml_emulator, times=4)
    assert one.events.empty(), "asked for once"
    ask(2, do="replay", since="2020-01-01T00:00:00Z")
    assert await one.next() == ["1", "2", "3", "4"]
    ask(3, do="replay", from_version="9")
    await until(lambda: "there is none" in str(one.health.get("why")))
    assert one.events.empty()
    ask(4, do="forget")
    assert await one.next() == ["1", "2", "3", "4"], "as if for the first time, with start='all'"


async def test_each_consumer_of_one_model_has_its_own_memory(ws, triggerer, put, azureml_emulator):
    """One is paused while the other is not: each hears everything once."""
    deploy, report = asset(ws, consumer="deploy"), asset(ws, consumer="report")
    await put("fraud", 1)
    triggerer.start(deploy, report)
    await deploy.done()
    await report.done()
    await triggerer.stop()
    triggerer.start(deploy)
    await put("fraud", 2)
    assert await deploy.next() == ["2"]
    report.trigger_id += 1
    triggerer.start(report)
    assert await report.next() == ["2"]


async def test_a_watcher_takes_little_memory_and_few_lines_of_log(
    ws, triggerer, put, many_writes, azureml_emulator, capsys
):
    import gc
    import tracemalloc

    await asyncio.gather(*(put("fraud", version) for version in range(1, 301)))
    many = [asset(ws, tags={"stage": str(number)}) for number in range(100)]
    triggerer.start(many[0])
    await until(lambda: "azureml" in many[0].store.values)
    await polled(azureml_emulator, times=2)
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.take_snapshot()
        triggerer.start(*many[1:])
        await until(lambda: all("azureml" in one.store.values for one in many))
        await polled(azureml_emulator, times=2)
        await until(lambda: all("azureml:health" in one.store.values for one in many))
        gc.collect()
        mine = tracemalloc.Filter(True, "*/watching/*")
        grown = tracemalloc.take_snapshot().filter_traces([mine]).compare_to(before.filter_traces([mine]), "filename")
    finally:
        tracemalloc.stop()
    assert sum(change.size_diff for change in grown) / 99 < 20_000
    assert capsys.readouterr().out.count("are there without") == 100, "a summary for each watcher"
