"""Lists and addresses as no service should give them: nobody else gets the token, and nothing goes on for ever."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from airflow_provider_azureml.datasets import Kind
from airflow_provider_azureml.provider.connection import CLOUDS
from airflow_provider_azureml.provider.errors import RequestRefusedError, TransientError
from airflow_provider_azureml.provider.rest.client import WorkspaceClient
from airflow_provider_azureml.provider.rest.transport import Answer, Transport

from .virtual_service import CONNECTION, Service, run, wait_for_jobs

ARM = "https://management.azure.com"


class Asked:
    """A transport that answers each request as it is told, and keeps what it was asked."""

    def __init__(self, *bodies: Any) -> None:
        self.bodies = bodies
        self.urls: list[str] = []

    async def request(self, method: str, url: str, **options: Any) -> Answer:
        self.urls.append(url)
        await asyncio.sleep(0)
        return Answer(200, self.bodies[min(len(self.urls), len(self.bodies)) - 1], {})


async def read(client: WorkspaceClient) -> list[Any]:
    return [found async for found in client.list_fingerprints(Kind.MODEL)]


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Where requests went, with their token."""
    urls: list[str] = []

    async def send(self: Any, request: Any, *, retry: bool) -> tuple[int, str, dict[str, str]]:
        urls.append(str(request.url))
        return 200, "{}", {}

    monkeypatch.setattr(Transport, "_send", send)
    return urls


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/subscriptions/1",
        "https://management.azure.com.evil.example/subscriptions/1",
        "https://evilmanagement.azure.com/subscriptions/1",
        "https://management.azure.com@evil.example/subscriptions/1",
        "@evil.example/subscriptions/1",
        ".evil.example/subscriptions/1",
        "http://management.azure.com/subscriptions/1",
        "https://evil.example\\@management.azure.com/",
        "https://[::1/",
        "",
    ],
)
async def test_an_address_that_an_answer_gives_gets_the_token_only_if_it_is_azures(sent: list[str], url: str) -> None:
    async with Transport(CONNECTION) as transport:
        with pytest.raises(RequestRefusedError, match="is not sent"):
            await transport.request("GET", url)
    assert sent == []


@pytest.mark.parametrize(
    ("cloud", "url"),
    [
        ("AzurePublicCloud", "https://management.azure.com/subscriptions/1"),
        ("AzurePublicCloud", "https://management.azure.com:443/subscriptions/1"),
        ("AzurePublicCloud", "https://Management.Azure.com/subscriptions/1"),
        ("AzurePublicCloud", "/subscriptions/1"),
        ("AzurePublicCloud", "https://eastus.api.azureml.ms/history/v1.0"),
        ("AzurePublicCloud", "https://cert-eastus.experiments.azureml.net/mferp"),
        ("AzurePublicCloud", "https://scorer.eastus.inference.ml.azure.com/jobs"),
        ("AzureChinaCloud", "https://chinaeast2.api.ml.azure.cn/discovery"),
        ("AzureUSGovernment", "https://usgovarizona.api.ml.azure.us/discovery"),
    ],
)
async def test_azures_own_hosts_are_asked(sent: list[str], cloud: str, url: str) -> None:
    from dataclasses import replace

    async with Transport(replace(CONNECTION, cloud=CLOUDS[cloud])) as transport:
        await transport.request("GET", url)
    assert len(sent) == 1


@pytest.mark.parametrize("links", [1, 2], ids=["its own", "the one before"])
async def test_a_list_whose_pages_lead_back_to_one_another_is_an_error(links: int) -> None:
    pages = [{"value": [], "nextLink": f"{ARM}/models?at={page % links}"} for page in range(50)]
    asked = Asked(*pages)
    client = WorkspaceClient(CONNECTION, transport=asked)  # type: ignore[arg-type]
    with pytest.raises(RequestRefusedError, match="leads back"):
        await asyncio.wait_for(read(client), 30)
    assert len(asked.urls) == links + 1


@pytest.mark.parametrize("body", [[], "text", 7, {"value": 7}, {"value": [None]}], ids=repr)
async def test_a_list_in_another_shape_is_an_error_that_says_so(body: Any) -> None:
    client = WorkspaceClient(CONNECTION, transport=Asked(body))  # type: ignore[arg-type]
    with pytest.raises(TransientError, match="another shape"):
        await read(client)


async def test_a_page_of_html_is_told_for_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    async def send(self: Any, request: Any, *, retry: bool) -> Any:
        return 200, "<!doctype html><title>Sign in to the proxy</title>", {"content-type": "text/html"}

    monkeypatch.setattr(Transport, "_send", send)
    async with Transport(CONNECTION) as transport:
        with pytest.raises(TransientError, match=r"management.azure.com .*text/html.*<!doctype html>"):
            await transport.request("GET", "/subscriptions/1")


def test_waits_hear_though_their_list_leads_back_to_itself() -> None:
    class Circle(Service):
        def _page(self, url: str) -> dict[str, Any]:
            return {**super()._page(url), "nextLink": f"{ARM}/subscriptions/x/jobs?at=0"}

    names = [f"job{number}" for number in range(300)]
    service = Circle(ends=dict.fromkeys(names, 1100.0), older=1000)
    outcome = run(wait_for_jobs(service, names, seconds=400))
    assert len(outcome.delays) == 300
    assert service.reads["list"] < 60
