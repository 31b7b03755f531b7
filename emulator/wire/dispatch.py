"""From a call to its handler: who asks, may he, is it too often, and what exactly is meant."""

from __future__ import annotations

import json
import uuid
from inspect import isawaitable

from ..core.arm import MANAGEMENT, PROVIDER, Reply, ServiceError, gateway_error, provider_error
from ..core.calls import Call
from ..core.directory import Principal, noun_of
from ..core.published import accept
from ..core.versions import KNOWN
from .exchange import Exchange
from .routing import ROUTES

_BODIES = {
    "jobs/{name}": "JobBase",
    "models/{name}": "ModelContainer",
    "models/{name}/versions/{version}": "ModelVersion",
    "data/{name}": "DataContainer",
    "data/{name}/versions/{version}": "DataVersionBase",
    "environments/{name}": "EnvironmentContainer",
    "environments/{name}/versions/{version}": "EnvironmentVersion",
    "components/{name}": "ComponentContainer",
    "components/{name}/versions/{version}": "ComponentVersion",
    "codes/{name}": "CodeContainer",
    "codes/{name}/versions/{version}": "CodeVersion",
    "datastores/{name}": "Datastore",
    "computes/{name}": "ComputeResource",
    "onlineEndpoints/{endpoint}": "OnlineEndpoint",
    "onlineEndpoints/{endpoint}/deployments/{name}": "OnlineDeployment",
    "batchEndpoints/{endpoint}": "BatchEndpoint",
    "batchEndpoints/{endpoint}/deployments/{name}": "BatchDeployment",
    "schedules/{name}": "Schedule",
}
BODIES = {f"{root}/{path}": model for root in ("{workspace}", "{registry}") for path, model in _BODIES.items()}
"""Which published model the body of a PUT has."""
_PROVIDER_PREFIX = "/subscriptions/"
_OWNER_SEGMENTS = 9


async def dispatch(exchange: Exchange, call: Call) -> Reply:
    """Find the handler, see to identity, rights and limits, and answer."""
    service, found = exchange.service, ROUTES.find(exchange.method, exchange.path)
    call.template = found[0].template if found else ""
    service.runner.catch_up(exchange.now)
    _check_version(exchange)
    anonymous = exchange.path == "/discovery" or exchange.host.startswith("login.") or _scores(exchange.host)
    extra: dict[str, str] = {}
    if not anonymous:
        principal = _identify(exchange, call)
        if exchange.path.startswith(_PROVIDER_PREFIX):
            extra = _limit(exchange, principal)
            service.directory.authorize(principal, exchange.method, exchange.path)
    if len(exchange.body) > service.config.max_body:
        raise gateway_error(413, "RequestContentTooLarge", "The request content size exceeds the maximum size.")
    if found is None:
        call.known = False
        return _unknown(exchange)
    route, names = found
    parameters = _place(exchange, names)
    try:
        if exchange.method == "PUT" and route.template in BODIES:
            exchange.body = json.dumps(accept(BODIES[route.template], exchange.json())).encode()
        reply = route.handler(exchange, **parameters)
        if isawaitable(reply):
            reply = await reply
    except ServiceError as error:
        if "x-ms-failure-cause" not in error.reply.headers:
            error.reply.headers.update(extra | _correlation(exchange))
        raise
    assert isinstance(reply, Reply)
    if exchange.draws is not None:
        extra = {f"x-ms-ratelimit-remaining-subscription-{exchange.draws}": "24"}
    standard = {} if reply.by_gateway else {"x-ms-response-type": "standard"}
    reply.headers = {**standard, **extra, **_correlation(exchange), **reply.headers}
    return reply


def _check_version(exchange: Exchange) -> None:
    """Refuse a call to ARM that names no api-version, or one that the provider does not have, in ARM's words."""
    if f"https://{exchange.host}" != MANAGEMENT:
        return
    if not exchange.api_version:
        text = "The api-version query parameter (?api-version=) is required for all requests."
        raise gateway_error(400, "MissingApiVersionParameter", text)
    provider, _, noun = noun_of(exchange.path).partition("/")
    if provider.lower() == PROVIDER.lower() and exchange.api_version not in KNOWN:
        location = exchange.service.config.location
        raise gateway_error(
            400,
            "NoRegisteredProviderFound",
            f"No registered resource provider found for location '{location}' and API version '{exchange.api_version}' "
            f"for type '{noun}'. The supported api-versions are '{', '.join(sorted(KNOWN))}'. "
            f"The supported locations are '{location}'.",
        )


def _scores(host: str) -> bool:
    """Say whether a host is an endpoint's, which sees to keys and tokens itself."""
    return host.endswith(".inference.ml.azure.com")


def _identify(exchange: Exchange, call: Call) -> Principal:
    principal = exchange.authenticate()
    exchange.author, exchange.principal = principal.author, principal.client_id
    call.principal = principal.client_id
    return principal


def _limit(exchange: Exchange, principal: Principal) -> dict[str, str]:
    """Count the call against ARM's limits, or answer 429."""
    subscription = exchange.path.split("/")[2].lower()
    service = exchange.service
    headers, wait = service.throttle.count(subscription, principal.client_id, exchange.method, exchange.now)
    if wait is not None:
        message = f"Number of requests exceeded the limit. Please try again after '{wait}' seconds."
        raise gateway_error(429, "SubscriptionRequestsThrottled", message, Retry_After=str(wait))
    return headers


def _place(exchange: Exchange, names: dict[str, str]) -> dict[str, str]:
    """Resolve the workspace (or registry) of the path; return the handler's own names."""
    if "group_" in names:
        path = exchange.path
        start = path.lower().index(_PROVIDER_PREFIX)
        whole = path[start:]
        own = "/".join(whole.split("/")[:_OWNER_SEGMENTS])
        try:
            exchange.owner = exchange.service.owners.require(own, whole, exchange.method)
        except ServiceError as error:
            raise _no_workspace(exchange, error) from None
    return {name: value for name, value in names.items() if not name.endswith("_")}


def _no_workspace(exchange: Exchange, by_gateway: ServiceError) -> ServiceError:
    """Return the answer for what is in a workspace that is missing: ARM's own, or (seen as well) the provider's."""
    if by_gateway.reply.body["error"]["code"] != "ParentResourceNotFound" or not exchange.service.turns.take(
        "workspace"
    ):
        return by_gateway
    inner = {"code": "NotFound", "innerError": {"code": "WorkspaceNotFound", "innerError": None}}
    return provider_error(404, "Workspace not found.", inner=inner)


def _correlation(exchange: Exchange) -> dict[str, str]:
    request = str(uuid.uuid4())
    return {
        "x-ms-request-id": request,
        "x-ms-correlation-request-id": request,
        "Cache-Control": "no-cache",
        "Pragma": "no-cache",
    }


def _unknown(exchange: Exchange) -> Reply:
    """Answer a path that no module knows; ARM's words for a resource type that a provider does not have."""
    return gateway_error(
        404, "InvalidResourceType", f"The emulator has no answer to {exchange.method} {exchange.path}."
    ).reply
