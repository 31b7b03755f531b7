"""Code assets and their uploads (recorded_shapes/code.json)."""

from __future__ import annotations

import asyncio
import secrets
import string
import uuid
from typing import Any

from ..core.arm import Reply, ServiceError
from ..core.store import Document
from ..wire.exchange import Exchange
from ..wire.routing import ok, route
from .assets import Kind, Properties, not_found, text_map


def _complete(exchange: Exchange, name: str, version: str, sent: Properties) -> Properties:
    return {
        "description": sent.get("description"),
        "tags": text_map(sent.get("tags")),
        "properties": text_map(sent.get("properties")),
        "isArchived": bool(sent.get("isArchived")),
        "isAnonymous": False,
        "codeUri": sent.get("codeUri"),
        "provisioningState": "Succeeded",
    }


def _missing(name: str, version: str | None) -> ServiceError:
    return not_found(f"Code {name}{f' with version {version}' if version else ''} not found.", "CodeNotFound")


class _Codes(Kind):
    """Codes are looked up by hash, whatever name the caller made up for the one that it might create."""

    def _list_versions(self, exchange: Exchange, name: str) -> Reply:
        owner, query = exchange.workspace, exchange.query
        if "hash" not in query:
            return ok({"value": self._named(exchange, name)})
        known = exchange.service.store.get(f"{owner.key}/codehashes", query["hash"])
        if known is None:
            return ok({"value": []})
        document = self.find(exchange, known["name"], known["version"])
        body = self.render_version(owner, known["name"], known["version"], document)
        return ok({"value": [self.shown(exchange, body)]})

    def _named(self, exchange: Exchange, name: str) -> list[dict[str, Any]]:
        entries = exchange.service.store.entries(self.versions(exchange.workspace, name))
        owner = exchange.workspace
        return [self.shown(exchange, self.render_version(owner, name, entry.name, entry.document)) for entry in entries]

    def create(self, exchange: Exchange, name: str, version: str, properties: Properties) -> Document:
        digest = properties["properties"].get("hash_sha256")
        if digest:
            known = {"name": name, "version": version}
            exchange.service.store.put(f"{exchange.workspace.key}/codehashes", digest, known, exchange.now)
        return super().create(exchange, name, version, properties)


CODES = _Codes("codes", _complete, _missing).register()


@route(
    "POST",
    *(
        f"{root}/{noun}/{{name}}/versions/{{version}}/startPendingUpload"
        for root in ("{workspace}", "{registry}")
        for noun in ("codes", "models", "data", "environments", "components")
    ),
)
async def start_pending_upload(exchange: Exchange, name: str, version: str) -> Reply:
    """Open a container for one upload and hand out a signature for it."""
    storage, owner = exchange.service.storage, exchange.workspace
    letters = string.ascii_lowercase + string.digits
    container = f"{owner.guid}-{''.join(secrets.choice(letters) for _ in range(26))}"
    await asyncio.to_thread(storage.create_container, container)
    host = f"{storage.account}.blob.core.windows.net"
    group = f"/subscriptions/{owner.subscription}/resourceGroups/{owner.group}"
    return ok(
        {
            "blobReferenceForConsumption": {
                "blobUri": f"https://{host}:443/{container}",
                "storageAccountArmId": f"{group}/providers/Microsoft.Storage/storageAccounts/{storage.account}",
                "credential": {
                    "credentialType": "SAS",
                    "sasUri": f"https://{host}/{container}?{storage.container_sas(container)}",
                },
            },
            "pendingUploadId": str(uuid.uuid4()),
            "pendingUploadType": "None",
        }
    )
