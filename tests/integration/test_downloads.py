"""Downloads: whole or not at all, checked, continued by a retry, to a folder or an object store."""

from __future__ import annotations

import os
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

import pytest
from airflow.sdk import ObjectStoragePath
from airflow.sdk.exceptions import AirflowException
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_azureml.datasets import AssetVersion
from airflow_provider_azureml.provider.errors import NotFoundError, SpecError, TransientError
from airflow_provider_azureml.provider.hook import AzureMachineLearningHook
from airflow_provider_azureml.provider.interruptible import Interruptible
from airflow_provider_azureml.provider.operators.data import AzureMachineLearningCreateDataOperator as CreateData
from airflow_provider_azureml.provider.operators.download import AzureMachineLearningDownloadOperator as Download
from airflow_provider_azureml.provider.operators.job import AzureMachineLearningCreateJobOperator as CreateJob
from airflow_provider_azureml.provider.operators.model import AzureMachineLearningRegisterModelOperator as RegisterModel
from airflow_provider_azureml.provider.storage import download, flow, targets, upload
from airflow_provider_azureml.provider.storage.container import Blob

BLOCK = 64 * 1024


@pytest.fixture
def large(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of five blocks and a half in the folder; blocks are small here."""
    for module in (flow, upload, download, targets):
        monkeypatch.setattr(module, "BLOCK", BLOCK)
    (folder / "large.bin").write_bytes(os.urandom(5 * BLOCK + BLOCK // 2))
    return folder / "large.bin"


@pytest.fixture
def sales(ws: Any, task: Any, folder: Path) -> dict[str, Any]:
    """A version of a folder."""
    return task(CreateData, data_asset={"name": "sales", "path": str(folder)}).run()


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def forms(ws: Any, ask: Any, sales: dict[str, Any]) -> dict[str, Any]:
    """All that a version can be given as."""
    guid = ask(lambda client: client.get_workspace())["properties"]["workspaceId"]
    store = ask(lambda client: client.get_datastore())
    host, path = store.account_url.partition("://")[2], sales["path"].partition("/paths/")[2]
    return {
        "dict": sales,
        "AssetVersion": AssetVersion.from_dict(sales),
        "id": sales["id"],
        "id as azureml:": f"azureml:{sales['id']}",
        "long form": f"azureml:/{sales['id']}",
        "as studio shows it": f"azureml://locations/westeurope/workspaces/{guid}/data/sales/versions/1",
        "path": sales["path"],
        "short path": f"azureml://datastores/{store.name}/paths/{path}",
        "long path": f"{ws.uri}/datastores/{store.name}/paths/{path}",
        "https": f"{store.account_url}/{store.container}/{path}",
        "abfss": f"abfss://{store.container}@{host.replace('.blob.', '.dfs.')}/{path}",
        "wasbs": f"wasbs://{store.container}@{host}/{path}",
    }


FORMS = (
    "dict",
    "AssetVersion",
    "id",
    "id as azureml:",
    "long form",
    "as studio shows it",
    "path",
    "short path",
    "long path",
    "https",
    "abfss",
    "wasbs",
)


@pytest.mark.parametrize("form", FORMS)
def test_a_version_comes_as_it_was_uploaded(ws, task, folder, large, sales, tmp_path, forms, form):
    what = forms[form]
    names = AzureMachineLearningHook("azureml").download(what, tmp_path / "to")
    assert content(tmp_path / "to") == content(folder)
    assert sorted(names) == ["a.txt", "large.bin", "nested/b.txt"]
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_version_of_one_file_comes_under_its_name(ws, task, folder, tmp_path):
    version = task(RegisterModel, model={"name": "m", "path": str(folder / "a.txt")}).run()
    assert task(Download, source=version, to=str(tmp_path / "to")).run() == {"path": str(tmp_path / "to"), "files": 1}
    assert content(tmp_path / "to") == {"a.txt": b"alpha"}


def test_an_object_store_is_a_destination(ws, task, folder, large, sales, tmp_path):
    task(Download, source=sales, to=ObjectStoragePath(f"file://{tmp_path}/to")).run()
    assert content(tmp_path / "to") == content(folder)


class Sftp(MemoryFileSystem):
    """A filesystem that shows a file while it is being written, and in which a rename onto a file is an error."""

    protocol = "sftp"
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    breaks = False

    def pipe_file(self, path: str, value: bytes, **options: Any) -> None:
        self._half(path)
        super().pipe_file(path, value, **options)

    def put_file(self, lpath: str, rpath: str, **options: Any) -> None:
        self._half(rpath)
        super().pipe_file(rpath, Path(lpath).read_bytes(), **options)

    def _half(self, path: str) -> None:
        if self.breaks:
            super().pipe_file(path, b"half")
            raise OSError("the connection broke")

    def mv(self, path1: str, path2: str, **options: Any) -> None:
        assert not self.exists(path2)
        super().mv(path1, path2, **options)


@pytest.fixture
def sftp(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A folder in such a filesystem."""
    for name, value in (("store", {}), ("pseudo_dirs", [""]), ("breaks", False)):
        monkeypatch.setattr(Sftp, name, value)

    class Place(PurePosixPath):
        """As much of an ObjectStoragePath as a download asks of it."""

        protocol, fs = "sftp", Sftp(skip_instance_cache=True)

        @property
        def path(self) -> str:
            return str(self)

    return Place("/to")


def shown(folder: Any) -> dict[str, bytes]:
    found = [path for path in folder.fs.find("/to") if not path.rpartition("/")[2].startswith(".")]
    return {path.removeprefix("/to/"): folder.fs.cat_file(path) for path in found}


def test_a_filesystem_that_is_no_object_store_gets_whole_files(ws, task, folder, large, sales, sftp):
    for _ in range(2):  # the second time, the files are there
        AzureMachineLearningHook("azureml").download(sales, sftp)
        assert shown(sftp) == content(folder)
        assert len(sftp.fs.find("/to")) == len(content(folder))


def test_a_connection_that_breaks_shows_nothing_half_written(ws, task, folder, large, sales, sftp, monkeypatch):
    monkeypatch.setattr(Sftp, "breaks", True)
    with pytest.raises(Exception, match="the connection broke"):
        AzureMachineLearningHook("azureml").download(sales, sftp)
    assert shown(sftp) == {}


def test_the_logs_of_a_job_come(ws, task, azureml_emulator, submit, tmp_path):
    job = azureml_emulator.job(submit())
    job.complete(files={"default": {"user_logs/mine.txt": "hello"}})
    hook = AzureMachineLearningHook("azureml")
    hook.download(f"azureml://jobs/{job.name}/outputs/artifacts/paths/user_logs", tmp_path / "logs")
    assert content(tmp_path / "logs")["mine.txt"] == b"hello"
    hook.download(f"azureml://jobs/{job.name}/outputs/artifacts", tmp_path / "all")
    assert content(tmp_path / "all")["user_logs/mine.txt"] == b"hello"


def test_a_named_output_of_a_job_comes(ws, task, azureml_emulator, submit, sales, folder, tmp_path):
    job = azureml_emulator.job(submit())
    job.complete(outputs={"report": sales["path"]})
    AzureMachineLearningHook("azureml").download(f"azureml://jobs/{job.name}/outputs/report", tmp_path / "to")
    assert content(tmp_path / "to").items() >= content(folder).items()  # the job itself wrote there too
    AzureMachineLearningHook("azureml").download(
        f"azureml://jobs/{job.name}/outputs/report/paths/nested", tmp_path / "n"
    )
    assert content(tmp_path / "n") == {"b.txt": b"beta"}


@pytest.mark.parametrize("way", ["run", "definition", "both", "neither"])
@pytest.mark.parametrize("named", [True, False])
def test_an_output_whose_place_azureml_chose_comes(ws, task, azureml_emulator, tmp_path, way, named):
    azureml_emulator.configure(answers={"registered outputs": way})
    azureml_emulator.script_jobs(["Completed"])
    output = {"type": "uri_folder", **({"name": "rows"} if named else {})}
    environment = "azureml://registries/azureml/environments/e/versions/1"
    spec = {"type": "command", "command": "x", "environment": environment, "outputs": {"rows": output}}
    job = task(CreateJob, job=spec, waiting=True, poll_interval=0.1).run()
    uri = f"azureml://jobs/{job['name']}/outputs/rows"
    if way in ("run", "both") or (named and way == "definition"):
        AzureMachineLearningHook("azureml").download(uri, tmp_path / "to")
        assert content(tmp_path / "to")
    else:
        with pytest.raises(NotFoundError, match="run history does not know it"):
            AzureMachineLearningHook("azureml").download(uri, tmp_path / "to")


def test_what_else_is_in_the_folder_stays(ws, task, folder, sales, tmp_path):
    (tmp_path / "to").mkdir()
    (tmp_path / "to" / "mine").write_text("mine")
    (tmp_path / "to" / "a.txt").write_text("old")
    AzureMachineLearningHook("azureml").download(sales, tmp_path / "to")
    assert content(tmp_path / "to") == {**content(folder), "mine": b"mine"}


def test_nothing_is_at_the_destination_after_a_failure_and_a_retry_asks_for_what_is_missing(
    ws, task, folder, large, sales, tmp_path, azureml_emulator
):
    runner = task(Download, source=sales, to=str(tmp_path / "to"))
    azureml_emulator.misbehave(
        "GET", r"large\.bin", host="blob", status=412, code="ConditionNotMet", after=2, times=1, latency=1
    )
    with pytest.raises(TransientError, match="changed while"):
        runner.run()
    assert not (tmp_path / "to").exists()
    azureml_emulator.clear_calls()
    runner.run()
    assert content(tmp_path / "to") == content(folder)
    asked = [call["path"] for call in azureml_emulator.calls("GET", host="blob") if "comp" not in call["query"]]
    assert len(asked) == 1, asked


def test_bytes_that_are_not_what_storage_keeps_are_refused(ws, task, folder, sales, tmp_path, monkeypatch):
    read = download.Download._read

    async def damaged(self: Any, blob: Any, offset: int, size: int) -> bytes:
        return b"x" + (await read(self, blob, offset, size))[1:]

    monkeypatch.setattr(download.Download, "_read", damaged)
    with pytest.raises(TransientError, match="MD5 is not what storage keeps"):
        AzureMachineLearningHook("azureml").download(sales, tmp_path / "to")
    assert not (tmp_path / "to").exists()


def test_no_file_stays_open_when_a_download_is_ended_while_its_threads_still_write(tmp_path):
    blob = Blob(name="large.bin", size=2 * BLOCK, etag="1", md5=None, modified=datetime.now(UTC))
    parts = download._Parts(tmp_path / "part", blob)
    parts.write(0, b"x" * BLOCK)
    opened = [os.path.realpath(file) for file in Path("/proc/self/fd").iterdir()]
    assert not [path for path in opened if path.startswith(str(tmp_path))]
    assert download._Parts(tmp_path / "part", blob).there == {0}


@pytest.mark.parametrize("kind", ["folder", "object store"])
def test_what_a_thread_makes_while_a_download_is_ended_is_not_left_behind(ws, sales, tmp_path, monkeypatch, kind):
    """The lock of a folder, or the scratch folder of an object store."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    to = tmp_path / "to"
    target = targets.Folder(to) if kind == "folder" else targets.Objects(ObjectStoragePath(f"file://{to}"))
    begin, met, on = target.begin, threading.Event(), threading.Event()

    def slow(source: str, files: dict[str, Blob]) -> Any:
        met.set()
        on.wait(20)
        return begin(source, files)

    monkeypatch.setattr(target, "begin", slow)
    hook = AzureMachineLearningHook("azureml")
    running = Interruptible()
    threading.Thread(target=lambda: (met.wait(20), running.cancel())).start()
    with pytest.raises(AirflowException, match="The task was ended"):
        running.run(hook.adownload(sales, target, hook.get_workspace_connection()))
    on.set()
    for thread in threading.enumerate():
        if thread.name.startswith("azureml-transfer"):
            thread.join(20)
    opened = [os.path.realpath(file) for file in Path("/proc/self/fd").iterdir()]
    assert not [path for path in opened if path.startswith(str(tmp_path))]
    assert list((tmp_path / "scratch").iterdir()) == []


def test_on_kill_ends_a_download_within_seconds(ws, task, sales, tmp_path, azureml_emulator):
    azureml_emulator.misbehave("GET", "b.txt", host="blob", latency=60)
    runner = task(Download, source=sales, to=str(tmp_path / "to"))
    began = time.monotonic()

    def end() -> None:
        azureml_emulator.wait_for_call("GET", "a.txt", host="blob")
        runner.operator.on_kill()

    threading.Thread(target=end).start()
    with pytest.raises(AirflowException, match="The task was ended"):
        runner.run()
    assert time.monotonic() - began < 6
    assert not (tmp_path / "to").exists()


def test_the_abfss_path_of_a_version_names_container_account_and_path(ws, sales, azureml_emulator):
    path = AzureMachineLearningHook("azureml").get_abfss_path(sales)
    assert path.startswith("abfss://azureml-blobstore-")
    assert f".dfs.core.windows.net/{sales['path'].partition('/paths/')[2]}" in path


@pytest.mark.parametrize(
    ("what", "error", "words"),
    [
        (None, SpecError, "nothing to download"),
        ("None", SpecError, "nothing to download"),
        ({"name": "x"}, SpecError, "Not an AzureML asset version"),
        ("fraud", SpecError, "is invalid as what to download"),
        ("azureml:fraud:1", SpecError, "is invalid as what to download"),
        ("https://example.com/x?sig=abc", SpecError, "'https://example.com/x' is invalid"),
        ("azureml://locations/westeurope/workspaces/{guid}/data/sales/versions/1", SpecError, "another workspace"),
        ("azureml://datastores/nowhere/paths/x", NotFoundError, "nowhere"),
        ("azureml://datastores/workspaceblobstore/paths/nothing/here", NotFoundError, "nothing/here"),
        ("azureml://jobs/nobody/outputs/artifacts", NotFoundError, "nobody"),
        ("azureml://jobs/{job}/outputs/typo", NotFoundError, "has no output 'typo'"),
    ],
)
def test_what_cannot_be_downloaded(ws, task, submit, tmp_path, what, error, words):
    if isinstance(what, str) and "{job}" in what:
        what = what.format(job=submit())
    if isinstance(what, str) and "{guid}" in what:
        what = what.format(guid="11111111-1111-1111-1111-111111111111")
    with pytest.raises(error, match=words):
        AzureMachineLearningHook("azureml").download(what, tmp_path / "to")
    assert not (tmp_path / "to").exists()


def test_a_version_of_another_workspace_is_refused(ws, tmp_path):
    group = f"/subscriptions/{ws.subscription_id}/resourceGroups/x"
    other = f"{group}/providers/Microsoft.MachineLearningServices/workspaces/other"
    with pytest.raises(SpecError, match="another workspace"):
        AzureMachineLearningHook("azureml").download(f"{other}/data/sales/versions/1", tmp_path / "to")


def test_a_destination_that_is_a_file_is_refused(ws, sales, folder):
    with pytest.raises(SpecError, match="is a file"):
        AzureMachineLearningHook("azureml").download(sales, folder / "a.txt")


def test_sigkill_at_any_call_shows_nothing_until_all_is_there(
    ws, task, folder, large, sales, tmp_path, kill_at_each_call
):
    runner = task(Download, source=sales, to=str(tmp_path / "to"))
    execute = runner.operator.execute

    def check_first(context: Any) -> Any:
        assert not (tmp_path / "to").exists(), "the try before was killed"
        return execute(context)

    runner.operator.execute = check_first
    assert kill_at_each_call(runner) > 5
    assert content(tmp_path / "to") == content(folder)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
