"""ARM's limits, and how big a request may be."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture
def limited(azureml_emulator: Any) -> Any:
    """A principal of its own, so that the buckets are full."""
    somebody = azureml_emulator.create_principal()
    azureml_emulator.configure(throttle=True, limits={"reads": [3, 1], "writes": [2, 0.5]})
    azureml_emulator.advance(rate=0)
    yield azureml_emulator.token(somebody["client_id"])
    azureml_emulator.advance(rate=1)


async def call(rest: Any, token: str, method: str, path: str) -> Any:
    from azure.core import AsyncPipelineClient
    from azure.core.rest import HttpRequest

    url = f"https://management.azure.com{rest.workspace_id}{path}?api-version=2024-10-01"
    async with AsyncPipelineClient("https://management.azure.com", policies=[]) as client:
        return await client.send_request(HttpRequest(method, url, headers={"Authorization": f"Bearer {token}"}))


async def test_a_bucket_runs_dry_and_fills_again(rest: Any, limited: str, azureml_emulator: Any) -> None:
    answers = [await call(rest, limited, "GET", "") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    left = [answer.headers["x-ms-ratelimit-remaining-subscription-reads"] for answer in answers[:3]]
    assert left == ["2", "1", "0"]
    assert answers[3].headers["Retry-After"] == "1"
    assert answers[3].json()["error"]["code"] == "SubscriptionRequestsThrottled"

    azureml_emulator.advance(1)
    assert (await call(rest, limited, "GET", "")).status_code == 200


async def test_reads_and_writes_have_buckets_of_their_own(rest: Any, limited: str) -> None:
    path = "/datastores/workspaceartifactstore/listSecrets"
    writes = [await call(rest, limited, "POST", path) for _ in range(3)]

    assert [answer.status_code for answer in writes] == [200, 200, 429]
    assert writes[2].headers["Retry-After"] == "2"
    assert (await call(rest, limited, "GET", "")).status_code == 200


async def test_another_principal_is_not_held_back(rest: Any, limited: str, azureml_emulator: Any) -> None:
    for _ in range(4):
        await call(rest, limited, "GET", "")
    other = azureml_emulator.token(azureml_emulator.create_principal()["client_id"])

    assert (await call(rest, other, "GET", "")).status_code == 200


async def test_a_request_that_is_too_big(rest: Any, azureml_emulator: Any) -> None:
    azureml_emulator.configure(max_body=1000)
    try:
        answer = await rest("PUT", "/models/m/versions/1", {"properties": {"modelUri": "x" * 1000}})
    finally:
        azureml_emulator.configure(max_body=4 * 1024 * 1024)

    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "RequestContentTooLarge")
