"""Which deployments answer: of an online endpoint by shares, of a batch endpoint the default."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from ..arguments import check_name, check_seconds, is_template
from ..errors import SpecError
from ..resources.endpoint import Endpoint, default_deployment
from ..resources.traffic import check_traffic, next_traffic, served
from ..rest.states import provisioning_failed
from ..task_run import TaskRun
from .base_resource import ResourceOperator

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow.sdk import Context

    from ..resources.base import Resource
    from ..rest.client import WorkspaceClient
    from ..triggers.resource import AzureMachineLearningResourceTrigger

_ON_ITS_WAY = ("Creating", "Updating")


class AzureMachineLearningSetEndpointTrafficOperator(ResourceOperator):
    """
    Share an online endpoint's requests among its deployments (blue/green), at once or gradually, and wait for that.

    ::

        AzureMachineLearningSetEndpointTrafficOperator(
            task_id="ten_percent", conn_id="azureml", endpoint_name="fraud", traffic={"blue": 90, "green": 10}
        )
        AzureMachineLearningSetEndpointTrafficOperator(
            task_id="roll_out",
            conn_id="azureml",
            endpoint_name="fraud",
            traffic={"green": 100},
            step=20,
            step_interval=600,
            deferrable=True,
        )

    The second moves 20 percent of the requests every ten minutes, from the traffic that there is. A retry, also after a
    crash, goes on from the traffic that there is then. Ending the task leaves the traffic as it is. Where a check
    decides whether to go on, put several operators in a row with the check between them.

    Further parameters: ``waiting``, ``deferrable``, ``poll_interval`` and ``timeout`` of :class:`.WaitingOperator`,
    ``conn_id`` (templated) of :class:`.AzureMachineLearningBaseOperator`.

    :param endpoint_name: the endpoint's name. Templated.
    :param traffic: deployment -> percent of the requests; deployments that are not named get none. The sum is 100, or
        0 for no traffic at all. Templated.
    :param step: how many percent of the requests move at a time; None: all at once. An endpoint without traffic gets
        all of it at once too, as there is nothing to move.
    :param step_interval: seconds from one step to the next.
    :return: a dict: name, id, status (provisioning state), tags, studio_url, scoring_uri, traffic.
    :raises SpecError: the percentages do not add up, or the endpoint is being deleted; nothing was changed.
    :raises NotFoundError: there is no such endpoint, or it lacks a deployment that the traffic names.
    :raises ProvisioningFailedError: Azure could not do it; with its reason.
    :raises WaitTimeoutError: a step was not in force within ``timeout``.
    """

    template_fields: Sequence[str] = ("endpoint_name", "traffic", "conn_id")

    def __init__(
        self,
        *,
        endpoint_name: str,
        traffic: dict[str, int],
        step: int | None = None,
        step_interval: float = 300.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_name("endpoint", endpoint_name, parsing=True)
        if not is_template(traffic) or (
            isinstance(traffic, dict) and not any(map(is_template, (*traffic, *traffic.values())))
        ):
            check_traffic(traffic)
        self.endpoint_name = endpoint_name
        self.traffic = traffic
        check_seconds("step_interval", step_interval)
        if step is not None and not (isinstance(step, int) and not isinstance(step, bool) and 1 <= step <= 100):
            raise SpecError(f"step is {step!r}; it can be a whole number of percent from 1 to 100, or None.")
        if step is not None and not self.waiting:
            raise SpecError("With waiting=False nobody would take the second step: leave step or waiting out.")
        self.step = step
        self.step_interval = step_interval

    async def _begin(self, context: Context, client: WorkspaceClient) -> tuple[Endpoint, str]:
        goal = check_traffic(self.traffic)
        endpoint = Endpoint(endpoint_name=self.endpoint_name)
        body = await endpoint.existing(client)
        for name in goal:
            await Endpoint(endpoint_name=self.endpoint_name, deployment_name=name).existing(client)
        now = served(body["properties"].get("traffic") or {})
        if now == goal:
            self.log.info("The %s has the traffic %s.", endpoint, goal)
        elif self.waiting and body["properties"].get("provisioningState") in _ON_ITS_WAY:
            self.log.info("The %s is being changed: waiting for that first.", endpoint)
        elif time.time() >= self._next_step_at(context):
            shares = next_traffic(now, goal, self.step)
            TaskRun(context).remember(next_step_at=0.0 if shares == goal else time.time() + self.step_interval)
            await self._change(context, client, endpoint, "PUT", json=_changed(body, traffic=shares))
            self.log.info("Traffic of the %s: %s.", endpoint, shares)
        return endpoint, self.wanted

    def _next_step_at(self, context: Context) -> float:
        """Return when the next step is due, in seconds since the epoch; soon enough where a clock was moved back."""
        return min(float(TaskRun(context).remember().get("next_step_at") or 0.0), time.time() + self.step_interval)

    def _trigger(self, context: Context, resource: Resource, state: str) -> AzureMachineLearningResourceTrigger:
        trigger = super()._trigger(context, resource, state)
        if (wait := self._next_step_at(context) - time.time()) > 0:
            trigger.not_before = time.time() + wait
            trigger.deadline = self._deadline(context, after=wait)
        return trigger

    def _finish(self, context: Context, found: Callable[[], Any]) -> dict[str, Any]:
        facts = super()._finish(context, found)
        return facts if served(facts["traffic"]) == check_traffic(self.traffic) else self._act(context)


class AzureMachineLearningSetDefaultDeploymentOperator(ResourceOperator):
    """
    Make a deployment of a batch endpoint its default, the one that answers who names none, and wait for that.

    ::

        AzureMachineLearningSetDefaultDeploymentOperator(
            task_id="switch", conn_id="azureml", endpoint_name="fraud-batch", deployment_name="v2"
        )

    Jobs that run go on where they began. A retry, also after a crash, looks first whether it is so already. To go back,
    name the earlier one: it is in the log.

    Further parameters: ``waiting``, ``deferrable``, ``poll_interval`` and ``timeout`` of :class:`.WaitingOperator`,
    ``conn_id`` (templated) of :class:`.AzureMachineLearningBaseOperator`.

    :param endpoint_name: the batch endpoint's name. Templated.
    :param deployment_name: the deployment's name. Templated.
    :return: a dict: name, id, status (provisioning state), tags, studio_url, scoring_uri, traffic, default_deployment.
    :raises SpecError: a name is none, the endpoint or the deployment is being deleted, or the deployment has failed;
        nothing was changed.
    :raises NotFoundError: there is no such endpoint or deployment.
    :raises ProvisioningFailedError: Azure could not do it; with its reason.
    :raises WaitTimeoutError: it was not in force within ``timeout``.
    """

    template_fields: Sequence[str] = ("endpoint_name", "deployment_name", "conn_id")

    def __init__(self, *, endpoint_name: str, deployment_name: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_name("endpoint", endpoint_name, parsing=True)
        check_name("deployment", deployment_name, parsing=True)
        self.endpoint_name = endpoint_name
        self.deployment_name = deployment_name

    async def _begin(self, context: Context, client: WorkspaceClient) -> tuple[Endpoint, str]:
        check_name("deployment", self.deployment_name)
        endpoint = Endpoint(endpoint_name=self.endpoint_name, endpoint_type="batch")
        body = await endpoint.existing(client)
        deployment = Endpoint(
            endpoint_name=self.endpoint_name, endpoint_type="batch", deployment_name=self.deployment_name
        )
        state = (await deployment.existing(client))["properties"].get("provisioningState")
        if provisioning_failed(state):
            raise SpecError(f"The {deployment} is {state}: it answers nobody. Nothing was changed.")
        now = default_deployment(body)
        if now == self.deployment_name:
            self.log.info("The default of the %s is %s.", endpoint, now)
        elif self.waiting and body["properties"].get("provisioningState") in _ON_ITS_WAY:
            self.log.info("The %s is being changed: waiting for that first.", endpoint)
        else:
            wanted = {**(body["properties"].get("defaults") or {}), "deploymentName": self.deployment_name}
            await self._change(context, client, endpoint, "PUT", json=_changed(body, defaults=wanted))
            self.log.info("The default of the %s: %s, before %s.", endpoint, self.deployment_name, now or "none")
        return endpoint, self.wanted

    def _finish(self, context: Context, found: Callable[[], Any]) -> dict[str, Any]:
        facts = super()._finish(context, found)
        return facts if facts["default_deployment"] == self.deployment_name else self._act(context)


def _changed(body: dict[str, Any], **properties: Any) -> dict[str, Any]:
    """Return the body of an update of an endpoint that changes some of its properties alone."""
    read_only = ("provisioningState", "scoringUri", "swaggerUri")
    now = {key: value for key, value in body["properties"].items() if key not in read_only}
    kept = {key: body[key] for key in ("location", "tags", "kind", "sku") if body.get(key)}
    if identity := body.get("identity"):
        kept["identity"] = {key: identity[key] for key in ("type", "userAssignedIdentities") if identity.get(key)}
    return {**kept, "properties": {**now, **properties}}
