"""The operator that sends one request to an online endpoint: a smoke test before it gets traffic, or after."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ..arguments import NO_VALUE, check_name, check_seconds
from ..errors import SpecError
from ..links import push_studio_url
from ..resources.endpoint import Endpoint
from ..resources.scoring import score
from .base import AzureMachineLearningBaseOperator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context

    from ..rest.client import WorkspaceClient


class AzureMachineLearningInvokeOnlineEndpointOperator(AzureMachineLearningBaseOperator):
    """
    Send a request to an AzureML online endpoint; a status other than 2xx fails the task.

    ::

        AzureMachineLearningInvokeOnlineEndpointOperator(
            task_id="smoke_test",
            conn_id="azureml",
            endpoint_name="fraud",
            deployment_name="green",
            request={"input_data": [[1, 2, 3]]},
        )

    The connection's identity fetches the endpoint's key or token, as the endpoint's ``auth_mode`` says. The request is
    sent once for each try.

    ``conn_id`` (templated) is explained by :class:`.AzureMachineLearningBaseOperator`.

    :param endpoint_name: the endpoint's name. Templated.
    :param request: a dict or list, sent as JSON; or a path to a file that is sent as it is (relative paths start at the
        DAG file's folder). Templated.
    :param deployment_name: the deployment that is to answer, also one without traffic; None: as the traffic says.
        Templated.
    :param timeout: seconds to wait for the answer.
    :return: a dict: status, deployment (the one that answered), response (JSON, or text).
    :raises NotFoundError: there is no such endpoint.
    :raises SpecError: the file cannot be read, or the endpoint has no address yet.
    :raises RequestRefusedError: the endpoint answered with another status than 2xx; with what it said.
    :raises TransientError: it is busy (429, 5xx) or gives no answer in time; a retry may succeed.
    """

    template_fields: Sequence[str] = ("endpoint_name", "request", "deployment_name", "conn_id")

    def __init__(
        self,
        *,
        endpoint_name: str,
        request: Any,
        deployment_name: str | None = None,
        timeout: float = 60.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_seconds("timeout", timeout)
        check_name("endpoint", endpoint_name, parsing=True)
        if deployment_name is not None:
            check_name("deployment", deployment_name, parsing=True)
        self.endpoint_name = endpoint_name
        self.request = request
        self.deployment_name = deployment_name
        self.timeout = timeout

    def execute(self, context: Context) -> dict[str, Any]:
        """Send the request and return the answer."""
        content = self._content()
        answer: dict[str, Any] = self.hook.ask(lambda client: self._invoke(context, client, content))
        return answer

    def _content(self) -> bytes:
        if self.request in (None, "", "None"):
            raise SpecError(f"The request is {self.request!r}: {NO_VALUE}.")
        if not isinstance(self.request, str):
            try:
                return json.dumps(self.request).encode()
            except (TypeError, ValueError) as error:
                raise SpecError(f"The request holds a value that is not JSON: {error}.") from None
        path = self._dag_folder / self.request
        try:
            return path.read_bytes()
        except OSError as error:
            raise SpecError(f"The request's file {path} cannot be read: {error.strerror}.") from None

    async def _invoke(self, context: Context, client: WorkspaceClient, content: bytes) -> dict[str, Any]:
        endpoint = Endpoint(endpoint_name=self.endpoint_name)
        push_studio_url(context, endpoint.url(client.connection))
        answer = await score(client, endpoint, content, deployment_name=self.deployment_name, seconds=self.timeout)
        self.log.info("Deployment %s of the %s answered with %s.", answer["deployment"], endpoint, answer["status"])
        return answer
