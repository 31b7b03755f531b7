"""Environments (recorded_shapes/environment.json)."""

from __future__ import annotations

import json
import uuid
from typing import Any

from ..core.arm import Reply, ServiceError
from ..core.clock import timestamp
from ..core.owners import Owner
from ..core.store import Document
from ..core.versions import FIRST
from ..wire.exchange import Exchange
from .assets import Kind, Properties, not_found, text_map


def _complete(exchange: Exchange, name: str, version: str, sent: Properties) -> Properties:
    sources = {key: sent[key] for key in ("image", "build", "inferenceConfig") if sent.get(key) is not None}
    conda = sent.get("condaFile")
    return {
        "description": sent.get("description") or (None if exchange.api_version in FIRST else ""),
        "tags": text_map(sent.get("tags")),
        "properties": text_map(sent.get("properties")),
        "isArchived": bool(sent.get("isArchived")),
        "isAnonymous": bool(sent.get("isAnonymous")),
        "autoDeleteSetting": sent.get("autoDeleteSetting"),
        "environmentType": "UserCreated",
        **sources,
        **({"condaFile": _as_json(conda)} if conda else {}),
        "osType": str(sent.get("osType") or "Linux").capitalize(),  # YAML, and so the SDK, writes "linux"
        "autoRebuild": sent.get("autoRebuild") or "Disabled",
        "provisioningState": "Succeeded",
        "stage": "Archived" if sent.get("isArchived") else "Development",
        "intellectualProperty": None,
    }


def _as_json(conda: str) -> str:
    """Rewrite a conda file as the service does, from YAML to indented JSON."""
    import yaml

    try:
        return json.dumps(yaml.safe_load(conda), indent=2)
    except yaml.YAMLError:
        return conda


_CURATED = "AzureML-"


def _curated(owner: Owner, name: str) -> Document:
    """Return an environment that Microsoft made: every name that begins with AzureML- is one."""
    made = timestamp(owner.created)
    author = {"createdAt": made, "createdBy": "Microsoft", "createdByType": "User"}
    changed = {"lastModifiedAt": made, "lastModifiedBy": "Microsoft", "lastModifiedByType": "User"}
    return {
        "properties": {
            "description": f"{name}, made up by the emulator",
            "tags": {"OS": "Ubuntu"},
            "properties": {},
            "isArchived": False,
            "isAnonymous": False,
            "autoDeleteSetting": None,
            "environmentType": "Curated",
            "condaFile": json.dumps({"dependencies": ["python"]}, indent=2),
            "osType": "Linux",
            "autoRebuild": "OnBaseImageUpdate",
            "provisioningState": "Succeeded",
            "stage": "Development",
            "intellectualProperty": None,
        },
        "systemData": {**author, **changed},
        "latest": True,
    }


class _Environments(Kind):
    """Only the newest version carries the label `latest`; curated ones are there without being made."""

    def find(self, exchange: Exchange, name: str, version: str) -> Document:
        if name.startswith(_CURATED):
            return _curated(exchange.workspace, name)
        return super().find(exchange, name, version)

    def _created(self, exchange: Exchange, body: dict[str, Any]) -> Reply:
        reply = super()._created(exchange, body)
        reply.headers["Build-ID"] = uuid.uuid4().hex[:8]
        return reply

    def render_version(self, owner: Owner, name: str, version: str, document: Document) -> dict[str, Any]:
        body = super().render_version(owner, name, version, document)
        label = {"azureml.labels": "latest" if document.get("latest") else ""}
        body["properties"] = {**body["properties"], "properties": {**body["properties"]["properties"], **label}}
        return body

    def create(self, exchange: Exchange, name: str, version: str, properties: Properties) -> Document:
        store, versions = exchange.service.store, self.versions(exchange.workspace, name)
        for entry in store.entries(versions):
            if entry.document.get("latest"):
                store.put(versions, entry.name, {**entry.document, "latest": False})
        document = super().create(exchange, name, version, properties)
        document["latest"] = True
        store.put(versions, version, document)
        return document


def _container(properties: Properties) -> Properties:
    return {**properties, "description": properties["description"] or "", "provisioningState": "Succeeded"}


def _missing(name: str, version: str | None) -> ServiceError:
    what = f"Environment {name}" if version is None else f"Environment {name} with version {version}"
    return not_found(f"{what} not found.", "EnvironmentNotFound")


ENVIRONMENTS = _Environments("environments", _complete, _missing, container=_container, always_created=True).register()
