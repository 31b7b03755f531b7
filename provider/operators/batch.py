"""The operator that invokes batch endpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import sdk
from ..arguments import check_name
from ..errors import SpecError
from ..task_run import TaskRun
from .job import JobOperator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context

    from ..jobs.batch_invocation import BatchInvocation
    from ..rest.client import WorkspaceClient


class AzureMachineLearningInvokeBatchEndpointOperator(JobOperator):
    """
    Invoke an AzureML batch endpoint, and wait for the job that it starts.

    ::

        AzureMachineLearningInvokeBatchEndpointOperator(
            task_id="score",
            conn_id="azureml",
            endpoint_name="fraud-batch",
            inputs={"sales": {"type": "uri_folder", "path": "azureml:sales:{{ params.version }}"}},
            deferrable=True,
        )

    A retry after the worker or Airflow died finds the job that the earlier try started, by a tag. A retry after the job
    failed or was canceled, and a cleared task, start another. Ending the task cancels the job, in the worker and in the
    triggerer.

    :param endpoint_name: the batch endpoint's name. Templated.
    :param deployment_name: the deployment to use; the endpoint's default if None. Templated.
    :param inputs: name -> a literal, or a dict with ``type`` (``uri_folder``, ``uri_file``, ``mltable`` or a model
        type) and ``path`` (``azureml:NAME:VERSION`` of a data asset, ``azureml://...`` or ``https://...``), or
        azure-ai-ml's ``Input`` of them. Templated.
    :param outputs: name -> a dict with ``type`` and ``path``. Templated.
    :param waiting: wait until the job has ended; otherwise the task succeeds once it has started.
    :param deferrable: wait in the triggerer; Airflow's ``[operators] default_deferrable`` if None.
    :param poll_interval: seconds between two checks of the job.
    :param not_responding_grace: for how many seconds in a row the job may be NotResponding before it is canceled and
        the task fails.
    :param get_logs: show the job's log in the task's log, as :class:`AzureMachineLearningCreateJobOperator` does.
    :param timeout: how many seconds one try waits for the job at most, before it cancels it; None: for ever.
    :param conn_id: an Airflow connection of type ``azure_machine_learning``. Templated.
    :return: the job's facts as a dict, as of :class:`AzureMachineLearningCreateJobOperator`.
    :raises SpecError: an input is invalid, or the endpoint is being deleted; nothing was started.
    :raises NotFoundError: there is no such endpoint, deployment or data version; nothing was started.
    :raises JobFailedError: the job ended in Failed or Canceled, or did not respond; with the service's own reason.
    :raises WaitTimeoutError: it did not end within ``timeout``; it was canceled.
    """

    template_fields: Sequence[str] = ("endpoint_name", "deployment_name", "inputs", "outputs", "conn_id")

    def __init__(
        self,
        *,
        endpoint_name: str,
        inputs: dict[str, Any],
        outputs: dict[str, Any] | None = None,
        deployment_name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_name("endpoint", endpoint_name, parsing=True)
        self.endpoint_name = endpoint_name
        if deployment_name is not None:
            check_name("deployment", deployment_name, parsing=True)
        self.deployment_name = deployment_name
        self.inputs = sdk.plain_inputs(inputs)
        self.outputs = sdk.plain_inputs(outputs)

    def _submission_for(self, context: Context, client: WorkspaceClient) -> BatchInvocation:
        from ..jobs.batch_invocation import BatchInvocation
        from ..resources.endpoint import Endpoint

        endpoint = Endpoint(
            endpoint_name=self.endpoint_name, endpoint_type="batch", deployment_name=self.deployment_name
        )
        for side, given in (("inputs", self.inputs), ("outputs", self.outputs)):
            if given is not None and not isinstance(given, dict):
                raise SpecError(f"{side} must be a mapping of name to value, not {given!r}. Nothing was started.")
        return BatchInvocation(client, TaskRun(context), endpoint, self.inputs or {}, self.outputs or {})
