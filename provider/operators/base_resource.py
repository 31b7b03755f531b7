"""Base of operators that make, change or delete a resource: a compute, endpoint, deployment or schedule."""

from __future__ import annotations

import asyncio
import contextlib
import time
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from ..arguments import check_choice
from ..errors import NotFoundError, ProvisioningFailedError, RequestRefusedError, SpecError, WaitTimeoutError
from ..links import push_studio_url
from ..resources.base import DELETED, PROVISIONED
from ..rest.states import provisioning_failed
from ..task_run import TAG_PREFIX, TASK_RUN_TAG, TaskRun
from ..triggers.resource import AzureMachineLearningResourceTrigger
from .base_waiting import WaitingOperator

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.sdk import Context

    from ..resources.base import Resource
    from ..rest.client import WorkspaceClient


class ResourceOperator(WaitingOperator):
    """
    Does something to a resource and waits until it is done.

    When a try ends before that, killed or out of time, Azure goes on with what it has begun; a retry waits on.
    """

    wanted: ClassVar[str] = PROVISIONED

    @abstractmethod
    async def _begin(self, context: Context, client: WorkspaceClient) -> tuple[Resource, str]:
        """
        Do it, unless it is done or under way; return what it is done to, and the state to wait for.

        A state other than ``wanted`` is a step on the way: once it is reached, this is called again.
        """

    def execute(self, context: Context) -> dict[str, Any]:
        """Begin, unless it is done or under way; then wait until it is done, if that is wanted."""
        return self._act(context)

    def _act(self, context: Context) -> dict[str, Any]:
        resource, state, now = self.hook.ask(lambda client: self._run(context, client))
        return now or self._finish(context, lambda: self._wait(self._trigger(context, resource, state)))

    async def _run(self, context: Context, client: WorkspaceClient) -> tuple[Resource, str, dict[str, Any] | None]:
        """Begin; return what with, the state to wait for, and its facts if nobody waits for it."""
        resource, state = await self._begin_when_azure_lets(context, client)
        push_studio_url(context, resource.url(client.connection))
        done = not self.waiting and state == self.wanted
        return resource, state, await resource.now(client) if done else None

    async def _begin_when_azure_lets(self, context: Context, client: WorkspaceClient) -> tuple[Resource, str]:
        """
        Begin; while Azure refuses as somebody else's change is under way, look again at all of it and try again.

        This goes on in the worker, also without ``waiting``: until it is taken, nothing goes on in Azure.
        """
        from ..rest.refusals import is_busy

        deadline = self._deadline(context)
        while True:
            try:
                return await self._begin(context, client)
            except RequestRefusedError as refused:
                if not is_busy(refused):
                    raise
                if deadline is not None and time.time() + self.poll_interval > deadline:
                    what = f"Azure was busy with another change for {self._patience}, and did not take this one."
                    raise WaitTimeoutError(f"{what} {refused}") from None
                self.log.info("%s Trying again in %g s.", refused, self.poll_interval)
            await asyncio.sleep(self.poll_interval)

    def _trigger(self, context: Context, resource: Resource, state: str) -> AzureMachineLearningResourceTrigger:
        return AzureMachineLearningResourceTrigger(
            path=resource.path,
            state=state,
            operation=TaskRun(context).remember().get("operation"),
            **self._waiting_fields(context),
        )

    async def _change(
        self, context: Context, client: WorkspaceClient, resource: Resource, method: str, *action: str, **arguments: Any
    ) -> None:
        """Ask ARM for it, and keep where the operation says how it goes."""
        answer = await client.change_resource(method, *resource.path, *action, **arguments)
        TaskRun(context).remember(operation=answer.headers.get("azure-asyncoperation"))

    def _finish(self, context: Context, found: Callable[[], Any]) -> dict[str, Any]:
        try:
            facts: dict[str, Any] = found()
        except WaitTimeoutError as seen:
            raise WaitTimeoutError(
                f"What this task began was not {self.wanted} within {self._patience}. Azure goes on; a retry waits on. "
                f"{seen}"
            ) from None
        except ProvisioningFailedError:
            TaskRun(context).remember(operation=None)  # from now on the resource itself tells
            raise
        on_the_way = (facts["status"] == DELETED) != (self.wanted == DELETED)
        return self._act(context) if on_the_way else facts


class PutResourceOperator(ResourceOperator):
    """Makes a resource from a spec, or changes one that exists; what the spec names is looked for beforehand."""

    @abstractmethod
    def _entity(self, context: Context) -> Any:
        """Return the spec as the SDK's entity."""

    @abstractmethod
    def _resource(self, entity: Any) -> Resource:
        """Return what the entity describes."""

    @abstractmethod
    def _begun(self, resource: Resource, found: dict[str, Any], task_run: TaskRun) -> bool:
        """Return whether an earlier try of this task began with it, so that there is nothing to do but wait."""

    def _must_put(self, resource: Resource, found: dict[str, Any], body: dict[str, Any]) -> bool:  # noqa: ARG002
        """Return whether one that exists is to be changed."""
        return True

    async def _begin(self, context: Context, client: WorkspaceClient) -> tuple[Resource, str]:
        entity = await asyncio.to_thread(self._entity, context)
        resource, task_run = self._resource(entity), TaskRun(context)
        found = await resource.find(client)
        if found is not None:
            if resource.deleting(found) and task_run.remember().get("remaking"):
                return resource, DELETED
            resource.refuse_if_deleting(found)
            failed = provisioning_failed(found["properties"].get("provisioningState"))
            if not failed and self._begun(resource, found, task_run):
                self.log.info("An earlier try of this task began with the %s.", resource)
                return resource, self.wanted
        await resource.check_spec(client, entity)
        self._mark(entity, task_run)
        body = await asyncio.to_thread(resource.write, self.hook, entity)
        if found is None:
            body = await resource.created(client, body)
        elif failed or self._must_put(resource, found, body):
            body = resource.updated(found, body)
        else:
            return resource, self.wanted
        task_run.remember(begun=True, remaking=False)
        try:
            await self._change(
                context, client, resource, "PUT", json=body, params={"api-version": resource.api_version}
            )
        except RequestRefusedError as error:
            if found is None or not resource.must_be_made_anew(error):
                raise
            return await self._make_anew(context, client, resource, found)
        self.log.info("%s %s.", "Updating" if found else "Creating", resource)
        return resource, self.wanted

    def _mark(self, entity: Any, task_run: TaskRun) -> None:
        """Let the entity tell, in AzureML, which task it is of; not where that would be a difference each time."""

    async def _make_anew(
        self, context: Context, client: WorkspaceClient, resource: Resource, found: dict[str, Any]
    ) -> tuple[Resource, str]:
        """Delete what never came into being and cannot be changed; only what this task made, in whatever run."""
        task_run, tags = TaskRun(context), resource.tags(found)
        mine = task_run.tags()
        if any(tags.get(f"{TAG_PREFIX}{key}") != mine[f"{TAG_PREFIX}{key}"] for key in ("dag_id", "task_id")):
            raise SpecError(
                f"The {resource} failed when it was first provisioned; Azure does not update such a one. It was not "
                "made by this task, so it is left alone: delete it, and this task makes it anew."
            )
        self.log.warning("The %s failed when it was first provisioned: deleting it, to make it anew.", resource)
        task_run.remember(remaking=True)
        with contextlib.suppress(NotFoundError):
            await self._change(context, client, resource, "DELETE", params=resource.delete_params)
        return resource, DELETED


class DeployResourceOperator(PutResourceOperator):
    """Makes a resource, or replaces one that exists: each run of the task once. Its tags tell which task it is of."""

    def _begun(self, resource: Resource, found: dict[str, Any], task_run: TaskRun) -> bool:
        return resource.tags(found).get(TASK_RUN_TAG) == str(task_run.remember()["id"])

    def _mark(self, entity: Any, task_run: TaskRun) -> None:
        entity.tags = {**(entity.tags or {}), **task_run.tags()}


class CreateResourceOperator(PutResourceOperator):
    """
    Creates a resource; one that exists is used, or updated, once its settings are compared with the ones asked for.

    :param on_difference: what to do if it exists with other settings: ``warn``, ``error`` or ``update``.
    """

    def __init__(self, *, on_difference: Literal["warn", "error", "update"] = "warn", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_choice("on_difference", on_difference, ("warn", "error", "update"))
        self.on_difference = on_difference

    def _begun(self, resource: Resource, found: dict[str, Any], task_run: TaskRun) -> bool:  # noqa: ARG002
        return "begun" in task_run.remember() and self.on_difference != "update"

    def _must_put(self, resource: Resource, found: dict[str, Any], body: dict[str, Any]) -> bool:
        if not (differ := resource.differences(found, body)):
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


class DeleteResourceOperator(ResourceOperator):
    """
    Deletes a resource.

    :param if_missing: what to do if there is none: ``ignore`` (with a warning in the log) or ``fail``.
    """

    wanted = DELETED

    def __init__(self, *, if_missing: Literal["ignore", "fail"] = "ignore", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_choice("if_missing", if_missing, ("ignore", "fail"))
        self.if_missing = if_missing

    @abstractmethod
    def _resource(self) -> Resource:
        """Return what to delete."""

    async def _begin(self, context: Context, client: WorkspaceClient) -> tuple[Resource, str]:
        task_run, resource = TaskRun(context), self._resource()
        found = await resource.find(client)
        if found is None:
            if "begun" in task_run.remember():
                self.log.info("An earlier try of this task deleted the %s.", resource)
            elif self.if_missing == "fail":
                raise resource.missing(client)
            else:
                self.log.warning("There is no %s: nothing to delete.", resource)
        elif not resource.deleting(found):
            await resource.refuse_to_delete(client)
            task_run.remember(begun=True)
            with contextlib.suppress(NotFoundError):  # the answer to an attempt before this one was lost
                await self._change(context, client, resource, "DELETE", params=resource.delete_params)
            self.log.info("Deleting %s.", resource)
        return resource, self.wanted
