"""Datastores: the four that every workspace has, those that users add, and their secrets.

Shapes: recorded_shapes/datastore.json. Secrets are account signatures when the caller asks for expiring ones (as the
SDK does) and the account key otherwise; a store without credentials answers 400.
"""

from __future__ import annotations

from typing import Any

from ..core.arm import Reply, ServiceError, created, modified, nested, provider_error
from ..core.clock import timestamp
from ..core.owners import Owner
from ..core.store import Document
from ..core.versions import visible
from ..wire.exchange import Exchange
from ..wire.paging import page
from ..wire.routing import ok, route

DEFAULT = "workspaceblobstore"

_BUILT_IN = {
    "workspaceworkingdirectory": {"datastoreType": "AzureFile", "fileShareName": "code-391ff5ac"},
    "workspaceartifactstore": {"datastoreType": "AzureBlob", "containerName": "azureml"},
    "workspacefilestore": {"datastoreType": "AzureFile", "fileShareName": "azureml-filestore"},
    DEFAULT: {"datastoreType": "AzureBlob"},
}


def collection(owner: Owner) -> str:
    """Return where a workspace's datastores are kept."""
    return f"{owner.key}/datastores"


def built_in(owner: Owner, account: str, *, authored: bool = False) -> dict[str, Document]:
    """Return the datastores that come with a workspace, oldest last; only the default tells its coordinates.

    :param authored: they tell who made them, as was recorded of some workspaces and not of others.
    """
    author = {"createdBy": "Azure Machine Learning", "createdByType": "Application"} if authored else {}
    system = {
        **author,
        "createdAt": timestamp(owner.created),
        "lastModifiedAt": timestamp(owner.created),
        "lastModifiedBy": "Azure Machine Learning",
        "lastModifiedByType": "Application",
    }
    stores = {}
    for name, particulars in _BUILT_IN.items():
        default = name == DEFAULT
        place = {"containerName": owner.container} if default else {}
        stores[name] = {
            "properties": {
                "description": None,
                "tags": None,
                "properties": None,
                "intellectualProperty": None,
                "isDefault": default,
                "credentials": {"credentialsType": "AccountKey"},
                "subscriptionId": owner.subscription if default else None,
                "resourceGroup": owner.group if default else None,
                **particulars,
                **place,
                "accountName": account,
                "endpoint": "core.windows.net",
                "protocol": "https",
                "serviceDataAccessAuthIdentity": "WorkspaceSystemAssignedIdentity" if default else "None",
            },
            "systemData": system,
        }
    return stores


# What each type says of its place. Source: arm_ml_service/models, AzureBlobDatastore and its sisters.
_PLACE = {
    "AzureBlob": lambda container: {"containerName": container},
    "AzureFile": lambda container: {"fileShareName": container},
    "AzureDataLakeGen2": lambda container: {"filesystem": container},
    "AzureDataLakeGen1": lambda container: {"storeName": container},
    "OneLake": lambda container: {
        "oneLakeWorkspaceName": container,
        "artifact": {"artifactType": "LakeHouse", "artifactName": container},
    },
}
_NO_ACCOUNT = {"AzureDataLakeGen1", "OneLake"}


def become(document: Document, datastore_type: str, container: str) -> None:
    """Make a datastore one of another type, with the members that this type has."""
    properties = document["properties"]
    properties.pop("containerName", None)
    properties.update(datastoreType=datastore_type, **_PLACE[datastore_type](container))
    if datastore_type in _NO_ACCOUNT:
        for member in ("accountName", "endpoint", "protocol"):
            properties.pop(member, None)
    if datastore_type == "OneLake":
        for member in ("subscriptionId", "resourceGroup"):
            properties.pop(member, None)


def _render(exchange: Exchange, name: str, document: Document) -> dict[str, Any]:
    owner = exchange.workspace
    properties = {key: value for key, value in document["properties"].items() if key != "secrets"}
    credentials = properties["credentials"]
    properties["credentials"] = {key: value for key, value in credentials.items() if key != "secrets"}
    body = {
        "id": f"{owner.id}/datastores/{name}",
        "name": name,
        "type": f"{owner.type}/datastores",
        "properties": properties,
        "systemData": document["systemData"],
    }
    return visible("datastores", exchange.api_version, body)


def find(exchange: Exchange, name: str) -> Document:
    """Return one datastore, or answer 404."""
    document = exchange.service.store.get(collection(exchange.workspace), name)
    if document is None:
        raise provider_error(404, f"Could not find datastore: {name}.", inner=nested("NotFoundError"))
    return document


@route("GET", "{workspace}/datastores/{name}")
def get_datastore(exchange: Exchange, name: str) -> Reply:
    """Return one datastore, without its secret."""
    return ok(_render(exchange, name, find(exchange, name)))


@route("GET", "{workspace}/datastores")
def list_datastores(exchange: Exchange) -> Reply:
    """List datastores, newest first; `isDefault=true` and `names` filter, `count` is the page."""
    query = exchange.query
    names = set(query["names"].split(",")) if query.get("names") else None
    only_default = query.get("isDefault", "").lower()
    kind = query.get("datastoreType", query.get("storeType"))

    def wanted(name: str, document: Document) -> bool:
        properties = document["properties"]
        return (
            (names is None or name in names)
            and (not only_default or str(properties["isDefault"]).lower() == only_default)
            and (kind is None or properties["datastoreType"] == kind)
        )

    def render(_: Owner, name: str, document: Document) -> dict[str, Any]:
        return _render(exchange, name, document)

    size = min(int(query.get("count", 30)), exchange.service.config.page_size)
    return page(exchange, collection(exchange.workspace), wanted, render, size=size, newest_first=True)


@route("PUT", "{workspace}/datastores/{name}")
def put_datastore(exchange: Exchange, name: str) -> Reply:
    """Create or replace a datastore; the secret goes in and never comes out of GET."""
    owner, store = exchange.workspace, exchange.service.store
    sent = exchange.json()["properties"]
    credentials = {"credentialsType": "None", **(sent.get("credentials") or {})}
    known = {
        "description": None,
        "properties": None,
        "intellectualProperty": None,
        "isDefault": False,
        "subscriptionId": None,
        "resourceGroup": None,
        "endpoint": "core.windows.net",
        "protocol": "https",
        "serviceDataAccessAuthIdentity": "None",
    }
    properties = {**known, **sent, "tags": sent.get("tags") or {}, "credentials": credentials}
    before = store.get(collection(owner), name)
    system = before["systemData"] if before else created(exchange.author, exchange.now)
    document = {"properties": properties, "systemData": {**system, **modified(exchange.author, exchange.now)}}
    store.put(collection(owner), name, document, exchange.now)
    return Reply(
        200 if before else 201, _render(exchange, name, document), {} if before else {"Location": exchange.url}
    )


@route("DELETE", "{workspace}/datastores/{name}")
def delete_datastore(exchange: Exchange, name: str) -> Reply:
    """Delete a datastore; one that is not there is no error."""
    gone = exchange.service.store.delete(collection(exchange.workspace), name)
    return Reply(200 if gone else 204)


@route("POST", "{workspace}/datastores/{name}/listSecrets")
def list_secrets(exchange: Exchange, name: str) -> Reply:
    """Hand out the secret: an account signature, or the account key when no expiry is asked for."""
    datastore, storage = find(exchange, name), exchange.service.storage
    if datastore.get("refuses_secrets"):
        raise _refused(exchange)
    properties = datastore["properties"]
    kind = properties["credentials"]["credentialsType"]
    if kind == "None":
        raise provider_error(400, "No secrets for credentials of type None.")
    sent = exchange.json() if exchange.body else {}
    secrets = properties["credentials"].get("secrets") or {}
    if kind == "Sas":
        return ok({"secretsType": "Sas", "sasToken": secrets.get("sasToken")})
    if kind == "ServicePrincipal":
        return ok({"secretsType": "ServicePrincipal", "clientSecret": secrets.get("clientSecret")})
    if sent.get("expirableSecret"):
        hours = float(sent.get("expireAfterHours") or 1)
        return ok({"secretsType": "Sas", "sasToken": f"?{storage.account_sas(hours)}"})
    return ok({"secretsType": "AccountKey", "key": secrets.get("key") or storage.key})


def _refused(exchange: Exchange) -> ServiceError:
    """Return ARM's refusal for somebody whose role lacks this one action."""
    return exchange.service.directory.unauthorized(
        exchange.principal, "Microsoft.MachineLearningServices/workspaces/datastores/listSecrets/action", exchange.path
    )
