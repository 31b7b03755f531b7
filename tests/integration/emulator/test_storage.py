"""Storage: real Azurite behind the production host names, seen and disturbed on the way."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError, ServiceRequestError, ServiceResponseError


@pytest.fixture
async def container(rest: Any, azureml_emulator: Any) -> AsyncIterator[Any]:
    """The default datastore's container, opened with the signature that a datastore hands out; no retries."""
    from azure.storage.blob.aio import ContainerClient

    azureml_emulator.create_datastore("open", workspace=azureml_emulator.workspace_name)
    store = (await rest("GET", "/datastores/open")).json()["properties"]
    body = {"expirableSecret": True, "expireAfterHours": 1}
    secret = (await rest("POST", "/datastores/open/listSecrets", body)).json()
    url = f"https://{store['accountName']}.blob.{store['endpoint']}"
    async with ContainerClient(url, store["containerName"], secret["sasToken"].lstrip("?"), retry_total=0) as client:
        yield client


async def test_bytes_go_in_and_come_out(container: Any) -> None:
    content = os.urandom(900_000)
    await container.upload_blob("big.bin", io.BytesIO(content))
    blob = await container.download_blob("big.bin")

    assert hashlib.sha256(await blob.readall()).digest() == hashlib.sha256(content).digest()
    assert [found.name async for found in container.list_blobs()] == ["big.bin"]


async def test_a_part_of_a_blob_and_its_metadata(container: Any) -> None:
    await container.upload_blob("a/b.txt", b"0123456789", metadata={"who": "me"})
    part = await container.download_blob("a/b.txt", offset=2, length=3)

    assert await part.readall() == b"234"
    assert (await container.get_blob_client("a/b.txt").get_blob_properties()).metadata == {"who": "me"}


async def test_a_signature_that_is_not_right_is_refused(container: Any) -> None:
    from azure.storage.blob.aio import BlobClient

    url = container.url.partition("?")[0] + "/a.txt?sv=2020-08-04&sig=AAAA&se=2099-01-01T00:00:00Z&srt=co&ss=b&sp=r"
    async with BlobClient.from_blob_url(url, retry_total=0) as blob:
        with pytest.raises(HttpResponseError) as error:
            await blob.download_blob()
    assert error.value.status_code == 403


async def test_calls_to_storage_are_logged_apart_and_without_signatures(container: Any, azureml_emulator: Any) -> None:
    await container.upload_blob("seen.txt", b"x")

    (call,) = azureml_emulator.calls("PUT", "/seen.txt", host="blob")
    assert (call["status"], call["query"]["sig"]) == (201, "...")
    assert azureml_emulator.calls("PUT", "/seen.txt") == []


async def test_storage_is_busy(container: Any, azureml_emulator: Any) -> None:
    azureml_emulator.misbehave("PUT", host="blob", status=503, times=1)
    with pytest.raises(HttpResponseError) as error:
        await container.upload_blob("busy.txt", b"x")
    assert (error.value.status_code, error.value.error_code) == (503, "ServerBusy")
    await container.upload_blob("busy.txt", b"x")


async def test_an_upload_of_which_the_answer_is_lost_has_happened(container: Any, azureml_emulator: Any) -> None:
    azureml_emulator.misbehave("PUT", host="blob", lose_answer=True, times=2)
    with pytest.raises((ServiceRequestError, ServiceResponseError)):
        await container.upload_blob("lost.txt", b"x", overwrite=True)
    assert await container.get_blob_client("lost.txt").exists()


async def test_an_upload_is_cut_off(container: Any, azureml_emulator: Any) -> None:
    azureml_emulator.misbehave("PUT", host="blob", reset=True, times=2)
    with pytest.raises((ServiceRequestError, ServiceResponseError)):
        await container.upload_blob("cut.txt", os.urandom(500_000))
    assert not await container.get_blob_client("cut.txt").exists()


async def test_a_download_is_truncated(container: Any, azureml_emulator: Any) -> None:
    await container.upload_blob("half.bin", os.urandom(100_000))
    azureml_emulator.misbehave("GET", host="blob", truncate=True)
    with pytest.raises(HttpResponseError, match="not completed"):
        await (await container.download_blob("half.bin")).readall()


async def test_a_bearer_token_opens_storage(azureml_emulator: Any, container: Any) -> None:
    from azure.identity.aio import ClientSecretCredential
    from azure.storage.blob.aio import BlobServiceClient

    emulator = azureml_emulator
    await container.upload_blob("token.txt", b"x")
    async with ClientSecretCredential(emulator.tenant_id, emulator.client_id, emulator.client_secret) as credential:
        url = f"https://{emulator.storage_account}.blob.core.windows.net"
        async with BlobServiceClient(url, credential) as client:
            blob = client.get_blob_client(container.container_name, "token.txt")
            assert await (await blob.download_blob()).readall() == b"x"


def test_the_synchronous_sdk_as_well(azureml_emulator: Any, tmp_path: Path) -> None:
    from azure.storage.blob import BlobServiceClient

    emulator = azureml_emulator
    url = f"https://{emulator.storage_account}.blob.core.windows.net"
    with BlobServiceClient(url, emulator.storage_key) as client:
        with client.create_container("mine") as container:
            container.upload_blob("a.txt", b"x" * 5_000_000)
            assert len(container.download_blob("a.txt").readall()) == 5_000_000
        client.delete_container("mine")


async def test_folders_of_a_hierarchical_namespace_are_listed_and_not_deleted_while_they_are_full(
    container: Any, azureml_emulator: Any
) -> None:
    azureml_emulator.configure(hierarchical=True)
    await container.upload_blob("a/b/c.txt", b"x")

    found = [(blob.name, blob.metadata) async for blob in container.list_blobs(include=["metadata"])]
    folder = {"hdi_isfolder": "true"}
    assert found == [("a", folder), ("a/b", folder), ("a/b/c.txt", {})]
    assert [blob.name async for blob in container.list_blobs(name_starts_with="a/b/")] == ["a/b/c.txt"]
    with pytest.raises(HttpResponseError) as refused:
        await container.delete_blob("a/b")
    assert (refused.value.status_code, refused.value.error_code) == (409, "DirectoryIsNotEmpty")

    await container.delete_blob("a/b/c.txt")
    assert [blob.name async for blob in container.list_blobs()] == ["a", "a/b"]
    await container.delete_blob("a/b")
    assert [blob.name async for blob in container.list_blobs()] == ["a"]


async def test_pages_of_blobs_hold_each_folder_once(container: Any, azureml_emulator: Any) -> None:
    azureml_emulator.configure(hierarchical=True)
    names = [f"{folder}/{number}.txt" for folder in "abc" for number in range(3)]
    for name in names:
        await container.upload_blob(name, b"x")

    seen = [blob.name async for blob in container.list_blobs(results_per_page=2)]
    assert seen == sorted([*"abc", *names])
