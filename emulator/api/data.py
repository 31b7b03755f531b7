"""Data assets (recorded_shapes/data.json)."""

from __future__ import annotations

import re
from typing import Any

from ..core.arm import ServiceError
from ..wire.exchange import Exchange
from .assets import Kind, Properties, not_found, text_map

_SHORT = re.compile(r"azureml://datastores/([^/]+)/(.*)", re.DOTALL)


def long_uri(exchange: Exchange, uri: str) -> str:
    """Expand a short datastore URI as the service does, with `resourcegroups` in lower case."""
    short = _SHORT.fullmatch(uri)
    if short is None:
        return uri
    owner = exchange.workspace
    return (
        f"azureml://subscriptions/{owner.subscription}/resourcegroups/{owner.group}/workspaces/{owner.name}"
        f"/datastores/{short[1]}/{short[2]}"
    )


def _complete(exchange: Exchange, name: str, version: str, sent: Properties) -> Properties:
    uri, kind = str(sent.get("dataUri") or ""), sent.get("dataType") or "uri_folder"
    uri = long_uri(exchange, uri)
    if kind in ("uri_folder", "mltable") and uri.startswith("azureml://") and not uri.endswith("/"):
        uri += "/"
    return {
        "description": sent.get("description"),
        "tags": text_map(sent.get("tags")),
        "properties": text_map(sent.get("properties")),
        "isArchived": bool(sent.get("isArchived")),
        "isAnonymous": bool(sent.get("isAnonymous")),
        "autoDeleteSetting": sent.get("autoDeleteSetting"),
        "dataUri": uri,
        **({"referencedUris": sent.get("referencedUris")} if kind == "mltable" else {}),
        "stage": sent.get("stage"),
        "intellectualProperty": None,
        "dataType": kind,
    }


def _container(properties: Properties) -> Properties:
    """Data containers have null where others have an empty map, and tell their type."""
    empty: dict[str, Any] = {key: properties[key] or None for key in ("tags", "properties")}
    return {**properties, **empty, "dataType": properties.get("dataType", "uri_folder")}


def _missing(name: str, version: str | None) -> ServiceError:
    what = f"Data container with name: {name}" if version is None else f"Data version {name}:{version} (dataContainer)"
    return not_found(f"{what} not found.", "DataNotFound")


DATA = Kind("data", _complete, _missing, path="dataUri", container=_container, hide_untouched_author=True).register()
