"""Components (recorded_shapes/component.json): a spec whose scalars come back as strings."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from ..core.arm import Reply, ServiceError, nested, not_found_error, provider_error
from ..core.owners import Owner
from ..core.store import Document
from ..wire.exchange import Exchange
from .assets import Kind, Properties, text_map

_CURATED = re.compile(r"azureml:AzureML-([^:]+):(.+)")


_DEFAULT_VERSION = "azureml_default"
"""Under which azure-ai-ml asks for the component that its name alone means."""
_IMMUTABLE = ("code", "command")
"""What a version runs; recorded for the code alone."""


def _text(value: Any) -> Any:
    """Write scalars as the service does: True, 1 and 0.5 are "True", "1" and "0.5"."""
    if isinstance(value, dict):
        return {key: _text(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_text(item) for item in value]
    return value if value is None or isinstance(value, str) else str(value)


def _complete(exchange: Exchange, name: str, version: str, sent: Properties) -> Properties:
    spec = {key: value for key, value in (sent.get("componentSpec") or {}).items() if key != "_source"}
    curated = _CURATED.fullmatch(str(spec.get("environment")))
    if curated:
        spec["environment"] = f"azureml://registries/azureml/environments/{curated[1]}/versions/{curated[2]}"
    if spec.get("type") == "command":
        spec["resources"] = {"instance_count": 1, **(spec.get("resources") or {})}
    return {
        "description": sent.get("description"),
        "tags": text_map(sent.get("tags")),
        "properties": text_map(sent.get("properties")),
        "isArchived": bool(sent.get("isArchived")),
        "isAnonymous": bool(sent.get("isAnonymous")),
        "autoDeleteSetting": sent.get("autoDeleteSetting"),
        "componentSpec": _text(_spelt(spec, version, anonymous=bool(sent.get("isAnonymous")))),
        "provisioningState": "Succeeded",
        "stage": sent.get("stage") or "Development",
    }


def _spelt(spec: Properties, version: str, *, anonymous: bool) -> Properties:
    """Return a specification with what the service adds; source: azure-ai-ml's end-to-end tests.

    Each input says whether it is optional. An anonymous component keeps the name and version that it had in its file. A
    pipeline component's text that names a compute loses its `azureml:`.
    """
    inputs = {
        name: {"optional": False, **one} if isinstance(one, dict) else one
        for name, one in (spec.get("inputs") or {}).items()
    }
    if spec.get("type") == "pipeline":
        for one in inputs.values():
            if isinstance(one, dict) and one.get("type") == "string":
                one |= {"default": str(one["default"]).removeprefix("azureml:")} if one.get("default") else {}
    return {**spec, **({"inputs": inputs} if inputs else {}), **({} if anonymous else {"version": version})}


class _Components(Kind):
    """Their containers know no latest version, and hand out a time as the next one."""

    def _get_version(self, exchange: Exchange, name: str, version: str) -> Reply:
        """Return a version; that of the name `azureml_default` is the newest, and its id ends with that label."""
        if version != _DEFAULT_VERSION:
            return super()._get_version(exchange, name, version)
        versions = exchange.service.store.entries(self.versions(exchange.workspace, name))
        newest = next((entry for entry in versions if not entry.document["properties"]["isArchived"]), None)
        if newest is None:
            raise self.missing(name, version)
        reply = super()._get_version(exchange, name, newest.name)
        reply.body["id"] = f"{reply.body['id'].rpartition('/versions/')[0]}/labels/default"
        return reply

    def render_container(self, owner: Owner, name: str, document: Document) -> dict[str, Any]:
        body = super().render_container(owner, name, document)
        moment = f"{datetime.now(UTC):%Y-%m-%d-%H-%M-%S-%f}0"
        body["properties"] |= {
            "description": document["properties"]["description"] or "",
            "latestVersion": None,
            "nextVersion": moment,
            "provisioningState": "Succeeded",
        }
        return body

    def _get_container(self, exchange: Exchange, name: str) -> Reply:
        """One container, unlike a list of them, does not tell who made it."""
        reply = super()._get_container(exchange, name)
        system = reply.body["systemData"]
        reply.body["systemData"] = {key: system[key] for key in ("createdAt", "lastModifiedAt")}
        return reply

    def _change(self, exchange: Exchange, name: str, version: str, before: Document, properties: Properties) -> Reply:
        old, new = before["properties"]["componentSpec"], properties["componentSpec"]
        for field in _IMMUTABLE:
            if old.get(field) != new.get(field):
                raise provider_error(
                    400,
                    f'Failed to update component {name} since field "{field}" is immutable, '
                    "try specifying a new version.",
                    inner=nested("BadArgument", "ArgumentInvalid", "UpdateComponentFailed"),
                )
        return super()._change(exchange, name, version, before, properties)


def _missing(name: str, version: str | None) -> ServiceError:
    what = name if version is None else f"{name} (version: {version})"
    return not_found_error(f"Not found component {what}.", "ComponentNotFound")


COMPONENTS = _Components("components", _complete, _missing).register()
