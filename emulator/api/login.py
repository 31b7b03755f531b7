"""Microsoft Entra ID's endpoints, as far as a credential of azure-identity asks them."""

from __future__ import annotations

import hmac
import uuid
from urllib.parse import parse_qsl

from ..core.arm import Reply
from ..core.directory import Directory
from ..wire.exchange import Exchange
from ..wire.routing import ok, route

AUTHORITY = "https://login.microsoftonline.com"


def sign_in(directory: Directory, tenant: str, form: dict[str, str]) -> Reply:
    """Answer the token endpoint."""
    if tenant != directory.tenant:
        return _denied(400, "invalid_request", 90002, f"Tenant '{tenant}' not found.")
    principal = directory.find(form.get("client_id", ""))
    if principal is None:
        missing = f"Application with identifier '{form.get('client_id')}' was not found in the directory '{tenant}'."
        return _denied(400, "unauthorized_client", 700016, missing)
    if form.get("grant_type") != "client_credentials":
        return _denied(400, "unsupported_grant_type", 70003, "The app requested an unsupported grant type.")
    if "client_assertion" not in form and not hmac.compare_digest(form.get("client_secret", ""), principal.secret):
        wrong = f"Invalid client secret provided for app '{principal.client_id}'."
        return _denied(401, "invalid_client", 7000215, wrong)
    resource = form.get("scope", "").removesuffix("/.default")
    return ok(
        {
            "token_type": "Bearer",
            "expires_in": directory.lifetime,
            "ext_expires_in": directory.lifetime,
            "access_token": directory.issue(principal, resource),
        }
    )


def _denied(status: int, error: str, number: int, text: str) -> Reply:
    trace = str(uuid.uuid4())
    return Reply(
        status,
        {
            "error": error,
            "error_description": f"AADSTS{number}: {text} Trace ID: {trace}",
            "error_codes": [number],
            "timestamp": "2026-01-01 00:00:00Z",
            "trace_id": trace,
            "correlation_id": str(uuid.uuid4()),
            "error_uri": f"{AUTHORITY}/error?code={number}",
        },
    )


@route("GET", "/{tenant}/v2.0/.well-known/openid-configuration")
def openid_configuration(exchange: Exchange, tenant: str) -> Reply:
    """Tell where the endpoints of a tenant are."""
    directory = exchange.service.directory
    if tenant != directory.tenant:
        return _denied(400, "invalid_tenant", 90002, f"Tenant '{tenant}' not found.")
    return ok(
        {
            "token_endpoint": f"{AUTHORITY}/{tenant}/oauth2/v2.0/token",
            "authorization_endpoint": f"{AUTHORITY}/{tenant}/oauth2/v2.0/authorize",
            "jwks_uri": f"{AUTHORITY}/{tenant}/discovery/v2.0/keys",
            "issuer": f"{AUTHORITY}/{tenant}/v2.0",
        }
    )


@route("GET", "/common/discovery/instance")
def instance_discovery(exchange: Exchange) -> Reply:
    """Tell which hosts are one cloud; asked for authorities that azure-identity does not know by name."""
    tenant = exchange.service.directory.tenant
    hosts = ["login.microsoftonline.com", "login.windows.net"]
    return ok(
        {
            "tenant_discovery_endpoint": f"{AUTHORITY}/{tenant}/v2.0/.well-known/openid-configuration",
            "api-version": "1.1",
            "metadata": [{"preferred_network": hosts[0], "preferred_cache": hosts[1], "aliases": hosts}],
        }
    )


@route("POST", "/{tenant}/oauth2/v2.0/token")
def token(exchange: Exchange, tenant: str) -> Reply:
    """Sign in with a client secret, or with an assertion (certificate, workload identity) taken on trust."""
    return sign_in(exchange.service.directory, tenant, dict(parse_qsl(exchange.body.decode())))
