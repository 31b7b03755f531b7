"""Models (recorded_shapes/model.json)."""

from __future__ import annotations

import re

from ..core.arm import Reply, ServiceError
from ..wire.exchange import Exchange
from ..wire.routing import ok, route
from .assets import Kind, Properties, not_found, text_map
from .data import long_uri
from .environments import ENVIRONMENTS

_OUTPUT = re.compile(r"azureml://jobs/([^/]+)/outputs/([^/]+)(?:/paths/(.*?))?/?", re.IGNORECASE | re.DOTALL)
_ENVIRONMENT = re.compile(r"environments/([^/]+)(?:/versions/([^/]+))?")


def _complete(exchange: Exchange, name: str, version: str, sent: Properties) -> Properties:
    # What counts where stage and isArchived contradict each other is not known: here the stage, for the SDK takes care
    # to leave it out when it archives or restores.
    stage = sent.get("stage")
    archived = bool(sent.get("isArchived")) if stage is None else stage == "Archived"
    stage = stage or ("Archived" if archived else "Development")
    return {
        "description": sent.get("description"),
        "tags": text_map(sent.get("tags")),
        "properties": text_map(sent.get("properties")),
        "isArchived": archived,
        "isAnonymous": bool(sent.get("isAnonymous")),
        "autoDeleteSetting": sent.get("autoDeleteSetting"),
        "flavors": sent.get("flavors") or {},
        "modelType": sent.get("modelType") or "custom_model",
        "modelUri": _place(exchange, str(sent.get("modelUri") or "")),
        "jobName": sent.get("jobName"),
        "provisioningState": "Succeeded",
        "stage": stage,
        "intellectualProperty": None,
    }


def _place(exchange: Exchange, uri: str) -> str:
    """Return a model's path as the service gives it back: of one in a job's output its place in a datastore, or not.

    Which of the two is a question of core/turns.py; the same path is answered alike each time.
    """
    if output := _OUTPUT.fullmatch(uri):
        store, places = exchange.service.store, f"{exchange.workspace.key}/outputplaces"
        known = store.get(places, uri)
        if known is None:
            resolved = exchange.service.way("paths of job outputs") == "resolved"
            known = {"uri": (_in_datastore(exchange, *output.groups()) if resolved else None) or uri}
            store.put(places, uri, known)
        uri = known["uri"]
    return long_uri(exchange, uri).replace("/resourcegroups/", "/resourceGroups/")


def _in_datastore(exchange: Exchange, job: str, output: str, path: str | None) -> str | None:
    """Return where a job's output is; the job's own files are the output `artifacts`."""
    document = exchange.service.store.get(f"{exchange.workspace.key}/jobs", job)
    if document is None:
        return None
    place = f"azureml://datastores/workspaceartifactstore/paths/ExperimentRun/dcid.{job}"
    if output not in ("artifacts", "default"):
        if output not in document["plan"]:
            return None
        place = document["plan"][output]["uri"].rstrip("/")
    return f"{place}/{path}" if path else f"{place}/"


def _container(properties: Properties) -> Properties:
    return {**properties, "provisioningState": "Succeeded"}


def _missing(name: str, version: str | None) -> ServiceError:
    if version is None:
        return not_found(f"Model container with name: {name} not found.", "ModelNotFound")
    return not_found(f"Model {name} with version {version} not found.", "ModelNotFound")


def _announce(exchange: Exchange, name: str, version: str, properties: Properties) -> None:
    exchange.service.events.model_registered(exchange.workspace, name, version, properties, exchange.now)


MODELS = Kind(
    "models",
    _complete,
    _missing,
    path="modelUri",
    ascending=True,
    container=_container,
    integers_only=True,
    on_create=_announce,
).register()


@route("POST", "{workspace}/models/{name}/versions/{version}/package")
@route("POST", "{registry}/models/{name}/versions/{version}/package")
def package(exchange: Exchange, name: str, version: str) -> Reply:
    """Package a model as an environment, at once. Source: azure-ai-ml's client; nothing here was recorded."""
    MODELS.find(exchange, name, version)
    owner, sent = exchange.workspace, exchange.json()
    target = _ENVIRONMENT.search(str(sent.get("targetEnvironmentId") or ""))
    environment, number = (target[1], target[2] or "1") if target else (f"{name}-package", "1")
    properties = ENVIRONMENTS.complete(exchange, environment, number, {"image": f"emulator/{name}:{version}"})
    ENVIRONMENTS.create(exchange, environment, number, properties)
    place = f"azureml://locations/{owner.location}/workspaces/{owner.guid}"
    identifier = f"{place}/environments/{environment}/versions/{number}"
    return ok({**sent, "buildId": None, "buildState": "Succeeded", "logUrl": None, "targetEnvironmentId": identifier})
