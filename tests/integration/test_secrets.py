"""At level DEBUG of all libraries, and with whatever Azure answers: no log holds a secret."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import traceback
from argparse import Namespace
from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk._shared.secrets_masker import SecretsMasker, redact

from airflow_provider_azureml.datasets import Registry
from airflow_provider_azureml.provider.cli import commands
from airflow_provider_azureml.provider.errors import AzureMachineLearningError
from airflow_provider_azureml.provider.hook import AzureMachineLearningHook
from airflow_provider_azureml.provider.operators.data import AzureMachineLearningCreateDataOperator as CreateData
from airflow_provider_azureml.provider.operators.download import AzureMachineLearningDownloadOperator as Download
from airflow_provider_azureml.provider.operators.endpoint import AzureMachineLearningCreateEndpointOperator as Create
from airflow_provider_azureml.provider.operators.endpoint import AzureMachineLearningDeployEndpointOperator as Deploy
from airflow_provider_azureml.provider.operators.invoke import (
    AzureMachineLearningInvokeOnlineEndpointOperator as Invoke,
)
from airflow_provider_azureml.provider.operators.job import AzureMachineLearningCreateJobOperator as CreateJob
from airflow_provider_azureml.provider.operators.model import AzureMachineLearningRegisterModelOperator as RegisterModel
from airflow_provider_azureml.provider.operators.moving import AzureMachineLearningCopyAssetOperator as Copy
from airflow_provider_azureml.provider.operators.moving import AzureMachineLearningShareAssetOperator as Share

SIGNATURE = re.compile(r"sig=([^&\s\"']+)", re.IGNORECASE)


@pytest.fixture
def debug(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """All that any library says."""
    caplog.set_level(logging.DEBUG)
    return caplog


def shown(text: str) -> list[str]:
    """Return the signatures that are still in a text once Airflow has masked it."""
    return [found for found in SIGNATURE.findall(str(redact(text))) if found not in ("***", "REDACTED")]


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What Airflow's masker is told."""
    texts: list[str] = []
    add = SecretsMasker.add_mask

    def note(self: Any, secret: Any, name: str | None = None) -> None:
        texts.extend(secret if isinstance(secret, list) else [secret])
        add(self, secret, name)

    monkeypatch.setattr(SecretsMasker, "add_mask", note)
    return texts


@pytest.fixture
def signed(ws, azureml_emulator: Any) -> str:
    """A datastore whose secret the workspace gives out."""
    azureml_emulator.create_datastore("signed", workspace=ws.name, credentials="AccountKey", refuses_secrets=False)
    return "signed"


def test_an_upload_at_debug_shows_no_signature(ws, task, folder, debug, azureml_emulator, told, signed):
    task(CreateData, data_asset={"name": "sales", "path": str(folder), "datastore": signed}).run()
    assert any(len(text) > 20 for text in told), "the masker knows the signature"
    assert shown(debug.text) == []
    assert azureml_emulator.storage_key not in str(redact(debug.text))


def test_the_sdks_upload_of_code_at_debug_shows_no_signature(ws, task, cpu, folder, debug):
    job = {
        "type": "command",
        "command": "ls",
        "code": str(folder),
        "environment": {"image": "busybox"},
        "compute": "azureml:cpu",
    }
    task(CreateJob, job=job).run()
    assert "sig=***" in debug.text, "urllib3 has told of requests that were signed"
    assert shown(debug.text) == []


def test_the_masker_knows_what_a_datastore_was_opened_with(signed, told):
    async def secret() -> str:
        async with AzureMachineLearningHook("azureml").client() as client:
            return await client.get_datastore_secret(signed)

    assert shown(f"https://a.blob.core.windows.net/c?{asyncio.run(secret())}") == []
    assert told


TOKEN = re.compile(r"eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9\.[\w.-]+")  # of the emulator's Entra


@pytest.fixture
def nothing_given_away(debug: pytest.LogCaptureFixture, told: list[str], azureml_emulator: Any) -> Callable[..., None]:
    """Look for every secret of this test: in the log as Airflow masks it, and in what is kept as it is."""

    def look(runner: Any = None, *kept: Any) -> None:
        if runner is not None:
            kept = (*kept, runner.ti.xcoms, runner.store.values, runner.events)
            if runner.deferral:
                kept = (*kept, runner.deferral.trigger.serialize())
        raw = "\n".join(one if isinstance(one, str) else json.dumps(one, default=str) for one in kept)
        # Airflow also tells its masker all that a connection's extra holds.
        known = azureml_emulator.connection["extra"].values()
        given = {text for text in told if isinstance(text, str) and text not in known}
        secrets = {*given, azureml_emulator.client_secret, azureml_emulator.storage_key}
        for text in (raw, str(redact(debug.text))):
            assert [secret for secret in secrets if len(secret) > 8 and secret in text] == []
            assert shown(text) == []
            assert TOKEN.findall(text) == []

    return look


FAST = {"poll_interval": 0.1}


@pytest.mark.parametrize("deferrable", [False, True], ids=["in place", "deferred"])
def test_the_log_of_a_job_that_is_shown_gives_nothing_away(ws, task, azureml_emulator, nothing_given_away, deferrable):
    azureml_emulator.script_jobs([("Running", 0.5), "Completed"])
    environment = "azureml://registries/azureml/environments/sklearn/versions/1"
    job = {"type": "command", "command": "echo", "environment": environment}
    runner = task(CreateJob, job=job, waiting=True, deferrable=deferrable, **FAST)
    nothing_given_away(runner, runner.run())
    assert azureml_emulator.calls("GET", host="blob"), "a signed address was read"


def test_a_download_gives_nothing_away(ws, task, folder, signed, nothing_given_away, tmp_path):
    version = task(CreateData, data_asset={"name": "sales", "path": str(folder), "datastore": signed}).run()
    runner = task(Download, source=version, to=str(tmp_path / "to"))
    nothing_given_away(runner, version, runner.run())


def test_what_is_shared_with_a_registry_and_copied_back_gives_nothing_away(
    ws, task, folder, azureml_emulator, nothing_given_away
):
    registry = Registry(azureml_emulator.create_registry())
    task(RegisterModel, model={"name": "fraud", "path": str(folder)}).run()
    share = task(Share, workspace=ws, registry=registry, kind="model", asset_name="fraud", version="1")
    shared = share.run()
    fraud = {"kind": "model", "asset_name": "fraud", "version": "1"}
    copy = task(Copy, source=registry, workspace=ws, target_name="fraud-copy", **fraud)
    nothing_given_away(copy, shared, copy.run())
    nothing_given_away(share)


@pytest.mark.parametrize("auth_mode", ["key", "aml_token", "aad_token"])
@pytest.mark.parametrize("status", [200, 401, 503])
def test_a_request_to_an_endpoint_gives_its_key_away_to_nobody(
    ws, task, folder, azureml_emulator, nothing_given_away, told, auth_mode, status
):
    task(RegisterModel, model={"name": "fraud", "path": str(folder)}).run()
    task(Create, endpoint={"name": "fraud", "auth_mode": auth_mode}, **FAST).run()
    place = {"instance_type": "Standard_DS3_v2", "instance_count": 1}
    deployment = {"name": "blue", "endpoint_name": "fraud", "model": "azureml:fraud:1", **place}
    task(Deploy, deployment=deployment, **FAST).run()
    if status != 200:
        azureml_emulator.misbehave("POST", "/score", status=status, message="no")
    runner = task(Invoke, endpoint_name="fraud", request={}, deployment_name="blue")
    try:
        found = json.dumps(runner.run())
    except AzureMachineLearningError as error:
        found = "".join(traceback.format_exception(error))
    nothing_given_away(runner, found)
    assert auth_mode == "aad_token" or told, "the masker knows the key or token"


@pytest.mark.parametrize("trouble", [{"reset": True}, {"status": 403}, {"status": 400}, {"truncate": True}])
def test_the_traceback_of_what_storage_refuses_holds_no_signature(
    ws, task, folder, signed, azureml_emulator, nothing_given_away, tmp_path, monkeypatch, trouble
):
    from airflow_provider_azureml.provider.storage import container

    monkeypatch.setattr(container.ExponentialRetry, "get_backoff_time", lambda *_: 0)
    version = task(CreateData, data_asset={"name": "sales", "path": str(folder), "datastore": signed}).run()
    azureml_emulator.misbehave("GET", "/", host="blob", **trouble)
    runner = task(Download, source=version, to=str(tmp_path / "to"))
    with pytest.raises(AzureMachineLearningError) as caught:
        runner.run()
    nothing_given_away(runner, "".join(traceback.format_exception(caught.value)))


def test_the_check_command_prints_nothing_of_it(ws, nothing_given_away, capsys, monkeypatch):
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "")  # the command sets it, for its process
    commands.check(Namespace(conn_id="azureml", purposes=[], registry=None, event_queue=None, output="table"))
    nothing_given_away(None, capsys.readouterr().out)
