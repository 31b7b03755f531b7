"""Event Grid events, delivered to a storage queue in every form that is known from the wire."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

COMMAND = {"jobType": "Command", "command": "true", "environmentId": "azureml:e:1"}
MODEL = {"properties": {"modelUri": "azureml://jobs/j/outputs/m", "modelType": "custom_model", "tags": {"k": "v"}}}


class Queue:
    """A queue as a consumer reads it."""

    def __init__(self, client: Any) -> None:
        self.client = client

    async def take(self, count: int) -> list[str]:
        """Receive so many messages."""
        messages: list[str] = []
        async with asyncio.timeout(60):
            while len(messages) < count:
                async for message in self.client.receive_messages():
                    messages.append(message.content)
                    await self.client.delete_message(message)
                await asyncio.sleep(0.01)
        return messages


@pytest.fixture
async def queue(azureml_emulator: Any) -> AsyncIterator[Queue]:
    from azure.storage.queue.aio import QueueClient

    emulator = azureml_emulator
    name = f"events-{emulator.workspace_name}"
    url = f"https://{emulator.storage_account}.queue.core.windows.net"
    async with QueueClient(url, name, emulator.storage_key) as client:
        yield Queue(client)


def send_events(emulator: Any, **form: Any) -> None:
    workspace = emulator.workspace_name
    emulator.send_events_to(f"events-{workspace}", workspace=workspace, **form)


async def test_a_registered_model(queue: Queue, rest: Any, azureml_emulator: Any) -> None:
    send_events(azureml_emulator, encoding="plain")
    await rest("PUT", "/models/fraud/versions/7", MODEL)

    event = json.loads((await queue.take(1))[0])
    assert (event["eventType"], event["subject"], event["topic"]) == (
        "Microsoft.MachineLearningServices.ModelRegistered",
        "models/fraud:7",
        rest.workspace_id,
    )
    assert event["data"] == {"ModelName": "fraud", "ModelVersion": 7, "ModelTags": {"k": "v"}, "ModelProperties": {}}


@pytest.mark.parametrize("envelope", ["EventGridSchema", "CloudEventSchemaV1_0"])
@pytest.mark.parametrize("encoding", ["base64", "plain"])
@pytest.mark.parametrize("as_list", [True, False])
@pytest.mark.parametrize("casing", ["camel", "pascal"])
async def test_every_form(
    queue: Queue, rest: Any, azureml_emulator: Any, envelope: str, encoding: str, as_list: bool, casing: str
) -> None:
    send_events(azureml_emulator, envelope=envelope, encoding=encoding, as_list=as_list, casing=casing)
    await rest("PUT", "/models/fraud/versions/1", MODEL)

    (text,) = await queue.take(1)
    body = json.loads(base64.b64decode(text) if encoding == "base64" else text)
    event = body[0] if as_list else body
    kind, source = ("type", "source") if envelope.startswith("Cloud") else ("eventType", "topic")
    assert event[kind].endswith(".ModelRegistered")
    assert event[source] == rest.workspace_id
    assert ("specversion" in event) == envelope.startswith("Cloud")
    assert ("modelName" if casing == "camel" else "ModelName") in event["data"]


async def test_a_run_tells_each_status_and_its_completion(queue: Queue, rest: Any, azureml_emulator: Any) -> None:
    send_events(azureml_emulator, encoding="plain")
    azureml_emulator.script_jobs([("Starting", 1), ("Running", 1), "Completed"])
    await rest("PUT", "/jobs/j", {"properties": {**COMMAND, "experimentName": "e"}})
    azureml_emulator.advance(5)

    events = [json.loads(text) for text in await queue.take(4)]
    told = [(event["eventType"].rpartition(".")[2], event["data"].get("runStatus")) for event in events]
    assert told == [
        ("RunStatusChanged", "Starting"),
        ("RunStatusChanged", "Running"),
        ("RunStatusChanged", "Completed"),
        ("RunCompleted", None),
    ]
    assert events[0]["data"]["runId"] == "j"


async def test_only_some_types_and_twice(queue: Queue, rest: Any, azureml_emulator: Any) -> None:
    send_events(
        azureml_emulator,
        encoding="plain",
        types=["Microsoft.MachineLearningServices.ModelRegistered"],
        duplicate=1.0,
        delay=0.05,
    )
    await rest("PUT", "/jobs/j", {"properties": COMMAND})
    await rest("PUT", "/models/fraud/versions/1", MODEL)

    first, second = (json.loads(text) for text in await queue.take(2))
    assert first["id"] == second["id"]
    assert first["subject"] == "models/fraud:1"


async def test_data_has_no_events(queue: Queue, rest: Any, azureml_emulator: Any) -> None:
    send_events(azureml_emulator, encoding="plain")
    await rest("PUT", "/data/d/versions/1", {"properties": {"dataUri": "https://example.org", "dataType": "uri_file"}})
    await rest("PUT", "/models/fraud/versions/1", MODEL)

    assert json.loads((await queue.take(1))[0])["subject"] == "models/fraud:1"
