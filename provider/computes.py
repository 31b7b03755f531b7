"""Computes: their facts, what differs from a spec, and one look at how one stands."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from .errors import NotFoundError, ProvisioningFailedError
from .links import resource_url
from .states import provisioning_failed, same_state

if TYPE_CHECKING:
    from .client import WorkspaceClient
    from .connection import WorkspaceConnection

log = logging.getLogger(__name__)

DELETED = "Deleted"
PROVISIONED = "Succeeded"
# What is asked of an instance is in its own state; of every compute, in its provisioning state.
INSTANCE_STATES = ("Running", "Stopped")
STATES = (PROVISIONED, *INSTANCE_STATES, DELETED)
# The api-version whose bodies azure-ai-ml writes for computes.
SDK_API_VERSION = "2023-08-01-preview"


def facts(connection: WorkspaceConnection, body: dict[str, Any]) -> dict[str, Any]:
    """Return what operators and sensors say of a compute."""
    properties = body["properties"]
    own = properties.get("properties") or {}
    return {
        "name": body["name"],
        "id": body["id"],
        "type": properties.get("computeType") or "",
        "status": properties.get("provisioningState") or "",
        "state": own.get("state"),
        "size": own.get("vmSize"),
        "tags": body.get("tags") or {},
        "studio_url": resource_url(connection, f"compute/{body['name']}/details"),
    }


async def find(client: WorkspaceClient, name: str) -> dict[str, Any] | None:
    """Return a compute as ARM describes it, or None if there is none of that name."""
    try:
        return await client.get_resource("computes", name)
    except NotFoundError:
        return None


async def check(client: WorkspaceClient, name: str, wanted: str, seen: set[str]) -> dict[str, Any] | None:
    """
    Return a compute's facts if it is in the wanted state, or None while it is not.

    :param wanted: one of STATES; of a deleted compute the facts are its name and status.
    :param seen: states met so far, so that each change is logged once.
    :raises NotFoundError: it does not exist, and Deleted is not what is wanted.
    :raises ProvisioningFailedError: it is in a state that it does not leave by itself; with Azure's own reason.
    """
    if (body := await find(client, name)) is None:
        if wanted == DELETED:
            return {"name": name, "status": DELETED}
        raise NotFoundError(f"There is no compute {name!r} in workspace {client.connection.workspace.label}.")
    properties = body["properties"]
    provisioning, state = properties.get("provisioningState"), (properties.get("properties") or {}).get("state")
    if (both := f"{provisioning}, {state}" if state else str(provisioning)) not in seen:
        seen.add(both)
        log.info("Compute %s is %s.", name, both)
    if provisioning_failed(provisioning) or provisioning_failed(state):
        reasons = [properties.get("provisioningErrors"), (properties.get("properties") or {}).get("errors")]
        errors = [reason.get("error") or reason for some in reasons for reason in some or ()]
        text = " ".join(f"{error.get('code')}: {error.get('message')}" for error in errors)
        raise ProvisioningFailedError(f"Compute {name!r} is {both}. {text or 'Azure gives no reason.'}")
    now = state if wanted in INSTANCE_STATES else provisioning
    return facts(client.connection, body) if same_state(now, wanted) else None


def differences(asked: Any, found: Any, path: str = "") -> list[str]:
    """
    Return where a compute differs from what a spec asks for; what the service does not say, it does not differ in.

    Text is compared without case: the service writes sizes and enumerations its own way. Secrets are left out.
    """
    if isinstance(asked, dict) and isinstance(found, dict):
        return [
            difference
            for key, value in asked.items()
            if "password" not in key.lower() and "key" not in key.lower()
            for difference in differences(value, found.get(key), f"{path}.{key}".strip("."))
        ]
    if found is None or asked is None or str(asked).lower() == str(found).lower():
        return []
    return [f"{path} is {found}, not {asked}"]
