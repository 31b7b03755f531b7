"""Operators for AzureML computes: clusters and instances."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from .. import computes, sdk
from ..errors import NotFoundError, RequestRefusedError, SpecError, WaitTimeoutError
from ..links import push_studio_url, resource_url
from ..states import provisioning_failed, same_state
from ..task_run import TaskRun
from ..triggers.compute import AzureMachineLearningComputeTrigger
from .waiting import WaitingOperator

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow.sdk import Context

    from ..client import WorkspaceClient
    from ..connection import WorkspaceConnection


class ComputeOperator(WaitingOperator):
    """Does something to a compute and waits until it is done."""

    wanted: ClassVar[str] = computes.PROVISIONED

    async def _begin(self, context: Context, client: WorkspaceClient) -> str:
        """Do it, unless it is done or under way, and return the compute's name."""
        raise NotImplementedError

    def execute(self, context: Context) -> dict[str, Any]:
        """Begin, unless it is done or under way; then wait until it is done, if that is wanted."""
        connection = self.hook.get_workspace_connection()
        name, now = asyncio.run(self._run(context, connection))
        push_studio_url(context, resource_url(connection, f"compute/{name}/details"))
        if not self.waiting:
            return now
        trigger = AzureMachineLearningComputeTrigger(compute_name=name, state=self.wanted, **self._waiting_fields())
        return self._finish(context, lambda: self._wait(trigger))

    async def _run(self, context: Context, connection: WorkspaceConnection) -> tuple[str, dict[str, Any]]:
        from ..client import WorkspaceClient

        async with WorkspaceClient(connection) as client:
            name = await self._begin(context, client)
            body = await computes.find(client, name)
            gone = {"name": name, "status": computes.DELETED}
            return name, computes.facts(connection, body) if body else gone

    def _finish(self, context: Context, found: Callable[[], Any]) -> dict[str, Any]:  # noqa: ARG002
        try:
            compute: dict[str, Any] = found()
        except WaitTimeoutError:
            raise WaitTimeoutError(
                f"The compute was not {self.wanted} within {self.timeout:g} s. Azure goes on; a retry waits on."
            ) from None
        return compute


class AzureMachineLearningCreateComputeResourceOperator(ComputeOperator):
    """
    Create an AzureML compute cluster or instance, and wait until it is there.

    ::

        AzureMachineLearningCreateComputeResourceOperator(
            task_id="cluster",
            conn_id="azureml",
            compute={"name": "cpu", "type": "amlcompute", "size": "Standard_DS3_v2", "max_instances": 4},
            on_difference="update",
        )

    A compute that exists is used, once its settings are compared with the ones asked for, defaults included.

    :param compute: a dict with the keys of AzureML's CLI v2 YAML for computes (``type`` ``amlcompute`` or
        ``computeinstance``); or a path to such YAML; or an azure-ai-ml compute; or a callable that returns one of them.
        Templated.
    :param on_difference: what to do if it exists with other settings: ``warn`` (in the log), ``error``, or ``update``
        (AzureML can change a cluster's scale; it refuses most else).
    :param waiting: wait until it is provisioned.
    :param deferrable: wait in the triggerer; Airflow's ``[operators] default_deferrable`` if None.
    :param poll_interval: seconds between two looks.
    :param timeout: how many seconds one try waits at most; None: for ever.
    :param conn_id: an Airflow connection of type ``azure_machine_learning``. Templated.
    :return: a dict: name, id, type, status (provisioning state), state (of an instance), size, tags, studio_url.
    :raises SpecError: the SDK does not accept the spec, or the compute exists and differs; nothing was changed.
    :raises ProvisioningFailedError: Azure could not make it, e.g. for want of quota; with its reason.
    :raises WaitTimeoutError: it was not there within ``timeout``.
    """

    template_fields: Sequence[str] = ("compute", "conn_id")
    template_fields_renderers: ClassVar[dict[str, str]] = {"compute": "json"}

    def __init__(
        self, *, compute: Any, on_difference: Literal["warn", "error", "update"] = "warn", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.compute = sdk.field(compute)
        self.on_difference = on_difference

    async def _begin(self, context: Context, client: WorkspaceClient) -> str:
        name, body = await asyncio.to_thread(self._load, context, client.connection)
        found = await computes.find(client, name)
        task_run = TaskRun(context)
        if found is not None and not self._must_put(name, found, body, begun="begun" in task_run.remember()):
            return name
        body.setdefault("location", (await client.get_workspace())["location"])
        task_run.remember(begun=True)
        params = {"api-version": computes.SDK_API_VERSION}
        await client.change_resource("PUT", "computes", name, json=body, params=params)
        self.log.info("%s compute %s.", "Updating" if found else "Creating", name)
        return name

    def _must_put(self, name: str, found: dict[str, Any], body: dict[str, Any], *, begun: bool) -> bool:
        state = found["properties"].get("provisioningState")
        if same_state(state, "Deleting"):
            raise SpecError(f"Compute {name!r} is being deleted. Wait until it is gone, or take another name.")
        if provisioning_failed(state):
            self.log.info("Compute %s is %s; making it anew.", name, state)
            return True
        if begun and self.on_difference != "update":
            self.log.info("An earlier try of this task began with compute %s.", name)
            return False
        differ = computes.differences(body["properties"], found["properties"])
        differ += computes.differences(body.get("tags"), found.get("tags") or {}, "tags")
        if not differ:
            self.log.info("Compute %s exists already, with the settings asked for.", name)
            return False
        text = f"Compute {name!r} exists already with other settings: {'; '.join(differ)}."
        if self.on_difference == "error":
            raise SpecError(f"{text} Nothing was changed.")
        if self.on_difference == "update":
            self.log.info("%s", text)
            return True
        self.log.warning("%s It is used as it is.", text)
        return False

    def _load(self, context: Context, connection: WorkspaceConnection) -> tuple[str, dict[str, Any]]:
        """Return the compute's name and the body that ARM wants, which the SDK knows how to write."""
        if self.on_difference not in ("warn", "error", "update"):
            raise SpecError(f"on_difference is {self.on_difference!r}; it can be 'warn', 'error' or 'update'.")
        entity = sdk.load_entity(
            "load_compute",
            self.compute,
            noun="compute",
            folder=self._dag_folder,
            render=lambda value: self.render_template(value, context),
        )
        with sdk.quietly(), sdk.sdk_errors("compute"):
            entity._set_full_subnet_name(connection.workspace.subscription_id, connection.workspace.resource_group)
            return entity.name, entity._to_rest_object().as_dict()


class AzureMachineLearningDeleteComputeResourceOperator(ComputeOperator):
    """
    Delete an AzureML compute, and wait until it is gone.

    :param compute_name: the compute's name. Templated.
    :param if_missing: what to do if there is none: ``ignore`` (with a warning in the log) or ``fail``.
    :param waiting: wait until it is gone.
    :param deferrable: wait in the triggerer; Airflow's ``[operators] default_deferrable`` if None.
    :param poll_interval: seconds between two looks.
    :param timeout: how many seconds one try waits at most; None: for ever.
    :param conn_id: an Airflow connection of type ``azure_machine_learning``. Templated.
    :return: a dict: name, and status ``Deleted`` once it is gone.
    :raises NotFoundError: there is none, and ``if_missing`` is ``fail``.
    :raises ProvisioningFailedError: Azure could not delete it.
    :raises WaitTimeoutError: it was not gone within ``timeout``.
    """

    wanted = computes.DELETED
    template_fields: Sequence[str] = ("compute_name", "conn_id")

    def __init__(self, *, compute_name: str, if_missing: Literal["ignore", "fail"] = "ignore", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.compute_name = compute_name
        self.if_missing = if_missing

    async def _begin(self, context: Context, client: WorkspaceClient) -> str:
        task_run, name = TaskRun(context), self.compute_name
        found = await computes.find(client, name)
        if found is None:
            if self.if_missing == "fail" and "begun" not in task_run.remember():
                raise NotFoundError(f"There is no compute {name!r} in workspace {client.connection.workspace.label}.")
            self.log.warning("There is no compute %s: nothing to delete.", name)
        elif not same_state(found["properties"].get("provisioningState"), "Deleting"):
            task_run.remember(begun=True)
            with contextlib.suppress(NotFoundError):  # the answer to an attempt before this one was lost
                await client.change_resource("DELETE", "computes", name, params={"underlyingResourceAction": "Delete"})
            self.log.info("Deleting compute %s.", name)
        return name


class SwitchComputeOperator(ComputeOperator):
    """Starts or stops a compute instance."""

    template_fields: Sequence[str] = ("compute_name", "conn_id")
    action: ClassVar[str]
    under_way: ClassVar[str]

    def __init__(self, *, compute_name: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.compute_name = compute_name

    async def _begin(self, context: Context, client: WorkspaceClient) -> str:  # noqa: ARG002
        if await self._must_act(client):
            try:
                await client.change_resource("POST", "computes", self.compute_name, self.action)
            except RequestRefusedError:
                # If the answer to an attempt before this one was lost, this one came too late.
                if await self._must_act(client):
                    raise
            self.log.info("Asked compute %s to %s.", self.compute_name, self.action)
        return self.compute_name

    async def _must_act(self, client: WorkspaceClient) -> bool:
        properties = (await client.get_resource("computes", self.compute_name))["properties"]
        if properties.get("computeType") != "ComputeInstance":
            raise SpecError(
                f"Compute {self.compute_name!r} is of type {properties.get('computeType')}; only instances can be "
                f"told to {self.action}. A cluster scales by itself."
            )
        state = (properties.get("properties") or {}).get("state")
        return not (same_state(state, self.wanted) or same_state(state, self.under_way))


class AzureMachineLearningStartComputeOperator(SwitchComputeOperator):
    """
    Start an AzureML compute instance, and wait until it runs. One that runs or is starting is left alone.

    :param compute_name: the instance's name. Templated.
    :param waiting: wait until it runs.
    :param deferrable: wait in the triggerer; Airflow's ``[operators] default_deferrable`` if None.
    :param poll_interval: seconds between two looks.
    :param timeout: how many seconds one try waits at most; None: for ever.
    :param conn_id: an Airflow connection of type ``azure_machine_learning``. Templated.
    :return: a dict: name, id, type, status (provisioning state), state (``Running``), size, tags, studio_url.
    :raises NotFoundError: there is no such compute.
    :raises SpecError: it is not an instance.
    :raises ProvisioningFailedError: Azure could not start it.
    :raises WaitTimeoutError: it did not run within ``timeout``.
    """

    action, wanted, under_way = "start", "Running", "Starting"


class AzureMachineLearningStopComputeOperator(SwitchComputeOperator):
    """
    Stop an AzureML compute instance, and wait until it has stopped. One that has stopped or is stopping is left alone.

    :param compute_name: the instance's name. Templated.
    :param waiting: wait until it has stopped.
    :param deferrable: wait in the triggerer; Airflow's ``[operators] default_deferrable`` if None.
    :param poll_interval: seconds between two looks.
    :param timeout: how many seconds one try waits at most; None: for ever.
    :param conn_id: an Airflow connection of type ``azure_machine_learning``. Templated.
    :return: a dict: name, id, type, status (provisioning state), state (``Stopped``), size, tags, studio_url.
    :raises NotFoundError: there is no such compute.
    :raises SpecError: it is not an instance.
    :raises ProvisioningFailedError: Azure could not stop it.
    :raises WaitTimeoutError: it did not stop within ``timeout``.
    """

    action, wanted, under_way = "stop", "Stopped", "Stopping"
