"""What a refusal of Azure means: an answer of 400 or more to the error that fits it. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ...datasets.workspace import Registry, Workspace
from ..errors import (
    AuthenticationError,
    AzureMachineLearningError,
    ConnectionConfigurationError,
    NotFoundError,
    PermissionDeniedError,
    RequestRefusedError,
    TransientError,
)
from ..sign_in import METHODS
from .read_budget import retry_after

if TYPE_CHECKING:
    from ..connection import WorkspaceConnection

_PROVIDER = "Microsoft.MachineLearningServices"
# What is above a workspace, as ARM's gateway names it: recorded_shapes, "workspace missing".
_MISSING_ABOVE = {"ResourceGroupNotFound", "SubscriptionNotFound", "InvalidSubscriptionId"}
_NAMED = re.compile(rf"{re.escape(_PROVIDER)}/((?:workspaces|registries)/[^'\"\s?]+)", re.IGNORECASE)
_PARENT = re.compile(r"parent resource '([^'/]+(?:/[^'/]+)*)'", re.IGNORECASE)
# Why a token that Entra gave is of no use here. Source: ARM's own codes.
_TOKEN_ADVICE = {
    "ExpiredAuthenticationToken": "Check the clock of the machine that this runs on.",
    "InvalidAuthenticationTokenTenant": "Correct the connection: the subscription is in another tenant than who asks.",
    "InvalidAuthenticationTokenAudience": "Correct the connection's Azure cloud (cloud_environment).",
}
_BUSY = re.compile(
    r"in (?!failed|succeeded|canceled)\w+ provisioning state|provisioning state is not terminal|"
    r"another operation .*\b(?:running|progress|performed)",
    re.IGNORECASE,
)
_SWITCHES = re.compile(r"/computes/[^/]+/(?:start|stop|restart)$", re.IGNORECASE)


def refusal(
    connection: WorkspaceConnection, method: str, url: str, status: int, body: Any, headers: Any
) -> AzureMachineLearningError:
    """
    Return the error that fits an answer of 400 or more.

    :param method: of the request.
    :param url: of the request.
    :param status: of the answer.
    :param body: the answer's JSON, or None.
    :param headers: of the answer, by lower-case name.
    """
    code, reason = describe_error(body)
    path = path_of(url)
    what = f"{connection.who}: {method} {path} was answered with {status} {code}: {reason}"
    if status == 401:
        return AuthenticationError(f"{what} {_TOKEN_ADVICE.get(code) or METHODS[connection.sign_in.method]}")
    if status == 403:
        return PermissionDeniedError(f"{what} {_advice(connection, method, path, code)}")
    if status == 404 and lacks_workspace(body, path):
        advice = "Check subscription, resource group and workspace in the connection."
        owner = connection.owner
        if isinstance(owner, Registry):
            return ConnectionConfigurationError(f"{connection.who}: there is no registry {owner.name} ({reason}).")
        return ConnectionConfigurationError(f"{connection.who}: there is no workspace {owner.id} ({reason}). {advice}")
    if status == 404 and "InferencingClientCallFailed" not in error_codes(body):
        return NotFoundError(what)
    if status in (408, 429) or status >= 500:
        return TransientError(what, retry_after=retry_after(headers), status=status)
    return RequestRefusedError(what, status=status)


def is_busy(refused: RequestRefusedError) -> bool:
    """
    Return whether a refusal says that an operation is under way, so that the same may be taken later.

    Source: what users were told, as no record has it. "Cannot create a deployment in endpoint E because it is in
    Updating provisioning state." (Azure/azure-sdk-for-net#36961), "Conflict of operation, another operation on same
    entity is already running in workspace W" (Azure/azure-cli#17075), and ARM's "... because the resource entity
    provisioning state is not terminal". With which status each comes is not known.
    """
    return _BUSY.search(str(refused)) is not None


def lacks_workspace(body: Any, path: str) -> bool:
    """
    Return whether a 404 says that the workspace, or what it is in, does not exist; not something inside it.

    ARM's gateway has one code and sentence for both, as it keeps track of endpoints and deployments as it does of
    workspaces: "The Resource '.../workspaces/W/onlineEndpoints/E' under resource group 'G' was not found." So what
    counts is the resource that the sentence names, or the request where it names none. The resource provider says it
    too: UserError with the inner code WorkspaceNotFound.

    :param body: the answer's JSON, or None.
    :param path: of the request.
    """
    code, reason = describe_error(body)
    codes = error_codes(body)
    if code in _MISSING_ABOVE or "WorkspaceNotFound" in codes:
        return True
    if code not in ("ResourceNotFound", "ParentResourceNotFound"):
        return False
    asked = _NAMED.search(path)
    if named := _NAMED.search(reason):
        # A spec may name something in another workspace; that one is not the connection's.
        return _segments(named[1]) == 2 and (asked is None or _owner_part(asked[1]) == _owner_part(named[1]))
    if parent := _PARENT.search(reason):
        return _segments(parent[1]) == 1
    return asked is not None and _segments(asked[1]) == 2


def _advice(connection: WorkspaceConnection, method: str, path: str, code: str) -> str:
    """
    Return what to do about a 403.

    Of a subscription or resource group that does not exist, ARM may say the same as of a missing role: "... does not
    have authorization to perform action ... or the scope is invalid" (its own words).
    """
    give = f"Give {connection.sign_in.principal} {role_for(method, path, code)}"
    if code != "AuthorizationFailed" or not isinstance(connection.owner, Workspace):
        return f"{give}."
    return (
        f"Either the connection points to the wrong place: check its subscription "
        f"{connection.owner.subscription_id} and resource group {connection.owner.resource_group!r}, for which Azure "
        f"answers the same where they do not exist. Or a role is missing: {give[0].lower()}{give[1:]}."
    )


def role_for(method: str, path: str, code: str = "") -> str:
    """
    Return the least built-in role that allows a request, for an advice: ``the role ... on the workspace``.

    Source: Microsoft's list of Azure's built-in roles. AzureML Data Scientist allows all within a workspace but making,
    changing and deleting computes; AzureML Compute Operator allows nothing but computes, not even to read the
    workspace.

    :param code: ARM's code of the refusal.
    """
    lower = path.lower()
    if code == "LinkedAuthorizationFailed":
        return "the role Managed Identity Operator on the managed identity that the request names"
    if "/registries/" in lower:
        return "the role AzureML Registry User on the registry"
    if method in ("GET", "HEAD"):
        return "a role on the workspace that allows reading this: Reader, or AzureML Data Scientist"
    if "/computes/" in lower and not _SWITCHES.search(path):
        return (
            "the role AzureML Compute Operator on the workspace, beside AzureML Data Scientist, which does not allow "
            "making, changing or deleting computes"
        )
    if "/providers/" in lower and _segments(lower.rpartition(f"{_PROVIDER.lower()}/")[2]) == 2:
        return "the role Contributor on the workspace's resource group"
    return "a role on the workspace that allows this, e.g. AzureML Data Scientist"


def describe_error(body: Any) -> tuple[str, str]:
    """
    Return code and text of an ARM error body.

    AzureML says the real reason in ``details[]`` (recorded_shapes/README.md, "Errors"), so those are part of the text.
    """
    error = _error(body)
    if not error:
        return "", "no reason given."
    texts = [error.get("message"), *(detail.get("message") for detail in error.get("details") or ())]
    unique = dict.fromkeys(str(text).strip() for text in texts if text)
    return str(error.get("code") or ""), " ".join(unique) or "no reason given."


def error_codes(body: Any) -> set[str]:
    """
    Return every code that an ARM error body holds.

    The one that tells what went wrong is in ``details[]`` for some nouns, and for others in nested ``InnerError``s
    (recorded_shapes/README.md, "Errors").
    """
    error = _error(body)
    codes = {error.get("code"), *(detail.get("code") for detail in error.get("details") or ())}
    for more in error.get("additionalInfo") or ():
        value = (more.get("info") or {}).get("value")
        while isinstance(value, dict):
            codes.add(value.get("code"))
            value = value.get("innerError")
    return {str(code) for code in codes if code}


def path_of(url: str) -> str:
    """Return a URL without host and query, which may hold a signature."""
    return "/" + url.split("?")[0].split("://", 1)[-1].partition("/")[2]


def _error(body: Any) -> dict[str, Any]:
    error = body.get("error") if isinstance(body, dict) else None
    return error if isinstance(error, dict) else {}


def _segments(path: str) -> int:
    return len(path.strip("/").split("/"))


def _owner_part(path: str) -> list[str]:
    return path.lower().split("/")[:2]
