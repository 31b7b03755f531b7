"""The operator that shares an online endpoint's requests among its deployments: blue/green, at once or step by step."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from ..arguments import check_name, check_seconds, is_template
from ..errors import SpecError
from ..resources.endpoint import Endpoint
from ..resources.traffic import check_traffic, next_traffic, served
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
            await self._change(context, client, endpoint, "PUT", json=_with_traffic(body, shares))
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


def _with_traffic(body: dict[str, Any], shares: dict[str, int]) -> dict[str, Any]:
    """Return the body of an update that changes the traffic alone."""
    read_only = ("provisioningState", "scoringUri", "swaggerUri")
    properties = {key: value for key, value in body["properties"].items() if key not in read_only}
    kept = {key: body[key] for key in ("location", "tags", "kind", "sku") if body.get(key)}
    if identity := body.get("identity"):
        kept["identity"] = {key: identity[key] for key in ("type", "userAssignedIdentities") if identity.get(key)}
    return {**kept, "properties": {**properties, "traffic": shares}}
