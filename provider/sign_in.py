"""Signing in to Microsoft Entra ID: which credential of azure-identity a connection means, and why it was refused."""

from __future__ import annotations

import base64
import binascii
import logging
import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from .errors import AuthenticationError, AzureMachineLearningError, ConnectionConfigurationError, TransientError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from azure.core.credentials import TokenCredential
    from azure.core.credentials_async import AsyncTokenCredential

# The connection's field "Sign in with" (extra ``auth``) -> what to check when Entra refuses.
METHODS = {
    "client_secret": "Check client id, client secret and tenant in the connection.",
    "client_certificate": "Check client id and tenant, that the app registration has this certificate, and that it has "
    "not expired.",
    "managed_identity": "Check that the machine or pod that runs this has the identity; a system-assigned one has no "
    "client id in the connection, a user-assigned one has.",
    "workload_identity": "Check the federated credential of the app registration or identity: its issuer, subject "
    "(namespace and service account) and audience have to be those of the token file.",
    "azure_cli": "The Azure CLI has to be there, and logged in with `az login`, for the user that workers and "
    "triggerers run as.",
    "default": "Set the connection's field 'Sign in with' (extra 'auth') to the one way that is meant, and only that "
    "one is tried.",
}
# What to do about some of Entra's refusals, by their number, whichever way was taken. Source: Microsoft's list of them.
_ADVICE = {
    7000222: "Make a new secret for the app registration, and put it into the connection.",
    700024: "Set the clock of the machine that this runs on: what it signs is valid for minutes.",
    90002: "Correct the tenant, or the Azure cloud (cloud_environment) that it is in.",
    500011: "Correct the connection's Azure cloud (cloud_environment): the tenant is in another one.",
    5000225: "The tenant is disabled: its administrator has to have it enabled again.",
    7000112: "The app registration is disabled: have it enabled, or use another one.",
    53003: "A Conditional Access policy of the tenant keeps this identity out, from this place: ask its administrator.",
}
_NUMBER = re.compile(r"AADSTS(\d+)")
# Entra answers at once or not at all; without these, azure-identity waits five minutes for a host that is silent.
_PATIENCE = {"connection_timeout": 5, "read_timeout": 15, "retry_total": 2}
_APP = (("client_id", "client ID as login"), ("tenant_id", "'tenantId' in its extra (Tenant ID)"))
_NEEDS = {"client_secret": (*_APP, ("client_secret", "client secret as password")), "client_certificate": _APP}
_PASSWORD = "certificate_password"  # noqa: S105 - a field's name
_PEM = re.compile(r"(-----BEGIN [A-Z0-9 ]+-----)(.*?)(-----END [A-Z0-9 ]+-----)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class SignIn:
    """
    Who signs in, and how. Its text form holds no secret; two that are equal are the same principal.

    :param method: one of ``METHODS``.
    :param tenant_id: the Microsoft Entra tenant, if it is known.
    :param client_id: of the app registration or the user-assigned identity, if there is one.
    :param client_secret: the app registration's secret.
    :param certificate_path: a file with certificate and private key, PEM or PKCS12.
    :param certificate_data: the same as text: PEM, or base64 of PEM or PKCS12.
    :param certificate_password: what the private key is encrypted with.
    :param token_file: the file with the workload's own token; None: ``AZURE_FEDERATED_TOKEN_FILE``.
    :param workload_identity_tenant_id: for ``default`` only, as azure-identity's argument of that name.
    """

    method: str = "default"
    tenant_id: str | None = None
    client_id: str | None = None
    client_secret: str | None = field(default=None, repr=False)
    certificate_path: str | None = None
    certificate_data: str | None = field(default=None, repr=False)
    certificate_password: str | None = field(default=None, repr=False)
    token_file: str | None = None
    workload_identity_tenant_id: str | None = None

    @classmethod
    def from_fields(cls, conn_id: str, *, login: str | None, password: str | None, extra: Mapping[str, str]) -> Self:
        """
        Read the fields of a connection that say who asks.

        ``auth`` in the extra says which way; without it, what is filled in: a certificate; a client secret; a client id
        alone, or a workload identity's tenant, a workload identity; a managed identity's client id, that identity;
        nothing, azure-identity's DefaultAzureCredential.

        :param login: the client id.
        :param password: the client secret.
        :raises ConnectionConfigurationError: they contradict each other, or what the way needs is missing.
        """
        method = extra.get("auth") or _implied(conn_id, login, password, extra)
        if method not in METHODS:
            raise ConnectionConfigurationError(
                f"Connection {conn_id!r}: auth is {method!r}; it is one of {', '.join(METHODS)}, or empty."
            )
        identity, workload_tenant = (
            extra.get(key) for key in ("managed_identity_client_id", "workload_identity_tenant_id")
        )
        certificate = {name: extra.get(name) for name in ("certificate_path", "certificate_data", _PASSWORD)}
        fields: dict[str, dict[str, Any]] = {
            "client_secret": {"client_id": login, "client_secret": password},
            "client_certificate": {"client_id": login, **certificate},
            "managed_identity": {"client_id": identity or login},
            "workload_identity": {
                "tenant_id": extra.get("tenantId") or workload_tenant,
                "client_id": login or identity,
                "token_file": extra.get("federated_token_file"),
            },
            "azure_cli": {},
            "default": {"client_id": identity, "workload_identity_tenant_id": workload_tenant},
        }
        found = cls(**{"method": method, "tenant_id": extra.get("tenantId"), **fields[method]})
        found._check(conn_id)
        return found

    def _check(self, conn_id: str) -> None:
        problem = next((words for name, words in _NEEDS.get(self.method, ()) if not getattr(self, name)), None)
        if problem:
            raise ConnectionConfigurationError(
                f"Connection {conn_id!r} has no {problem}, which signing in with {self.method!r} needs."
            )
        for tenant in filter(None, (self.tenant_id, self.workload_identity_tenant_id)):
            if not re.fullmatch(r"[A-Za-z0-9.-]+", tenant):  # as azure-identity has it
                raise ConnectionConfigurationError(
                    f"Connection {conn_id!r}: tenant {tenant!r} is not valid: it is the GUID of a Microsoft Entra "
                    "tenant, or one of its domains."
                )
        if self.method == "client_certificate" and bool(self.certificate_path) == bool(self.certificate_data):
            raise ConnectionConfigurationError(
                f"Connection {conn_id!r} signs in with a certificate: it needs 'certificate_path' or "
                "'certificate_data' in its extra, one of them."
            )

    @property
    def principal(self) -> str:
        """Who asks, for messages."""
        who = f"client id {self.client_id}" if self.client_id else ""
        if self.method == "managed_identity":
            return f"the managed identity with {who}" if who else "the system-assigned managed identity"
        names = {
            "client_secret": who,
            "client_certificate": f"{who} (certificate)",
            "workload_identity": f"the workload identity {self.client_id or ''}".rstrip(),
            "azure_cli": "the Azure CLI's user",
        }
        return names.get(self.method, "DefaultAzureCredential")

    @property
    def identity(self) -> tuple[str | None, ...]:
        """Who asks, for Azure: the same however the same client proves who it is. Holds no secret."""
        if self.client_id and self.method != "default":
            return (self.client_id.lower(),)
        return (self.method, self.tenant_id, self.client_id, self.workload_identity_tenant_id)

    def credential(self, conn_id: str, authority: str) -> TokenCredential:
        """
        Return a new credential for synchronous Azure clients; the caller closes it.

        :param conn_id: the connection's id, for messages.
        :param authority: Microsoft Entra's address in the connection's cloud.
        :raises ConnectionConfigurationError: the certificate cannot be read, or there is no token file.
        """
        import azure.identity

        return self._make(azure.identity, conn_id, authority)  # type: ignore[no-any-return]

    def async_credential(self, conn_id: str, authority: str) -> AsyncTokenCredential:
        """Return a new credential for asynchronous Azure clients; the caller closes it. Otherwise as `credential`."""
        import azure.identity.aio

        return self._make(azure.identity.aio, conn_id, authority)  # type: ignore[no-any-return]

    def _make(self, identity: Any, conn_id: str, authority: str) -> Any:
        _quieten_azure_logging()
        options: dict[str, Any] = {"authority": authority, **_PATIENCE}
        if self.method == "client_secret":
            return identity.ClientSecretCredential(self.tenant_id, self.client_id, self.client_secret, **options)
        if self.method == "client_certificate":
            return self._with_certificate(identity, conn_id, options)
        if self.method == "managed_identity":
            return identity.ManagedIdentityCredential(client_id=self.client_id)
        if self.method == "workload_identity":
            return self._with_token_file(identity, conn_id, options)
        if self.method == "azure_cli":
            return identity.AzureCliCredential(tenant_id=self.tenant_id or "")
        chosen = {
            "managed_identity_client_id": self.client_id,
            "workload_identity_tenant_id": self.workload_identity_tenant_id,
        }
        # Arguments that are None would switch off what azure-identity reads from the environment.
        return identity.DefaultAzureCredential(**options, **{key: value for key, value in chosen.items() if value})

    def _with_certificate(self, identity: Any, conn_id: str, options: dict[str, Any]) -> Any:
        given: dict[str, Any] = {"certificate_path": self.certificate_path}
        if self.certificate_data:
            given = {"certificate_data": _certificate(conn_id, self.certificate_data)}
        if self.certificate_password:
            given["password"] = self.certificate_password
        try:
            return identity.CertificateCredential(self.tenant_id, self.client_id, **given, **options)
        except (OSError, ValueError, TypeError) as error:
            where = self.certificate_path or "certificate_data"
            raise ConnectionConfigurationError(
                f"Connection {conn_id!r}: the certificate in {where} is of no use: {_sentence(str(error))} It has to "
                "hold a certificate and its RSA private key, as PEM or PKCS12; an encrypted key needs "
                "'certificate_password'."
            ) from None

    def _with_token_file(self, identity: Any, conn_id: str, options: dict[str, Any]) -> Any:
        given = {
            "tenant_id": self.tenant_id or os.environ.get("AZURE_TENANT_ID"),
            "client_id": self.client_id or os.environ.get("AZURE_CLIENT_ID"),
            "token_file_path": self.token_file or os.environ.get("AZURE_FEDERATED_TOKEN_FILE"),
        }
        hints = {
            "tenant_id": "a tenant ('tenantId' in the extra, or AZURE_TENANT_ID)",
            "client_id": "a client ID (as login, or AZURE_CLIENT_ID)",
            "token_file_path": "a token file ('federated_token_file' in the extra, or AZURE_FEDERATED_TOKEN_FILE)",
        }
        if missing := [hints[name] for name, value in given.items() if not value]:
            raise ConnectionConfigurationError(
                f"Connection {conn_id!r} has no secret and no certificate, so it signs in with a workload identity, "
                f"and here that lacks {' and '.join(missing)}."
            )
        return identity.WorkloadIdentityCredential(**given, **options)


def _implied(conn_id: str, login: str | None, password: str | None, extra: Mapping[str, str]) -> str:
    """Return the way to sign in that the filled fields mean."""
    certificate = extra.get("certificate_path") or extra.get("certificate_data")
    if certificate and password:
        raise ConnectionConfigurationError(
            f"Connection {conn_id!r} has a client secret and a certificate: take one away, or set 'auth' in its extra."
        )
    if certificate:
        return "client_certificate"
    if password:
        return "client_secret"
    if login or extra.get("workload_identity_tenant_id"):
        return "workload_identity"
    return "managed_identity" if extra.get("managed_identity_client_id") else "default"


def _certificate(conn_id: str, text: str) -> bytes:
    """Return a certificate's bytes, however a form, a URI or a secrets backend has flattened its lines."""
    text = text.strip().replace("\\r", "").replace("\\n", "\n")
    if "-----BEGIN" in text:
        blocks = [f"{begin}\n{chr(10).join(body.split())}\n{end}\n" for begin, body, end in _PEM.findall(text)]
        # An encrypted key has headers before its bytes: its lines are kept.
        return (text if "Proc-Type:" in text else "".join(blocks)).encode()
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise ConnectionConfigurationError(
            f"Connection {conn_id!r}: certificate_data is neither PEM nor base64 of PEM or PKCS12."
        ) from None


def sign_in_refused(sign_in: SignIn, who: str, authority: str, error: Exception) -> AzureMachineLearningError:
    """
    Return the error for a sign-in that failed: what was tried, why, and what to check.

    :param who: the connection, for the message.
    :param authority: Microsoft Entra's address in the connection's cloud.
    :param error: what azure-identity raised.
    """
    if _nobody_answered(error):
        return TransientError(
            f"{who}: nobody answered at {urlsplit(authority).hostname}, where {sign_in.principal} signs in: "
            f"{_sentence(str(error))} Check network, proxy (HTTPS_PROXY) and certificates (SSL_CERT_FILE, "
            "REQUESTS_CA_BUNDLE) of the machine that this runs on."
        )
    response = getattr(error, "response", None)
    status = response.status_code if response is not None else None
    reason = reasons(str(error))
    if status is not None and (status == 429 or status >= 500):
        return TransientError(f"{who}: Microsoft Entra is busy: {reason}")
    number = _NUMBER.search(reason)
    advice = _ADVICE.get(int(number[1])) if number else None
    return AuthenticationError(
        f"{who}: Microsoft Entra gave no token for {sign_in.principal}: {reason} {advice or METHODS[sign_in.method]}"
    )


def _nobody_answered(error: Exception) -> bool:
    """Tell a network failure; the synchronous credentials wrap it in an authentication error."""
    from azure.core.exceptions import ServiceRequestError, ServiceResponseError

    network = (ServiceRequestError, ServiceResponseError, OSError)
    return isinstance(error, network) or isinstance(error.__cause__, network)


def reasons(text: str) -> str:
    """Return what azure-identity says, each way that it tried with its reason, without its advice and trace ids."""
    head, found, attempted = text.partition("Attempted credentials:")
    if not found:
        return _sentence(head)
    ways: list[str] = []
    for line in attempted.splitlines():
        if re.match(r"\s+[A-Za-z]+Credential: ", line):
            ways.append(line)
        elif ways and line.strip() and not line.lstrip().startswith("To mitigate"):
            ways[-1] = f"{ways[-1]} {line}"
    return " ".join(f"({number}) {_sentence(way)}" for number, way in enumerate(ways, 1)) or _sentence(head)


def _sentence(text: str) -> str:
    text = re.split(r"\s*(?:Trace ID:|To mitigate this issue|Visit https)", text.strip())[0]
    text = re.sub(r"\s+", " ", text).strip()
    return text if text.endswith((".", "!", "?", ".]")) else f"{text}."


def _quieten_azure_logging() -> None:
    """
    Keep out of task logs what nobody reads there; a level that somebody set stays.

    That is azure-core's record of each request, and azure-identity's warnings, which our error repeats.
    """
    levels = {"azure.core.pipeline.policies.http_logging_policy": logging.WARNING, "azure.identity": logging.ERROR}
    for name, level in levels.items():
        logger = logging.getLogger(name)
        if logger.level == logging.NOTSET:
            logger.setLevel(level)
