"""Microsoft Entra ID's endpoints, as far as a credential of azure-identity asks them."""

from __future__ import annotations

import hmac
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

import jwt
from cryptography.x509 import load_pem_x509_certificate

from ..core.arm import Reply
from ..core.directory import AUTHORITY, Directory, Principal, sign_in_refused
from ..processes.clouds import Cloud, home_of
from ..wire.exchange import Exchange
from ..wire.routing import ok, route

_EXPIRED = "[Reason - The key used is expired.]"
_UNKNOWN_RESOURCE = (
    "The resource principal named {resource} was not found in the tenant named {tenant}. This can happen if the "
    "application has not been installed by the administrator of the tenant or consented to by any user in the tenant. "
    "You might have sent your authentication request to the wrong tenant."
)


def sign_in(directory: Directory, tenant: str, form: dict[str, str], cloud: Cloud) -> Reply:
    """Answer the token endpoint."""
    if tenant != directory.tenant:
        return sign_in_refused(400, "invalid_request", 90002, f"Tenant '{tenant}' not found.")
    principal = directory.find(form.get("client_id", ""))
    if principal is None:
        missing = f"Application with identifier '{form.get('client_id')}' was not found in the directory '{tenant}'."
        return sign_in_refused(400, "unauthorized_client", 700016, missing)
    if form.get("grant_type") != "client_credentials":
        return sign_in_refused(400, "unsupported_grant_type", 70003, "The app requested an unsupported grant type.")
    if refusal := _refusal(directory, principal, form, cloud):
        return sign_in_refused(401, "invalid_client", *refusal)
    resource = form.get("scope", "").removesuffix("/.default")
    if home_of(resource) not in (cloud, None):
        return sign_in_refused(
            400, "invalid_resource", 500011, _UNKNOWN_RESOURCE.format(resource=resource, tenant=tenant)
        )
    return ok(
        {
            "token_type": "Bearer",
            "expires_in": directory.lifetime,
            "ext_expires_in": directory.lifetime,
            "access_token": directory.issue(principal, resource),
        }
    )


def _refusal(directory: Directory, principal: Principal, form: dict[str, str], cloud: Cloud) -> tuple[int, str] | None:
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
    audience = f"https://{cloud.login}/{directory.tenant}/oauth2/v2.0/token"
    try:
        certificate = load_pem_x509_certificate(principal.certificate.encode())
        key: Any = certificate.public_key()
        jwt.decode(assertion, key, algorithms=["RS256", "PS256"], audience=audience)
        if certificate.not_valid_after_utc < datetime.now(UTC):
            return 700027, f"The certificate used to sign the client assertion is expired on application. {_EXPIRED}"
    except (jwt.ExpiredSignatureError, jwt.ImmatureSignatureError):
        return 700024, "Client assertion is not within its valid time range."
    except (ValueError, jwt.InvalidTokenError):
        return 700027, (
            "The certificate with identifier used to sign the client assertion is not registered on application. "
            "[Reason - The key was not found.]"
        )
    return None


@route("GET", "/{tenant}/v2.0/.well-known/openid-configuration")
def openid_configuration(exchange: Exchange, tenant: str) -> Reply:
    """Tell where the endpoints of a tenant are."""
    directory = exchange.service.directory
    if tenant != directory.tenant:
        return sign_in_refused(400, "invalid_tenant", 90002, f"Tenant '{tenant}' not found.")
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
    return sign_in(exchange.service.directory, tenant, dict(parse_qsl(exchange.body.decode())), exchange.cloud)
