"""Operators for AzureML computes: clusters and instances."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from .. import sdk
from ..errors import RequestRefusedError, SpecError
from ..resources.compute import Compute
from ..rest.states import same_state
from .resource import CreateResourceOperator, DeleteResourceOperator, ResourceOperator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context

    from ..connection import WorkspaceConnection
    from ..rest.client import WorkspaceClient


class AzureMachineLearningCreateComputeResourceOperator(CreateResourceOperator):
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

    def __init__(self, *, compute: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.compute = sdk.field(compute)

    def _load(self, context: Context, connection: WorkspaceConnection) -> tuple[Compute, dict[str, Any]]:
        entity = self._load_entity(context, self.compute, "compute")
        with sdk.quietly(), sdk.sdk_errors("compute"):
            entity._set_full_subnet_name(connection.workspace.subscription_id, connection.workspace.resource_group)
            return Compute(entity.name), entity._to_rest_object().as_dict()


class AzureMachineLearningDeleteComputeResourceOperator(DeleteResourceOperator):
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

    template_fields: Sequence[str] = ("compute_name", "conn_id")

    def __init__(self, *, compute_name: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.compute_name = compute_name

    def _resource(self) -> Compute:
        return Compute(self.compute_name)


class SwitchComputeOperator(ResourceOperator):
    """Starts or stops a compute instance."""

    template_fields: Sequence[str] = ("compute_name", "conn_id")
    action: ClassVar[str]
    under_way: ClassVar[str]

    def __init__(self, *, compute_name: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.compute_name = compute_name

    async def _begin(self, context: Context, client: WorkspaceClient) -> Compute:
        compute = Compute(self.compute_name)
        if await self._must_act(compute, client):
            try:
                await self._change(context, client, compute, "POST", self.action)
            except RequestRefusedError:
                # If the answer to an attempt before this one was lost, this one came too late.
                if await self._must_act(compute, client):
                    raise
            self.log.info("Asked the %s to %s.", compute, self.action)
        return compute

    async def _must_act(self, compute: Compute, client: WorkspaceClient) -> bool:
        properties = (await compute.existing(client))["properties"]
        if properties.get("computeType") != "ComputeInstance":
            raise SpecError(
                f"Compute {compute.name!r} is of type {properties.get('computeType')}; only instances can be told to "
                f"{self.action}. A cluster scales by itself."
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
