"""One request to an online endpoint: with its key or token, to the deployment that is meant; what fails the task."""

from __future__ import annotations

import logging
from typing import Any

import aiohttp
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


def test_no_answer_in_time_is_worth_another_try(ws, task, endpoint, azureml_emulator):
    endpoint()
    azureml_emulator.misbehave("POST", "/score", latency=5)
    with pytest.raises(TransientError, match=r"'fraud' gave no answer at https://.* within 0\.5 s"):
        task(Invoke, endpoint_name="fraud", request={}, timeout=0.5).run()


def test_the_timeout_is_the_one_that_is_given_and_no_library_has_a_shorter_one(
    ws, task, endpoint, azureml_emulator, monkeypatch
):
    endpoint()
    monkeypatch.setattr("aiohttp.client.DEFAULT_TIMEOUT", aiohttp.ClientTimeout(total=0.5))
    azureml_emulator.misbehave("POST", "/score", latency=1.5)
    assert task(Invoke, endpoint_name="fraud", request={}, timeout=30).run()["status"] == 200


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_no_success_and_is_not_followed_with_the_key(ws, task, endpoint, azureml_emulator, status):
    endpoint()
    azureml_emulator.misbehave("POST", "/score", status=status, message="elsewhere", times=1)
    with pytest.raises(RequestRefusedError, match=f"answered with {status}"):
        task(Invoke, endpoint_name="fraud", request={}).run()


@pytest.mark.parametrize("auth_mode", ["Key", "AMLToken", "AADToken"])
def test_neither_key_nor_token_is_in_log_result_or_error(ws, task, endpoint, azureml_emulator, auth_mode, caplog):
    from airflow_provider_azureml.provider.resources import scoring

    caplog.set_level(logging.DEBUG)
    endpoint(auth_mode)
    secrets: list[str] = []
    original = scoring._token

    async def token(*args: Any) -> str:
        secrets.append(await original(*args))
        return secrets[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scoring, "_token", token)
        result = task(Invoke, endpoint_name="fraud", request={"rows": [1]}).run()
        azureml_emulator.misbehave("POST", "/score", status=400, message="The model says no.", times=1)
        with pytest.raises(RequestRefusedError) as raised:
            task(Invoke, endpoint_name="fraud", request={}).run()
    assert len(secrets) == 2
    assert all(secret not in f"{result} {raised.value} {caplog.text}" for secret in secrets)


@pytest.mark.parametrize(
    ("content", "shown"), [(b"plain text", "plain text"), (b"", ""), (b"\xff\xfe", "\ufffd\ufffd"), (b"[1, 2]", [1, 2])]
)
async def test_a_response_that_is_no_json_is_its_text(content, shown):
    from airflow_provider_azureml.provider.resources.scoring import _json

    assert _json(content.decode(errors="replace")) == shown


@pytest.mark.parametrize("request_", [None, "", "None", {"x": object()}])
def test_a_request_that_is_none_is_said_before_the_endpoint_is_asked(ws, task, azureml_emulator, request_):
    with pytest.raises(SpecError, match="The request"):
        task(Invoke, endpoint_name="fraud", request=request_).run()
    assert not azureml_emulator.calls("GET", "/onlineEndpoints/")


def test_what_is_missing(ws, task, endpoint, tmp_path, azureml_emulator):
    with pytest.raises(NotFoundError, match="no online endpoint 'fraud'"):
        task(Invoke, endpoint_name="fraud", request={}).run()
    with pytest.raises(SpecError, match=r"file .*none.json cannot be read"):
        task(Invoke, endpoint_name="fraud", request=str(tmp_path / "none.json")).run()
    assert not azureml_emulator.calls("POST", "/score")
