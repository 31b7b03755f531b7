"""Named, versioned assets: what data, models, codes, environments and components have in common.

A container `{workspace}/models/fraud` holds versions `.../versions/3`. A version is made with PUT (201), changed with
PUT (200), archived by PUT with isArchived, and never loses its place in the order. Sources: recorded_shapes/README.md
("Status codes of PUT", "Assets") and the noun's own file.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ..core.arm import Reply, ServiceError, created, gateway_error, modified, provider_error
from ..core.owners import Owner
from ..core.store import Document
from ..core.versions import visible
from ..wire.exchange import Exchange
from ..wire.paging import labelled, page, shows
from ..wire.routing import ok, route

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,254}")

Properties = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """What sets one noun apart.

    complete   a caller's properties, as the service gives them back
    missing    the error for a container or version (None for the container) that is not there
    path       the property that must not change once a version exists
    ascending  whether the list of containers is oldest first
    on_create  runs when a version is new, e.g. to send an event
    """

    segment: str
    complete: Callable[[Exchange, str, str, Properties], Properties]
    missing: Callable[[str, str | None], ServiceError]
    path: str | None = None
    ascending: bool = False
    container: Callable[[Properties], Properties] = dict
    integers_only: bool = False
    always_created: bool = False
    hide_untouched_author: bool = False
    on_create: Callable[[Exchange, str, str, Properties], None] | None = None
    check: Callable[[Exchange, str, str, Properties], None] | None = None

    def containers(self, owner: Owner) -> str:
        """Return where the containers are kept."""
        return f"{owner.key}/{self.segment}"

    def versions(self, owner: Owner, name: str) -> str:
        """Return where the versions of one container are kept."""
        return f"{owner.key}/{self.segment}/{name}/versions"

    def shown(self, exchange: Exchange, body: dict[str, Any]) -> dict[str, Any]:
        """Return a body as the caller's api-version has it."""
        return visible(self.segment, exchange.api_version, body)

    def render_container(self, owner: Owner, name: str, document: Document) -> dict[str, Any]:
        """Return a container's body."""
        return {
            "id": f"{owner.asset_id}/{self.segment}/{name}",
            "name": name,
            "type": f"{owner.type}/{self.segment}",
            "properties": self.container(
                {
                    **document["properties"],
                    "latestVersion": document["latest"],
                    "nextVersion": str(document["highest"] + 1),
                }
            ),
            "systemData": document["systemData"],
        }

    def render_version(self, owner: Owner, name: str, version: str, document: Document) -> dict[str, Any]:
        """Return a version's body."""
        system = document["systemData"]
        registry = owner.segment == "registries"
        if (self.hide_untouched_author or registry) and not document.get("updated"):
            hidden = ("lastModifiedBy", "lastModifiedByType")
            system = {key: value for key, value in system.items() if key not in hidden}
        return {
            "id": f"{owner.asset_id}/{self.segment}/{name}/versions/{version}",
            "name": version,
            "type": self.segment if registry else f"{owner.type}/{self.segment}/versions",
            "properties": document["properties"],
            "systemData": system,
        }

    def find(self, exchange: Exchange, name: str, version: str) -> Document:
        """Return a version, or answer 404."""
        document = exchange.service.store.get(self.versions(exchange.workspace, name), version)
        if document is None or document.get("appears", 0.0) > exchange.now:
            raise self.missing(name, version)
        return document

    def register(self) -> Kind:
        """Add this noun's routes, in workspaces and in registries."""
        for root in ("{workspace}", "{registry}"):
            container, version = (
                f"{root}/{self.segment}/{{name}}",
                f"{root}/{self.segment}/{{name}}/versions/{{version}}",
            )
            route("GET", f"{root}/{self.segment}")(self._list_containers)
            route("GET", container)(self._get_container)
            route("PUT", container)(self._put_container)
            route("GET", f"{container}/versions")(self._list_versions)
            route("GET", version)(self._get_version)
            route("PUT", version)(self._put_version)
            route("DELETE", version)(self._delete_version)
        return self

    def _get_container(self, exchange: Exchange, name: str) -> Reply:
        document = exchange.service.store.get(self.containers(exchange.workspace), name)
        if document is None:
            raise self.missing(name, None)
        body = self.shown(exchange, self.render_container(exchange.workspace, name, document))
        in_registry = exchange.workspace.segment == "registries"
        if in_registry and self.segment == "data" and exchange.service.way("registry next data version") == "untold":
            del body["properties"]["nextVersion"]
        return ok(body)

    def _list_containers(self, exchange: Exchange) -> Reply:
        query = exchange.query

        def wanted(name: str, document: Document) -> bool:
            properties = document["properties"]
            return shows(query, properties["isArchived"]) and labelled(query.get("$tags"), properties["tags"])

        def render(owner: Owner, name: str, document: Document) -> dict[str, Any]:
            return self.shown(exchange, self.render_container(owner, name, document))

        return page(
            exchange,
            self.containers(exchange.workspace),
            wanted,
            render,
            size=exchange.service.config.page_size,
            newest_first=not self.ascending,
        )

    def _list_versions(self, exchange: Exchange, name: str) -> Reply:
        owner, query = exchange.workspace, exchange.query
        if owner.segment == "workspaces" and exchange.service.store.get(self.containers(owner), name) is None:
            raise self.missing(name, None)  # a registry says 200, and nothing (recorded in 2023)

        def wanted(version: str, document: Document) -> bool:
            properties = document["properties"]
            return (
                shows(query, properties["isArchived"])
                and labelled(query.get("$tags", query.get("tags")), properties["tags"])
                and labelled(query.get("properties"), properties["properties"])
                and query.get("version", version) == version
                and document.get("appears", 0.0) <= exchange.now
                and query.get("stage", properties.get("stage")) == properties.get("stage")
            )

        def render(owner: Owner, version: str, document: Document) -> dict[str, Any]:
            return self.shown(exchange, self.render_version(owner, name, version, document))

        size = exchange.service.config.page_size
        return page(exchange, self.versions(owner, name), wanted, render, size=size)

    def _get_version(self, exchange: Exchange, name: str, version: str) -> Reply:
        document = self.find(exchange, name, version)
        return ok(self.shown(exchange, self.render_version(exchange.workspace, name, version, document)))

    def _put_container(self, exchange: Exchange, name: str) -> Reply:
        owner, store = exchange.workspace, exchange.service.store
        sent = exchange.json().get("properties") or {}
        before = store.get(self.containers(owner), name)
        document = self._container(exchange, before)
        known = ("description", "tags", "properties", "isArchived")
        document["properties"].update({key: sent[key] for key in known if key in sent})
        store.put(self.containers(owner), name, document, exchange.now)
        headers = {} if before else {"Location": exchange.url}
        body = self.shown(exchange, self.render_container(owner, name, document))
        return Reply(200 if before else 201, body, headers)

    def _put_version(self, exchange: Exchange, name: str, version: str) -> Reply:
        owner, store = exchange.workspace, exchange.service.store
        self._check_name(name, version)
        sent = exchange.json().get("properties")
        if not isinstance(sent, dict):
            raise provider_error(400, "Request is invalid and/or missing fields.")
        if self.check is not None:
            self.check(exchange, name, version, sent)
        before = store.get(self.versions(owner, name), version)
        properties = self.complete(exchange, name, version, sent)
        if before is not None and before.get("appears", 0.0) > exchange.now:
            return self._put_again(exchange, name, version, before, properties)
        if before is not None:
            return self._change(exchange, name, version, before, properties)
        if owner.segment == "registries":
            return self._put_in_registry(exchange, name, version, properties)
        document = self.create(exchange, name, version, properties)
        return self._created(exchange, self.render_version(owner, name, version, document))

    def create(self, exchange: Exchange, name: str, version: str, properties: Properties) -> Document:
        """Store a new version and let its container know; also how a finished job registers its output."""
        owner, store = exchange.workspace, exchange.service.store
        author, now = exchange.author, exchange.now
        document: Document = {
            "properties": properties,
            "systemData": {**created(author, now), **modified(author, now)},
        }
        container = self._container(exchange, store.get(self.containers(owner), name))
        if not properties.get("isAnonymous"):
            container["latest"] = version
        if version.isdecimal():
            container["highest"] = max(container["highest"], int(version))
        store.put(self.versions(owner, name), version, document, now)
        store.put(self.containers(owner), name, container, now)
        if self.on_create is not None:
            self.on_create(exchange, name, version, properties)
        return document

    def _change(self, exchange: Exchange, name: str, version: str, before: Document, properties: Properties) -> Reply:
        owner, store = exchange.workspace, exchange.service.store
        changed = next((key for key, value in properties.items() if value != before["properties"].get(key)), None)
        if owner.segment == "registries" and changed not in (None, "tags", "description", "isArchived", "stage"):
            value = properties[changed]
            text = f"Value of property {changed} for {self.segment.removesuffix('s')} {name} cannot be replaced to "
            raise provider_error(400, f"{text}{value} without increasing the version.")
        if self.path is not None and before["properties"].get(self.path) != properties.get(self.path):
            raise provider_error(400, "Asset paths cannot be updated.")
        same = self.always_created and before["properties"] == properties
        if not same:
            before["systemData"].update(modified(exchange.author, exchange.now))
            before["updated"] = True
        before["properties"] = properties
        store.put(self.versions(owner, name), version, before)
        body = self.render_version(owner, name, version, before)
        if owner.segment == "registries" and not same and exchange.service.way("registry update") == "accepted":
            return self._operation(exchange, name, version)
        return self._created(exchange, body) if self.always_created else ok(self.shown(exchange, body))

    def _created(self, exchange: Exchange, body: dict[str, Any]) -> Reply:
        return Reply(201, self.shown(exchange, body), {"Location": exchange.url})

    def _put_in_registry(self, exchange: Exchange, name: str, version: str, properties: Properties) -> Reply:
        """Make a version in a registry: 202 and a Location on another host, for data and environments.

        For other nouns it was not recorded, and what the SDK understands besides is the 201 of workspaces.
        """
        owner, service = exchange.workspace, exchange.service
        self._refuse_deleted(exchange, name, version)
        document = self.create(exchange, name, version, properties)
        if self.segment not in ("data", "environments") and not service.turns.take("new in a registry"):
            return self._created(exchange, self.render_version(owner, name, version, document))
        return self.accepted(exchange, name, version)

    def _refuse_deleted(self, exchange: Exchange, name: str, version: str) -> None:
        owner = exchange.workspace
        deleted = exchange.service.store.get(f"{self.versions(owner, name)}/deleted", version)
        if deleted is not None:
            asset = f"{owner.asset_id}/{self.segment}/{name}/versions/{version}"
            text = f"Asset {asset} was deleted at {deleted['at']}, it cannot be recreated."
            raise provider_error(400, f"{text} Please try again with a different version.")

    def refuse_again(self, exchange: Exchange, name: str, version: str) -> None:
        """Refuse to import a version that a registry has, had, or is making."""
        self._refuse_deleted(exchange, name, version)
        if exchange.service.store.get(self.versions(exchange.workspace, name), version) is not None:
            raise gateway_error(409, "Conflict", "Asset already exists.")

    def accepted(self, exchange: Exchange, name: str, version: str, *, told: bool = True) -> Reply:
        """Let a version that has just been made be seen only once its operation has ended, which may tell its id."""
        store, where = exchange.service.store, self.versions(exchange.workspace, name)
        appears = exchange.now + exchange.service.config.operation_seconds
        if exchange.operation_error:
            store.delete(where, version)
        else:
            store.update(where, version, lambda document: document.update(appears=appears))
        return self._operation(exchange, name, version, told=told)

    def _operation(self, exchange: Exchange, name: str, version: str, *, told: bool = True) -> Reply:
        asset = f"{exchange.workspace.asset_id}/{self.segment}/{name}/versions/{version}"
        body = {"assetId": asset} if told and self.segment != "environments" else {}
        url = registry_operation(exchange, self.segment, f"{name}_{version}", body)
        return Reply(202, None, {"Location": url, "x-ms-async-operation-timeout": "PT1H"})

    def _put_again(
        self, exchange: Exchange, name: str, version: str, before: Document, properties: Properties
    ) -> Reply:
        """Answer who asks for a version of a registry that is being made."""
        if exchange.service.way("registry makes it already") == "conflict":
            raise gateway_error(409, "Conflict", f"Asset {name}:{version} is being created.")
        if before["properties"].get(self.path or "") != properties.get(self.path or ""):
            raise provider_error(400, f"Value of property {self.path} for {name} cannot be replaced.")
        return self._operation(exchange, name, version)

    def _delete_version(self, exchange: Exchange, name: str, version: str) -> Reply:
        owner, store = exchange.workspace, exchange.service.store
        gone = store.delete(self.versions(owner, name), version)
        if gone and owner.segment == "registries":
            at = f"{datetime.fromtimestamp(exchange.now, UTC):%m/%d/%Y %H:%M:%S} +00:00"
            store.put(f"{self.versions(owner, name)}/deleted", version, {"at": at})
        return Reply(200 if gone else 204)

    def _container(self, exchange: Exchange, before: Document | None) -> Document:
        if before is not None:
            return before
        author, now = exchange.author, exchange.now
        return {
            "properties": {
                "description": None,
                "tags": {},
                "properties": {},
                "isArchived": False,
            },
            "latest": None,
            "highest": 0,
            "systemData": {**created(author, now), **modified(author, now)},
        }

    def _check_name(self, name: str, version: str) -> None:
        for what, text in (("name", name), ("version", version)):
            if not _NAME.fullmatch(text):
                raise provider_error(
                    400,
                    f"The asset {what} '{text}' is invalid: it may hold letters, digits, '_', '-' and '.', up to 255 "
                    "of them, and must begin with a letter, a digit or '_'.",
                )
        if self.integers_only and not (version.isdecimal() and int(version) > 0):
            raise provider_error(400, f"Version '{version}' is invalid: the version of a model is a positive integer.")


def registry_operation(exchange: Exchange, segment: str, asset: str, body: dict[str, str]) -> str:
    """Begin an operation of a registry; return the URL, on another host, that tells how it stands."""
    owner, service = exchange.workspace, exchange.service
    kind = "environment" if segment == "environments" else "assetstore"
    identifier = secrets.token_urlsafe(32)
    if kind == "environment":
        identifier = f"{owner.name}_{asset}_{secrets.token_hex(4)}"
    due = exchange.now + service.config.operation_seconds
    document = {"due": due, "polls": 0, "body": body, "error": exchange.operation_error}
    service.store.put("registryoperations", identifier, document, exchange.now)
    return f"https://{owner.location}.api.azureml.ms/{kind}/v1.0/operations/{identifier}"


def not_found(message: str, code: str) -> ServiceError:
    """Return the 404 whose code is in `details` (recorded_shapes/model.json)."""
    return provider_error(404, "The specified resource was not found.", detail=(code, message))


def text_map(value: Any) -> dict[str, str | None]:
    """Return tags or properties as the service keeps them: never null, and texts (the SDK sends a number for one)."""
    return {key: item if item is None or isinstance(item, str) else str(item) for key, item in (value or {}).items()}
