"""At level DEBUG of all libraries, and with whatever Azure answers: no log holds a secret."""

from __future__ import annotations

import asyncio
import logging
import re
from typing import Any

import pytest
from airflow.sdk._shared.secrets_masker import SecretsMasker, redact

from airflow_provider_azureml.provider.hook import AzureMachineLearningHook
from airflow_provider_azureml.provider.operators.data import AzureMachineLearningCreateDataOperator as CreateData
from airflow_provider_azureml.provider.operators.job import AzureMachineLearningCreateJobOperator as CreateJob

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
