"""Online and batch endpoints with their deployments (recorded_shapes/online_endpoint.json, batch_endpoint.json).

Everything here is a long-running operation. Deployments do not really run: an online endpoint answers a scoring
request with what it was asked, and by which deployment; a batch endpoint makes a job that gets on like any other.
"""

from __future__ import annotations

import base64
import json
import random
import secrets
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..core.arm import PROVIDER, Reply, ServiceError, gateway_error, provider_error
from ..core.clock import timestamp
from ..core.owners import Owner
from ..core.store import Document
from ..wire.exchange import Exchange
from ..wire.paging import labelled, page
from ..wire.routing import ok, route
from .jobs import submit_batch
from .operations import begin

Properties = dict[str, Any]

_TOKEN_SECONDS = 24 * 3600
_REFRESH_BEFORE = 12 * 3600
_AUTH_MODES = {"amltoken": "AMLToken", "aadtoken": "AADToken", "key": "Key"}
_NO_GUID = "00000000-0000-0000-0000-000000000000"


@dataclass(frozen=True)
class Kind:
    """What sets online and batch endpoints apart."""

    segment: str
    endpoint_operations: tuple[str, ...]
    deployment_operations: tuple[str, ...]
    endpoint: Callable[[Exchange, str, Properties, bool], Properties]
    deployment: Callable[[Exchange, Document, bool], Properties]
    identity: Properties
    extra: Properties

    def endpoints(self, owner: Owner) -> str:
        """Return where the endpoints are kept."""
        return f"{owner.key}/{self.segment}"

    def deployments(self, owner: Owner, endpoint: str) -> str:
        """Return where an endpoint's deployments are kept."""
        return f"{owner.key}/{self.segment}/{endpoint}/deployments"

    def host(self, owner: Owner, endpoint: str) -> str:
        """Return the host name at which an endpoint is invoked."""
        return f"{endpoint}.{owner.location}.inference.ml.azure.com"


def _read(exchange: Exchange, collection: str, name: str) -> Document | None:
    document = exchange.service.store.get(collection, name)
    gone = document is not None and document["gone"] is not None and document["gone"] <= exchange.now
    return None if gone else document


def _find(exchange: Exchange, kind: Kind, endpoint: str, deployment: str | None = None) -> Document:
    """Return an endpoint, or one of its deployments; answer 404 if that, or the endpoint, is missing."""
    document = _read(exchange, kind.endpoints(exchange.workspace), endpoint)
    if document is None:
        raise _missing(exchange, kind, endpoint, below=deployment is not None)
    if deployment is None:
        return document
    document = _read(exchange, kind.deployments(exchange.workspace, endpoint), deployment)
    if document is None:
        raise _missing(exchange, kind, endpoint, deployment)
    return document


def _missing(
    exchange: Exchange, kind: Kind, endpoint: str, deployment: str | None = None, *, below: bool = False
) -> ServiceError:
    """Return one of the answers for what is missing: ARM keeps track of endpoints and may answer itself, or may not.

    Both were seen (recorded_shapes/batch_endpoint.json; for an online endpoint an SDK's error text), and what decides
    is not known. For deployments none was seen.

    :param below: what is asked for is a deployment, and its endpoint is missing.
    """
    owner = exchange.workspace
    path = f"{owner.segment}/{owner.name}/{kind.segment}/{endpoint}"
    if exchange.service.turns.take("missing"):
        code, text = "NoSuchEndpoint", f"There is no endpoint with name: {endpoint} in {owner.name}"
        if deployment is not None:
            code, text = "NoSuchDeployment", f"There is no deployment with name: {deployment} in {endpoint}"
        return provider_error(404, "The specified resource was not found.", code="NotFound", detail=(code, text))
    if below and exchange.method != "GET":
        text = (
            f"Failed to perform 'write' on resource(s) of type '{owner.segment}/{kind.segment}/deployments', because "
            f"the parent resource '{owner.id}/{kind.segment}/{endpoint}' could not be found."
        )
        return gateway_error(404, "ParentResourceNotFound", text)
    path += f"/deployments/{deployment}" if deployment is not None else ""
    text = (
        f"The Resource '{PROVIDER}/{path}' under resource group '{owner.group}' was not found. "
        "For more details please go to https://aka.ms/ARMResourceNotFoundFix"
    )
    return gateway_error(404, "ResourceNotFound", text)


def _refused(text: str) -> ServiceError:
    """Return what the provider answers when the service behind it does not accept a change."""
    reasons = json.dumps({"errors": {"": [text]}, "title": "One or more validation errors occurred."}, indent=2)
    message = "The request is invalid."
    return provider_error(400, message, code="BadRequest", detail=("InferencingClientCallFailed", reasons))


def _refuse_if_busy(exchange: Exchange, kind: Kind, endpoint: str, parent: Document) -> None:
    """Take no deployment while an online endpoint is made or changed, also where it still shows the state from before.

    Of a batch endpoint it is not known.
    """
    if kind.segment != ONLINE.segment or parent["ready"] <= exchange.now:
        return
    state = _state({**parent, "stale": 0.0}, exchange.now, "Creating")
    text = f"Cannot create a deployment in endpoint {endpoint} because it is in {state} provisioning state."
    if exchange.service.way("endpoint is busy") == "conflict":
        raise provider_error(409, text, code="Conflict")
    raise provider_error(400, text, code="UserError")


def _state(document: Document, now: float, first: str) -> str:
    if document["gone"] is not None:
        return "Deleting"
    if document["ready"] > now:
        if document["stale"] > now:  # whether the real service shows an update at once is not known
            return "Succeeded"
        return str(document.get("first") or ("Updating" if document["provisioned"] else first))
    return "Failed" if document["error"] else "Succeeded"


def _provisioned(document: Document, now: float) -> bool:
    """Say whether it was ever provisioned: from then on it keeps its address, and may be updated."""
    return bool(document["provisioned"] or (document["ready"] <= now and not document["error"]))


def _render(owner: Owner, type_: str, path: str, name: str, document: Document, rest: Properties) -> dict[str, Any]:
    sent = document["sent"]
    return {
        "id": f"{owner.id}/{path}/{name}",
        "name": name,
        "type": f"{owner.type}/{type_}",
        **rest,
        "systemData": document["systemData"],
        "tags": sent.get("tags") or {},
        "location": sent.get("location") or owner.location,
    }


def render_endpoint(exchange: Exchange, kind: Kind, name: str, document: Document) -> dict[str, Any]:
    """Return an endpoint's body."""
    sent, state = document["sent"], _state(document, exchange.now, "Creating")
    properties = kind.endpoint(exchange, name, document, _provisioned(document, exchange.now))
    identity = sent.get("identity") or kind.identity
    ids = {"principalId": _NO_GUID, "tenantId": _NO_GUID}
    if identity["type"] != "None":
        ids = {"principalId": document["principal"], "tenantId": exchange.service.directory.tenant}
    rest = {"properties": {**properties, "provisioningState": state}, **kind.extra}
    body = _render(exchange.workspace, kind.segment, kind.segment, name, document, rest)
    return {**body, "identity": {**ids, **identity}}


def render_deployment(
    exchange: Exchange, kind: Kind, endpoint: str, name: str, document: Document, *, listed: bool = True
) -> dict[str, Any]:
    """Return a deployment's body."""
    state = _state(document, exchange.now, "Updating")
    properties = kind.deployment(exchange, document, state == "Succeeded" and listed)
    rest: Properties = {"properties": {**properties, "provisioningState": state}, **kind.extra}
    if kind.extra:
        rest["sku"] = {"name": "Default", "tier": "Standard", "capacity": 1, **(document["sent"].get("sku") or {})}
    type_, path = f"{kind.segment}/deployments", f"{kind.segment}/{endpoint}/deployments"
    return _render(exchange.workspace, type_, path, name, document, rest)


def _begin(exchange: Exchange, operations: tuple[str, ...]) -> tuple[dict[str, str], str]:
    """Begin an operation, of one of the kinds that were recorded; return its headers, and the URL of its result."""
    owner, service = exchange.workspace, exchange.service
    kind = operations[service.turns.take(f"{exchange.method} {operations[0]}", len(operations))]
    identifier = f"{kind}:{owner.guid}:{uuid.uuid4()}"
    url = begin(
        exchange, "mfeOperationsStatus", identifier, seconds=service.config.operation_seconds, status="Updating"
    )
    path = f"/subscriptions/{owner.subscription}/providers/{PROVIDER}/locations/{owner.location}/mfeOperationResults"
    result = service.operations.url(path, identifier, now=exchange.now, api_version=exchange.api_version)
    return {"Azure-AsyncOperation": url, "x-ms-async-operation-timeout": "PT30M"}, result


def _document(exchange: Exchange, before: Document | None, sent: Properties, url: str) -> Document:
    now, seconds = exchange.now, exchange.service.config.operation_seconds
    system = {"createdAt": timestamp(now), "createdBy": exchange.author.name}
    provisioned = before is not None and _provisioned(before, now)
    return {
        "sent": sent,
        "ready": now + seconds,
        "stale": now + seconds / 2 if provisioned else 0.0,
        "provisioned": provisioned,
        "gone": None,
        "error": exchange.operation_error,
        "operation": exchange.service.operations.unsigned(url),
        "systemData": {**(before["systemData"] if before else system), "lastModifiedAt": timestamp(now)},
        "principal": before["principal"] if before else str(uuid.uuid4()),
        "keys": before["keys"] if before else [_key(), _key()],
    }


def _key() -> str:
    return base64.b64encode(secrets.token_bytes(24)).decode()


def _put(
    exchange: Exchange, collection: str, name: str, operations: tuple[str, ...], sent: Properties
) -> tuple[Reply, Document]:
    """Store an endpoint or deployment; an existing one answers 200, which was not recorded."""
    before = _read(exchange, collection, name)
    headers, _ = _begin(exchange, operations)
    document = _document(exchange, before, sent, headers["Azure-AsyncOperation"])
    if before is None:
        exchange.service.store.delete(collection, name)
    exchange.service.store.put(collection, name, document, exchange.now)
    return Reply(200 if before else 201, None, {**headers, "Location": exchange.url}), document


def _delete(exchange: Exchange, collection: str, name: str, operations: tuple[str, ...]) -> Reply:
    """Delete: 202, no body, and a Location of results rather than of the resource."""
    document = _read(exchange, collection, name)
    assert document is not None
    headers, location = _begin(exchange, operations)
    ends = exchange.now + exchange.service.config.operation_seconds
    failed: Properties = {"operation": exchange.service.operations.unsigned(headers["Azure-AsyncOperation"])}
    failed |= {"error": exchange.operation_error, "ready": ends, "first": "Deleting"}
    document.update(failed if exchange.operation_error else {"gone": ends})
    exchange.service.store.put(collection, name, document)
    return Reply(202, headers={**headers, "Location": location})


def _nothing_to_delete(exchange: Exchange, kind: Kind, endpoint: str, deployment: str | None = None) -> Reply:
    """Answer a DELETE of what is not there: of an online endpoint 204, by ARM itself; for the rest it is not known."""
    if kind.segment == ONLINE.segment and deployment is None:
        return Reply(204, by_gateway=True)
    missing = _missing(exchange, kind, endpoint, deployment)
    if "x-ms-failure-cause" in missing.reply.headers:  # who keeps track of it, knows that there is nothing to do
        return Reply(204, by_gateway=True)
    raise missing


def _register(kind: Kind) -> Kind:  # noqa: C901 - one small function for each route
    path = f"{{workspace}}/{kind.segment}/{{endpoint}}"

    @route("GET", f"{{workspace}}/{kind.segment}")
    def list_endpoints(exchange: Exchange) -> Reply:
        def render(owner: Owner, name: str, document: Document) -> dict[str, Any]:
            return render_endpoint(exchange, kind, name, document)

        return _list(exchange, kind.endpoints(exchange.workspace), render)

    @route("GET", path)
    def get_endpoint(exchange: Exchange, endpoint: str) -> Reply:
        document = _find(exchange, kind, endpoint)
        return ok(render_endpoint(exchange, kind, endpoint, document))

    @route("PUT", path)
    def put_endpoint(exchange: Exchange, endpoint: str) -> Reply:
        sent, owner = exchange.json(), exchange.workspace
        reply, document = _put(exchange, kind.endpoints(owner), endpoint, kind.endpoint_operations, sent)
        place = {"workspace": owner.id, "segment": kind.segment, "endpoint": endpoint}
        exchange.service.store.put("endpointhosts", kind.host(owner, endpoint), place)
        reply.body = render_endpoint(exchange, kind, endpoint, document)
        return reply

    @route("DELETE", path)
    def delete_endpoint(exchange: Exchange, endpoint: str) -> Reply:
        if _read(exchange, kind.endpoints(exchange.workspace), endpoint) is None:
            return _nothing_to_delete(exchange, kind, endpoint)
        exchange.service.store.delete_below(kind.deployments(exchange.workspace, endpoint))
        return _delete(exchange, kind.endpoints(exchange.workspace), endpoint, kind.endpoint_operations)

    @route("POST", f"{path}/listKeys")
    def list_keys(exchange: Exchange, endpoint: str) -> Reply:
        keys = _find(exchange, kind, endpoint)["keys"]
        return ok({"primaryKey": keys[0], "secondaryKey": keys[1]})

    @route("POST", f"{path}/regenerateKeys")
    def regenerate_keys(exchange: Exchange, endpoint: str) -> Reply:
        collection = kind.endpoints(exchange.workspace)
        document = _find(exchange, kind, endpoint)
        place = 1 if exchange.json().get("keyType") == "Secondary" else 0
        document["keys"][place] = exchange.json().get("keyValue") or _key()
        exchange.service.store.put(collection, endpoint, document)
        return Reply(202, headers=_begin(exchange, kind.endpoint_operations)[0])

    @route("POST", f"{path}/token")
    def get_token(exchange: Exchange, endpoint: str) -> Reply:
        _find(exchange, kind, endpoint)
        principal = exchange.service.directory.find(exchange.principal)
        assert principal is not None
        expiry = int(exchange.now) + _TOKEN_SECONDS
        token = exchange.service.directory.issue(principal, f"https://{exchange.cloud.tokens}")
        times = {"expiryTimeUtc": expiry, "refreshAfterTimeUtc": expiry - _REFRESH_BEFORE}
        return ok({"accessToken": token, "tokenType": "Bearer", **times})

    @route("GET", f"{path}/deployments")
    def list_deployments(exchange: Exchange, endpoint: str) -> Reply:
        _find(exchange, kind, endpoint)

        def render(owner: Owner, name: str, document: Document) -> dict[str, Any]:
            return render_deployment(exchange, kind, endpoint, name, document)

        return _list(exchange, kind.deployments(exchange.workspace, endpoint), render)

    @route("GET", f"{path}/deployments/{{name}}")
    def get_deployment(exchange: Exchange, endpoint: str, name: str) -> Reply:
        document = _find(exchange, kind, endpoint, name)
        return ok(render_deployment(exchange, kind, endpoint, name, document))

    @route("PUT", f"{path}/deployments/{{name}}")
    def put_deployment(exchange: Exchange, endpoint: str, name: str) -> Reply:
        owner = exchange.workspace
        if (parent := _read(exchange, kind.endpoints(owner), endpoint)) is None:
            raise _missing(exchange, kind, endpoint, below=True)
        _refuse_if_busy(exchange, kind, endpoint, parent)
        before = _read(exchange, kind.deployments(owner, endpoint), name)
        failed = before is not None and _state(before, exchange.now, "") == "Failed"
        if before and failed and not before["provisioned"] and kind.segment == ONLINE.segment:
            text = "failed during initial provisioning and is in an unrecoverable state. Delete and re-create."
            raise _refused(f"Specified deployment [{name}] {text}")
        operations, sent = kind.deployment_operations, exchange.json()
        reply, document = _put(exchange, kind.deployments(owner, endpoint), name, operations, sent)
        reply.body = render_deployment(exchange, kind, endpoint, name, document, listed=False)
        exchange.draws = "resource-requests"
        return reply

    @route("DELETE", f"{path}/deployments/{{name}}")
    def delete_deployment(exchange: Exchange, endpoint: str, name: str) -> Reply:
        """Delete, unless it serves requests: that it is refused is documented, the words are not known."""
        owner, collection = exchange.workspace, kind.deployments(exchange.workspace, endpoint)
        parent = _read(exchange, kind.endpoints(owner), endpoint)
        if parent is None or _read(exchange, collection, name) is None:
            return _nothing_to_delete(exchange, kind, endpoint, name)
        if (parent["sent"]["properties"].get("traffic") or {}).get(name):
            raise _refused(f"Deployment {name} has traffic. Set its traffic to 0 before it is deleted.")
        return _delete(exchange, collection, name, kind.deployment_operations)

    return kind


def _list(exchange: Exchange, collection: str, render: Callable[[Owner, str, Document], dict[str, Any]]) -> Reply:
    query = exchange.query

    def wanted(name: str, document: Document) -> bool:
        sent = document["sent"]
        if document["gone"] is not None and document["gone"] <= exchange.now:
            return False
        return (
            query.get("name", name) == name
            and query.get("computeType") in (None, (sent.get("kind") or "Managed"))
            and labelled(query.get("tags"), sent.get("tags"))
            and labelled(query.get("properties"), sent["properties"].get("properties"))
        )

    size = min(int(query.get("count") or 50), exchange.service.config.page_size)
    return page(exchange, collection, wanted, render, size=size)


@route("POST", "{workspace}/onlineEndpoints/{endpoint}/deployments/{name}/getLogs")
def get_logs(exchange: Exchange, endpoint: str, name: str) -> Reply:
    """
    Return what a deployment's container wrote; source: azure-ai-ml, which asks for the server's or the initializer's.

    A batch deployment has no such action. Of one that failed, the server says why; how it is answered where there is no
    container is a question of core/turns.py.
    """
    document = _find(exchange, ONLINE, endpoint, name)
    sent = exchange.json()
    container = sent.get("containerType") or "InferenceServer"
    if container not in ("InferenceServer", "StorageInitializer"):
        raise provider_error(400, f"The container type {container} is not supported.", code="BadArgument")
    if container == "StorageInitializer" and document.get("error"):
        way = exchange.service.way("logs of no container")
        if way == "not found":
            raise provider_error(404, f"Deployment {name} has no container {container}.", code="NotFound")
        return ok({"content": None if way == "null" else ""})
    lines = [f"{name} of {endpoint}: the emulator runs no containers"]
    if error := document.get("error"):
        lines += ["Exception in worker process", str(error["message"])]
    tail = int(sent.get("tail") or len(lines))
    return ok({"content": "\n".join([*lines[-tail:], ""])})


# Online --------------------------------------------------------------------------------------------------------------

_PROBE = {"failureThreshold": 30, "successThreshold": 1, "timeout": "PT2S", "period": "PT10S", "initialDelay": "PT10S"}
_SCALE = {"scaleType": "Default"}


def _online_endpoint(exchange: Exchange, name: str, document: Document, ready: bool) -> Properties:
    owner, sent = exchange.workspace, document["sent"]["properties"]
    url = f"https://{ONLINE.host(owner, name)}"
    system = {
        "azureml.onlineendpointid": f"{owner.id}/onlineendpoints/{name}".lower(),
        "AzureAsyncOperationUri": document["operation"],
    }
    return {
        "description": sent.get("description"),
        "properties": {**(sent.get("properties") or {}), **system},
        "scoringUri": f"{url}/score" if ready else None,
        "swaggerUri": f"{url}/swagger.json" if ready else None,
        "authMode": _AUTH_MODES.get(str(sent.get("authMode")).lower(), "Key"),
        "compute": sent.get("compute"),
        "traffic": sent.get("traffic") or {},
        "mirrorTraffic": sent.get("mirrorTraffic") or {},
        "publicNetworkAccess": sent.get("publicNetworkAccess") or "Enabled",
    }


# Which api-versions have which members, where records differ (recorded_shapes/*_endpoint.json).
_WITH_PRIVATE_NETWORK_CONNECTION = {"2022-02-01-preview"}
_WITHOUT_EGRESS_ACCESS = {"2022-05-01"}
_WITHOUT_DATA_COLLECTOR = {"2022-02-01-preview", "2022-05-01"}
_WITHOUT_DEPLOYMENT_CONFIGURATION = {"2022-02-01-preview", "2022-05-01"}


def _online_deployment(exchange: Exchange, document: Document, ready: bool) -> Properties:
    """Probes and the request time-out show their defaults once the deployment is done."""
    sent = document["sent"]["properties"]
    more: Properties = {}
    if exchange.api_version in _WITH_PRIVATE_NETWORK_CONNECTION:
        more["privateNetworkConnection"] = bool(sent.get("privateNetworkConnection"))
    if exchange.api_version not in _WITHOUT_EGRESS_ACCESS:
        more["egressPublicNetworkAccess"] = sent.get("egressPublicNetworkAccess") or "Enabled"
    if exchange.api_version not in _WITHOUT_DATA_COLLECTOR:
        more["dataCollector"] = sent.get("dataCollector")
    requests = {"maxQueueWait": "PT0S", "maxConcurrentRequestsPerInstance": 1}
    code = sent.get("codeConfiguration")
    variables = sent.get("environmentVariables") or {}
    if ready and code:
        system = {"AZUREML_ENTRY_SCRIPT": code.get("scoringScript"), "AML_APP_ROOT": "/var/azureml-app"}
        variables = {**variables, "AZUREML_MODEL_DIR": "/var/azureml-app/azureml-models", **system}
    return {
        "description": sent.get("description"),
        "properties": {**(sent.get("properties") or {}), "AzureAsyncOperationUri": document["operation"]},
        "codeConfiguration": code,
        "environmentId": sent.get("environmentId"),
        "environmentVariables": variables,
        "scaleSettings": sent.get("scaleSettings") or _SCALE,
        "requestSettings": {
            **requests,
            "requestTimeout": "PT5S" if ready else "PT0S",
            **(sent.get("requestSettings") or {}),
        },
        "modelMountPath": sent.get("modelMountPath"),
        "appInsightsEnabled": bool(sent.get("appInsightsEnabled")),
        "livenessProbe": sent.get("livenessProbe") or (_PROBE if ready else None),
        "readinessProbe": sent.get("readinessProbe") or (_PROBE if ready else None),
        "instanceType": sent.get("instanceType"),
        "model": sent.get("model"),
        **more,
        "endpointComputeType": sent.get("endpointComputeType") or "Managed",
    }


ONLINE = _register(
    Kind(
        "onlineEndpoints",
        ("oeidp", "oe"),
        ("odidp", "od"),
        _online_endpoint,
        _online_deployment,
        {"type": "SystemAssigned"},
        {"kind": "Managed"},
    )
)


# Batch ---------------------------------------------------------------------------------------------------------------


def _batch_endpoint(exchange: Exchange, name: str, document: Document, ready: bool) -> Properties:
    owner, sent = exchange.workspace, document["sent"]["properties"]
    url = f"https://{BATCH.host(owner, name)}"
    system = {
        "BatchEndpointCreationApiVersion": exchange.api_version,
        "azureml.onlineendpointid": f"{owner.id}/batchendpoints/{name}".lower(),
        "AzureAsyncOperationUri": document["operation"],
    }
    return {
        "description": sent.get("description"),
        "properties": {**(sent.get("properties") or {}), **system},
        "scoringUri": f"{url}/jobs" if ready else None,
        "swaggerUri": None,
        "authMode": _AUTH_MODES.get(str(sent.get("authMode")).lower(), "AADToken"),
        "defaults": {"deploymentName": None, **(sent.get("defaults") or {})},
    }


def _batch_deployment(exchange: Exchange, document: Document, ready: bool) -> Properties:
    sent = document["sent"]["properties"]
    level = sent.get("loggingLevel") or "Info"
    known = {
        "description": sent.get("description"),
        "properties": sent.get("properties") or {},
        "codeConfiguration": sent.get("codeConfiguration"),
        "environmentId": sent.get("environmentId"),
        "environmentVariables": sent.get("environmentVariables") or {},
        "compute": sent.get("compute"),
        "errorThreshold": sent.get("errorThreshold", -1),
        "retrySettings": sent.get("retrySettings") or {"maxRetries": 3, "timeout": "PT30S"},
        "miniBatchSize": sent.get("miniBatchSize") or 10,
        "loggingLevel": level[:1].upper() + level[1:],
        "model": sent.get("model"),
        "maxConcurrencyPerInstance": sent.get("maxConcurrencyPerInstance") or 1,
        "outputAction": sent.get("outputAction") or "AppendRow",
        "outputFileName": sent.get("outputFileName") or "predictions.csv",
    }
    sizes = sent.get("resources") or {}
    nodes = {"instanceCount": sizes.get("instanceCount") or 1, "instanceType": sizes.get("instanceType")}
    more = {"deploymentConfiguration": sent.get("deploymentConfiguration")}
    if exchange.api_version in _WITHOUT_DEPLOYMENT_CONFIGURATION:
        more = {}
    return {**known, "resources": {**nodes, "properties": sizes.get("properties") or None}, **more}


BATCH = _register(
    Kind(
        "batchEndpoints",
        ("bebes", "be"),
        ("bdbes", "bd"),
        _batch_endpoint,
        _batch_deployment,
        {"type": "None"},
        {},
    )
)


@route(
    "GET",
    "{data_plane}/batchEndpoints/{endpoint}/jobs",
    "{data_plane}/batchEndpoints/{endpoint}/deployments/{name}/jobs",
)
def list_batch_jobs(exchange: Exchange, endpoint: str, name: str | None = None) -> Reply:
    """List what a batch endpoint was asked to do, newest first."""
    entries = exchange.service.store.entries(_batch_jobs(exchange.workspace, endpoint))
    found = [entry.document for entry in entries]
    return ok({"value": [body for body in found if name in (None, body["deployment"]) and body.pop("deployment")]})


def _batch_jobs(owner: Owner, endpoint: str) -> str:
    return f"{owner.key}/batchEndpoints/{endpoint}/jobs"


# Invoking ------------------------------------------------------------------------------------------------------------


def _invoked(exchange: Exchange, kind: Kind) -> tuple[str, Document]:
    """Return the endpoint that a host name stands for, with its workspace put into the exchange."""
    place = exchange.service.store.get("endpointhosts", exchange.host)
    owner = exchange.service.owners.find(place["workspace"]) if place else None
    if place is None or owner is None or place["segment"] != kind.segment:
        raise gateway_error(404, "NotFound", f"There is no endpoint at {exchange.host}.")
    exchange.owner = owner
    return place["endpoint"], _find(exchange, kind, place["endpoint"])


def _chosen(exchange: Exchange, kind: Kind, endpoint: str, shares: dict[str, int]) -> str:
    """Return the deployment that a request goes to: the one that it names, or one by the shares of traffic."""
    named = exchange.headers.get("azureml-model-deployment")
    shares = {named: 100} if named else {name: share for name, share in shares.items() if share > 0}
    if not shares:
        raise gateway_error(404, "NotFound", "No deployment gets traffic.")
    name = random.choices(list(shares), list(shares.values()))[0]  # noqa: S311 - traffic, not a secret
    _find(exchange, kind, endpoint, name)
    return name


@route("POST", "/score")
def score(exchange: Exchange) -> Reply:
    """Answer a scoring request with itself; the caller shows one of the endpoint's keys, or a token."""
    endpoint, document = _invoked(exchange, ONLINE)
    shown = exchange.headers.get("authorization", "").partition(" ")[2]
    if shown not in document["keys"]:
        exchange.authenticate()
    name = _chosen(exchange, ONLINE, endpoint, document["sent"]["properties"].get("traffic") or {})
    try:
        asked = json.loads(exchange.body)
    except ValueError:
        asked = exchange.body.decode(errors="replace")
    headers = {"azureml-model-deployment": name}
    return ok({"endpoint": endpoint, "deployment": name, "input": asked}, headers)


@route("POST", "/jobs")
def invoke_batch(exchange: Exchange) -> Reply:
    """Start a batch job; the Location names the deployment, and the job is in the body."""
    endpoint, document = _invoked(exchange, BATCH)
    principal = exchange.authenticate()
    exchange.author = principal.author
    default = (document["sent"]["properties"].get("defaults") or {}).get("deploymentName")
    deployment = _chosen(exchange, BATCH, endpoint, {default: 100} if default else {})
    owner, sent = exchange.workspace, exchange.json().get("properties") or {}
    name = submit_batch(exchange, endpoint, deployment, sent)
    body = _batch_body(exchange, endpoint, deployment, name, sent)
    exchange.service.store.put(_batch_jobs(owner, endpoint), name, {**body, "deployment": deployment}, exchange.now)
    api = f"https://{owner.location}.api.azureml.ms/mferp/managementfrontend{owner.id}"
    location = f"{api}/batchEndpoints/{endpoint}/deployments/{deployment}?api-version=2020-09-01-dataplanepreview"
    return Reply(201, body, {"Location": location, "azureml-model-deployment": deployment})


_BATCH_PROPERTIES = (
    "azureml.pipelineid",
    "azureml.runsource",
    "runSource",
    "runType",
    "azureml.parameters",
    "azureml.continue_on_step_failure",
    "azureml.continue_on_failed_optional_input",
    "azureml.pipelineComponent",
)


def _batch_body(exchange: Exchange, endpoint: str, deployment: str, name: str, sent: Properties) -> dict[str, Any]:
    owner, author = exchange.workspace, exchange.author.name
    inputs = {
        key: {"description": None, "mode": "ReadOnlyMount", **value}
        for key, value in (sent.get("inputData") or {}).items()
    }
    kinds = {"Tracking": f"azureml://{owner.location}.api.azureml.ms/mlflow/v1.0{owner.id}?"}
    kinds["Studio"] = f"https://ml.azure.com/runs/{name}?wsid={owner.id}"
    path = f"{owner.id}/batchEndpoints/{endpoint}/deployments/{deployment}/jobs"
    now = timestamp(exchange.now)
    return {
        "id": f"{path}/{name}",
        "name": name,
        "type": f"{owner.type}/batchEndpoints/deployments/jobs",
        "properties": {
            "provisioningState": "Succeeded",
            "inputData": inputs,
            "compute": {
                "target": "",
                "instanceCount": None,
                "isLocal": False,
                "location": None,
                "instanceType": None,
                "properties": None,
            },
            "output": {"datastoreId": None, "path": None},
            "retrySettings": {"maxRetries": 3, "timeout": "PT30S"},
            "status": "Preparing",
            "interactionEndpoints": {
                kind: {"jobEndpointType": kind, "port": None, "endpoint": url, "properties": None}
                for kind, url in kinds.items()
            },
            "tags": {
                "outputType": "",
                "inputType": "",
                "azureml.batchrun": "true",
                "azureml.deploymentname": deployment,
                "azureml.jobtype": "azureml.batchjob",
                **(sent.get("tags") or {}),
            },
            "properties": dict.fromkeys(_BATCH_PROPERTIES, ""),
            "name": sent.get("name") or f"quiet_river_{secrets.token_hex(5)}",
        },
        "systemData": {"createdAt": now, "createdBy": author, "lastModifiedAt": now, "lastModifiedBy": author},
    }
