"""Uploads: whole or not at all, checked, continued by a retry, stopped with the task."""

from __future__ import annotations

import hashlib
import io
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowException

from airflow_provider_azureml.datasets import Kind
from airflow_provider_azureml.provider.errors import PermissionDeniedError, SpecError, TransientError
from airflow_provider_azureml.provider.operators.data import AzureMachineLearningCreateDataOperator as CreateData
from airflow_provider_azureml.provider.storage import flow, upload
from airflow_provider_azureml.provider.storage.container import Container


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> int:
    """Files above 64 KiB are large ones."""
    size = 64 * 1024
    monkeypatch.setattr(flow, "BLOCK", size)
    monkeypatch.setattr(upload, "BLOCK", size)
    return size


@pytest.fixture
def sent(azureml_emulator: Any) -> Callable[[], list[str]]:
    """What was sent to storage and arrived: the paths of blobs, a blob for each block."""

    def read() -> list[str]:
        calls = azureml_emulator.calls("PUT", host="blob")
        commits = ("blocklist",)
        return [call["path"] for call in calls if call["status"] < 300 and call["query"].get("comp") not in commits]

    return read


@pytest.fixture
def raw_blobs(azureml_emulator: Any, ws: Any) -> Iterator[Any]:
    """The container of the default datastore, for a test's own hands."""
    import asyncio

    from azure.storage.blob import ContainerClient

    from airflow_provider_azureml.provider.hook import AzureMachineLearningHook

    async def datastore() -> Any:
        async with AzureMachineLearningHook("azureml").client() as client:
            return await client.get_datastore()

    store = asyncio.run(datastore())
    with ContainerClient(store.account_url, store.container, credential=azureml_emulator.storage_key) as container:
        yield container


def prefix_of(runner: Any, kind: str = "data") -> str:
    (memory,) = runner.store.values.values()
    return f"airflow/{kind}/{runner.operator.data_asset['name']}/" + memory.partition('"id": "')[2].partition('"')[0]


def test_each_blob_has_the_md5_of_its_file_also_a_large_one(ws, task, folder, raw_blobs, small_blocks, blobs):
    (folder / "large.bin").write_bytes(os.urandom(5 * small_blocks + 7))
    (folder / "empty").touch()
    runner = task(CreateData, data_asset={"name": "s", "path": str(folder)})
    runner.run()
    prefix = prefix_of(runner)
    assert {name.removeprefix(f"{prefix}/"): content for name, content in blobs().items()} == {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }
    for blob in raw_blobs.list_blobs(name_starts_with="airflow/", include=["metadata"]):
        if blob.metadata.get("hdi_isfolder"):
            continue
        content = (folder / blob.name.removeprefix(f"{prefix}/")).read_bytes()
        assert bytes(blob.content_settings.content_md5) == hashlib.md5(content).digest()


def test_what_is_damaged_on_the_way_is_not_registered(ws, task, folder, blobs, azureml_emulator):
    """Storage compares each request with the MD5 that it carries."""
    azureml_emulator.misbehave("PUT", "b.txt", host="blob", status=400, code="Md5Mismatch", times=1)
    runner = task(CreateData, data_asset={"name": "s", "path": str(folder)})
    with pytest.raises(TransientError, match="Md5Mismatch"):
        runner.run()
    assert blobs() == {}
    assert not azureml_emulator.calls("PUT", "/versions/")


def test_what_storage_holds_otherwise_than_it_was_sent_is_not_registered(
    ws, task, folder, raw_blobs, blobs, azureml_emulator, monkeypatch
):
    """Another writer, say: seen in the list at the end."""
    runner = task(CreateData, data_asset={"name": "s", "path": str(folder)})
    compare = upload.Upload._compare

    async def tampered(self: Any) -> None:
        raw_blobs.upload_blob(f"{self._prefix}/a.txt", b"other", overwrite=True)
        await compare(self)

    monkeypatch.setattr(upload.Upload, "_compare", tampered)
    with pytest.raises(TransientError, match=r"a\.txt is not in storage as it was sent"):
        runner.run()
    assert blobs() == {}
    assert not azureml_emulator.calls("PUT", "/versions/")


def test_a_retry_sends_only_what_is_missing(ws, task, folder, blobs, azureml_emulator, sent, small_blocks):
    (folder / "large.bin").write_bytes(os.urandom(4 * small_blocks))
    runner = task(CreateData, retries=1, data_asset={"name": "s", "path": str(folder)})
    azureml_emulator.misbehave(
        "PUT", r"large\.bin", host="blob", status=400, code="Md5Mismatch", after=2, times=1, latency=1
    )
    with pytest.raises(TransientError):
        runner.run()
    assert len(sent()) == 5, "all but the one, two files and three blocks, arrived in the second that it took"
    azureml_emulator.clear_calls()
    runner.run()
    (missing,) = sent()
    assert missing.endswith("large.bin")
    assert sorted(map(len, blobs().values())) == [4, 5, 4 * small_blocks]


def test_a_failed_upload_with_no_retry_to_come_leaves_nothing_behind(ws, task, folder, blobs, azureml_emulator, sent):
    azureml_emulator.misbehave("PUT", "b.txt", host="blob", status=400, code="Md5Mismatch", times=1, latency=0.5)
    runner = task(CreateData, data_asset={"name": "s", "path": str(folder)})
    with pytest.raises(TransientError):
        runner.run()
    assert [path for path in sent() if path.endswith("a.txt")], "something had arrived"
    assert blobs() == {}


@pytest.mark.parametrize("what", ["grows", "shrinks", "is written over"])
@pytest.mark.parametrize("size", [10, 5 * 64 * 1024], ids=["small", "large"])
def test_a_file_that_changes_while_it_is_read_is_named_and_nothing_is_left(
    ws, task, folder, blobs, azureml_emulator, monkeypatch, small_blocks, what, size
):
    changing = folder / "changing.log"
    changing.write_bytes(b"x" * size)
    listed = Container.list

    async def then_change(self: Any, prefix: str) -> Any:
        found = await listed(self, prefix)
        content = {"grows": size + 1, "shrinks": size - 1, "is written over": size}[what]
        changing.write_bytes(b"y" * content)
        return found

    monkeypatch.setattr(Container, "list", then_change)
    runner = task(CreateData, retries=3, data_asset={"name": "s", "path": str(folder)})
    with pytest.raises(SpecError, match=rf"{changing} changed while it was read"):
        runner.run()
    assert blobs() == {}
    assert not azureml_emulator.calls("PUT", "/versions/")


def test_an_object_that_changes_in_its_store_is_named(ws, task, folder, blobs, monkeypatch):
    listed = Container.list

    async def then_change(self: Any, prefix: str) -> Any:
        found = await listed(self, prefix)
        (folder / "a.txt").write_text("ALPHA")
        return found

    monkeypatch.setattr(Container, "list", then_change)
    from airflow.sdk import ObjectStoragePath

    runner = task(CreateData, data_asset={"name": "s", "path": ObjectStoragePath(f"file://{folder}")})
    with pytest.raises(SpecError, match=r"a\.txt changed while it was read"):
        runner.run()
    assert blobs() == {}


@pytest.mark.parametrize("retries", [0, 1])
def test_the_time_limit_ends_an_upload_within_seconds(ws, task, folder, blobs, azureml_emulator, retries):
    """As Airflow does it: a signal's handler that raises. What is there stays if a retry will need it."""

    class TaskTimeout(BaseException):
        pass

    def handler(*arguments: Any) -> None:
        raise TaskTimeout

    azureml_emulator.misbehave("PUT", "b.txt", host="blob", latency=60)
    runner = task(CreateData, retries=retries, data_asset={"name": "s", "path": str(folder)})
    ended: list[float] = []

    def end() -> None:
        azureml_emulator.wait_for_call("PUT", "a.txt", host="blob", timeout=60)
        while not blobs():  # the call is logged when it arrives, a moment before its bytes are stored
            time.sleep(0.05)
        ended.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGALRM)

    before = signal.signal(signal.SIGALRM, handler)
    ending = threading.Thread(target=end)
    ending.start()
    try:
        with pytest.raises(TaskTimeout):
            runner.run()
    finally:
        ending.join()
        signal.signal(signal.SIGALRM, before)
    assert time.monotonic() - ended[0] < 4
    assert list(blobs().values()) == ([b"alpha"] if retries else [])


def test_on_kill_ends_an_upload_within_seconds(ws, task, folder, blobs, azureml_emulator):
    azureml_emulator.misbehave("PUT", "b.txt", host="blob", latency=60)
    runner = task(CreateData, data_asset={"name": "s", "path": str(folder)})
    ended: list[float] = []

    def end() -> None:
        azureml_emulator.wait_for_call("PUT", "a.txt", host="blob", timeout=60)
        ended.append(time.monotonic())
        runner.operator.on_kill()

    threading.Thread(target=end).start()
    with pytest.raises(AirflowException, match="The task was ended"):
        runner.run()
    assert time.monotonic() - ended[0] < 4
    assert blobs() == {}


def test_a_read_that_hangs_does_not_keep_a_task_from_ending(ws, task, folder, azureml_emulator):
    """A network disk, say. The FIFO takes the place of a file after it was listed."""
    hanging = threading.Event()
    opened = threading.Event()
    runner = task(CreateData, data_asset={"name": "s", "path": str(folder)})
    real = upload._open

    def hang(file: Any) -> Any:
        opened.set()
        hanging.wait(30)
        return real(file)

    upload._open, began = hang, time.monotonic()
    try:
        threading.Thread(target=lambda: (opened.wait(10), runner.operator.on_kill())).start()
        with pytest.raises(AirflowException):
            runner.run()
    finally:
        upload._open = real
        hanging.set()
    assert time.monotonic() - began < 8


def end_transfers() -> None:
    """Wait until no thread of a transfer works any more."""
    for thread in threading.enumerate():
        if thread.name.startswith("azureml-transfer"):
            thread.join(20)
            assert not thread.is_alive()


@pytest.mark.parametrize("where", ["_open", "_read"])
def test_a_large_file_that_hangs_neither_keeps_a_task_from_ending_nor_stays_open(
    ws, task, folder, monkeypatch, blobs, small_blocks, where
):
    """A network disk, say, that hangs as it opens the file, or as it reads."""
    (folder / "large.bin").write_bytes(os.urandom(3 * small_blocks))
    hanging, met = threading.Event(), threading.Event()
    streams: list[Any] = []
    opening = upload._open

    class Hanging(io.FileIO):
        def readinto(self, buffer: Any) -> int:
            if where == "_read":
                met.set()
                hanging.wait(30)
            return super().readinto(buffer)

    def hang(file: Any) -> Any:
        if not file.path.endswith("large.bin"):
            return opening(file)
        streams.append(io.BufferedReader(Hanging(file.path)))
        if where == "_open":
            met.set()
            hanging.wait(30)
        return streams[-1]

    monkeypatch.setattr(upload, "_open", hang)
    runner = task(CreateData, data_asset={"name": "s", "path": str(folder)})
    threading.Thread(target=lambda: (met.wait(20), runner.operator.on_kill())).start()
    tidying: list[str] = []
    delete_all = Container.delete_all

    async def tidy(self: Any, prefix: str) -> None:
        tidying.append(prefix)
        await delete_all(self, prefix)

    monkeypatch.setattr(Container, "delete_all", tidy)
    try:
        with pytest.raises(AirflowException, match="The task was ended"):
            runner.run()
        assert tidying, "what was uploaded is removed while the thread still hangs"
        assert not hanging.is_set()
    finally:
        hanging.set()
    end_transfers()
    assert [stream.closed for stream in streams] == [True]
    assert blobs() == {}


class TestCredentials:
    """Which credential opens the container."""

    def test_a_secret_that_is_not_given_out_is_replaced_by_the_identity(self, ws, task, folder, azureml_emulator):
        azureml_emulator.create_datastore("mean", workspace=ws.name, refuses_secrets=True)
        result = task(CreateData, data_asset={"name": "s", "path": str(folder), "datastore": "mean"}).run()
        assert "/datastores/mean/" in result["path"]
        assert azureml_emulator.calls("POST", "/listSecrets")[-1]["status"] == 403

    def test_a_service_principal_is_replaced_by_the_identity(self, ws, task, folder, azureml_emulator):
        azureml_emulator.create_datastore(
            "lake", workspace=ws.name, type="AzureDataLakeGen2", credentials="ServicePrincipal"
        )
        result = task(CreateData, data_asset={"name": "s", "path": str(folder), "datastore": "lake"}).run()
        assert "/datastores/lake/" in result["path"]

    def test_an_account_that_takes_no_secrets_is_opened_as_the_identity(self, ws, task, folder, azureml_emulator):
        azureml_emulator.create_datastore("open", workspace=ws.name)  # its secret is never refused
        azureml_emulator.misbehave("GET", host="blob", status=403, code="KeyBasedAuthenticationNotPermitted", times=1)
        task(CreateData, data_asset={"name": "s", "path": str(folder), "datastore": "open"}).run()
        (first, *others) = azureml_emulator.calls(host="blob")
        assert "sig" in first["query"]
        assert others
        assert not any("sig" in call["query"] for call in others)

    def test_an_identity_without_its_role_is_told_which_it_lacks(self, ws, task, folder, azureml_emulator):
        azureml_emulator.create_datastore("mean", workspace=ws.name, refuses_secrets=True)
        azureml_emulator.misbehave("GET", host="blob", status=403, code="AuthorizationPermissionMismatch", times=9)
        runner = task(CreateData, data_asset={"name": "s", "path": str(folder), "datastore": "mean"})
        with pytest.raises(PermissionDeniedError) as caught:
            runner.run()
        for words in ("did not give out", "Storage Blob Data Contributor", azureml_emulator.client_id, "mean"):
            assert words in str(caught.value)

    def test_network_rules_are_named_where_they_may_be_the_reason(self, ws, task, folder, azureml_emulator):
        azureml_emulator.misbehave("GET", host="blob", status=403, code="AuthorizationFailure", times=9)
        with pytest.raises(PermissionDeniedError, match="network rule"):
            task(CreateData, data_asset={"name": "s", "path": str(folder)}).run()


def test_directories_of_a_hierarchical_namespace_are_left_alone(ws, task, folder, raw_blobs, azureml_emulator):
    """A list shows them as blobs, and storage refuses to delete one that holds something."""
    runner = task(CreateData, retries=1, data_asset={"name": "s", "path": str(folder)})
    azureml_emulator.misbehave("PUT", "b.txt", host="blob", status=400, code="Md5Mismatch", times=1)
    with pytest.raises(TransientError):
        runner.run()
    raw_blobs.upload_blob(f"{prefix_of(runner)}/nested", b"", metadata={"hdi_isfolder": "true"})
    azureml_emulator.misbehave("DELETE", "nested$", host="blob", status=409, code="DirectoryIsNotEmpty")
    assert runner.run()["version"] == "1"


class TestUnchanged:
    """if_unchanged="reuse"."""

    def test_the_same_content_makes_no_upload_no_version_and_no_event(self, ws, task, folder, ask, azureml_emulator):
        def create() -> Any:
            return task(CreateData, workspace=ws, data_asset={"name": "s", "path": str(folder)}, if_unchanged="reuse")

        first = create().run()
        azureml_emulator.clear_calls()
        again = create()
        assert again.run() == first
        assert again.operator.outlets == []
        assert not azureml_emulator.calls("PUT")
        assert not azureml_emulator.calls(host="blob")
        assert len(ask(lambda client: client.list_versions(Kind.DATA, "s"))) == 1

    @pytest.mark.parametrize("change", ["content", "name", "more", "less"])
    def test_other_content_is_a_new_version(self, ws, task, folder, change):
        def create() -> Any:
            return task(CreateData, workspace=ws, data_asset={"name": "s", "path": str(folder)}, if_unchanged="reuse")

        create().run()
        if change == "content":
            (folder / "a.txt").write_text("ALPHA")
        elif change == "name":
            (folder / "a.txt").rename(folder / "c.txt")
        elif change == "more":
            (folder / "c.txt").touch()
        else:
            (folder / "a.txt").unlink()
        again = create()
        assert again.run()["version"] == "2"
        assert again.operator.outlets == [ws.data("s")]

    def test_a_retry_of_the_task_that_made_the_version_announces_it(self, ws, task, folder):
        runner = task(CreateData, workspace=ws, data_asset={"name": "s", "path": str(folder)}, if_unchanged="reuse")
        first = runner.run()
        assert runner.run() == first
        assert runner.announced(ws.data("s")) == [first]

    def test_by_default_the_same_content_is_a_new_version(self, ws, task, folder):
        for version in "12":
            assert task(CreateData, data_asset={"name": "s", "path": str(folder)}).run()["version"] == version

    def test_the_version_that_the_spec_names_is_what_stands(self, ws, task, folder):
        spec = {"name": "s", "version": "7", "path": str(folder)}
        first = task(CreateData, data_asset=spec).run()
        assert task(CreateData, data_asset=spec, if_unchanged="reuse").run() == first


def test_a_folder_with_something_unreadable_reaches_no_storage(ws, task, folder: Path, azureml_emulator):
    (folder / "link").symlink_to(folder / "nowhere")
    azureml_emulator.clear_calls()
    with pytest.raises(SpecError, match="link is a link to something that does not exist"):
        task(CreateData, data_asset={"name": "s", "path": str(folder)}).run()
    assert not azureml_emulator.calls("PUT")
    assert not azureml_emulator.calls(host="blob")
