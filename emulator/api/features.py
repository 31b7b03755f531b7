"""Feature sets and feature store entities. Source: Microsoft's published models; nothing here was recorded."""

from __future__ import annotations

import uuid

from ..core.arm import Reply, ServiceError
from ..wire.exchange import Exchange
from ..wire.routing import ok, route
from .assets import Kind, Properties, not_found, text_map


def _common(sent: Properties) -> Properties:
    return {
        "description": sent.get("description"),
        "tags": text_map(sent.get("tags")),
        "properties": text_map(sent.get("properties")),
        "isArchived": bool(sent.get("isArchived")),
        "isAnonymous": bool(sent.get("isAnonymous")),
        "stage": sent.get("stage") or "Development",
        "provisioningState": "Succeeded",
    }


def _feature_set(exchange: Exchange, name: str, version: str, sent: Properties) -> Properties:
    own = {key: sent.get(key) for key in ("entities", "specification", "materializationSettings")}
    return {**_common(sent), **own}


def _entity(exchange: Exchange, name: str, version: str, sent: Properties) -> Properties:
    return {**_common(sent), "indexColumns": sent.get("indexColumns")}


def _missing(name: str, version: str | None) -> ServiceError:
    what = name if version is None else f"{name} with version {version}"
    return not_found(f"{what} not found.", "NotFound")


def _container(properties: Properties) -> Properties:
    return {**properties, "provisioningState": "Succeeded"}


FEATURE_SETS = Kind("featuresets", _feature_set, _missing, container=_container).register()
Kind("featurestoreEntities", _entity, _missing, container=_container).register()


@route("POST", "{workspace}/featuresets/{name}/versions/{version}/backfill")
def backfill(exchange: Exchange, name: str, version: str) -> Reply:
    """Materialize a feature set: nothing is done, and the answer names one job."""
    FEATURE_SETS.find(exchange, name, version)
    return ok({"jobIds": [str(uuid.uuid4())]})
