"""Identity, rights, limits, misbehaviour and crashes, through the async pipeline that triggers use."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from azure.core.exceptions import (
    ClientAuthenticationError,
    IncompleteReadError,
    ServiceRequestError,
    ServiceResponseError,
)

MODEL = {"properties": {"modelUri": "azureml://jobs/j/outputs/m", "modelType": "custom_model"}}


class TestIdentity:
    @pytest.mark.parametrize(
        ("field", "value", "status", "code"),
        [
            ("secret", "wrong", 401, "AADSTS7000215"),
            ("client", "00000000-0000-0000-0000-000000000000", 400, "AADSTS700016"),
            ("tenant", "00000000-0000-0000-0000-000000000000", 400, "AADSTS90002"),
        ],
    )
    async def test_a_wrong_credential_is_refused_as_entra_id_does(
        self, azureml_emulator: Any, field: str, value: str, status: int, code: str
    ) -> None:
        from azure.identity.aio import ClientSecretCredential

        emulator = azureml_emulator
        right = {"tenant": emulator.tenant_id, "client": emulator.client_id, "secret": emulator.client_secret}
        async with ClientSecretCredential(*{**right, field: value}.values()) as credential:
            with pytest.raises(ClientAuthenticationError, match=code):
                await credential.get_token("https://management.azure.com/.default")
        assert status in {call["status"] for call in emulator.calls(path_contains=value if field == "tenant" else "")}

    async def test_without_a_role_a_call_is_forbidden(self, rest: Any, azureml_emulator: Any) -> None:
        nobody = azureml_emulator.create_principal(role=None)
        token = azureml_emulator.token(nobody["client_id"])
        answer = await as_other(rest, token, "GET", "/jobs/j")

        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (403, "AuthorizationFailed")
        assert "'Microsoft.MachineLearningServices/workspaces/jobs/read'" in error["message"]
        assert answer.headers["x-ms-failure-cause"] == "gateway"

    async def test_a_reader_reads_and_does_not_write(self, rest: Any, azureml_emulator: Any) -> None:
        reader = azureml_emulator.create_principal(role="Reader")
        token = azureml_emulator.token(reader["client_id"])

        assert (await as_other(rest, token, "GET", "")).status_code == 200
        assert (await as_other(rest, token, "PUT", "/models/m/versions/1", MODEL)).status_code == 403

    async def test_a_role_is_given_and_taken_at_a_scope(self, rest: Any, azureml_emulator: Any) -> None:
        somebody = azureml_emulator.create_principal(role=None)
        token = azureml_emulator.token(somebody["client_id"])
        azureml_emulator.grant(somebody["client_id"], "Reader", scope=rest.workspace_id)
        assert (await as_other(rest, token, "GET", "")).status_code == 200

        azureml_emulator.revoke(somebody["client_id"])
        assert (await as_other(rest, token, "GET", "")).status_code == 403

    async def test_an_expired_token_answers_401_with_a_challenge(self, rest: Any, azureml_emulator: Any) -> None:
        await rest("GET", "")
        azureml_emulator.expire_tokens()
        answer = await rest("GET", "")

        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "ExpiredAuthenticationToken")
        assert answer.headers["WWW-Authenticate"].startswith("Bearer authorization_uri=")

    async def test_a_managed_identity_signs_in(self, azureml_emulator: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        from azure.identity.aio import ManagedIdentityCredential

        for name, value in azureml_emulator.managed_identity_environment.items():
            monkeypatch.setenv(name, value)
        async with ManagedIdentityCredential() as credential:
            token = await credential.get_token("https://management.azure.com/.default")
        assert token.token.count(".") == 2


class TestMissing:
    async def test_a_workspace(self, rest: Any) -> None:
        answer = await rest("GET", f"https://management.azure.com{rest.workspace_id}-not")

        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "ResourceNotFound")
        assert set(answer.json()["error"]) == {"code", "message"}

    async def test_the_workspace_of_something(self, rest: Any) -> None:
        answer = await rest("GET", f"https://management.azure.com{rest.workspace_id}-not/jobs/j")
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "ParentResourceNotFound")

    async def test_a_datastore_and_one_without_credentials(self, rest: Any, azureml_emulator: Any) -> None:
        assert (await rest("GET", "/datastores/nothing")).status_code == 404

        azureml_emulator.create_datastore("bare", workspace=azureml_emulator.workspace_name, credentials="None")
        answer = await rest("POST", "/datastores/bare/listSecrets", {"expirableSecret": True})
        assert (answer.status_code, answer.json()["error"]["message"]) == (
            400,
            "No secrets for credentials of type None.",
        )

    async def test_a_route_is_counted(self, rest: Any, azureml_emulator: Any) -> None:
        answer = await rest("GET", "/nonsense")

        assert (answer.status_code, set(answer.json()["error"])) == (404, {"code", "message"})
        assert len(azureml_emulator.unknown_routes) == 1


class TestMisbehaviour:
    async def test_a_status_with_retry_after_so_many_times(self, rest: Any, azureml_emulator: Any) -> None:
        azureml_emulator.misbehave("GET", "/jobs$", status=429, retry_after=2, times=2)
        answers = [await rest("GET", "/jobs") for _ in range(3)]

        assert [answer.status_code for answer in answers] == [429, 429, 200]
        assert answers[0].headers["Retry-After"] == "2"
        assert (await rest("GET", "")).status_code == 200

    async def test_latency(self, rest: Any, azureml_emulator: Any) -> None:
        azureml_emulator.misbehave("GET", "/jobs", latency=0.3)
        await rest("GET", "/jobs")

        assert azureml_emulator.calls("GET", "/jobs")[-1]["milliseconds"] >= 300

    # aiohttp itself repeats a PUT once, when a connection that it kept open is dropped: hence the two times.

    async def test_a_reset_before_acting(self, rest: Any, azureml_emulator: Any) -> None:
        azureml_emulator.misbehave("PUT", "/models/", reset=True, times=2)
        with pytest.raises((ServiceRequestError, ServiceResponseError)):
            await rest("PUT", "/models/m/versions/1", MODEL)
        assert (await rest("GET", "/models/m/versions/1")).status_code == 404

    async def test_a_lost_answer_has_acted(self, rest: Any, azureml_emulator: Any) -> None:
        azureml_emulator.misbehave("PUT", "/models/", lose_answer=True, times=2)
        with pytest.raises((ServiceRequestError, ServiceResponseError)):
            await rest("PUT", "/models/m/versions/1", MODEL)
        assert (await rest("GET", "/models/m/versions/1")).status_code == 200

    async def test_a_truncated_body(self, rest: Any, azureml_emulator: Any) -> None:
        azureml_emulator.misbehave("GET", "/jobs", truncate=True, times=1)
        with pytest.raises((IncompleteReadError, ServiceRequestError, ServiceResponseError)):
            await rest("GET", "/jobs")

    async def test_chance_is_reproducible_and_rules_are_forgotten(self, rest: Any, azureml_emulator: Any) -> None:
        azureml_emulator.misbehave("GET", "/jobs", status=503, probability=0.5)
        statuses = [(await rest("GET", "/jobs")).status_code for _ in range(40)]
        assert 5 < statuses.count(503) < 35

        azureml_emulator.behave()
        assert (await rest("GET", "/jobs")).status_code == 200

    async def test_a_test_waits_for_a_call(self, rest: Any, azureml_emulator: Any) -> None:
        waiting = asyncio.create_task(
            asyncio.to_thread(azureml_emulator.wait_for_call, "GET", "/jobs/awaited", timeout=5)
        )
        await rest("GET", "/jobs/awaited")
        assert [call["status"] for call in await waiting] == [404]

        with pytest.raises(TimeoutError, match="0 of 1 calls"):
            await asyncio.to_thread(azureml_emulator.wait_for_call, "GET", "/never", timeout=0.05)


async def as_other(rest: Any, token: str, method: str, path: str, body: Any = None) -> Any:
    """Call as somebody else: the pipeline's own token is replaced."""
    from azure.core import AsyncPipelineClient
    from azure.core.rest import HttpRequest

    async with AsyncPipelineClient("https://management.azure.com", policies=[]) as client:
        url = f"https://management.azure.com{rest.workspace_id}{path}?api-version=2024-10-01"
        headers = {"Authorization": f"Bearer {token}"}
        return await client.send_request(HttpRequest(method, url, json=body, headers=headers))


@pytest.mark.parametrize("query", ["", "?api-version=2999-01-01", "?api-version=2024-1-1"])
def test_a_call_without_an_api_version_or_with_an_unknown_one_is_refused(
    azureml_emulator: Any, workspace_id: str, query: str
) -> None:
    import requests

    headers = {"Authorization": f"Bearer {azureml_emulator.token()}"}
    url = f"https://management.azure.com{workspace_id}/models{query}"
    answer = requests.get(url, headers=headers, timeout=60)

    code = "NoRegisteredProviderFound" if query else "MissingApiVersionParameter"
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)
    assert answer.headers["x-ms-failure-cause"] == "gateway"
    if query:
        assert "for type 'workspaces/models'. The supported api-versions are '" in answer.json()["error"]["message"]


async def test_members_belong_to_previews_and_not_to_dates(rest: Any) -> None:
    body = {"properties": {"dataUri": "https://example.org/", "dataType": "uri_file"}}
    seen = {
        version: (await rest("PUT", "/data/sales/versions/1", body, api_version=version)).json()["properties"].keys()
        for version in ("2023-04-01-preview", "2024-04-01", "2025-12-01")
    }

    assert {"stage", "autoDeleteSetting", "intellectualProperty"} <= seen["2023-04-01-preview"]
    for stable in ("2024-04-01", "2025-12-01"):
        assert not {"stage", "autoDeleteSetting", "intellectualProperty"} & seen[stable]
