"""What the operators share that make, change or delete a compute, endpoint or deployment."""

from __future__ import annotations

import asyncio
import contextlib
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from ..errors import NotFoundError, ProvisioningFailedError, SpecError, WaitTimeoutError
from ..links import push_studio_url
from ..resources.base import DELETED, PROVISIONED, differences, operation_error
from ..rest.states import provisioning_failed, same_state
from ..task_run import TaskRun
from ..triggers.resource import AzureMachineLearningResourceTrigger
from .waiting import WaitingOperator

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.sdk import Context

    from ..connection import WorkspaceConnection
    from ..resources.base import Resource
    from ..rest.client import WorkspaceClient


class ResourceOperator(WaitingOperator):
    """Does something to a resource and waits until it is done."""

    wanted: ClassVar[str] = PROVISIONED

    @abstractmethod
    async def _begin(self, context: Context, client: WorkspaceClient) -> Resource:
        """Do it, unless it is done or under way, and return what it is done to."""

    def execute(self, context: Context) -> dict[str, Any]:
        """Begin, unless it is done or under way; then wait until it is done, if that is wanted."""
        return self._act(context)

    def _act(self, context: Context) -> dict[str, Any]:
        resource, now = self._ask(lambda client: self._run(context, client))
        return now or self._finish(context, lambda: self._wait(self._trigger(context, resource)))

    async def _run(self, context: Context, client: WorkspaceClient) -> tuple[Resource, dict[str, Any] | None]:
        """Begin; return what with, and its facts if nobody waits for it."""
        resource = await self._begin(context, client)
        push_studio_url(context, resource.url(client.connection))
        return resource, None if self.waiting else await resource.now(client)

    def _trigger(self, context: Context, resource: Resource) -> AzureMachineLearningResourceTrigger:  # noqa: ARG002
        return AzureMachineLearningResourceTrigger(path=resource.path, state=self.wanted, **self._waiting_fields())

    async def _change(
        self, context: Context, client: WorkspaceClient, resource: Resource, method: str, *action: str, **arguments: Any
    ) -> None:
        """Ask ARM for it, and keep where the operation says how it went."""
        answer = await client.change_resource(method, *resource.path, *action, **arguments)
        TaskRun(context).remember(operation=answer.headers.get("azure-asyncoperation"))

    def _finish(self, context: Context, found: Callable[[], Any]) -> dict[str, Any]:
        try:
            facts: dict[str, Any] = found()
        except WaitTimeoutError:
            raise WaitTimeoutError(
                f"What this task began was not {self.wanted} within {self.timeout:g} s. Azure goes on; a retry waits "
                "on."
            ) from None
        except ProvisioningFailedError as error:
            url = TaskRun(context).remember().get("operation")
            reason = self._ask(lambda client: operation_error(client, url)) if url else ""
            raise ProvisioningFailedError(str(error) if reason in str(error) else f"{reason} {error}") from error
        return facts


class CreateResourceOperator(ResourceOperator):
    """
    Creates a resource; one that exists is used, or updated, once its settings are compared with the ones asked for.

    :param on_difference: what to do if it exists with other settings: ``warn``, ``error`` or ``update``.
    """

    def __init__(self, *, on_difference: Literal["warn", "error", "update"] = "warn", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.on_difference = on_difference

    @abstractmethod
    def _load(self, context: Context, connection: WorkspaceConnection) -> tuple[Resource, dict[str, Any]]:
        """Return what to create and the body that ARM wants, which the SDK knows how to write."""

    async def _begin(self, context: Context, client: WorkspaceClient) -> Resource:
        if self.on_difference not in ("warn", "error", "update"):
            raise SpecError(f"on_difference is {self.on_difference!r}; it can be 'warn', 'error' or 'update'.")
        resource, body = await asyncio.to_thread(self._load, context, client.connection)
        found = await resource.find(client)
        task_run = TaskRun(context)
        if found is not None:
            resource.refuse_if_deleting(found)
            if not self._must_put(resource, found, body, begun="begun" in task_run.remember()):
                return resource
            body = _onto(found, body)
        if not body.get("location"):
            body["location"] = (await client.get_workspace())["location"]
        task_run.remember(begun=True)
        await self._change(context, client, resource, "PUT", json=body, params={"api-version": resource.api_version})
        self.log.info("%s %s.", "Updating" if found else "Creating", resource)
        return resource

    def _must_put(self, resource: Resource, found: dict[str, Any], body: dict[str, Any], *, begun: bool) -> bool:
        state = found["properties"].get("provisioningState")
        if provisioning_failed(state):
            self.log.info("The %s is %s; making it anew.", resource, state)
            return True
        if begun and self.on_difference != "update":
            self.log.info("An earlier try of this task began with the %s.", resource)
            return False
        # A description or a tag that is not there is empty; other things that ARM does not say, it only does not say.
        said = {**found["properties"], "description": found["properties"].get("description") or ""}
        tags = body.get("tags") or {}
        differ = differences(body["properties"], said)
        differ += differences(tags, {**dict.fromkeys(tags, ""), **(found.get("tags") or {})}, "tags")
        if not differ:
            self.log.info("The %s exists already, with the settings asked for.", resource)
            return False
        text = f"The {resource} exists already with other settings: {'; '.join(differ)}."
        if self.on_difference == "error":
            raise SpecError(f"{text} Nothing was changed.")
        if self.on_difference == "update":
            self.log.info("%s", text)
            return True
        self.log.warning("%s It is used as it is.", text)
        return False


def _onto(found: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
    """Return the body of an update: a PUT replaces, but what is not asked for is to stay."""
    properties = dict(body["properties"])
    for key in ("traffic", "mirrorTraffic"):
        if not properties.get(key) and (now := found["properties"].get(key)):
            properties[key] = now
    tags = {**(found.get("tags") or {}), **(body.get("tags") or {})}
    return {**body, "properties": properties, "tags": tags, "location": body.get("location") or found.get("location")}


class DeleteResourceOperator(ResourceOperator):
    """
    Deletes a resource.

    :param if_missing: what to do if there is none: ``ignore`` (with a warning in the log) or ``fail``.
    """

    wanted = DELETED

    def __init__(self, *, if_missing: Literal["ignore", "fail"] = "ignore", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.if_missing = if_missing

    @abstractmethod
    def _resource(self) -> Resource:
        """Return what to delete."""

    async def _begin(self, context: Context, client: WorkspaceClient) -> Resource:
        if self.if_missing not in ("ignore", "fail"):
            raise SpecError(f"if_missing is {self.if_missing!r}; it can be 'ignore' or 'fail'.")
        task_run, resource = TaskRun(context), self._resource()
        found = await resource.find(client)
        if found is None:
            if "begun" in task_run.remember():
                self.log.info("An earlier try of this task deleted the %s.", resource)
            elif self.if_missing == "fail":
                raise resource.missing(client)
            else:
                self.log.warning("There is no %s: nothing to delete.", resource)
        elif not same_state(found["properties"].get("provisioningState"), "Deleting"):
            task_run.remember(begun=True)
            with contextlib.suppress(NotFoundError):  # the answer to an attempt before this one was lost
                await self._change(context, client, resource, "DELETE", params=resource.delete_params)
            self.log.info("Deleting %s.", resource)
        return resource
