"""What takes Azure a while to make, change or delete: where it is, how it stands, what differs from a spec."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from ..errors import AzureMachineLearningError, NotFoundError, ProvisioningFailedError, SpecError
from ..rest.states import provisioning_failed, same_state

if TYPE_CHECKING:
    from ..connection import WorkspaceConnection
    from ..rest.client import WorkspaceClient

log = logging.getLogger(__name__)

PROVISIONED = "Succeeded"
DELETED = "Deleted"


class Resource(ABC):
    """A compute, endpoint or deployment. Its text names it in messages: ``compute 'cpu'``."""

    __slots__ = ()
    # What can be waited for.
    states: ClassVar[tuple[str, ...]] = (PROVISIONED, DELETED)
    # What ARM wants to know of a deletion.
    delete_params: ClassVar[dict[str, str] | None] = None

    @property
    @abstractmethod
    def path(self) -> tuple[str, ...]:
        """Where it is below the workspace."""

    @property
    @abstractmethod
    def api_version(self) -> str:
        """The api-version of the bodies that azure-ai-ml writes for it."""

    @abstractmethod
    def url(self, connection: WorkspaceConnection) -> str:
        """Return its page in studio."""

    @abstractmethod
    def facts(self, connection: WorkspaceConnection, body: dict[str, Any]) -> dict[str, Any]:
        """Return what operators and sensors say of it."""

    @abstractmethod
    async def reason(self, client: WorkspaceClient, body: dict[str, Any]) -> str:
        """Return why Azure failed, in its own words; empty if it does not say."""

    def standing(self, body: dict[str, Any]) -> list[str]:
        """Return the states that it is in: the provisioning state, and its own if it has one."""
        return [str(body["properties"].get("provisioningState"))]

    def may_be(self, item: dict[str, Any], wanted: str) -> bool:
        """
        Return whether a list's item about it gives reason to look whether it is in the wanted state, or has failed.

        An instance's own state may be missing from a list: then there is reason.
        """
        states = self.standing(item)
        if any(provisioning_failed(state) or same_state(state, wanted) for state in states):
            return True
        return wanted not in (PROVISIONED, DELETED) and len(states) == 1

    @property
    def gone(self) -> dict[str, Any]:
        """The facts of what is deleted."""
        return {"name": self.path[-1], "status": DELETED}

    async def find(self, client: WorkspaceClient) -> dict[str, Any] | None:
        """Return it as ARM describes it, or None if there is none."""
        return await client.find_resource(*self.path)

    async def now(self, client: WorkspaceClient) -> dict[str, Any]:
        """Return its facts, whatever its state."""
        body = await self.find(client)
        return self.facts(client.connection, body) if body else self.gone

    async def existing(self, client: WorkspaceClient) -> dict[str, Any]:
        """
        Return it as ARM describes it.

        :raises NotFoundError: it does not exist.
        :raises SpecError: it is being deleted.
        """
        if (body := await self.find(client)) is None:
            raise self.missing(client)
        self.refuse_if_deleting(body)
        return body

    def missing(self, client: WorkspaceClient) -> NotFoundError:
        """Return the error that says that it does not exist."""
        return NotFoundError(f"There is no {self} in workspace {client.connection.workspace.label}.")

    def refuse_if_deleting(self, body: dict[str, Any]) -> None:
        """
        Let what is about to go alone.

        :raises SpecError: it is being deleted.
        """
        if same_state(body["properties"].get("provisioningState"), "Deleting"):
            raise SpecError(f"The {self} is being deleted. Wait until it is gone. Nothing was changed.")

    async def check(self, client: WorkspaceClient, wanted: str, seen: set[str]) -> dict[str, Any] | None:
        """
        Return its facts if it is in the wanted state, or None while it is not.

        :param wanted: one of ``states``; of what is deleted the facts are its name and status.
        :param seen: states met so far, so that each change is logged once.
        :raises NotFoundError: it does not exist, and Deleted is not what is wanted.
        :raises ProvisioningFailedError: it is in a state that it does not leave by itself; with Azure's own reason.
        """
        if (body := await self.find(client)) is None:
            if wanted == DELETED:
                return self.gone
            raise self.missing(client)
        states = self.standing(body)
        if (text := ", ".join(states)) not in seen:
            seen.add(text)
            log.info("The %s is %s.", self, text)
        if any(provisioning_failed(state) for state in states):
            reason = await self.reason(client, body)
            raise ProvisioningFailedError(f"The {self} is {text}. {reason} See {self.url(client.connection)}")
        return self.facts(client.connection, body) if any(same_state(state, wanted) for state in states) else None


async def operation_error(client: WorkspaceClient, url: str) -> str:
    """
    Return why a long-running operation failed, in Azure's own words; empty if it cannot be learned.

    :param url: of the operation, as the answer to the call that began it gave it (``Azure-AsyncOperation``).
    """
    try:
        body = await client.request("GET", url)
    except AzureMachineLearningError as refusal:
        log.info("The operation does not say why: %s", refusal)
        return ""
    return error_text(body) if isinstance(body.get("error"), dict) else ""


def error_text(body: dict[str, Any]) -> str:
    """Return ``code: message`` of an ARM error body."""
    from ..rest.transport import describe_error

    return ": ".join(describe_error(body))


def differences(asked: Any, found: Any, path: str = "") -> list[str]:
    """
    Return where a resource differs from what a spec asks for; what the service does not say, it does not differ in.

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
    return [f"{path} is {'empty' if found == '' else found}, not {asked}"]
