"""What Azure takes a while to make, change or delete: where it is, how it stands, how a spec becomes one."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from ..errors import NotFoundError, ProvisioningFailedError, SpecError
from ..references import check_references
from ..rest.states import provisioning_failed, same_state
from .comparison import differences, taken_out
from .operations import check_operation
from .seen import Seen

if TYPE_CHECKING:
    from ..connection import WorkspaceConnection
    from ..errors import RequestRefusedError
    from ..hook import AzureMachineLearningHook
    from ..rest.client import WorkspaceClient

log = logging.getLogger(__name__)

PROVISIONED = "Succeeded"
DELETED = "Deleted"


class Resource(ABC):
    """
    A compute, endpoint, deployment or schedule: all that is particular to one noun is said in its class.

    Its text names it in messages: ``compute 'cpu'``.
    """

    __slots__ = ()
    # What can be waited for.
    states: ClassVar[tuple[str, ...]] = (PROVISIONED, DELETED)
    # What ARM wants to know of a deletion.
    delete_params: ClassVar[dict[str, str] | None] = None
    # What ARM wants to know for a list that leaves none out.
    list_params: ClassVar[tuple[tuple[str, str], ...]] = ()
    # Properties that an update keeps where the spec has none, because others than the spec set them.
    kept: ClassVar[tuple[str, ...]] = ()
    # Settings that a spec may have -> what the service takes without them; see `taken_out`.
    defaults: ClassVar[dict[str, Any]] = {}

    @property
    @abstractmethod
    def path(self) -> tuple[str, ...]:
        """Where it is below the workspace."""

    @property
    @abstractmethod
    def api_version(self) -> str:
        """The api-version of the bodies that azure-ai-ml writes for it."""

    @property
    @abstractmethod
    def noun(self) -> str:
        """What it is, for messages: ``compute``."""

    @abstractmethod
    def url(self, connection: WorkspaceConnection) -> str:
        """Return its page in studio."""

    @abstractmethod
    def facts(self, connection: WorkspaceConnection, body: dict[str, Any]) -> dict[str, Any]:
        """Return what operators and sensors say of it."""

    # A spec becomes one: check, write, compare

    async def check_spec(self, client: WorkspaceClient, entity: Any) -> None:
        """
        Look for what a spec names, before anything is uploaded or made.

        :param entity: the spec as the SDK's entity.
        :raises SpecError: something of it does not exist, or is being deleted.
        :raises NotFoundError: what it would be part of does not exist.
        """
        await check_references(client, entity, noun=self.noun)

    @abstractmethod
    def write(self, hook: AzureMachineLearningHook, entity: Any) -> dict[str, Any]:
        """
        Return the body that ARM wants, as the SDK writes it; code and models that the spec holds are uploaded.

        :raises SpecError: the SDK does not accept the spec.
        """

    def differences(self, found: dict[str, Any], body: dict[str, Any]) -> list[str]:
        """
        Return where it differs from what a spec asks for, taken-out settings included.

        Tags that the spec does not have are no difference: Azure Policy, and people, add tags to resources.

        :param found: it as ARM describes it.
        :param body: what the spec makes.
        """
        tags, identity = body.get("tags") or {}, body.get("identity") or {}
        # A description or a tag that is not there is empty; other things that ARM does not say, it only does not say.
        said = {**found["properties"], "description": found["properties"].get("description") or ""}
        differ = differences(body["properties"], said)
        differ += differences(tags, {**dict.fromkeys(tags, ""), **(found.get("tags") or {})}, "tags")
        differ += differences(_identity(identity), _identity(found.get("identity") or {}), "identity")
        return differ + taken_out(body, found, self.defaults)

    def updated(self, found: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
        """
        Return the body of an update: a PUT replaces, but location, other tags and what is ``kept`` are to stay.

        :param found: it as ARM describes it.
        :param body: what the spec makes.
        """
        properties = dict(body["properties"])
        for key in self.kept:
            if not properties.get(key) and (now := found["properties"].get(key)):
                properties[key] = now
        tags = {**(found.get("tags") or {}), **(body.get("tags") or {})}
        return {
            **body,
            "properties": properties,
            "tags": tags,
            "location": body.get("location") or found.get("location"),
        }

    async def created(self, client: WorkspaceClient, body: dict[str, Any]) -> dict[str, Any]:
        """Return the body of a first PUT: ARM wants a location; it is the workspace's if the spec has none."""
        return body if body.get("location") else {**body, "location": (await client.get_workspace())["location"]}

    def must_be_made_anew(self, refused: RequestRefusedError) -> bool:  # noqa: ARG002
        """Return whether the refusal of an update says that only deleting it and making it anew helps."""
        return False

    # How it stands

    def tags(self, body: dict[str, Any]) -> dict[str, str]:
        """Return its tags."""
        return body.get("tags") or {}

    async def reason(self, client: WorkspaceClient, body: dict[str, Any]) -> str:  # noqa: ARG002
        """Return why Azure failed, in its own words; empty if it does not say."""
        return ""

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

    def deleting(self, body: dict[str, Any]) -> bool:
        """Return whether it is being deleted."""
        return same_state(body["properties"].get("provisioningState"), "Deleting")

    def refuse_if_deleting(self, body: dict[str, Any]) -> None:
        """
        Let what is about to go alone.

        :raises SpecError: it is being deleted.
        """
        if self.deleting(body):
            raise SpecError(f"The {self} is being deleted. Wait until it is gone. Nothing was changed.")

    async def refuse_to_delete(self, client: WorkspaceClient) -> None:  # noqa: B027 - most nouns have no reason
        """
        Say why it is not to be deleted now.

        :raises SpecError: it is in use.
        """

    async def check(
        self, client: WorkspaceClient, wanted: str, seen: Seen, *, operation: str | None = None
    ) -> dict[str, Any] | None:
        """
        Return its facts if it is in the wanted state, or None while it is not.

        :param wanted: one of ``states``; of what is deleted the facts are its name and status.
        :param seen: what its waiter has seen so far; it is updated.
        :param operation: URL of the operation that is to bring it there. While that goes on the resource itself is not
            asked: it may still show the state from before.
        :raises NotFoundError: it does not exist, and Deleted is not what is wanted.
        :raises ProvisioningFailedError: it is in a state that it does not leave by itself; with Azure's own reason.
        """
        failure = ""
        if operation is not None and operation not in seen:
            outcome = await check_operation(client, operation)
            if outcome is None:
                if operation + " goes on" not in seen:
                    seen.add(operation + " goes on")
                    log.info("Azure is at work on the %s.", self)
                seen.last = "Azure is at work on it"
                return None
            seen.add(operation)
            failure = outcome
        body = await self.find(client)
        states = self.standing(body) if body is not None else [DELETED]
        seen.last = text = ", ".join(states)
        if text not in seen:
            seen.add(text)
            log.info("The %s is %s.", self, text)
        if failure or (body is not None and any(provisioning_failed(state) for state in states)):
            why = " ".join(filter(None, [failure or await self.reason(client, body or {}), f"The {self} is {text}."]))
            raise ProvisioningFailedError(f"{why} See {self.url(client.connection)}")
        if body is None:
            if wanted == DELETED:
                return self.gone
            raise self.missing(client)
        return self.facts(client.connection, body) if any(same_state(state, wanted) for state in states) else None


def _identity(identity: dict[str, Any]) -> dict[str, Any]:
    """Return what of an identity a spec says: not what the service adds, such as the ids of its principals."""
    users = sorted(str(name).lower() for name in identity.get("userAssignedIdentities") or {})
    return {**({"type": identity["type"]} if identity.get("type") else {}), **({"users": users} if users else {})}
