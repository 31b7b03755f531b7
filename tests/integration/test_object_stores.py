"""A real object store at both ends: downloads into one, and reading a version where it is. Blob storage, by adlfs."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import ObjectStoragePath
from airflow.sdk.io import attach
from airflow.sdk.io.store import _STORE_CACHE
from azure.storage.blob import ContainerClient

from airflow_provider_azureml.provider.errors import AzureMachineLearningError, PermissionDeniedError, TransientError
from airflow_provider_azureml.provider.hook import AzureMachineLearningHook
from airflow_provider_azureml.provider.operators.data import AzureMachineLearningCreateDataOperator as CreateData
from airflow_provider_azureml.provider.operators.download import AzureMachineLearningDownloadOperator as Download
from airflow_provider_azureml.provider.storage import download, flow, targets, upload
from airflow_provider_azureml.provider.storage.sources import find_source

adlfs = pytest.importorskip("adlfs")
BLOCK = 64 * 1024


@pytest.fixture
def filesystem(ws: Any, azureml_emulator: Any) -> Any:
    """The emulator's storage account, as adlfs opens it with its key."""
    return adlfs.AzureBlobFileSystem(
        account_name=azureml_emulator.storage_account,
        account_key=azureml_emulator.storage_key,
        skip_instance_cache=True,
    )


@pytest.fixture
def container(filesystem: Any, azureml_emulator: Any) -> Iterator[ContainerClient]:
    """A container of it, for a test's own hands."""
    account = f"https://{azureml_emulator.storage_account}.blob.core.windows.net"
    key = azureml_emulator.storage_key
    with ContainerClient(account, f"lake-{uuid.uuid4().hex[:8]}", credential=key) as container:
        container.create_container()
        yield container


@pytest.fixture
def place(filesystem: Any, container: ContainerClient) -> Iterator[ObjectStoragePath]:
    """A folder in it, as a DAG names it: `abfss://...`."""
    attach("abfss", fs=filesystem)
    yield ObjectStoragePath(f"abfss://{container.container_name}/to")
    _STORE_CACHE.pop("abfss")


@pytest.fixture
def large(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that goes in blocks, beside an empty one and one of an odd name."""
    for module in (flow, upload, download, targets):
        monkeypatch.setattr(module, "BLOCK", BLOCK)
    (folder / "large.bin").write_bytes(os.urandom(5 * BLOCK))
    (folder / "empty").write_bytes(b"")
    (folder / "odd name 50%.txt").write_text("odd")
    return folder


@pytest.fixture
def sales(ws: Any, task: Any, large: Path) -> dict[str, Any]:
    """A version of that folder."""
    made: dict[str, Any] = task(CreateData, data_asset={"name": "sales", "path": str(large)}).run()
    return made


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def stored(place: ObjectStoragePath) -> dict[str, bytes]:
    place.fs.invalidate_cache()
    base = place.path.strip("/")
    return {name.removeprefix(f"{base}/"): place.fs.cat_file(name) for name in place.fs.find(base)}


def test_a_version_comes_whole(task, sales, large, place):
    assert task(Download, source=sales, to=str(place)).run() == {"path": str(place), "files": 5}
    assert stored(place) == content(large)


def test_what_is_there_whole_is_not_asked_for_again(sales, large, place, azureml_emulator):
    hook = AzureMachineLearningHook("azureml")
    hook.download(sales, place)
    place.fs.rm_file(f"{place.path}/a.txt")
    place.fs.invalidate_cache()
    azureml_emulator.clear_calls()
    hook.download(sales, place)
    assert stored(place) == content(large)
    below = sales["path"].partition("/paths/")[2]
    read = [call["path"] for call in azureml_emulator.calls("GET", below, host="blob") if "comp" not in call["query"]]
    assert [path.rpartition("/")[2] for path in read] == ["a.txt"]


def test_what_was_listed_before_is_not_taken_for_what_is_there(sales, large, place, container):
    """A filesystem of fsspec keeps lists: a process that listed a folder would miss what others did to it since."""
    hook = AzureMachineLearningHook("azureml")
    hook.download(sales, place)
    assert stored(place) == content(large)
    place.fs.ls(place.path)
    container.delete_blob("to/a.txt")
    container.upload_blob("to/empty", b"other", overwrite=True)
    hook.download(sales, place)
    assert stored(place) == content(large)


def test_a_folder_is_listed_as_it_is_now(place, container):
    container.upload_blob("to/a.txt", b"1")
    assert len(place.fs.ls(place.path)) == 1
    container.upload_blob("to/b.txt", b"2")
    container.upload_blob("to/sub/", b"")  # as tools make them to stand for folders
    container.upload_blob("to/sub/c.txt", b"3")
    assert [file.name for file in find_source(place, folder=Path()).files] == ["a.txt", "b.txt", "sub/c.txt"]


def test_what_is_uploaded_is_read_over_the_connection_that_was_given(place, container):
    """A single object, and .amlignore, too: nothing else in this process could open the account."""
    container.upload_blob("to/a.txt", b"1")
    container.upload_blob("to/b.log", b"2")
    container.upload_blob("to/.amlignore", b"*.log\n.amlignore\n")
    for path in (place / "a.txt", place):
        (file,) = find_source(path, folder=Path()).files
        assert file.name == "a.txt"
        with file.open() as stream:
            assert stream.read() == b"1"


def test_an_object_costs_one_request_whether_it_is_new_or_there(sales, large, place, azureml_emulator):
    for method in ("PUT", "HEAD"):
        azureml_emulator.clear_calls()
        AzureMachineLearningHook("azureml").download(sales, place)
        calls = azureml_emulator.calls(path="/lake-.*/to/(a.txt|nested/b.txt|empty|odd)", host="blob")
        assert [call["method"] for call in calls] == [method] * 4


def test_a_store_that_fails_shows_no_file_that_is_half_written_and_a_retry_goes_on(
    sales, large, place, azureml_emulator
):
    azureml_emulator.misbehave("PUT", "/lake-.*/large.bin", host="blob", status=400, code="InvalidInput")
    with pytest.raises(TransientError, match="cannot be written"):
        AzureMachineLearningHook("azureml").download(sales, place)
    assert "large.bin" not in stored(place)
    assert stored(place).items() <= content(large).items()
    azureml_emulator.behave()
    AzureMachineLearningHook("azureml").download(sales, place)
    assert stored(place) == content(large)


def test_sigkill_at_any_call_leaves_whole_files_and_a_retry_the_rest(
    task, sales, large, place, kill_at_each_call, monkeypatch, azureml_emulator
):
    account = {"account_name": azureml_emulator.storage_account, "account_key": azureml_emulator.storage_key}
    attached = _STORE_CACHE.pop("abfss")  # a filesystem does not outlive a fork: each try makes its own
    monkeypatch.setattr("airflow.sdk.io.get_fs", lambda *_: adlfs.AzureBlobFileSystem(**account))
    runner = task(Download, source=sales, to=str(place))
    assert kill_at_each_call(runner) > 5
    _STORE_CACHE["abfss"] = attached
    assert stored(place) == content(large)


def test_a_store_that_refuses_is_not_taken_for_the_datastore(ws, task, sales, place, azureml_emulator):
    azureml_emulator.misbehave("PUT", "/lake-", host="blob", status=403, code="AuthorizationPermissionMismatch")
    with pytest.raises(AzureMachineLearningError, match=r"^abfss://lake-.* cannot be written") as raised:
        AzureMachineLearningHook("azureml").download(sales, place)
    assert isinstance(raised.value, (PermissionDeniedError, TransientError))


def test_a_version_is_read_where_it_is(sales, large, filesystem):
    path = AzureMachineLearningHook("azureml").get_abfss_path(sales)
    assert path.startswith("abfss://")
    names = filesystem.find(path)
    assert sorted(name.rpartition("/")[2] for name in names) == sorted(
        name.rpartition("/")[2] for name in content(large)
    )
    assert filesystem.cat_file(f"{path.rstrip('/')}/nested/b.txt") == b"beta"
