"""Event Grid: models registered and runs whose status changed, delivered to storage queues.

Source: Microsoft's "Azure Machine Learning as an Event Grid source" and its JSON schema of 2018-01-01. Both envelopes
and both ways to write a queue message exist in the wild (plain JSON until 2022, base64 since), so a subscription says
which it wants; delivery may be repeated, late and out of order.
"""

from __future__ import annotations

import asyncio
import base64
import json
import random
import uuid
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from .background import Background
from .clock import timestamp
from .owners import Owner
from .storage import Storage
from .store import Document, Store


@dataclass(frozen=True, slots=True)
class Subscription:
    """Where a workspace's events go, and in which form.

    envelope   "EventGridSchema" or "CloudEventSchemaV1_0"
    encoding   "base64" or "plain"
    as_list    wrap the event in a list of one, as the documentation's examples do
    casing     of the data's keys: "camel", "pascal", or "documented" (Pascal for models, camel for runs)
    types      only these event types; all when empty
    duplicate  how likely an event is sent twice; `delay` waits before it is sent at all
    """

    workspace: str
    queue: str
    envelope: str = "EventGridSchema"
    encoding: str = "base64"
    as_list: bool = False
    casing: str = "documented"
    types: tuple[str, ...] = ()
    duplicate: float = 0.0
    delay: float = 0.0


class Events:
    """The subscriptions, and what they are sent."""

    def __init__(self, store: Store, storage: Storage, errands: Background, seed: int) -> None:
        self._store, self._storage, self._errands = store, storage, errands
        self._chance = random.Random(seed)  # noqa: S311 - reproducible, not secret
        self._subscriptions = [
            Subscription(**{**entry.document, "types": tuple(entry.document["types"])})
            for entry in store.entries("eventsubscriptions", newest_first=False)
        ]

    async def subscribe(self, subscription: Subscription) -> None:
        """Create the queue and send events to it from now on."""
        await asyncio.to_thread(self._storage.create_queue, subscription.queue)
        self._subscriptions.append(subscription)
        document = asdict(subscription)
        self._store.put("eventsubscriptions", json.dumps(document, sort_keys=True), document)

    def model_registered(self, owner: Owner, name: str, version: str, properties: Document, now: float) -> None:
        """Tell that a model version was registered."""
        data = {
            "modelName": name,
            "modelVersion": int(version),
            "modelTags": properties["tags"],
            "modelProperties": properties["properties"],
        }
        self._send(owner, "ModelRegistered", f"models/{name}:{version}", data, now, pascal=True)

    def run_moved(self, owner: Owner, name: str, job: Document, now: float) -> None:
        """Tell that a run has a new status, and when that is Completed also that it is completed."""
        properties = job["properties"]
        experiment = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{owner.id}/{properties['experimentName']}"))
        data = {
            "experimentId": experiment,
            "experimentName": properties["experimentName"],
            "runId": name,
            "runType": f"azureml.{properties['jobType'].lower()}",
            "runTags": properties["tags"],
            "runProperties": properties["properties"],
        }
        subject = f"experiments/{experiment}/runs/{name}"
        self._send(owner, "RunStatusChanged", subject, {**data, "runStatus": job["status"]}, now)
        if job["status"] == "Completed":
            self._send(owner, "RunCompleted", subject, data, now)

    def _send(
        self, owner: Owner, kind: str, subject: str, data: dict[str, Any], now: float, *, pascal: bool = False
    ) -> None:
        kind = f"Microsoft.MachineLearningServices.{kind}"
        for subscription in self._subscriptions:
            if subscription.workspace != owner.key or (subscription.types and kind not in subscription.types):
                continue
            text = write(subscription, owner, kind, subject, data, now, pascal=pascal)
            copies = 2 if self._chance.random() < subscription.duplicate else 1
            for _ in range(copies):
                self._errands.run(partial(self._storage.send_message, subscription.queue, text), subscription.delay)


def write(
    subscription: Subscription,
    owner: Owner,
    kind: str,
    subject: str,
    data: dict[str, Any],
    now: float,
    *,
    pascal: bool,
) -> str:
    """Return one event as it stands in the queue."""
    if subscription.casing == "pascal" or (subscription.casing == "documented" and pascal):
        data = {key[0].upper() + key[1:]: value for key, value in data.items()}
    common = {"subject": subject, "id": str(uuid.uuid4()), "data": data}
    event: dict[str, Any]
    if subscription.envelope == "CloudEventSchemaV1_0":
        event = {"source": owner.id, **common, "type": kind, "time": timestamp(now, "Z"), "specversion": "1.0"}
    else:
        event = {
            "topic": owner.id,
            **common,
            "eventType": kind,
            "eventTime": timestamp(now, "Z"),
            "dataVersion": "",
            "metadataVersion": "1",
        }
    text = json.dumps([event] if subscription.as_list else event)
    return base64.b64encode(text.encode()).decode() if subscription.encoding == "base64" else text
