"""Models (recorded_shapes/model.json)."""

from __future__ import annotations

from ..core.arm import ServiceError
from ..wire.exchange import Exchange
from .assets import Kind, Properties, not_found, text_map
from .data import long_uri


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
        "modelUri": long_uri(exchange, str(sent.get("modelUri") or "")).replace("/resourcegroups/", "/resourceGroups/"),
        "jobName": sent.get("jobName"),
        "provisioningState": "Succeeded",
        "stage": stage,
        "intellectualProperty": None,
    }


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
