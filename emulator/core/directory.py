"""Microsoft Entra ID, as far as a credential of azure-identity asks it: principals, their secrets, roles and tokens.

Sources: the OAuth 2.0 client credentials flow and the AADSTS error codes as Microsoft documents them; ARM's
AuthorizationFailed as ARM words it. What is checked of a token is its signature, life time, tenant and audience.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
import uuid
from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any

import jwt

from ..processes.clouds import PUBLIC
from .arm import Author, Reply, ServiceError, gateway_error
from .clock import timestamp
from .roles import BUILT_IN, Role
from .store import Store

AUTHORITY = f"https://{PUBLIC.login}"
ISSUER = "https://oidc.emulator.example/"
AUDIENCE = "api://AzureADTokenExchange"
"""What tokens for workload identity federation are made out for, as Microsoft documents it."""

LIFETIME = 3599
"""Seconds that a token lives, as Entra ID hands them out."""

_VERBS = {"GET": "read", "HEAD": "read", "PUT": "write", "PATCH": "write", "DELETE": "delete", "POST": "action"}


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody who can sign in."""

    client_id: str
    secret: str
    object_id: str
    name: str
    kind: str = "Application"
    certificate: str = ""
    """The PEM of the certificate that the app registration knows, if it has one."""
    subject: str = ""
    """Whose tokens of the emulator's own issuer the app registration takes: its federated credential."""

    @property
    def author(self) -> Author:
        """How systemData names this principal: people by name, applications by guid."""
        return Author(self.name if self.kind == "User" else self.client_id, self.kind)


@dataclass(frozen=True, slots=True)
class Grant:
    """A role at a scope and everything below it."""

    client_id: str
    role: str
    scope: str

    def covers(self, path: str) -> bool:
        """Say whether this grant's scope holds a path."""
        scope = self.scope.rstrip("/")
        return f"{path.lower()}/".startswith(f"{scope}/")


def _encode(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def _decode(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


class Directory:
    """Principals, grants and the tokens made out to them."""

    def __init__(self, store: Store, tenant: str, key: str) -> None:
        self.tenant = tenant
        self._store, self._key = store, key.encode()
        self.lifetime = LIFETIME
        self._expired: float = (store.get("settings", "tokens") or {"expired": 0.0})["expired"]
        self._principals = {
            entry.name: Principal(**entry.document) for entry in store.entries("principals", newest_first=False)
        }
        self._grants = [Grant(**entry.document) for entry in store.entries("grants", newest_first=False)]
        custom = store.entries("roles", newest_first=False)
        self._roles = BUILT_IN | {
            entry.name: Role(tuple(entry.document["actions"]), tuple(entry.document["not_actions"])) for entry in custom
        }
        self._checked: dict[str, dict[str, Any]] = {}

    def add(
        self,
        client_id: str | None,
        secret: str | None,
        name: str = "",
        kind: str = "Application",
        certificate: str = "",
        subject: str = "",
    ) -> Principal:
        """Create a principal, or give an existing one a new secret, certificate or federated credential."""
        client_id = client_id or str(uuid.uuid4())
        secret = secret or secrets.token_urlsafe(24)
        principal = Principal(client_id, secret, str(uuid.uuid4()), name or client_id, kind, certificate, subject)
        self._principals[client_id] = principal
        self._store.put("principals", client_id, asdict(principal))
        return principal

    def add_role(self, name: str, actions: list[str], not_actions: list[str]) -> None:
        """Define a custom role."""
        self._roles[name] = Role(tuple(actions), tuple(not_actions))
        self._store.put("roles", name, {"actions": actions, "not_actions": not_actions})

    def roles(self, client_id: str, path: str) -> list[Role]:
        """Return the roles that a principal has at a path."""
        own = (grant for grant in self._grants if grant.client_id == client_id and grant.covers(path))
        return [self._roles[grant.role] for grant in own]

    def grant(self, client_id: str, role: str, scope: str) -> None:
        """Give a role at a scope."""
        if role not in self._roles:
            raise ValueError(f"no role {role!r}; there are {', '.join(self._roles)}")
        grant = Grant(client_id, role, scope.lower())
        if grant not in self._grants:
            self._grants.append(grant)
            self._store.put("grants", json.dumps(asdict(grant)), asdict(grant))

    def revoke(self, client_id: str, role: str | None = None, scope: str | None = None) -> None:
        """Take grants away: all of a principal's, or those of a role or scope."""
        for grant in list(self._grants):
            matches = role in (None, grant.role) and (scope is None or scope.lower() == grant.scope)
            if grant.client_id == client_id and matches:
                self._grants.remove(grant)
                self._store.delete("grants", json.dumps(asdict(grant)))

    def issue(self, principal: Principal, resource: str) -> str:
        """Return an access token for a resource such as https://management.azure.com."""
        now = int(time.time())
        claims = {
            "aud": resource.rstrip("/"),
            "iss": f"https://sts.windows.net/{self.tenant}/",
            "iat": now,
            "nbf": now - 300,
            "exp": now + self.lifetime,
            "appid": principal.client_id,
            "oid": principal.object_id,
            "tid": self.tenant,
            "ver": "1.0",
            "issued": time.time(),
        }
        head = _encode(b'{"typ":"JWT","alg":"HS256"}')
        signed = f"{head}.{_encode(json.dumps(claims).encode())}"
        return f"{signed}.{_encode(self._sign(signed))}"

    def federated_token(self, subject: str, audience: str = AUDIENCE) -> str:
        """Return a token as a Kubernetes cluster writes it into a pod for a service account."""
        now = int(time.time())
        claims = {"iss": ISSUER, "sub": subject, "aud": audience, "iat": now, "exp": now + LIFETIME}
        return jwt.encode(claims, self._key, algorithm="HS256")

    def vouches_for(self, token: str, subject: str) -> bool:
        """Say whether a token is one of `federated_token` for this subject."""
        try:
            claims = jwt.decode(token, self._key, algorithms=["HS256"], audience=AUDIENCE, issuer=ISSUER)
        except jwt.InvalidTokenError:
            return False
        return bool(subject) and claims["sub"] == subject

    def expire(self) -> None:
        """Let every token handed out so far be expired."""
        self._expired = time.time()
        self._store.put("settings", "tokens", {"expired": self._expired})

    def _sign(self, text: str) -> bytes:
        return hmac.new(self._key, text.encode(), hashlib.sha256).digest()

    def _claims(self, token: str) -> dict[str, Any]:
        claims = self._checked.get(token)
        if claims is None:
            try:
                signed, _, signature = token.rpartition(".")
                if not hmac.compare_digest(_decode(signature), self._sign(signed)):
                    raise ValueError("signature")
                claims = json.loads(_decode(signed.partition(".")[2]))
            except ValueError:
                raise self._refused("InvalidAuthenticationToken", "The access token is invalid.") from None
            self._checked[token] = claims
        return claims

    def authenticate(self, authorization: str, audiences: Collection[str]) -> Principal:
        """Return whose bearer token this is, or answer 401 as ARM does; `audiences`: whom it may be made out for."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise self._refused("AuthenticationFailed", "Authentication failed. The 'Authorization' header is missing.")
        claims = self._claims(token)
        if claims["exp"] <= time.time() or claims["issued"] <= self._expired:
            raise self._refused(
                "ExpiredAuthenticationToken",
                f"The access token expiry UTC time '{timestamp(claims['exp'])}' is earlier than current UTC time "
                f"'{timestamp(time.time())}'.",
            )
        if claims["aud"] not in audiences:
            allowed = "','".join(audiences)
            raise self._refused(
                "InvalidAuthenticationTokenAudience",
                f"The access token has been obtained for wrong audience or resource '{claims['aud']}'. It should "
                f"exactly match with one of the allowed audiences '{allowed}'.",
            )
        principal = self._principals.get(claims["appid"])
        if principal is None:
            raise self._refused("InvalidAuthenticationToken", "The access token's principal does not exist.")
        return principal

    def _refused(self, code: str, message: str) -> ServiceError:
        challenge = (
            f'Bearer authorization_uri="https://login.windows.net/{self.tenant}", '
            f'error="invalid_token", error_description="{message}"'
        )
        return gateway_error(401, code, message, WWW_Authenticate=challenge)

    def authorize(self, principal: Principal, method: str, path: str) -> None:
        """Let a call pass, or answer 403 AuthorizationFailed as ARM does."""
        action = action_of(method, path)
        if not any(role.allows(action) for role in self.roles(principal.client_id, path)):
            raise self.unauthorized(principal.client_id, action, path)

    def unauthorized(self, client_id: str, action: str, path: str) -> ServiceError:
        """Return ARM's refusal of an action to somebody who has no role that allows it."""
        return gateway_error(
            403,
            "AuthorizationFailed",
            f"The client '{client_id}' with object id '{self._principals[client_id].object_id}' does not have "
            f"authorization to perform action '{action}' over scope '{path}' or the scope is invalid. If access was "
            "recently granted, please refresh your credentials.",
        )

    def find(self, client_id: str) -> Principal | None:
        """Return a principal."""
        return self._principals.get(client_id)


def noun_of(path: str) -> str:
    """Return the resource type of a path with its provider: Microsoft.MachineLearningServices/workspaces/jobs."""
    _, found, below = path.rpartition("/providers/")
    provider, _, names = below.partition("/") if found else ("Microsoft.Resources", "", path.strip("/"))
    return f"{provider}/{'/'.join(names.split('/')[::2]) or 'resources'}"


def action_of(method: str, path: str) -> str:
    """Return the action that a call is, as roles name it: Microsoft.MachineLearningServices/workspaces/jobs/read."""
    return f"{noun_of(path)}/{_VERBS.get(method, 'action')}"


def sign_in_refused(status: int, error: str, number: int, text: str) -> Reply:
    """Return an answer of the token endpoint that is an error: of OAuth's kinds, with Entra's number and text."""
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
