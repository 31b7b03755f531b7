from __future__ import annotations

import asyncio
import warnings
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_azureml.emulator import Emulator


@pytest.fixture(autouse=True)
def _lists_show_everything_at_once(request: pytest.FixtureRequest) -> None:
    """That lists may lag has a test of its own; the others here are about what is in them."""
    if "azureml_emulator" in request.fixturenames:
        request.getfixturevalue("azureml_emulator").configure(list_delay=0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two files, as users upload them."""
    source = tmp_path / "source"
    (source / "nested").mkdir(parents=True)
    (source / "a.txt").write_text("alpha")
    (source / "nested" / "b.txt").write_text("beta")
    return source


@pytest.fixture
def ml(azureml_emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The unmodified SDK, in a workspace of this test's own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from azure.ai.ml import MLClient
    from azure.identity import ClientSecretCredential

    monkeypatch.setenv("AZUREML_CURRENT_CLOUD", "AzureCloud")
    emulator = azureml_emulator
    with ClientSecretCredential(emulator.tenant_id, emulator.client_id, emulator.client_secret) as credential:
        yield MLClient(credential, emulator.subscription_id, emulator.resource_group, emulator.workspace_name)


@pytest.fixture
def workspace_id(azureml_emulator: Emulator) -> str:
    emulator = azureml_emulator
    return (
        f"/subscriptions/{emulator.subscription_id}/resourceGroups/{emulator.resource_group}"
        f"/providers/Microsoft.MachineLearningServices/workspaces/{emulator.workspace_name}"
    )


class Rest:
    """The pipeline of azure-core that a trigger uses: bearer token, retries off, ARM REST in and out."""

    def __init__(self, client: Any, workspace_id: str) -> None:
        self.client, self.workspace_id = client, workspace_id

    async def __call__(self, method: str, path: str, body: Any = None, **options: Any) -> Any:
        from azure.core.rest import HttpRequest

        url = path if path.startswith("https://") else f"https://management.azure.com{self.workspace_id}{path}"
        if "api-version" not in url:
            url += ("&" if "?" in url else "?") + "api-version=" + options.pop("api_version", "2024-10-01")
        request = HttpRequest(method, url, json=body, headers=options.pop("headers", None))
        return await self.client.send_request(request, **options)


@pytest.fixture
async def rest(azureml_emulator: Emulator, workspace_id: str) -> AsyncIterator[Rest]:
    from azure.core import AsyncPipelineClient
    from azure.core.pipeline.policies import AsyncBearerTokenCredentialPolicy, HeadersPolicy
    from azure.identity.aio import ClientSecretCredential

    emulator = azureml_emulator
    credential = ClientSecretCredential(emulator.tenant_id, emulator.client_id, emulator.client_secret)
    policies = [
        HeadersPolicy(),
        AsyncBearerTokenCredentialPolicy(credential, "https://management.azure.com/.default"),
    ]
    async with credential, AsyncPipelineClient("https://management.azure.com", policies=policies) as client:
        yield Rest(client, workspace_id)
    await asyncio.sleep(0.05)  # TLS connections end
