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

from ..core.arm import Reply, gateway_error, not_found_error
from ..core.clock import timestamp
from ..core.holders import Holder
from ..core.store import Document
from ..wire.exchange import Exchange
from ..wire.paging import page
from ..wire.routing import ok, route
from .jobs import submit
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
    endpoint_operation: str
    deployment_operation: str
    endpoint: Callable[[Exchange, str, Properties, bool], Properties]
    deployment: Callable[[Properties, bool], Properties]
    identity: Properties
    extra: Properties

    def endpoints(self, holder: Holder) -> str:
        """Return where the endpoints are kept."""
        return f"{holder.key}/{self.segment}"

    def deployments(self, holder: Holder, endpoint: str) -> str:
        """Return where an endpoint's deployments are kept."""
        return f"{holder.key}/{self.segment}/{endpoint}/deployments"

    def host(self, holder: Holder, endpoint: str) -> str:
        """Return the host name at which an endpoint is invoked."""
        return f"{endpoint}.{holder.location}.inference.ml.azure.com"


def _read(exchange: Exchange, collection: str, name: str) -> Document | None:
    document = exchange.service.store.get(collection, name)
    gone = document is not None and document["gone"] is not None and document["gone"] <= exchange.now
    return None if gone else document


def _find(exchange: Exchange, collection: str, name: str, what: str) -> Document:
    document = _read(exchange, collection, name)
    if document is None:
        raise not_found_error(f"{what} {name} not found.", f"{what}NotFound")
    return document


def _state(document: Document, now: float, first: str) -> str:
    if document["gone"] is not None:
        return "Deleting"
    if document["ready"] > now:
        return str(document.get("first") or first)
    return "Failed" if document["error"] else "Succeeded"


def _render(holder: Holder, type_: str, path: str, name: str, document: Document, rest: Properties) -> dict[str, Any]:
    sent = document["sent"]
    return {
        "id": f"{holder.id}/{path}/{name}",
        "name": name,
        "type": f"{holder.type}/{type_}",
        **rest,
        "systemData": document["systemData"],
        "tags": sent.get("tags") or {},
        "location": sent.get("location") or holder.location,
    }


def render_endpoint(exchange: Exchange, kind: Kind, name: str, document: Document) -> dict[str, Any]:
    """Return an endpoint's body."""
    sent, state = document["sent"], _state(document, exchange.now, "Creating")
    properties = kind.endpoint(exchange, name, document, state == "Succeeded")
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
    properties = kind.deployment(document, state == "Succeeded" and listed)
    rest: Properties = {"properties": {**properties, "provisioningState": state}, **kind.extra}
    if kind.extra:
        rest["sku"] = {"name": "Default", "tier": "Standard", "capacity": 1, **(document["sent"].get("sku") or {})}
    type_, path = f"{kind.segment}/deployments", f"{kind.segment}/{endpoint}/deployments"
    return _render(exchange.workspace, type_, path, name, document, rest)


def _begin(exchange: Exchange, operation: str) -> dict[str, str]:
    holder, service = exchange.workspace, exchange.service
    url = begin(
        exchange,
        "mfeOperationsStatus",
        f"{operation}:{holder.guid}:{uuid.uuid4()}",
        seconds=service.config.operation_seconds,
        status="Updating",
    )
    return {"Azure-AsyncOperation": url, "x-ms-async-operation-timeout": "PT30M"}


def _document(exchange: Exchange, before: Document | None, sent: Properties, url: str) -> Document:
    now = exchange.now
    system = {"createdAt": timestamp(now), "createdBy": exchange.author.name}
    return {
        "sent": sent,
        "ready": now + exchange.service.config.operation_seconds,
        "gone": None,
        "error": exchange.operation_error,
        "operation": exchange.service.operations.unsigned(url),
        "systemData": {**(before["systemData"] if before else system), "lastModifiedAt": timestamp(now)},
        "principal": before["principal"] if before else str(uuid.uuid4()),
        "keys": before["keys"] if before else [_key(), _key()],
    }


def _key() -> str:
    return base64.b64encode(secrets.token_bytes(24)).decode()


def _put(exchange: Exchange, collection: str, name: str, operation: str, sent: Properties) -> tuple[Reply, Document]:
    """Store an endpoint or deployment; an existing one answers 200, which was not recorded."""
    before = _read(exchange, collection, name)
    headers = _begin(exchange, operation)
    document = _document(exchange, before, sent, headers["Azure-AsyncOperation"])
    if before is None:
        exchange.service.store.delete(collection, name)
    exchange.service.store.put(collection, name, document, exchange.now)
    return Reply(200 if before else 201, None, {**headers, "Location": exchange.url}), document


def _delete(exchange: Exchange, collection: str, name: str, operation: str) -> Reply:
    """Delete: 202, null, and a Location of results rather than of the resource."""
    document = _read(exchange, collection, name)
    if document is None:
        return Reply(204)
    headers = _begin(exchange, operation)
    ends = exchange.now + exchange.service.config.operation_seconds
    failed: Properties = {"operation": exchange.service.operations.unsigned(headers["Azure-AsyncOperation"])}
    failed |= {"error": exchange.operation_error, "ready": ends, "first": "Deleting"}
    document.update(failed if exchange.operation_error else {"gone": ends})
    exchange.service.store.put(collection, name, document)
    location = headers["Azure-AsyncOperation"].replace("mfeOperationsStatus", "mfeOperationResults")
    return Reply(202, None, {**headers, "Location": location})


def _register(kind: Kind) -> Kind:  # noqa: C901 - one small function for each route
    path = f"{{workspace}}/{kind.segment}/{{endpoint}}"

    @route("GET", f"{{workspace}}/{kind.segment}")
    def list_endpoints(exchange: Exchange) -> Reply:
        def render(holder: Holder, name: str, document: Document) -> dict[str, Any]:
            return render_endpoint(exchange, kind, name, document)

        return _list(exchange, kind.endpoints(exchange.workspace), render)

    @route("GET", path)
    def get_endpoint(exchange: Exchange, endpoint: str) -> Reply:
        document = _find(exchange, kind.endpoints(exchange.workspace), endpoint, "Endpoint")
        return ok(render_endpoint(exchange, kind, endpoint, document))

    @route("PUT", path)
    def put_endpoint(exchange: Exchange, endpoint: str) -> Reply:
        sent, holder = exchange.json(), exchange.workspace
        reply, document = _put(exchange, kind.endpoints(holder), endpoint, kind.endpoint_operation, sent)
        place = {"workspace": holder.id, "segment": kind.segment, "endpoint": endpoint}
        exchange.service.store.put("endpointhosts", kind.host(holder, endpoint), place)
        reply.body = render_endpoint(exchange, kind, endpoint, document)
        return reply

    @route("DELETE", path)
    def delete_endpoint(exchange: Exchange, endpoint: str) -> Reply:
        exchange.service.store.delete_below(kind.deployments(exchange.workspace, endpoint))
        return _delete(exchange, kind.endpoints(exchange.workspace), endpoint, kind.endpoint_operation)

    @route("POST", f"{path}/listKeys")
    def list_keys(exchange: Exchange, endpoint: str) -> Reply:
        keys = _find(exchange, kind.endpoints(exchange.workspace), endpoint, "Endpoint")["keys"]
        return ok({"primaryKey": keys[0], "secondaryKey": keys[1]})

    @route("POST", f"{path}/regenerateKeys")
    def regenerate_keys(exchange: Exchange, endpoint: str) -> Reply:
        collection = kind.endpoints(exchange.workspace)
        document = _find(exchange, collection, endpoint, "Endpoint")
        place = 1 if exchange.json().get("keyType") == "Secondary" else 0
        document["keys"][place] = exchange.json().get("keyValue") or _key()
        exchange.service.store.put(collection, endpoint, document)
        return Reply(202, headers=_begin(exchange, kind.endpoint_operation))

    @route("POST", f"{path}/token")
    def get_token(exchange: Exchange, endpoint: str) -> Reply:
        _find(exchange, kind.endpoints(exchange.workspace), endpoint, "Endpoint")
        principal = exchange.service.directory.find(exchange.principal)
        assert principal is not None
        expiry = int(exchange.now) + _TOKEN_SECONDS
        token = exchange.service.directory.issue(principal, "https://ml.azure.com")
        times = {"expiryTimeUtc": expiry, "refreshAfterTimeUtc": expiry - _REFRESH_BEFORE}
        return ok({"accessToken": token, "tokenType": "Bearer", **times})

    @route("GET", f"{path}/deployments")
    def list_deployments(exchange: Exchange, endpoint: str) -> Reply:
        _find(exchange, kind.endpoints(exchange.workspace), endpoint, "Endpoint")

        def render(holder: Holder, name: str, document: Document) -> dict[str, Any]:
            return render_deployment(exchange, kind, endpoint, name, document)

        return _list(exchange, kind.deployments(exchange.workspace, endpoint), render)

    @route("GET", f"{path}/deployments/{{name}}")
    def get_deployment(exchange: Exchange, endpoint: str, name: str) -> Reply:
        document = _find(exchange, kind.deployments(exchange.workspace, endpoint), name, "Deployment")
        return ok(render_deployment(exchange, kind, endpoint, name, document))

    @route("PUT", f"{path}/deployments/{{name}}")
    def put_deployment(exchange: Exchange, endpoint: str, name: str) -> Reply:
        holder = exchange.workspace
        _find(exchange, kind.endpoints(holder), endpoint, "Endpoint")
        operation, sent = kind.deployment_operation, exchange.json()
        reply, document = _put(exchange, kind.deployments(holder, endpoint), name, operation, sent)
        reply.body = render_deployment(exchange, kind, endpoint, name, document, listed=False)
        exchange.draws = "resource-requests"
        return reply

    @route("DELETE", f"{path}/deployments/{{name}}")
    def delete_deployment(exchange: Exchange, endpoint: str, name: str) -> Reply:
        collection = kind.deployments(exchange.workspace, endpoint)
        return _delete(exchange, collection, name, kind.deployment_operation)

    @route("POST", f"{path}/deployments/{{name}}/getLogs")
    def get_logs(exchange: Exchange, endpoint: str, name: str) -> Reply:
        _find(exchange, kind.deployments(exchange.workspace, endpoint), name, "Deployment")
        return ok({"content": f"{name} of {endpoint}: the emulator runs no containers\n"})

    return kind


def _list(exchange: Exchange, collection: str, render: Callable[[Holder, str, Document], dict[str, Any]]) -> Reply:
    def wanted(_: str, document: Document) -> bool:
        return document["gone"] is None or document["gone"] > exchange.now

    return page(exchange, collection, wanted, render, size=exchange.service.config.page_size)


# Online --------------------------------------------------------------------------------------------------------------

_PROBE = {"failureThreshold": 30, "successThreshold": 1, "timeout": "PT2S", "period": "PT10S", "initialDelay": "PT10S"}
_SCALE = {"scaleType": "Default"}


def _online_endpoint(exchange: Exchange, name: str, document: Document, ready: bool) -> Properties:
    holder, sent = exchange.workspace, document["sent"]["properties"]
    url = f"https://{ONLINE.host(holder, name)}"
    system = {
        "azureml.onlineendpointid": f"{holder.id}/onlineendpoints/{name}".lower(),
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


def _online_deployment(document: Document, ready: bool) -> Properties:
    """Probes and the request time-out show their defaults once the deployment is done."""
    sent = document["sent"]["properties"]
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
        "privateNetworkConnection": bool(sent.get("privateNetworkConnection")),
        "egressPublicNetworkAccess": sent.get("egressPublicNetworkAccess") or "Enabled",
        "endpointComputeType": sent.get("endpointComputeType") or "Managed",
    }


ONLINE = _register(
    Kind(
        "onlineEndpoints",
        "oeidp",
        "odidp",
        _online_endpoint,
        _online_deployment,
        {"type": "SystemAssigned"},
        {"kind": "Managed"},
    )
)


# Batch ---------------------------------------------------------------------------------------------------------------


def _batch_endpoint(exchange: Exchange, name: str, document: Document, ready: bool) -> Properties:
    holder, sent = exchange.workspace, document["sent"]["properties"]
    url = f"https://{BATCH.host(holder, name)}"
    system = {
        "BatchEndpointCreationApiVersion": exchange.api_version,
        "azureml.onlineendpointid": f"{holder.id}/batchendpoints/{name}".lower(),
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


def _batch_deployment(document: Document, ready: bool) -> Properties:
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
    more = {key: sent[key] for key in ("deploymentConfiguration",) if sent.get(key) is not None}
    return {**known, "resources": {**nodes, "properties": sizes.get("properties") or None}, **more}


BATCH = _register(Kind("batchEndpoints", "bebes", "bdbes", _batch_endpoint, _batch_deployment, {"type": "None"}, {}))


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


def _batch_jobs(holder: Holder, endpoint: str) -> str:
    return f"{holder.key}/batchEndpoints/{endpoint}/jobs"


# Invoking ------------------------------------------------------------------------------------------------------------


def _invoked(exchange: Exchange, kind: Kind) -> tuple[str, Document]:
    """Return the endpoint that a host name stands for, with its workspace put into the exchange."""
    place = exchange.service.store.get("endpointhosts", exchange.host)
    holder = exchange.service.holders.find(place["workspace"]) if place else None
    if place is None or holder is None or place["segment"] != kind.segment:
        raise gateway_error(404, "NotFound", f"There is no endpoint at {exchange.host}.")
    exchange.holder = holder
    return place["endpoint"], _find(exchange, kind.endpoints(holder), place["endpoint"], "Endpoint")


def _chosen(exchange: Exchange, kind: Kind, endpoint: str, shares: dict[str, int]) -> str:
    """Return the deployment that a request goes to: the one that it names, or one by the shares of traffic."""
    named = exchange.headers.get("azureml-model-deployment")
    shares = {named: 100} if named else {name: share for name, share in shares.items() if share > 0}
    if not shares:
        raise gateway_error(404, "NotFound", "No deployment gets traffic.")
    name = random.choices(list(shares), list(shares.values()))[0]  # noqa: S311 - traffic, not a secret
    _find(exchange, kind.deployments(exchange.workspace, endpoint), name, "Deployment")
    return name


@route("POST", "/score")
def score(exchange: Exchange) -> Reply:
    """Answer a scoring request with itself; the caller shows one of the endpoint's keys, or a token."""
    endpoint, document = _invoked(exchange, ONLINE)
    shown = exchange.headers.get("authorization", "").partition(" ")[2]
    if shown not in document["keys"]:
        exchange.service.directory.authenticate(exchange.headers.get("authorization", ""))
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
    principal = exchange.service.directory.authenticate(exchange.headers.get("authorization", ""))
    exchange.author = principal.author
    default = (document["sent"]["properties"].get("defaults") or {}).get("deploymentName")
    deployment = _chosen(exchange, BATCH, endpoint, {default: 100} if default else {})
    holder, sent = exchange.workspace, exchange.json().get("properties") or {}
    name = f"batchjob-{uuid.uuid4()}"
    experiment = {"experimentName": endpoint, "displayName": deployment}
    job = submit(exchange, name, {"jobType": "Pipeline", **experiment, "jobs": {}, "tags": sent.get("tags")})
    body = _batch_body(exchange, endpoint, deployment, name, sent)
    exchange.service.store.put(_batch_jobs(holder, endpoint), name, {**body, "deployment": deployment}, exchange.now)
    del job
    api = f"https://{holder.location}.api.azureml.ms/mferp/managementfrontend{holder.id}"
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
    holder, author = exchange.workspace, exchange.author.name
    inputs = {
        key: {"description": None, "mode": "ReadOnlyMount", **value}
        for key, value in (sent.get("inputData") or {}).items()
    }
    kinds = {"Tracking": f"azureml://{holder.location}.api.azureml.ms/mlflow/v1.0{holder.id}?"}
    kinds["Studio"] = f"https://ml.azure.com/runs/{name}?wsid={holder.id}"
    path = f"{holder.id}/batchEndpoints/{endpoint}/deployments/{deployment}/jobs"
    now = timestamp(exchange.now)
    return {
        "id": f"{path}/{name}",
        "name": name,
        "type": f"{holder.type}/batchEndpoints/deployments/jobs",
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
            "name": f"quiet_river_{secrets.token_hex(5)}",
        },
        "systemData": {"createdAt": now, "createdBy": author, "lastModifiedAt": now, "lastModifiedBy": author},
    }
