"""One request to an online endpoint: with its key or token, to the deployment that is meant; what fails the task."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_azureml.provider.errors import (
    AuthenticationError,
    NotFoundError,
    RequestRefusedError,
    SpecError,
    TransientError,
)
from airflow_provider_azureml.provider.operators.invoke import (
    AzureMachineLearningInvokeOnlineEndpointOperator as Invoke,
)


@pytest.fixture
def endpoint(ws: Any, ask: Any, azureml_emulator: Any) -> Any:
    """Make the endpoint `fraud` with the deployments `blue`, which has the traffic, and `green`."""

    def make(auth_mode: str = "Key") -> None:
        place = {"location": "westeurope"}

        def put(path: tuple[str, ...], **properties: Any) -> None:
            body = {**place, "properties": properties}
            ask(lambda client: client.change_resource("PUT", "onlineEndpoints", "fraud", *path, json=body))
            azureml_emulator.advance(60)

        put((), authMode=auth_mode, traffic={})
        for name in ("blue", "green"):
            put(("deployments", name), model="m", endpointComputeType="Managed")
        put((), authMode=auth_mode, traffic={"blue": 100})

    return make


@pytest.mark.parametrize("auth_mode", ["Key", "AMLToken", "AADToken"])
def test_a_request_is_sent_with_what_the_endpoint_asks_for(ws, task, endpoint, auth_mode):
    endpoint(auth_mode)
    runner = task(Invoke, endpoint_name="fraud", request={"rows": [1]})
    result = runner.run()
    assert (result["status"], result["deployment"]) == (200, "blue")
    assert result["response"]["input"] == {"rows": [1]}
    assert runner.ti.xcoms["azureml_studio_url"]


def test_a_file_is_sent_to_a_deployment_without_traffic(ws, task, endpoint, tmp_path):
    endpoint()
    (tmp_path / "request.json").write_text('{"rows": [2]}')
    result = task(Invoke, endpoint_name="fraud", request=str(tmp_path / "request.json"), deployment_name="green").run()
    assert (result["deployment"], result["response"]["input"]) == ("green", {"rows": [2]})


@pytest.mark.parametrize(
    ("status", "error"),
    [(400, RequestRefusedError), (424, RequestRefusedError), (401, AuthenticationError), (503, TransientError)],
)
def test_another_status_than_2xx_fails_with_what_the_endpoint_says(ws, task, endpoint, azureml_emulator, status, error):
    endpoint()
    azureml_emulator.misbehave("POST", "/score", status=status, message="The model says no.", times=1)
    with pytest.raises(error, match=rf"'fraud' answered with {status}: .*The model says no."):
        task(Invoke, endpoint_name="fraud", request={}).run()
    assert len(azureml_emulator.calls("POST", "/score")) == 1, "sent once"


def test_what_is_missing(ws, task, endpoint, tmp_path, azureml_emulator):
    with pytest.raises(NotFoundError, match="no online endpoint 'fraud'"):
        task(Invoke, endpoint_name="fraud", request={}).run()
    with pytest.raises(SpecError, match=r"file .*none.json cannot be read"):
        task(Invoke, endpoint_name="fraud", request=str(tmp_path / "none.json")).run()
    assert not azureml_emulator.calls("POST", "/score")
