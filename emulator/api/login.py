"""Microsoft Entra ID's endpoints, as far as a credential of azure-identity asks them."""

from __future__ import annotations

import hmac
import uuid
from typing import Any
from urllib.parse import parse_qsl

import jwt
from cryptography.x509 import load_pem_x509_certificate

from ..core.arm import Reply
from ..core.directory import Directory, Principal
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
    if refusal := _refusal(directory, principal, form):
        return _denied(401, "invalid_client", *refusal)
    resource = form.get("scope", "").removesuffix("/.default")
    return ok(
        {
            "token_type": "Bearer",
            "expires_in": directory.lifetime,
            "ext_expires_in": directory.lifetime,
            "access_token": directory.issue(principal, resource),
        }
    )


def _refusal(directory: Directory, principal: Principal, form: dict[str, str]) -> tuple[int, str] | None:
    """Return what is wrong with the secret, certificate or token that came along, as Entra numbers and words it."""
    assertion = form.get("client_assertion")
    if assertion is None:
        if hmac.compare_digest(form.get("client_secret", ""), principal.secret):
            return None
        return 7000215, f"Invalid client secret provided for app '{principal.client_id}'."
    try:
        claims = jwt.decode(assertion, options={"verify_signature": False})
    except jwt.InvalidTokenError:
        return 50027, "JWT token is invalid or malformed."
    if claims.get("iss") != principal.client_id:  # not signed by the app itself, so by an issuer that it trusts
        if directory.vouches_for(assertion, principal.subject):
            return None
        return 700213, (
            f"No matching federated identity record found for presented assertion subject '{claims.get('sub')}'. Check "
            "your federated identity credential Subject, Audience and Issuer against the presented assertion."
        )
    audience = f"{AUTHORITY}/{directory.tenant}/oauth2/v2.0/token"
    try:
        key: Any = load_pem_x509_certificate(principal.certificate.encode()).public_key()
        jwt.decode(assertion, key, algorithms=["RS256", "PS256"], audience=audience)
    except (ValueError, jwt.InvalidTokenError):
        return 700027, (
            "The certificate with identifier used to sign the client assertion is not registered on application. "
            "[Reason - The key was not found.]"
        )
    return None


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
    """Sign in with a client secret, or with an assertion: a certificate's, or a workload's own token."""
    return sign_in(exchange.service.directory, tenant, dict(parse_qsl(exchange.body.decode())))
