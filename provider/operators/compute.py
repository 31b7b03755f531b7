"""Operators for AzureML computes: clusters and instances."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from .. import sdk
from ..arguments import check_name
from ..errors import RequestRefusedError, SpecError
from ..resources.compute import Compute
from ..rest.states import same_state
from .base_resource import CreateResourceOperator, DeleteResourceOperator, ResourceOperator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context

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

    Further parameters: ``waiting``, ``deferrable``, ``poll_interval`` and ``timeout`` of :class:`.WaitingOperator`,
    ``conn_id`` (templated) of :class:`.AzureMachineLearningBaseOperator`.

    :param compute: a dict with the keys of AzureML's CLI v2 YAML for computes (``type`` ``amlcompute`` or
        ``computeinstance``); or a path to such YAML; or an azure-ai-ml compute; or a callable that returns one of them.
        Templated.
    :param on_difference: what to do if it exists with other settings: ``warn`` (in the log), ``error``, or ``update``
        (AzureML can change a cluster's scale; it refuses most else).
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

    def _entity(self, context: Context) -> Any:
        return self._load_entity(context, self.compute, "compute")

    def _resource(self, entity: Any) -> Compute:
        return Compute(entity.name)


class AzureMachineLearningDeleteComputeResourceOperator(DeleteResourceOperator):
    """
    Delete an AzureML compute, and wait until it is gone.

    Further parameters: ``waiting``, ``deferrable``, ``poll_interval`` and ``timeout`` of :class:`.WaitingOperator`,
    ``conn_id`` (templated) of :class:`.AzureMachineLearningBaseOperator`.

    :param compute_name: the compute's name. Templated.
    :param if_missing: what to do if there is none: ``ignore`` (with a warning in the log) or ``fail``.
    :return: a dict: name, and status ``Deleted`` once it is gone.
    :raises NotFoundError: there is none, and ``if_missing`` is ``fail``.
    :raises ProvisioningFailedError: Azure could not delete it.
    :raises WaitTimeoutError: it was not gone within ``timeout``.
    """

    template_fields: Sequence[str] = ("compute_name", "conn_id")

    def __init__(self, *, compute_name: str, **kwargs: Any) -> None:
        check_name("compute", compute_name, parsing=True)
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
        check_name("compute", compute_name, parsing=True)
        super().__init__(**kwargs)
        self.compute_name = compute_name

    async def _begin(self, context: Context, client: WorkspaceClient) -> tuple[Compute, str]:
        compute = Compute(self.compute_name)
        if await self._must_act(compute, client):
            try:
                await self._change(context, client, compute, "POST", self.action)
            except RequestRefusedError:
                # If the answer to an attempt before this one was lost, this one came too late.
                if await self._must_act(compute, client):
                    raise
            self.log.info("Asked the %s to %s.", compute, self.action)
        return compute, self.wanted

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

    Further parameters: ``waiting``, ``deferrable``, ``poll_interval`` and ``timeout`` of :class:`.WaitingOperator`,
    ``conn_id`` (templated) of :class:`.AzureMachineLearningBaseOperator`.

    :param compute_name: the instance's name. Templated.
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

    Further parameters: ``waiting``, ``deferrable``, ``poll_interval`` and ``timeout`` of :class:`.WaitingOperator`,
    ``conn_id`` (templated) of :class:`.AzureMachineLearningBaseOperator`.

    :param compute_name: the instance's name. Templated.
    :return: a dict: name, id, type, status (provisioning state), state (``Stopped``), size, tags, studio_url.
    :raises NotFoundError: there is no such compute.
    :raises SpecError: it is not an instance.
    :raises ProvisioningFailedError: Azure could not stop it.
    :raises WaitTimeoutError: it did not stop within ``timeout``.
    """

    action, wanted, under_way = "stop", "Stopped", "Stopping"
