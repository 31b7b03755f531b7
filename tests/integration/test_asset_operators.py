"""Making versions of data and models: what is uploaded, which version it becomes, what is announced."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from azure.core.credentials import AccessToken
from azure.storage.blob import ContainerClient

from airflow_provider_azureml.datasets import Kind, asset_versions
from airflow_provider_azureml.provider.connection import WorkspaceConnection
from airflow_provider_azureml.provider.errors import NotFoundError
from airflow_provider_azureml.provider.operators.data import AzureMachineLearningCreateDataOperator as CreateData
from airflow_provider_azureml.provider.operators.model import AzureMachineLearningRegisterModelOperator as RegisterModel


def test_a_folder_is_uploaded_and_becomes_the_next_version(ws, task, folder, blobs, ask):
    """The version's path leads to exactly the folder's files."""
    runner = task(CreateData, workspace=ws, data_asset={"name": "sales", "path": str(folder)})
    first = runner.run()
    assert (first["name"], first["version"], first["type"]) == ("sales", "1", "uri_folder")
    prefix = first["path"].partition("/paths/")[2].rstrip("/")
    assert blobs() == {f"{prefix}/a.txt": b"alpha", f"{prefix}/nested/b.txt": b"beta"}
    runner.clear()
    assert runner.run()["version"] == "2"
    assert [version.version for version in ask(lambda client: client.list_versions(Kind.DATA, "sales"))] == ["2", "1"]


def test_the_event_says_which_version_it_is_and_the_button_leads_to_it(ws, task, folder):
    runner = task(RegisterModel, workspace=ws, model={"name": "fraud", "path": str(folder), "tags": {"f1": 0.9}})
    result = runner.run()
    assert runner.operator.outlets == [ws.model("fraud")]
    assert runner.announced(ws.model("fraud")) == [result]
    assert result["tags"]["f1"] == "0.9"
    assert result["tags"]["airflow.dag_id"] == "dag"
    assert runner.ti.xcoms["azureml_studio_url"].startswith("https://ml.azure.com/model/fraud:1/details?wsid=/subscr")


def test_the_version_can_be_the_events_partition_key(ws, task, folder):
    runner = task(CreateData, workspace=ws, data_asset={"name": "s", "path": str(folder)}, partition_by_version=True)
    result = runner.run()
    assert runner.events[ws.data("s")].partition_keys == {result["version"]}
    assert runner.announced(ws.data("s")) == [result]


def test_a_name_known_only_at_run_time_is_announced_through_the_workspaces_alias(ws, task, folder):
    runner = task(CreateData, workspace=ws, data_asset=lambda: {"name": "late", "path": str(folder)})
    assert runner.operator.outlets == [ws.alias(Kind.DATA)]
    result = runner.run()
    (event,) = runner.events[ws.alias(Kind.DATA)].asset_alias_events
    assert event.dest_asset_key.uri == ws.data("late").uri
    assert event.extra == {"versions": [result]}


@pytest.mark.parametrize("asset_type", ["uri_file", "custom_model"])
def test_a_single_file_is_uploaded_under_its_name(ws, task, folder, blobs, asset_type):
    spec = {"name": "one", "type": asset_type, "path": str(folder / "a.txt")}
    runner = task(CreateData, data_asset=spec) if asset_type == "uri_file" else task(RegisterModel, model=spec)
    result = runner.run()
    assert result["path"].endswith("/a.txt")
    assert list(blobs().values()) == [b"alpha"]


def test_ignored_files_stay_behind(ws, task, folder, blobs):
    (folder / ".amlignore").write_text("nested/\n*.log\n.amlignore\n")
    (folder / "x.log").write_text("no")
    task(CreateData, data_asset={"name": "sales", "path": str(folder)}).run()
    assert [name.rpartition("/")[2] for name in blobs()] == ["a.txt"]


def test_an_object_store_is_a_source_as_a_local_folder_is(ws, task, folder, blobs):
    from airflow.sdk import ObjectStoragePath

    task(CreateData, data_asset={"name": "sales", "path": ObjectStoragePath(f"file://{folder}")}).run()
    assert sorted(blobs().values()) == [b"alpha", b"beta"]


def test_yaml_of_the_cli_is_a_spec_with_templates_and_paths_relative_to_it(ws, task, folder, blobs):
    yaml = folder.parent / "data.yml"
    yaml.write_text(
        "$schema: https://azuremlschemas.azureedge.net/latest/data.schema.json\n"
        "name: sales\ntype: uri_folder\npath: ./source\ndescription: of {{ ti.run_id }}\n"
    )
    result = task(CreateData, data_asset=str(yaml)).run()
    assert result["description"] == "of manual__1"
    assert sorted(blobs().values()) == [b"alpha", b"beta"]


def test_an_sdk_entity_is_a_spec(ws, task, folder):
    from azure.ai.ml.entities import Model

    entity = Model(name="fraud", path=str(folder), type="custom_model", tags={"a": "b"}, stage="Production")
    result = task(RegisterModel, model=entity).run()
    assert (result["name"], result["version"], result["stage"]) == ("fraud", "1", "Production")


def test_what_is_in_azure_already_is_registered_where_it_is(ws, task, folder, blobs, azureml_emulator):
    path = "azureml://datastores/workspaceblobstore/paths/lake/sales/"
    result = task(CreateData, data_asset={"name": "sales", "path": path}).run()
    assert result["path"].endswith("/datastores/workspaceblobstore/paths/lake/sales/")
    assert blobs() == {}


@pytest.mark.parametrize("kind", ["AzureBlob", "AzureFile", "AzureDataLakeGen1", "AzureDataLakeGen2", "OneLake"])
@pytest.mark.parametrize("operator", [CreateData, RegisterModel])
def test_a_datastore_of_any_type_can_be_pointed_to(ws, task, azureml_emulator, kind, operator):
    azureml_emulator.create_datastore("lake", workspace=ws.name, type=kind)
    spec = {"name": "sales", "path": "azureml://datastores/lake/paths/sales/"}
    runner = task(CreateData, data_asset=spec) if operator is CreateData else task(RegisterModel, model=spec)
    assert "/datastores/lake/paths/sales/" in runner.run()["path"]
    assert not azureml_emulator.calls("POST", "/listSecrets")


def test_a_datastore_of_another_workspace_is_not_looked_for_in_this_one(ws, task, azureml_emulator):
    other = f"azureml://subscriptions/{ws.subscription_id}/resourcegroups/elsewhere/workspaces/other"
    path = f"{other}/datastores/theirs/paths/sales/"
    azureml_emulator.clear_calls()
    assert task(CreateData, data_asset={"name": "sales", "path": path}).run()["path"] == path
    assert not azureml_emulator.calls("GET", "/datastores/")


def test_the_long_form_of_this_workspace_is_looked_for_in_any_case_of_letters(ws, task, azureml_emulator):
    path = (
        f"azureml://subscriptions/{ws.subscription_id}/resourceGroups/{ws.resource_group.upper()}/workspaces/{ws.name}"
    )
    with pytest.raises(NotFoundError, match="nowhere"):
        task(CreateData, data_asset={"name": "s", "path": f"{path}/datastores/nowhere/paths/x"}).run()


def test_a_version_that_the_spec_names_is_kept(ws, task, folder):
    named = {"name": "sales", "version": "2026-11-22", "path": str(folder)}
    assert task(CreateData, data_asset=named).run()["version"] == "2026-11-22"


def test_the_same_explicit_version_with_the_same_path_is_what_there_is(ws, task):
    spec = {"name": "sales", "version": "7", "path": "azureml://datastores/workspaceblobstore/paths/lake/sales/"}
    first = task(CreateData, data_asset=spec).run()
    again = task(CreateData, data_asset=spec).run()
    assert first["id"] == again["id"]


def test_a_retry_after_the_version_was_made_returns_that_version_and_uploads_nothing(
    ws, task, folder, azureml_emulator
):
    """The worker died after the service had made the version, before Airflow knew."""
    runner = task(CreateData, workspace=ws, data_asset={"name": "sales", "path": str(folder)})
    first = runner.run()
    azureml_emulator.clear_calls()
    assert runner.run() == first
    assert runner.announced(ws.data("sales")) == [first]
    assert not azureml_emulator.calls("PUT")


def test_a_retry_after_half_an_upload_leaves_just_the_files_of_the_source(ws, task, folder, blobs, azureml_emulator):
    runner = task(CreateData, data_asset={"name": "sales", "path": str(folder)})
    azureml_emulator.misbehave("PUT", "/data/sales/versions/", status=400, times=1)
    put = runner.operator
    with pytest.raises(Exception, match="400"):
        runner.run()
    assert blobs() == {}, "what will never be registered is deleted"
    (folder / "a.txt").unlink()
    result = runner.run()
    assert result["version"] == "1"
    assert list(blobs().values()) == [b"beta"]
    assert put is runner.operator


def test_a_lost_answer_does_not_make_two_versions(ws, task, folder, ask, azureml_emulator):
    """The service makes the version, but the connection breaks before the answer."""
    azureml_emulator.misbehave("PUT", "/models/fraud/versions/", lose_answer=True, times=1)
    assert task(RegisterModel, model={"name": "fraud", "path": str(folder)}).run()["version"] == "1"
    assert len(ask(lambda client: client.list_versions(Kind.MODEL, "fraud"))) == 1


def test_throttling_is_waited_out(ws, task, folder, azureml_emulator):
    azureml_emulator.misbehave(path="Microsoft.MachineLearningServices", status=429, retry_after=1, times=4)
    assert task(RegisterModel, model={"name": "fraud", "path": str(folder)}).run()["version"] == "1"


def test_tasks_that_race_for_the_next_version_all_get_one_of_their_own(ws, task, folder, ask):
    """Versions 1 to 6, each leading to its own files; nobody sees an error."""
    runners = [task(RegisterModel, model={"name": "fraud", "path": str(folder)}) for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        results = list(pool.map(lambda runner: runner.run(), runners))
    assert sorted(result["version"] for result in results) == ["1", "2", "3", "4", "5", "6"]
    assert len({result["path"] for result in results}) == 6
    stored = ask(lambda client: client.list_versions(Kind.MODEL, "fraud"))
    assert {version.version: version.path for version in stored} == {r["version"]: r["path"] for r in results}


def test_a_model_from_a_jobs_output_knows_its_job(ws, task, ask, azureml_emulator, submit):
    job = submit()
    path = f"azureml://jobs/{job}/outputs/artifacts/paths/model/"
    result = task(RegisterModel, model={"name": "fraud", "type": "mlflow_model", "path": path}).run()
    assert result["job_name"] == job


def test_what_a_consumer_reads_is_what_the_operator_returned(ws, task, folder):
    """Through the event, as Airflow would hand it on."""
    runner = task(CreateData, workspace=ws, data_asset={"name": "sales", "path": str(folder)})
    result = runner.run()

    class Event:
        timestamp = 1
        extra = runner.events[ws.data("sales")].extra

    (version,) = asset_versions({ws.data("sales"): [Event()]})
    assert version.to_dict() == result


def test_a_datastore_without_credentials_is_used_as_the_connections_identity(ws, task, folder, azureml_emulator):
    azureml_emulator.create_datastore("bare", workspace=ws.name, credentials="None")
    result = task(CreateData, data_asset={"name": "s", "path": str(folder), "datastore": "bare"}).run()
    assert "/datastores/bare/paths/" in result["path"]
    assert not azureml_emulator.calls("POST", "/listSecrets")


class NobodyInStorage:
    """An identity that may use the workspace, and whose tokens storage does not accept."""

    def __init__(self, real: Any) -> None:
        self.real = real

    async def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        if "storage" in scopes[0]:
            return AccessToken("e30.e30.", int(time.time()) + 3600)
        return await self.real.get_token(*scopes, **options)

    async def close(self) -> None:
        await self.real.close()


@pytest.fixture
def nobody_in_storage(monkeypatch):
    real = WorkspaceConnection.async_credential
    monkeypatch.setattr(WorkspaceConnection, "async_credential", lambda self: NobodyInStorage(real(self)))


class TestBadInput:
    """A clear error each time; nothing created, nothing half registered."""

    def refuse(self, runner: Any, azureml_emulator: Any, *words: str) -> None:
        with pytest.raises(Exception) as caught:  # noqa: PT011
            runner.run()
        message = str(caught.value)
        assert type(caught.value).__module__.startswith("airflow_provider_azureml"), repr(caught.value)
        for word in words:
            assert word in message
        assert azureml_emulator.client_secret not in message
        assert not [call for call in azureml_emulator.calls("PUT") if call["status"] < 300 and "blob" in call["host"]]
        assert not [c for c in azureml_emulator.calls("PUT", "/versions/") if c["status"] < 300]

    @pytest.mark.parametrize(
        ("spec", "words"),
        [
            ({"path": "x"}, ["needs a 'name'"]),
            ({"name": "sales"}, ["needs a 'path'"]),
            ({"name": "sales of may", "path": "x"}, ["'sales of may'", "A-Z a-z 0-9 _ - ."]),
            ({"name": "sales", "path": "x", "version": "a/b"}, ["'a/b'", "1 to 30"]),
            ({"name": "sales", "path": "x", "pathh": "y"}, ["unknown keys 'pathh'", "Known:"]),
            ({"name": "sales", "path": "x", "type": "folder"}, ["'folder'", "uri_folder, uri_file, mltable"]),
            ({"name": "sales", "path": "x", "tags": ["a"]}, ["tags must be a mapping"]),
            ({"name": "sales", "path": "/not/there"}, ["/not/there"]),
            ("no.yml", ["no.yml", "No such file"]),
            (7, ["given as int"]),
            ({"name": "s", "path": "azureml://datastores/nowhere/paths/x"}, ["nowhere", "404"]),
            ({"name": "s", "path": "azureml://jobs/nobody/outputs/o/paths/x"}, ["nobody", "404"]),
            ({"name": "s", "path": "{folder}", "datastore": "nowhere"}, ["nowhere", "404"]),
            ({"name": "s", "path": "{folder}", "type": "uri_file"}, ["is a folder; use type uri_folder"]),
            ({"name": "s", "path": "{folder}/a.txt"}, ["is a file; use type uri_file"]),
            ({"name": "s", "path": "{folder}", "type": "mltable"}, ["no file named MLTable"]),
            ({"name": "s", "path": "{empty}"}, ["no file to upload"]),
            ({"name": "s", "path": "None"}, ["The path is the text 'None'", "XCom"]),
            ({"name": "None", "path": "x"}, ["The name is the text 'None'"]),
            ({"name": "s", "path": None}, ["needs a 'path'"]),
            ({"name": "s", "path": "{folder}", "description": "x" * 5001}, ["5,001 characters", "5,000"]),
            ({"name": "s", "path": "{folder}", "tags": {f"t{n}": "" for n in range(47)}}, ["47 tags", "takes 50"]),
            ({"name": "s", "path": "{folder}", "tags": {"x" * 251: ""}}, ["251 characters", "250"]),
            ({"name": "s", "path": "{folder}", "tags": {"t": "x" * 1001}}, ["'t'", "1,001 characters", "1,000"]),
            ({"name": "s", "path": "s3://bucket/x"}, ["apache-airflow-providers-amazon[s3fs]"]),
        ],
    )
    def test_a_spec_that_cannot_be(self, ws, task, folder, azureml_emulator, spec, words):
        (folder.parent / "empty").mkdir()
        if isinstance(spec, dict) and spec.get("path"):
            spec["path"] = spec["path"].format(folder=folder, empty=folder.parent / "empty")
        self.refuse(task(CreateData, data_asset=spec), azureml_emulator, *words)

    def test_an_mltable_in_a_datastore_that_is_none(self, ws, task, ask, azureml_emulator):
        store = ask(lambda client: client.get_datastore())
        with ContainerClient(store.account_url, store.container, credential=azureml_emulator.storage_key) as container:
            container.upload_blob("tables/bad/MLTable", b"transformations: []", overwrite=True)
        azureml_emulator.clear_calls()
        path = f"azureml://datastores/{store.name}/paths/tables/bad"
        runner = task(CreateData, data_asset={"name": "bad", "type": "mltable", "path": path})
        self.refuse(runner, azureml_emulator, "tables/bad/MLTable is invalid", "'paths'")

    def test_a_model_version_that_is_no_number(self, ws, task, folder, azureml_emulator):
        runner = task(RegisterModel, model={"name": "m", "path": str(folder), "version": "1.0"})
        self.refuse(runner, azureml_emulator, "'1.0'", "positive integers")

    def test_an_mlflow_model_without_its_description(self, ws, task, folder, azureml_emulator):
        runner = task(RegisterModel, model={"name": "m", "path": str(folder), "type": "mlflow_model"})
        self.refuse(runner, azureml_emulator, "no file named MLmodel")

    def test_an_explicit_version_that_exists_with_other_content(self, ws, task, folder, azureml_emulator, blobs):
        task(CreateData, data_asset={"name": "s", "version": "1", "path": str(folder)}).run()
        before = blobs()
        azureml_emulator.clear_calls()
        other = task(CreateData, data_asset={"name": "s", "version": "1", "path": str(folder)})
        self.refuse(other, azureml_emulator, "data s:1", "exists already with other content")
        assert blobs() == before

    def test_a_datastore_without_credentials_that_the_identity_may_not_use(
        self, ws, task, folder, azureml_emulator, nobody_in_storage
    ):
        azureml_emulator.create_datastore("bare", workspace=ws.name, credentials="None")
        runner = task(CreateData, data_asset={"name": "s", "path": str(folder), "datastore": "bare"})
        self.refuse(runner, azureml_emulator, "bare", "Storage Blob Data Contributor")

    def test_a_datastore_whose_container_is_gone(self, ws, task, folder, azureml_emulator):
        azureml_emulator.create_datastore("gone", workspace=ws.name, container="gone", credentials="None")
        runner = task(CreateData, data_asset={"name": "s", "path": str(folder), "datastore": "gone"})
        self.refuse(runner, azureml_emulator, "gone", "ContainerNotFound")

    def test_no_such_connection(self, ws, task, folder, azureml_emulator, monkeypatch):
        monkeypatch.delenv("AIRFLOW_CONN_AZUREML")
        runner = task(CreateData, data_asset={"name": "s", "path": str(folder)})
        self.refuse(runner, azureml_emulator, "'azureml'", "airflow connections add")

    def test_a_wrong_secret(self, ws, task, folder, azureml_emulator, monkeypatch):
        self.connect(monkeypatch, azureml_emulator, password="not it")
        runner = task(CreateData, data_asset={"name": "s", "path": str(folder)})
        self.refuse(runner, azureml_emulator, "'azureml'", "AADSTS7000215", azureml_emulator.client_id)

    def test_an_identity_without_a_role(self, ws, task, folder, azureml_emulator, monkeypatch):
        nobody = azureml_emulator.create_principal(role=None)
        self.connect(monkeypatch, azureml_emulator, login=nobody["client_id"], password=nobody["client_secret"])
        runner = task(CreateData, data_asset={"name": "s", "path": str(folder)})
        self.refuse(runner, azureml_emulator, "403", "role on the workspace", nobody["client_id"])

    def test_a_workspace_that_does_not_exist(self, ws, task, folder, azureml_emulator, monkeypatch):
        self.connect(monkeypatch, azureml_emulator, extra={"workspace_name": "elsewhere"})
        runner = task(CreateData, data_asset={"name": "s", "path": str(folder)})
        self.refuse(runner, azureml_emulator, "there is no workspace", "elsewhere")

    def test_a_workspace_argument_that_is_not_the_connections(self, ws, task, folder, azureml_emulator):
        other = type(ws)(ws.subscription_id, ws.resource_group, "another")
        runner = task(CreateData, workspace=other, data_asset={"name": "s", "path": str(folder)})
        azureml_emulator.clear_calls()
        self.refuse(runner, azureml_emulator, "another", ws.name, "Nothing was changed")
        # Only of these two: what an earlier test left to be canceled may still be under way.
        assert not [call for call in azureml_emulator.calls() if {ws.name, "another"} & set(call["path"].split("/"))]

    @staticmethod
    def connect(monkeypatch: pytest.MonkeyPatch, azureml_emulator: Any, extra: Any = None, **changes: Any) -> None:
        connection = azureml_emulator.connection
        connection = {**connection, **changes, "extra": {**connection["extra"], **(extra or {})}}
        monkeypatch.setenv("AIRFLOW_CONN_AZUREML", json.dumps(connection))


@pytest.mark.parametrize("kind", [Kind.DATA, Kind.MODEL])
def test_sigkill_after_any_call_leaves_one_version_of_whole_files(
    ws, task, folder, blobs, ask, kill_at_each_call, kind
):
    spec = {"name": "sales", "path": str(folder)}
    runner = task(CreateData, data_asset=spec) if kind is Kind.DATA else task(RegisterModel, model=spec)
    assert kill_at_each_call(runner) > 6
    (version,) = ask(lambda client: client.list_versions(kind, "sales"))
    prefix = version.path.partition("/paths/")[2].rstrip("/")
    assert blobs() == {f"{prefix}/a.txt": b"alpha", f"{prefix}/nested/b.txt": b"beta"}
