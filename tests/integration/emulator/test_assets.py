"""Data, models, codes and environments, through the SDK itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning:azure", "ignore::DeprecationWarning")


def data(**options: Any) -> Any:
    from azure.ai.ml.entities import Data

    return Data(**{"name": "sales", "type": "uri_folder", **options})


def model(**options: Any) -> Any:
    from azure.ai.ml.entities import Model

    return Model(**{"name": "fraud", "type": "custom_model", **options})


class TestData:
    def test_a_folder_is_uploaded_and_registered(self, ml: Any, folder: Path, azureml_emulator: Any) -> None:
        created = ml.data.create_or_update(data(path=str(folder), description="all", tags={"stage": "raw"}))

        assert created.version == "1"
        found = ml.data.get("sales", "1")
        assert (found.description, found.tags, found.type) == ("all", {"stage": "raw"}, "uri_folder")
        assert found.path.startswith("azureml://subscriptions/")
        assert "/resourcegroups/" in found.path
        assert found.path.endswith("/source/")
        assert azureml_emulator.unknown_routes == []

    def test_the_bytes_are_in_storage(self, ml: Any, folder: Path, tmp_path: Path) -> None:
        from azure.ai.ml._artifacts import _artifact_utilities

        created = ml.data.create_or_update(data(path=str(folder)))
        _artifact_utilities.download_artifact_from_aml_uri(created.path, str(tmp_path / "got"), ml.datastores)

        assert (tmp_path / "got" / "nested" / "b.txt").read_text() == "beta"

    def test_an_unchanged_folder_makes_a_new_version_with_the_same_uri(self, ml: Any, folder: Path) -> None:
        versions = [ml.data.create_or_update(data(path=str(folder))) for _ in range(2)]

        assert [version.version for version in versions] == ["1", "2"]
        assert versions[0].path == versions[1].path

    def test_the_latest_label_is_the_newest_version(self, ml: Any) -> None:
        for version in ("1", "2", "named"):
            ml.data.create_or_update(data(path=f"https://example.org/{version}/", version=version))

        assert ml.data.get("sales", label="latest").version == "named"

    def test_lists_are_newest_first_and_hide_the_archived(self, ml: Any) -> None:
        for version in ("1", "2", "3"):
            ml.data.create_or_update(data(path=f"https://example.org/{version}/", version=version))
        ml.data.archive("sales", version="2")

        assert [found.version for found in ml.data.list("sales")] == ["3", "1"]
        assert ml.data.get("sales", "2").name == "sales"
        ml.data.restore("sales", version="2")
        assert [found.version for found in ml.data.list("sales")] == ["3", "2", "1"]

    def test_containers_are_listed_with_their_latest_version(self, ml: Any) -> None:
        ml.data.create_or_update(data(path="https://example.org/1/", version="7"))

        assert [(found.name, found.latest_version) for found in ml.data.list()] == [("sales", "7")]

    def test_a_missing_version_is_not_found(self, ml: Any) -> None:
        with pytest.raises(ResourceNotFoundError, match="not found"):
            ml.data.get("nothing", "1")

    def test_the_path_of_a_version_cannot_be_changed(self, ml: Any) -> None:
        ml.data.create_or_update(data(path="https://example.org/1/", version="1"))
        with pytest.raises(HttpResponseError, match="Asset paths cannot be updated"):
            ml.data.create_or_update(data(path="https://example.org/other/", version="1"))

    def test_tags_of_a_version_can_be_changed(self, ml: Any) -> None:
        ml.data.create_or_update(data(path="https://example.org/1/", version="1"))
        ml.data.create_or_update(data(path="https://example.org/1/", version="1", tags={"checked": "yes"}))

        assert ml.data.get("sales", "1").tags == {"checked": "yes"}


class TestModels:
    def test_a_model_is_uploaded_and_registered(self, ml: Any, folder: Path, azureml_emulator: Any) -> None:
        created = ml.models.create_or_update(model(path=str(folder)))

        assert (created.name, created.version, created.stage) == ("fraud", "1", "Development")
        assert "/resourceGroups/" in created.path
        assert azureml_emulator.unknown_routes == []

    def test_a_model_is_registered_from_the_output_of_a_job(self, ml: Any) -> None:
        path = "azureml://jobs/some-job/outputs/model/paths/model/"
        created = ml.models.create_or_update(model(path=path, type="mlflow_model"))

        assert ml.models.get("fraud", created.version).path == path

    def test_the_latest_label_is_the_newest_version(self, ml: Any) -> None:
        for version in ("3", "5"):
            ml.models.create_or_update(model(path="azureml://jobs/j/outputs/m", version=version))

        assert ml.models.get("fraud", label="latest").version == "5"
        assert ml.models.create_or_update(model(path="azureml://jobs/j/outputs/m")).version == "6"

    def test_a_missing_model_has_no_list_of_versions(self, ml: Any) -> None:
        with pytest.raises(ResourceNotFoundError) as error:
            ml.models.get("nothing", label="latest")
        assert error.value.error.details[0].code == "ModelNotFound"

    def test_an_archived_model_changes_its_stage(self, ml: Any) -> None:
        ml.models.create_or_update(model(path="azureml://jobs/j/outputs/m", version="1"))
        ml.models.archive("fraud", version="1")

        assert ml.models.get("fraud", "1").stage == "Archived"
        ml.models.restore("fraud", version="1")
        assert ml.models.get("fraud", "1").stage == "Development"

    def test_the_version_of_a_model_is_a_positive_integer(self, ml: Any) -> None:
        with pytest.raises(HttpResponseError, match="positive integer"):
            ml.models.create_or_update(model(path="azureml://jobs/j/outputs/m", version="first"))


def test_an_environment_is_registered_and_only_the_newest_is_labelled(ml: Any, tmp_path: Path) -> None:
    from azure.ai.ml.entities import Environment

    conda = tmp_path / "conda.yml"
    conda.write_text("name: e\ndependencies:\n- python=3.11\n")
    for version in ("1", "2"):
        ml.environments.create_or_update(
            Environment(name="env", version=version, image="ubuntu", conda_file=str(conda))
        )

    assert ml.environments.get("env", label="latest").version == "2"
    assert ml.environments.get("env", "1").conda_file == {"name": "e", "dependencies": ["python=3.11"]}


async def test_pages_follow_one_another_and_end(rest: Any, azureml_emulator: Any) -> None:
    azureml_emulator.configure(page_size=2)
    try:
        for version in range(1, 6):
            body = {"properties": {"modelUri": "azureml://jobs/j/outputs/m", "modelType": "custom_model"}}
            await rest("PUT", f"/models/fraud/versions/{version}", body)
        seen, pages, url = [], 0, "/models/fraud/versions?$orderBy=createdtime desc&tags=none"
        url = url.replace("&tags=none", "").replace(" ", "%20")
        while url:
            page = (await rest("GET", url)).json()
            seen += [item["name"] for item in page["value"]]
            pages, url = pages + 1, page.get("nextLink")
    finally:
        azureml_emulator.configure(page_size=50)

    assert (seen, pages) == (["5", "4", "3", "2", "1"], 3)


async def test_top_is_a_limit_without_a_next_page(rest: Any) -> None:
    for version in (1, 2):
        body = {"properties": {"modelUri": "azureml://jobs/j/outputs/m", "modelType": "custom_model"}}
        await rest("PUT", f"/models/fraud/versions/{version}", body)

    page = (await rest("GET", "/models/fraud/versions?$top=1")).json()
    assert [item["name"] for item in page["value"]] == ["2"]
    assert "nextLink" not in page


async def test_lists_may_lag_behind(rest: Any, azureml_emulator: Any) -> None:
    azureml_emulator.configure(list_delay=60)
    try:
        body = {"properties": {"dataUri": "https://example.org/", "dataType": "uri_file"}}
        await rest("PUT", "/data/sales/versions/1", body)
        fresh = (await rest("GET", "/data/sales/versions")).json()["value"]
        azureml_emulator.advance(61)
        later = (await rest("GET", "/data/sales/versions")).json()["value"]
    finally:
        azureml_emulator.configure(list_delay=0)

    assert (len(fresh), len(later)) == (0, 1)
    assert (await rest("GET", "/data/sales/versions/1")).status_code == 200


@pytest.mark.parametrize("name", ["sp ace", "-dash", "ümlaut"])
async def test_a_name_with_other_characters_is_refused(rest: Any, name: str) -> None:
    from urllib.parse import quote

    body = {"properties": {"dataUri": "https://example.org/", "dataType": "uri_file"}}
    answer = await rest("PUT", f"/data/{quote(name)}/versions/1", body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "UserError")


@pytest.mark.parametrize(
    ("order", "names"),
    [
        (None, ["3", "2", "1"]),
        ("createdtime desc", ["3", "2", "1"]),
        ("createdtime asc", ["1", "2", "3"]),
        ("modifiedtime desc", ["1", "3", "2"]),
        ("modifiedtime asc", ["2", "3", "1"]),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 100])
async def test_any_order_in_pages_of_any_size(
    rest: Any, azureml_emulator: Any, order: str | None, names: list[str], size: int
) -> None:
    body: dict[str, Any] = {"properties": {"dataUri": "https://example.org/", "dataType": "uri_file"}}
    for version in ("1", "2", "3"):
        await rest("PUT", f"/data/sales/versions/{version}", body)
    body["properties"]["tags"] = {"changed": "yes"}
    await rest("PUT", "/data/sales/versions/1", body)

    azureml_emulator.configure(page_size=size)
    try:
        seen, url = [], "/data/sales/versions" + (f"?$orderBy={order.replace(' ', '%20')}" if order else "")
        while url:
            page = (await rest("GET", url)).json()
            assert len(page["value"]) <= size
            seen += [item["name"] for item in page["value"]]
            url = page.get("nextLink")
    finally:
        azureml_emulator.configure(page_size=50)
    assert seen == names


async def test_a_continuation_that_was_not_handed_out_is_refused(rest: Any) -> None:
    await rest("PUT", "/data/sales/versions/1", {"properties": {"dataUri": "https://e.org", "dataType": "uri_file"}})
    assert (await rest("GET", "/data/sales/versions?$skipToken=1")).status_code == 400


async def test_the_code_and_command_of_a_component_version_cannot_be_changed(rest: Any) -> None:
    spec = {"name": "c", "type": "command", "command": "echo", "code": "azureml:a:1"}
    for key, value in (("code", "azureml:b:1"), ("command", "ls")):
        await rest("PUT", "/components/c/versions/1", {"properties": {"componentSpec": spec}})
        answer = await rest("PUT", "/components/c/versions/1", {"properties": {"componentSpec": {**spec, key: value}}})

        text = f'Failed to update component c since field "{key}" is immutable, try specifying a new version.'
        assert (answer.status_code, answer.json()["error"]["message"]) == (400, text)

    described = {"componentSpec": {**spec, "description": "it"}, "description": "it"}
    assert (await rest("PUT", "/components/c/versions/1", {"properties": described})).status_code == 200


async def test_a_version_that_was_deleted_from_a_registry_never_comes_back(rest: Any, azureml_emulator: Any) -> None:
    registry = azureml_emulator.create_registry()
    coordinates = f"/subscriptions/{azureml_emulator.subscription_id}/resourceGroups/{azureml_emulator.resource_group}"
    url = (
        f"https://cert-westeurope.experiments.azureml.net/mferp/managementfrontend{coordinates}"
        f"/providers/Microsoft.MachineLearningServices/registries/{registry}/models/fraud/versions/1"
        "?api-version=2021-10-01-dataplanepreview"
    )
    body = {"properties": {"modelUri": "https://example.org/m", "modelType": "custom_model"}}
    assert (await rest("PUT", url, body)).status_code in (201, 202)
    changed = {"properties": {**body["properties"], "modelUri": "https://example.org/other"}}
    azureml_emulator.advance(10)
    assert "without increasing the version" in (await rest("PUT", url, changed)).json()["error"]["message"]

    await rest("DELETE", url)
    answer = await rest("PUT", url, body)
    assert answer.status_code == 400
    assert "cannot be recreated. Please try again with a different version." in answer.json()["error"]["message"]
    missing = url.replace("/versions/1", "/versions").replace("fraud", "nothing")
    assert ((await rest("GET", missing)).status_code, (await rest("GET", missing)).json()) == (200, {"value": []})
