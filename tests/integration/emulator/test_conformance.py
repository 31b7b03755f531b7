"""The emulator answers in the shapes of the real service, for every exchange that was recorded.

Each record in recorded_shapes/ is driven by one function below, which brings the emulator into the record's situation
and makes the record's request. Status, headers, required members, types, nulls and enum values are compared; members
that the record does not have are not allowed either. DEPARTURES is the one list of where the emulator differs on
purpose, and an entry that is no longer needed fails the test. Where the service was recorded to answer the same call in
several forms, the emulator does so in turn, and a record is met by the form that it holds.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

Record = dict[str, Any]

FOLDER = Path(__file__).parent / "recorded_shapes"
RECORDS: dict[str, Record] = {
    f"{path.stem}-{index}": record
    for path in sorted(FOLDER.glob("*.json"))
    for index, record in enumerate(json.loads(path.read_text()))
}

DEPARTURES: dict[str, dict[str, str]] = {
    "*": {
        "header Retry-After": "long-running operations tell when to poll again, as the SDK would wait 30 s each time",
    },
}

OPEN: dict[str, str] = {}
"""Records that are not answered like this yet, and why."""

FORMS = 3
"""In how many forms, at most, one call was recorded to be answered."""


# Comparing -----------------------------------------------------------------------------------------------------------

_TYPES: dict[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "int": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
    "bool": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "object": lambda value: isinstance(value, dict),
    "any": lambda value: True,
}


def differences(record: Record, response: requests.Response) -> Iterator[str]:
    """Yield how an answer differs from a record, one line each."""
    if response.status_code != record["status"]:
        yield f"status {response.status_code} instead of {record['status']}: {response.text[:300]}"
        return
    yield from header_differences(record, response)
    shape = record["response_shape"]
    if shape in ("null", None):
        expected = "null" if any("null" in note for note in record.get("notes", [])) else ""
        if response.text not in ("", "null", expected):
            yield f"body {response.text[:80]!r} instead of none"
        return
    if shape == "object" and response.json() == {}:
        return
    yield from body_differences(record, shape, response.json(), "")
    yield from enum_differences(record, response.json())


def header_differences(record: Record, response: requests.Response) -> Iterator[str]:
    for name, expected in record["response_headers"].items():
        got = response.headers.get(name)
        if got is None:
            yield f"header {name} missing"
        elif name.startswith("x-ms-ratelimit"):
            if not got.isdecimal():
                yield f"header {name} is {got}"
        elif expected is not None and not _pattern(expected).fullmatch(got):
            yield f"header {name} is {got} instead of {expected}"
    if response.headers.get("Retry-After") is not None:
        yield "header Retry-After"


_WHOLE_ID, _ONE = "/subscriptions/.+", "[^/?&]+"


def _pattern(template: str) -> re.Pattern[str]:
    """Turn a recorded URL into a pattern: names in braces stand for anything in one segment or parameter."""
    parts = re.split(r"(\{[^}]*\})", template.partition("&t={int}")[0])
    text = "".join(_WHOLE_ID if "arm id" in part else _ONE if part[:1] == "{" else re.escape(part) for part in parts)
    text = re.sub(r"/mfeOperationsStatus/\w+:", r"/mfeOperationsStatus/\\w+:", text)
    signature = r"(&t=\d+&c=[\w-]+&s=\w+&h=[\w-]+)?"
    return re.compile(text + signature, re.IGNORECASE)


def body_differences(record: Record, shape: Any, got: Any, path: str) -> Iterator[str]:
    if isinstance(shape, str):
        if not any(_TYPES[kind](got) for kind in shape.split("|")):
            yield f"{path} is {got!r:.80} instead of {shape}"
    elif isinstance(shape, list):
        if not isinstance(got, list):
            yield f"{path} is {got!r:.80} instead of a list"
        else:
            for item in got if shape else []:
                yield from body_differences(record, shape[0], item, f"{path}[]")
    else:
        yield from object_differences(record, shape, got, path)


def object_differences(record: Record, shape: dict[str, Any], got: Any, path: str) -> Iterator[str]:
    if "?type" in shape and not isinstance(got, dict):
        if not any(_TYPES[kind](got) for kind in shape["?type"].split("|")):
            yield f"{path} is {got!r:.80}"
        return
    if not isinstance(got, dict):
        yield f"{path} is {got!r:.80} instead of an object"
        return
    sometimes = set(record.get("response_sometimes", []))
    free = shape.get("*")
    for key, inner in shape.items():
        here = f"{path}.{key}".lstrip(".")
        if key in got:
            yield from body_differences(record, inner, got[key], here)
        elif key not in ("*", "?type") and here not in sometimes and "?type" not in shape:
            yield f"{here} missing"
    for key in got.keys() - shape.keys():
        here = f"{path}.{key}".lstrip(".")
        if free is not None:
            yield from body_differences(record, free, got[key], f"{path}.*")
        else:
            yield f"{here} was not recorded"


def enum_differences(record: Record, got: Any) -> Iterator[str]:
    for path, seen in record["enums"].items():
        allowed = seen if isinstance(seen, list) else [seen]
        for value in values(got, path):
            if value is not None and value not in allowed:
                yield f"{path} is {value!r} instead of one of {allowed}"


def values(got: Any, path: str) -> Iterator[Any]:
    """Yield what is at a path like `value[].properties.*.mode`; keys may hold dots themselves."""
    if path == "":
        yield got
    elif path.startswith("[]"):
        for item in got if isinstance(got, list) else []:
            yield from values(item, path[2:].lstrip("."))
    elif isinstance(got, dict):
        if path.startswith("*"):
            for item in got.values():
                yield from values(item, path[1:].lstrip("."))
        for key in got:
            if path == key or path.startswith((f"{key}.", f"{key}[]")):
                yield from values(got[key], path[len(key) :].lstrip("."))


# Driving -------------------------------------------------------------------------------------------------------------


class World:
    """A clean workspace and somebody (a person, as in most recordings) who calls."""

    def __init__(self, emulator: Any) -> None:
        self.emulator = emulator
        emulator.configure(both_forms=True)
        person = emulator.create_principal(kind="User", name="A Person")
        self.person = emulator.token(person["client_id"])
        self.caller = emulator.token(
            person["client_id"], resource="https://ml.azure.com"
        )  # of endpoints, as the SDK asks
        self.application = emulator.token()
        self.session = requests.Session()
        self.begin(None)

    def begin(self, api_version: str | None) -> None:
        """Go on in a clean workspace; calls to services other than ARM are recorded without an api-version of ARM's."""
        emulator = self.emulator
        self.api_version = api_version if api_version and api_version[0] == "2" else "2022-10-01-preview"
        emulator.script_jobs(None)
        workspace = emulator.create_workspace()
        coordinates = f"/subscriptions/{emulator.subscription_id}/resourceGroups/{emulator.resource_group}"
        self.group = f"https://management.azure.com{coordinates}/providers/Microsoft.MachineLearningServices/workspaces"
        self.workspace_name, self.workspace = workspace, f"{self.group}/{workspace}"
        self.id = self.workspace.removeprefix("https://management.azure.com")
        self.history = f"https://westeurope.api.azureml.ms/history/v1.0{self.id}"

    def call(self, method: str, path: str, body: Any = None, *, token: str = "", **headers: str) -> requests.Response:
        url = path if path.startswith("https://") else self.workspace + path
        if "api-version=" not in url and "management.azure.com" in url:
            url += f"{'&' if '?' in url else '?'}api-version={self.api_version}"
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        own = self.caller if ".inference.ml.azure.com" in url else self.person
        authorization = {"Authorization": f"Bearer {token or own}", **named}
        return self.session.request(method, url, json=body, headers=authorization, timeout=60)

    def put(self, path: str, **properties: Any) -> requests.Response:
        return self.call("PUT", path, {"properties": properties})

    def get(self, path: str) -> requests.Response:
        return self.call("GET", path)

    def later(self, seconds: float = 60) -> None:
        self.emulator.advance(seconds)

    def named_in(self, response: requests.Response, header: str = "Azure-AsyncOperation") -> requests.Response:
        return self.get(response.headers[header])


Driver = Callable[[World], requests.Response]
DRIVERS: dict[str, Driver] = {}


def drives(*records: str) -> Callable[[Driver], Driver]:
    def register(driver: Driver) -> Driver:
        for record in records:
            assert record not in DRIVERS, record
            DRIVERS[record] = driver
        return driver

    return register


@pytest.fixture
def world(azureml_emulator: Any) -> Iterator[World]:
    """Its operations end, and its lists show things, when the driver says; both forms of answers stay in turn."""
    azureml_emulator.configure(operation_polls=0, list_delay=0, page_size=50, refuse_secrets=False, both_forms=True)
    world = World(azureml_emulator)
    with world.session:
        yield world


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.xfail(reason=OPEN[name])] if name in OPEN else []) for name in RECORDS],
)
def test_an_answer_has_the_recorded_shape(world: World, name: str) -> None:
    record, allowed = RECORDS[name], DEPARTURES.get(name, {}).keys()
    for _ in range(FORMS):
        world.begin(record["api_version"])
        found = set(differences(record, DRIVERS[name](world)))
        if not found - allowed - DEPARTURES["*"].keys():
            break

    assert sorted(found - allowed - DEPARTURES["*"].keys()) == []
    assert set(allowed) <= found, "a departure that is no longer one"


def test_every_record_is_driven() -> None:
    assert DRIVERS.keys() == RECORDS.keys()


def test_the_comparison_notices() -> None:
    """A comparison that cannot fail proves nothing."""
    record = {"api_version": "2024", "response_sometimes": ["b"], "enums": {"d": "X"}}
    shape = {"a": "string", "b": "int", "c": {"*": "null"}, "d": "string"}

    assert list(body_differences(record, shape, {"a": "", "c": {"k": None}, "d": "X"}, "")) == []
    assert list(body_differences(record, shape, {"a": 1, "c": {}, "d": "X"}, "")) == ["a is 1 instead of string"]
    assert list(body_differences(record, shape, {"c": {}, "d": "X"}, "")) == ["a missing"]
    assert list(body_differences(record, shape, {"a": "", "c": {}, "d": "X", "e": 1}, "")) == ["e was not recorded"]
    assert list(enum_differences(record, {"d": "Y"})) == ["d is 'Y' instead of one of ['X']"]


# Models and data -----------------------------------------------------------------------------------------------------

MODEL = {"modelType": "custom_model", "properties": {}, "tags": {}, "isAnonymous": False, "isArchived": False}
DATA = {"dataType": "uri_folder", "properties": {}, "tags": {}, "isAnonymous": False, "isArchived": False}


def put_model(world: World, version: int = 1, **more: Any) -> requests.Response:
    uri = f"azureml:/{world.id}/datastores/workspaceblobstore/paths/model"
    return world.put(f"/models/m/versions/{version}", **{**MODEL, "modelUri": uri, **more})


def put_data(world: World, version: int = 1, **more: Any) -> requests.Response:
    uri = "azureml://datastores/workspaceblobstore/paths/data"
    return world.put(f"/data/d/versions/{version}", **{**DATA, "dataUri": uri, **more})


@drives("model-0", "errors-0")
def models_of_a_missing_container(world: World) -> requests.Response:
    return world.get("/models/nothing/versions?$orderBy=createdtime desc&$top=1")


@drives("model-1")
def new_model(world: World) -> requests.Response:
    return put_model(world)


@drives("model-2")
def newest_model(world: World) -> requests.Response:
    put_model(world)
    put_model(world, 2)
    return world.get("/models/m/versions?$orderBy=createdtime desc&$top=1")


@drives("model-3")
def one_model(world: World) -> requests.Response:
    put_model(world, tags={"k": "v"}, flavors={"python_function": {"data": {"loader_module": "mlflow"}}})
    return world.get("/models/m/versions/1")


@drives("model-4")
def archived_model(world: World) -> requests.Response:
    put_model(world)
    return put_model(world, isArchived=True)


@drives("model-5")
def model_containers(world: World) -> requests.Response:
    put_model(world)
    return world.get("/models?listViewType=ActiveOnly")


@drives("model-6")
def same_model_again(world: World) -> requests.Response:
    put_model(world)
    return put_model(world)


@drives("model-7", "errors-9")
def missing_model_container(world: World) -> requests.Response:
    return world.get("/models/nothing")


@drives("model-8")
def new_model_by_an_application(world: World) -> requests.Response:
    world.person = world.application
    return put_model(world)


@drives("data-0")
def new_data(world: World) -> requests.Response:
    return put_data(world)


@drives("data-1")
def one_data(world: World) -> requests.Response:
    put_data(world)
    return world.get("/data/d/versions/1")


@drives("data-2")
def data_versions(world: World) -> requests.Response:
    put_data(world)
    put_data(world, 2, description="second")
    return world.get("/data/d/versions?listViewType=ActiveOnly")


@drives("data-3")
def archived_data(world: World) -> requests.Response:
    put_data(world, dataType="uri_file", description="it")
    return put_data(world, dataType="uri_file", description="it", isArchived=True)


# Codes, environments, components -------------------------------------------------------------------------------------


def put_code(world: World) -> requests.Response:
    properties = {"hash_sha256": "a" * 64, "hash_version": "202208"}
    uri = f"https://{world.emulator.storage_account}.blob.core.windows.net:443/container/"
    return world.put("/codes/c/versions/1", properties=properties, isAnonymous=True, isArchived=False, codeUri=uri)


@drives("code-0")
def code_with_this_hash(world: World) -> requests.Response:
    put_code(world)
    return world.get(f"/codes/another/versions?hash={'a' * 64}&hashVersion=202208")


@drives("code-1")
def one_code(world: World) -> requests.Response:
    put_code(world)
    return world.get("/codes/c/versions/1")


@drives("code-2")
def same_code_again(world: World) -> requests.Response:
    put_code(world)
    return put_code(world)


@drives("code-3")
def pending_upload(world: World) -> requests.Response:
    body = {"pendingUploadType": "TemporaryBlobReference"}
    return world.call("POST", "/codes/c/versions/1/startPendingUpload", body)


@drives("code-4")
def new_code(world: World) -> requests.Response:
    return put_code(world)


def put_environment(world: World, version: str = "1") -> requests.Response:
    properties = {"description": "it", "isAnonymous": False, "isArchived": False, "image": "ubuntu"}
    return world.put(f"/environments/e/versions/{version}", **properties, condaFile="dependencies: [python]")


@drives("environment-0")
def same_environment_again(world: World) -> requests.Response:
    world.put("/environments/e/versions/1", condaFile="dependencies: [python]", image="ubuntu")
    return world.put("/environments/e/versions/1", condaFile="dependencies: [python]", image="ubuntu")


@drives("environment-1")
def new_environment(world: World) -> requests.Response:
    return put_environment(world)


@drives("environment-2")
def environment_versions(world: World) -> requests.Response:
    put_environment(world)
    put_environment(world, "2")
    return world.get("/environments/e/versions?listViewType=ActiveOnly")


@drives("environment-3")
def one_environment(world: World) -> requests.Response:
    put_environment(world)
    return world.get("/environments/e/versions/1")


@drives("environment-4")
def curated_environment(world: World) -> requests.Response:
    return world.get("/environments/AzureML-sklearn-1.5/versions/1")


@drives("environment-5")
def environment_containers(world: World) -> requests.Response:
    put_environment(world, "foo")
    return world.get("/environments?listViewType=ActiveOnly")


COMPONENT = {
    "command": "echo",
    "environment": "azureml:AzureML-sklearn:2",
    "name": "c",
    "$schema": "https://example.org/schema.json",
    "is_deterministic": True,
    "outputs": {"o": {"type": "uri_folder"}},
    "type": "command",
    "_source": "YAML.COMPONENT",
}


def put_component(world: World, **spec: Any) -> requests.Response:
    properties = {"properties": {"client_component_hash": "h"}, "isAnonymous": False, "isArchived": False}
    return world.put(
        "/components/c/versions/1", **properties, tags=spec.get("tags", {}), componentSpec={**COMPONENT, **spec}
    )


@drives("component-0")
def new_component(world: World) -> requests.Response:
    return put_component(world, code="azureml:c:1")


@drives("component-1")
def component_container(world: World) -> requests.Response:
    put_component(world)
    return world.get("/components/c")


@drives("component-2")
def missing_component_container(world: World) -> requests.Response:
    return world.get("/components/nothing")


@drives("component-3")
def changed_component(world: World) -> requests.Response:
    changed = {
        "display_name": "C",
        "description": "it",
        "tags": {"k": "v"},
        "inputs": {"i": {"type": "uri_folder", "optional": False, "description": "an input"}},
    }
    put_component(world, **changed)
    return put_component(world, **changed)


# Datastores and workspaces -------------------------------------------------------------------------------------------


@drives("datastore-0", "datastore-1", "datastore-6")
def default_datastore(world: World) -> requests.Response:
    return world.get("/datastores/workspaceblobstore")


@drives("datastore-2")
def expiring_secret(world: World) -> requests.Response:
    body = {"expirableSecret": True, "expireAfterHours": 1}
    response = world.call("POST", "/datastores/workspaceblobstore/listSecrets", body)
    assert re.match(r"\?.*srt=co&ss=bf&sp=rcuwdl", response.json()["sasToken"])
    return response


@drives("datastore-3")
def account_key(world: World) -> requests.Response:
    return world.call("POST", "/datastores/workspaceblobstore/listSecrets")


@drives("datastore-4", "errors-1")
def secret_of_a_store_without(world: World) -> requests.Response:
    world.emulator.create_datastore("bare", workspace=world.workspace_name, credentials="None")
    return world.call("POST", "/datastores/bare/listSecrets", {"expirableSecret": True, "expireAfterHours": 1})


@drives("datastore-5")
def file_datastore(world: World) -> requests.Response:
    return world.get("/datastores/workspacefilestore")


def put_datastore(world: World) -> requests.Response:
    place = {"datastoreType": "AzureBlob", "accountName": "account", "containerName": "container"}
    credentials = {"credentialsType": "AccountKey", "secrets": {"secretsType": "AccountKey", "key": "a2V5"}}
    more = {"endpoint": "core.windows.net", "protocol": "https", "serviceDataAccessAuthIdentity": "None"}
    return world.put("/datastores/mine", **place, **more, credentials=credentials, tags={})


@drives("datastore-7")
def user_datastore(world: World) -> requests.Response:
    assert put_datastore(world).status_code == 201
    return world.get("/datastores/mine")


@drives("datastore-8")
def datastores(world: World) -> requests.Response:
    put_datastore(world)
    response = world.get("/datastores?count=30&orderByAsc=false")
    names = [store["name"] for store in response.json()["value"]]
    built_in = ["workspaceworkingdirectory", "workspaceartifactstore", "workspacefilestore", "workspaceblobstore"]
    assert names == ["mine", *built_in]
    return response


@drives("workspace-0", "workspace-1", "workspace-2")
def workspace(world: World) -> requests.Response:
    return world.get("")


@drives("workspace-3", "errors-8")
def missing_workspace(world: World) -> requests.Response:
    return world.get(f"{world.group}/nothing")


# Jobs ----------------------------------------------------------------------------------------------------------------

COMMAND = {
    "jobType": "Command",
    "command": "echo",
    "environmentId": "azureml:env:1",
    "properties": {"test_property": "x"},
    "tags": {},
    "displayName": "j",
    "experimentName": "e",
    "identity": {"identityType": "AMLToken"},
    "isArchived": False,
    "environmentVariables": {},
    "inputs": {"i": {"mode": "ReadOnlyMount", "uri": "azureml:d:1", "jobInputType": "uri_folder"}},
    "outputs": {},
    "queueSettings": {"jobTier": "Standard"},
}


def cpu(world: World) -> str:
    """The id of a compute that is there: submission checks it."""
    if world.get("/computes/cpu").status_code == 404:
        put_compute(world)
    return f"{world.id}/computes/cpu"


@drives("job-0")
def new_command_job(world: World) -> requests.Response:
    computer = cpu(world)
    return world.put("/jobs/j", **COMMAND, computeId=computer)


@drives("job-1")
def preparing_command_job(world: World) -> requests.Response:
    world.emulator.script_jobs([("Starting", 3), ("Preparing", 3), "Completed"])
    world.put("/jobs/j", **{**COMMAND, "properties": {}})
    world.later(3)
    return world.get("/jobs/j")


def pipeline(world: World, **more: Any) -> dict[str, Any]:
    for name in ("a", "b"):
        world.put(f"/components/{name}/versions/1", componentSpec={"name": name, "type": "command"})
    node = {"type": "command", "_source": "YAML.JOB"}
    return {
        "jobType": "Pipeline",
        "description": "it",
        "properties": {},
        "tags": {"k": "v"},
        "computeId": cpu(world),
        "displayName": "p",
        "experimentName": "e",
        "isArchived": False,
        "jobs": {
            "node_a": {**node, "name": "node_a", "componentId": f"{world.id}/components/a/versions/1"},
            "node_b": {**node, "name": "node_b", "componentId": f"{world.id}/components/b/versions/1"},
        },
        "inputs": {},
        "outputs": {},
        "settings": {"_source": "YAML.JOB"},
        **more,
    }


@drives("job-2")
def new_pipeline_of_2023(world: World) -> requests.Response:
    body = pipeline(
        world,
        inputs={
            "literal": {"jobInputType": "literal", "value": "1"},
            "folder": {"jobInputType": "uri_folder", "uri": "azureml:d:1"},
            "file": {"jobInputType": "uri_file", "uri": "azureml:d:1"},
        },
    )
    literal = {"i": {"job_input_type": "literal", "value": "1"}}
    for node in body["jobs"].values():
        node["inputs"] = literal
    body["jobs"]["node_a"]["distribution"] = {"distribution_type": "Mpi", "process_count_per_instance": 1}
    return world.put("/jobs/p", **body)


def pipeline_of_2026(world: World) -> dict[str, Any]:
    body = pipeline(world, outputs={"o": {"mode": "ReadWriteMount", "jobOutputType": "uri_folder"}})
    for node in body["jobs"].values():
        node["computeId"] = cpu(world)
    body["jobs"]["node_a"]["outputs"] = {"o": {"value": "${{parent.outputs.o}}", "type": "literal"}}
    return body


@drives("job-14")
def new_pipeline_of_2026(world: World) -> requests.Response:
    return world.put("/jobs/p", **pipeline_of_2026(world))


@drives("job-11")
def failed_pipeline(world: World) -> requests.Response:
    world.emulator.script_jobs([("NotStarted", 5), ("Running", 60), {"status": "Failed", "error": {"message": "no"}}])
    world.put("/jobs/p", **pipeline_of_2026(world))
    world.later(6)
    running = world.get("/jobs/p")
    assert running.json()["properties"]["status"] == "Running"
    assert list(differences(RECORDS["job-11"], running)) == []
    world.later()
    return world.get("/jobs/p")


@drives("job-13", "errors-7")
def children_of_a_failed_pipeline(world: World) -> requests.Response:
    message = "\nError Code: ScriptExecution\nError Message: no"
    error = {"code": "UserError", "message": message}
    world.emulator.script_jobs([("NotStarted", 5), ("Running", 60), {"status": "Failed", "error": error}])
    body = pipeline_of_2026(world)
    del body["jobs"]["node_b"]
    world.put("/jobs/p", **body)
    world.later(120)
    return world.get(f"{world.history}/runs/p/children")


@drives("job-5", "errors-3")
def pipeline_without_its_component(world: World) -> requests.Response:
    body = pipeline(world)
    body["jobs"]["node_a"]["componentId"] = f"{world.id}/components/a/versions/nothing"
    return world.put("/jobs/p", **body)


def cancelling(world: World) -> requests.Response:
    world.put("/jobs/j", **COMMAND)
    response = world.call("POST", "/jobs/j/cancel")
    assert (response.status_code, response.text) == (202, "null")
    assert "Azure-AsyncOperation" not in response.headers
    return response


@drives("job-3")
def cancel_goes_on(world: World) -> requests.Response:
    world.emulator.configure(cancel_seconds=30)
    try:
        return world.named_in(cancelling(world), "Location")
    finally:
        world.emulator.configure(cancel_seconds=0.5)


@drives("job-4")
def cancel_is_done(world: World) -> requests.Response:
    response = cancelling(world)
    world.later()
    done = world.named_in(response, "Location")
    assert "Content-Type" not in done.headers
    return done


@drives("job-6", "errors-4")
def unknown_member(world: World) -> requests.Response:
    outputs = {"o": {"jobOutputType": "uri_folder", "assetName": "a", "assetVersion": "1"}}
    return world.put("/jobs/j", **{**COMMAND, "outputs": outputs})


@drives("errors-5")
def missing_job(world: World) -> requests.Response:
    return world.get("/jobs/nothing")


@drives("job-7", "errors-6")
def spark_without_identity(world: World) -> requests.Response:
    entry = {"sparkJobEntryType": "SparkJobPythonEntry", "file": "a.py"}
    return world.put("/jobs/s", jobType="Spark", codeId="c", entry=entry, conf={"k": "v"}, inputs={}, outputs={})


def put_automl(world: World) -> requests.Response:
    limits = {"enableEarlyTermination": True, "maxConcurrentTrials": 1, "maxTrials": 2, "timeout": "PT10H"}
    task = {
        "featurizationSettings": {"mode": "off", "transformerParams": {}},
        "limitSettings": {**limits, "trialTimeout": "PT10M", "sweepTrials": 0, "sweepConcurrentTrials": 0},
        "logVerbosity": "Info",
        "targetColumnName": "y",
        "taskType": "Classification",
        "trainingData": {"uri": "azureml:d:1", "jobInputType": "mltable"},
        "primaryMetric": "Accuracy",
        "trainingSettings": {"enableStackEnsemble": False, "enableVoteEnsemble": False},
    }
    common = {"properties": {}, "tags": {}, "displayName": "a", "experimentName": "e", "isArchived": False}
    computer = cpu(world)
    return world.put("/jobs/a", jobType="AutoML", **common, computeId=computer, outputs={}, taskDetails=task)


@drives("job-8")
def new_automl_job(world: World) -> requests.Response:
    return put_automl(world)


@drives("job-9")
def running_automl_job(world: World) -> requests.Response:
    world.emulator.script_jobs([("NotStarted", 5), ("Running", None)])
    put_automl(world)
    world.later()
    return world.get("/jobs/a")


@drives("job-10")
def new_sweep_job(world: World) -> requests.Response:
    return world.put(
        "/jobs/s",
        jobType="Sweep",
        properties={},
        tags={},
        computeId=cpu(world),
        displayName="s",
        experimentName="e",
        isArchived=False,
        inputs={},
        limits={"jobLimitsType": "Sweep", "timeout": "PT5M", "maxConcurrentTrials": 1, "maxTotalTrials": 2},
        objective={"goal": "maximize", "primaryMetric": "accuracy"},
        outputs={},
        samplingAlgorithm={"samplingAlgorithmType": "Random"},
        searchSpace={"lr": ["uniform", [0.1, 0.9]]},
        trial={"codeId": "c", "command": "echo", "environmentId": "azureml:env:1", "environmentVariables": {}},
    )


@drives("job-12")
def discovery(world: World) -> requests.Response:
    return world.get("https://westeurope.api.azureml.ms/discovery")


# Computes ------------------------------------------------------------------------------------------------------------


def put_compute(world: World) -> requests.Response:
    properties = {
        "osType": "Linux",
        "vmSize": "Standard_DS2_v2",
        "vmPriority": "Dedicated",
        "scaleSettings": {"maxNodeCount": 1, "minNodeCount": 0, "nodeIdleTimeBeforeScaleDown": "PT1M40S"},
        "userAccountCredentials": {
            "adminUserName": "u",
            "adminUserSshPublicKey": "ssh-rsa",
            "adminUserPassword": "not-a-password",
        },
        "remoteLoginPortPublicAccess": "Enabled",
        "enableNodePublicIp": True,
    }
    body = {"properties": properties, "computeType": "AmlCompute", "description": "it", "disableLocalAuth": False}
    return world.call("PUT", "/computes/cpu", {"location": "westeurope", "properties": body})


@drives("compute-0", "compute-1")
def new_compute(world: World) -> requests.Response:
    response = put_compute(world)
    assert "Location" not in response.headers
    return response


@drives("compute-2", "compute-3")
def compute_operation_goes_on(world: World) -> requests.Response:
    world.emulator.configure(operation_seconds=30)
    try:
        return world.named_in(put_compute(world))
    finally:
        world.emulator.configure(operation_seconds=0.5)


@drives("compute-4")
def one_compute(world: World) -> requests.Response:
    put_compute(world)
    world.later()
    return world.get("/computes/cpu")


@drives("compute-5", "errors-2")
def missing_compute(world: World) -> requests.Response:
    response = world.get("/computes/nothing")
    assert (response.content, response.headers.get("Content-Type")) == (b"", None)
    return response


@drives("compute-6")
def deleted_compute(world: World) -> requests.Response:
    put_compute(world)
    world.later()
    response = world.call("DELETE", "/computes/cpu?underlyingResourceAction=Delete")
    assert response.content == b""
    return response


def put_instance(world: World) -> requests.Response:
    body = {"computeType": "ComputeInstance", "description": "it", "properties": {"vmSize": "Standard_DS2_v2"}}
    return world.call("PUT", "/computes/ci", {"location": "westeurope", "properties": body})


@drives("compute-7")
def instance(world: World) -> requests.Response:
    put_instance(world)
    world.later()
    return world.get("/computes/ci")


@drives("compute-8")
def stopped_instance(world: World) -> requests.Response:
    put_instance(world)
    world.later()
    return world.call("POST", "/computes/ci/stop")


@drives("compute-9")
def changed_compute(world: World) -> requests.Response:
    put_compute(world)
    world.later()
    return put_compute(world)


# Endpoints -----------------------------------------------------------------------------------------------------------


def put_online(world: World, auth: str = "AMLToken") -> requests.Response:
    properties = {"authMode": auth, "properties": {}, "mirrorTraffic": {}, "traffic": {}}
    identity = {"type": "SystemAssigned"}
    body = {"tags": {"k": "v"}, "location": "westeurope", "identity": identity, "properties": properties}
    return world.call("PUT", "/onlineEndpoints/ep", body)


@drives("online_endpoint-0")
def new_online_endpoint(world: World) -> requests.Response:
    return put_online(world)


@drives("online_endpoint-1", "online_endpoint-6")
def online_operation_goes_on(world: World) -> requests.Response:
    world.emulator.configure(operation_seconds=30)
    try:
        return world.named_in(put_online(world))
    finally:
        world.emulator.configure(operation_seconds=0.5)


@drives("online_endpoint-2")
def online_endpoint(world: World) -> requests.Response:
    put_online(world)
    world.later()
    return world.get("/onlineEndpoints/ep")


@drives("online_endpoint-7")
def online_endpoint_with_keys(world: World) -> requests.Response:
    put_online(world, "Key")
    world.later()
    return world.get("/onlineEndpoints/ep")


@drives("online_endpoint-3")
def online_token(world: World) -> requests.Response:
    put_online(world)
    return world.call("POST", "/onlineEndpoints/ep/token")


@drives("online_endpoint-8")
def online_keys(world: World) -> requests.Response:
    put_online(world, "Key")
    return world.call("POST", "/onlineEndpoints/ep/listKeys")


def put_online_deployment(world: World, **more: Any) -> requests.Response:
    put_online(world)
    world.later()
    properties = {
        "codeConfiguration": {"codeId": "c", "scoringScript": "score.py"},
        "description": "it",
        "environmentId": "e",
        "environmentVariables": {},
        "properties": {},
        "appInsightsEnabled": False,
        "endpointComputeType": "Managed",
        "instanceType": "Standard_DS2_v2",
        "model": "m",
        "privateNetworkConnection": False,
        "scaleSettings": {"scaleType": "Default"},
        **more,
    }
    sku = {"name": "Default", "capacity": 1}
    body = {"tags": {}, "location": "westeurope", "properties": properties, "sku": sku}
    return world.call("PUT", "/onlineEndpoints/ep/deployments/blue", body)


@drives("online_endpoint-4")
def new_online_deployment(world: World) -> requests.Response:
    return put_online_deployment(world)


@drives("online_endpoint-5")
def online_deployments(world: World) -> requests.Response:
    put_online_deployment(world)
    world.later()
    return world.get("/onlineEndpoints/ep/deployments")


def put_batch(world: World, **properties: Any) -> requests.Response:
    properties = {"authMode": "aadToken", "description": "it", "properties": {"k": "v"}, **properties}
    body = {"tags": {"k": "v"}, "location": "westeurope", "properties": properties}
    return world.call("PUT", "/batchEndpoints/ep", body)


@drives("batch_endpoint-0")
def new_batch_endpoint(world: World) -> requests.Response:
    return put_batch(world)


@drives("batch_endpoint-1")
def batch_operation_goes_on(world: World) -> requests.Response:
    world.emulator.configure(operation_seconds=30)
    try:
        return world.named_in(put_batch(world))
    finally:
        world.emulator.configure(operation_seconds=0.5)


@drives("batch_endpoint-2")
def batch_operation_is_done(world: World) -> requests.Response:
    response = put_batch(world)
    world.later()
    return world.named_in(response)


def put_batch_deployment(world: World, **more: Any) -> requests.Response:
    put_batch(world, defaults={"deploymentName": "blue"})
    properties = {
        "codeConfiguration": {"codeId": "c", "scoringScript": "score.py"},
        "environmentId": "e",
        "environmentVariables": {},
        "properties": {},
        "compute": cpu(world),
        "errorThreshold": -1,
        "loggingLevel": "info",
        "maxConcurrencyPerInstance": 1,
        "miniBatchSize": 10,
        "model": {"referenceType": "Id", "assetId": f"{world.id}/models/m/versions/1"},
        "outputAction": "AppendRow",
        "outputFileName": "o.csv",
        "resources": {"instanceCount": 1, "properties": {}},
        "retrySettings": {"maxRetries": 3, "timeout": "PT30S"},
        **more,
    }
    body = {"tags": {}, "location": "westeurope", "properties": properties}
    return world.call("PUT", "/batchEndpoints/ep/deployments/blue", body)


@drives("batch_endpoint-3")
def new_batch_deployment(world: World) -> requests.Response:
    return put_batch_deployment(world)


@drives("batch_endpoint-4")
def batch_deployments(world: World) -> requests.Response:
    put_batch_deployment(world)
    world.later()
    return world.get("/batchEndpoints/ep/deployments")


@drives("batch_endpoint-5")
def invoked_batch_endpoint(world: World) -> requests.Response:
    put_batch_deployment(world)
    world.later()
    url = world.get("/batchEndpoints/ep").json()["properties"]["scoringUri"]
    data = {"UriFolder": {"uri": "azureml:d:1", "jobInputType": "UriFolder"}}
    response = world.call("POST", url, {"properties": {"inputData": data}})
    assert world.get(f"/jobs/{response.json()['name']}").status_code == 200
    return response


# Schedules -----------------------------------------------------------------------------------------------------------

TRIGGER = {"triggerType": "Cron", "expression": "0 8 * * *", "timeZone": "UTC", "startTime": "2026-01-01 00:00:00"}


def put_schedule(world: World, *, enabled: bool = True, **definition: Any) -> requests.Response:
    action = {"actionType": "CreateJob", "jobDefinition": definition}
    rest = {"description": "it", "properties": {}, "tags": {}, "displayName": "s", "isEnabled": enabled}
    return world.put("/schedules/s", **rest, action=action, trigger=TRIGGER)


def pipeline_schedule(world: World) -> requests.Response:
    source = f"{world.id}/jobs/p"
    return put_schedule(world, jobType="Pipeline", experimentName="e", isArchived=False, sourceJobId=source)


@drives("schedule-0")
def new_schedule(world: World) -> requests.Response:
    return pipeline_schedule(world)


@drives("schedule-1")
def new_command_schedule(world: World) -> requests.Response:
    definition = {key: value for key, value in COMMAND.items() if key != "queueSettings"}
    return put_schedule(world, **{**definition, "properties": {"k": None}, "tags": {"k": None}, "computeId": "c"})


@drives("schedule-2")
def schedule_operation_goes_on(world: World) -> requests.Response:
    world.emulator.configure(operation_seconds=30)
    try:
        return world.named_in(pipeline_schedule(world))
    finally:
        world.emulator.configure(operation_seconds=0.5)


@drives("schedule-3")
def one_schedule(world: World) -> requests.Response:
    pipeline_schedule(world)
    world.later()
    return world.get("/schedules/s")


@drives("schedule-4", "errors-13")
def missing_schedule(world: World) -> requests.Response:
    response = world.get("/schedules/nothing")
    assert response.json()["error"]["message"] == "Resource Trigger nothing not found"
    return response


@drives("schedule-5")
def schedule_is_deleted(world: World) -> requests.Response:
    put_schedule(world, jobType="Pipeline", experimentName="e", isArchived=False, enabled=False)
    world.later()
    response = world.call("DELETE", "/schedules/s")
    world.later()
    return world.named_in(response)


# Components, models and datastores of the later records --------------------------------------------------------------


@drives("component-4")
def first_page_of_components(world: World) -> requests.Response:
    world.emulator.configure(page_size=2)
    for name in ("a", "b", "c"):
        world.put(f"/components/{name}/versions/1", componentSpec={"name": name, "type": "command", "command": "echo"})
    response = world.get("/components?listViewType=ActiveOnly")
    world.emulator.configure(page_size=50)
    assert [item["name"] for item in response.json()["value"]] == ["c", "b"]
    address, _, token = response.json()["nextLink"].partition("&$skipToken=")
    assert address == f"{world.workspace}/components?listViewType=ActiveOnly&api-version=2024-01-01-preview"
    assert token.startswith("H4sI")
    assert "nextLink" not in world.get(response.json()["nextLink"]).json()
    return response


@drives("component-5")
def component_versions(world: World) -> requests.Response:
    inputs = {
        "i": {"type": "integer", "optional": False, "default": 1, "description": "an input"},
        "j": {"type": "uri_folder", "optional": True, "description": "another"},
    }
    put_component(world, display_name="C", description="it", tags={"k": "v"}, inputs=inputs)
    return world.get("/components/c/versions?listViewType=ActiveOnly")


@drives("model-9")
def mlflow_models(world: World) -> requests.Response:
    flavors = {"python_function": {"data": {"loader_module": "mlflow"}}}
    put_model(world, modelType="mlflow_model", flavors=flavors)
    put_model(world, 2, modelType="mlflow_model", flavors=flavors)
    response = world.get("/models/m/versions?version=1")
    assert [item["name"] for item in response.json()["value"]] == ["1"]
    assert world.get("/models/m/versions?version=3").json() == {"value": []}
    return response


@drives("datastore-9", "errors-11")
def missing_datastore(world: World) -> requests.Response:
    response = world.get("/datastores/nothing")
    assert response.json()["error"]["message"] == "Could not find datastore: nothing."
    return response


@drives("datastore-10")
def deleted_datastore(world: World) -> requests.Response:
    put_datastore(world)
    response = world.call("DELETE", "/datastores/mine")
    assert (response.content, response.headers.get("Content-Type")) == (b"", None)
    return response


# Jobs of the later records -------------------------------------------------------------------------------------------


@drives("job-15", "errors-12")
def unknown_compute(world: World) -> requests.Response:
    computer = f"{world.id}/computes/nothing"
    return world.put("/jobs/j", **{**COMMAND, "queueSettings": None}, computeId=computer)


def completed_job(world: World, name: str = "j", **more: Any) -> str:
    put_instance(world)
    world.later()
    body = {key: value for key, value in COMMAND.items() if key not in ("environmentVariables", "identity", "inputs")}
    body |= {
        "computeId": f"{world.id}/computes/ci",
        "properties": {},
        "inputs": {},
        "limits": {"jobLimitsType": "Command"},
        "queueSettings": {},
    }
    assert world.put(f"/jobs/{name}", **{**body, **more}).status_code == 201
    world.later(3600)
    return f"/jobs/{name}"


@drives("job-16")
def completed_command_job(world: World) -> requests.Response:
    return world.get(completed_job(world))


@drives("job-17")
def list_of_a_completed_job(world: World) -> requests.Response:
    completed_job(world)
    return world.get("/jobs")


def completed_job_of_2022(world: World, name: str = "j", **more: Any) -> str:
    put_compute(world)
    computer = f"{world.id}/computes/cpu"
    return completed_job(world, name, computeId=computer, environmentVariables={}, limits=None, **more)


@drives("job-18")
def jobs_of_2022(world: World) -> requests.Response:
    inputs = {
        "folder": {"jobInputType": "uri_file", "uri": "https://example.org/a.csv"},
        "number": {"jobInputType": "literal", "value": "1"},
    }
    for name in ("a", "b"):
        completed_job_of_2022(world, name, inputs=inputs)
    response = world.get("/jobs")
    assert [item["name"] for item in response.json()["value"]] == ["b", "a"]
    return response


@drives("job-19")
def job_of_2022(world: World) -> requests.Response:
    return world.get(completed_job_of_2022(world))


@drives("job-20")
def cancel_of_an_ended_job(world: World) -> requests.Response:
    response = world.call("POST", f"{completed_job(world)}/cancel")
    assert (response.content, response.headers.get("Location")) == (b"", None)
    return response


@drives("job-21")
def job_with_named_outputs(world: World) -> requests.Response:
    put_compute(world)
    outputs = {
        "named": {"jobOutputType": "uri_folder", "mode": "ReadWriteMount", "assetName": "a", "assetVersion": "1"},
        "plain": {"jobOutputType": "uri_folder", "mode": "ReadWriteMount"},
    }
    more = {"computeId": f"{world.id}/computes/cpu", "outputs": outputs}
    return world.put("/jobs/j", **{**COMMAND, "queueSettings": {}, "identity": None, "properties": {}, **more})


@drives("job-22")
def step_of_a_pipeline(world: World) -> requests.Response:
    world.put("/jobs/p", **pipeline(world))
    step = world.get(f"{world.history}/runs/p/children").json()["value"][0]["runId"]
    return world.get(f"/jobs/{step}")


@drives("job-23")
def run_data_of_a_failed_pipeline(world: World) -> requests.Response:
    error = {"code": "UserError", "message": "Pipeline has failed child jobs."}
    world.emulator.script_jobs([("NotStarted", 5), ("Running", 60), {"status": "Failed", "error": error}])
    outputs = {"o": {"mode": "ReadWriteMount", "jobOutputType": "uri_folder"}}
    world.put("/jobs/p", **pipeline(world, outputs=outputs))
    world.later(120)
    asked = {"runId": "p", "selectRunMetadata": True, "selectRunDefinition": True, "selectJobSpecification": True}
    return world.call("POST", f"{world.history}/rundata", asked)


@drives("job-24")
def completed_step(world: World) -> requests.Response:
    world.put("/jobs/p", **pipeline(world))
    world.later(3600)
    step = world.get(f"{world.history}/runs/p/children").json()["value"][0]["runId"]
    return world.get(f"{world.history}/runs/{step}")


# Computes and endpoints of the later records -------------------------------------------------------------------------


@drives("compute-10", "compute-11")
def started_instance(world: World) -> requests.Response:
    put_instance(world)
    world.later()
    verb = "restart" if world.api_version == "2024-04-01" else "start"
    response = world.call("POST", f"/computes/ci/{verb}")
    assert (response.content, response.headers.get("Location")) == (b"", None)
    return response


@drives("batch_endpoint-6", "errors-10")
def missing_batch_endpoint(world: World) -> requests.Response:
    put_batch(world)
    world.later()
    world.call("DELETE", "/batchEndpoints/ep")
    world.later()
    response = world.get("/batchEndpoints/ep")
    if response.headers.get("x-ms-failure-cause") != "gateway":
        (detail,) = response.json()["error"]["details"]
        assert detail["message"] == f"There is no endpoint with name: ep in {world.workspace_name}"
    return response


@drives("batch_endpoint-7", "batch_endpoint-10")
def deleted_batch_endpoint(world: World) -> requests.Response:
    put_batch(world)
    world.later()
    return deleted(world, "/batchEndpoints/ep")


def deleted(world: World, path: str) -> requests.Response:
    """A DELETE, of which the two addresses are signed each for itself since 2024."""
    response = world.call("DELETE", path)
    status, result = (response.headers.get(name, "") for name in ("Azure-AsyncOperation", "Location"))
    if "&s=" in status:
        assert result != status.replace("mfeOperationsStatus", "mfeOperationResults")
        assert response.content == b""
        assert world.get(result).status_code == 202
    return response


@drives("batch_endpoint-8")
def old_batch_operation_goes_on(world: World) -> requests.Response:
    world.emulator.configure(operation_seconds=30)
    try:
        return world.named_in(put_batch(world))
    finally:
        world.emulator.configure(operation_seconds=0.5)


@drives("batch_endpoint-9")
def old_batch_operation_is_done(world: World) -> requests.Response:
    response = put_batch(world)
    world.later()
    done = world.named_in(response)
    assert done.json().get("percentComplete", 100.0) == 100.0
    return done


@drives("batch_endpoint-11")
def one_batch_deployment(world: World) -> requests.Response:
    put_batch_deployment(world, description=None, resources={"instanceCount": 1}, outputFileName="predictions.csv")
    world.later()
    return world.get("/batchEndpoints/ep/deployments/blue")


@drives("online_endpoint-9", "errors-14")
def delete_of_a_missing_online_endpoint(world: World) -> requests.Response:
    response = world.call("DELETE", "/onlineEndpoints/nothing")
    assert "x-ms-response-type" not in response.headers
    return response


@drives("online_endpoint-10")
def one_online_deployment(world: World) -> requests.Response:
    put_online_deployment(world, description=None)
    world.later()
    return world.get("/onlineEndpoints/ep/deployments/blue")


@drives("online_endpoint-11")
def list_of_an_online_deployment(world: World) -> requests.Response:
    put_online_deployment(world, description=None)
    world.later()
    return world.get("/onlineEndpoints/ep/deployments")


@drives("online_endpoint-12")
def deleted_online_deployment(world: World) -> requests.Response:
    put_online_deployment(world)
    world.later()
    return deleted(world, "/onlineEndpoints/ep/deployments/blue")


@drives("online_endpoint-13")
def updated_online_deployment(world: World) -> requests.Response:
    for _ in range(2):
        put_online_deployment(world, description=None)
        world.later()
    return world.get("/onlineEndpoints/ep/deployments/blue")


@drives("online_endpoint-14")
def old_online_operation_is_done(world: World) -> requests.Response:
    response = put_online_deployment(world)
    world.later()
    return world.named_in(response)


@drives("errors-15")
def template_with_a_missing_workspace(world: World) -> requests.Response:
    template = {"resources": [{"type": "Microsoft.MachineLearningServices/workspaces/onlineEndpoints", "name": "w/e"}]}
    url = f"{world.group.rpartition('/providers/')[0]}/providers/Microsoft.Resources/deployments/d"
    body = {"properties": {"mode": "Incremental", "template": template, "parameters": {}}}
    response = world.call("PUT", f"{url}?api-version=2020-06-01", body)
    assert response.status_code == 201, response.text
    answer = world.named_in(response)
    while answer.json()["status"] == "Running":
        world.emulator.advance(1)
        answer = world.named_in(response)
    return answer


# Registries ----------------------------------------------------------------------------------------------------------


def put_registry(world: World) -> requests.Response:
    region = {
        "location": "WestEurope",
        "acrDetails": [{"systemCreatedAcrAccount": {"acrAccountSku": "Premium"}}],
        "storageAccountDetails": [
            {"systemCreatedStorageAccount": {"storageAccountHnsEnabled": False, "storageAccountType": "Standard_LRS"}}
        ],
    }
    properties = {"regionDetails": [region], "managedResourceGroupTags": {"k": "v"}}
    body = {"tags": {"k": "v"}, "location": "WestEurope", "identity": {"type": "SystemAssigned"}}
    url = f"{registry(world)}?api-version=2022-10-01-preview"
    return world.call("PUT", url, {**body, "properties": properties})


def registry(world: World) -> str:
    return f"{world.group.rpartition('/')[0]}/registries/r-{world.workspace_name}"


@drives("registry-0")
def new_registry(world: World) -> requests.Response:
    response = put_registry(world)
    assert response.content == b""
    return response


@drives("registry-1")
def registry_operation_goes_on(world: World) -> requests.Response:
    return world.named_in(put_registry(world))


@drives("registry-2")
def registry_operation_is_done(world: World) -> requests.Response:
    response = put_registry(world)
    world.later()
    return world.named_in(response)


@drives("registry-3")
def one_registry(world: World) -> requests.Response:
    put_registry(world)
    world.later()
    response = world.get(registry(world))
    assert response.json()["location"] == "westeurope"
    return response


@drives("registry-4")
def deleted_registry(world: World) -> requests.Response:
    put_registry(world)
    world.later()
    return world.call("DELETE", registry(world))


def discovered(world: World) -> requests.Response:
    put_registry(world)
    world.later()
    name = registry(world).rpartition("/")[2]
    return world.get(f"https://westeurope.api.azureml.ms/registrymanagement/v1.0/registries/{name}/discovery")


@drives("registry-5")
def registry_discovery(world: World) -> requests.Response:
    return discovered(world)


def in_registry(world: World, path: str) -> str:
    place = discovered(world).json()
    coordinates = f"subscriptions/{place['subscriptionId']}/resourceGroups/{place['resourceGroup']}"
    provider = f"providers/Microsoft.MachineLearningServices/registries/{place['registryName']}"
    uri = place["primaryRegionResourceProviderUri"]
    return f"{uri}mferp/managementfrontend/{coordinates}/{provider}{path}?api-version=2021-10-01-dataplanepreview"


def put_in_registry(world: World, noun: str = "data") -> tuple[str, requests.Response]:
    url = in_registry(world, f"/{noun}/d/versions/1")
    properties = {"description": "it", "properties": {}, "tags": {}, "isAnonymous": False, "isArchived": False}
    particular = {
        "data": {"dataType": "uri_file", "dataUri": "https://example.org/a.csv"},
        "environments": {"image": "ubuntu"},
    }
    return url, world.call("PUT", url, {"properties": {**properties, **particular[noun]}})


@drives("registry-6")
def new_data_in_a_registry(world: World) -> requests.Response:
    url, response = put_in_registry(world)
    assert response.headers["Location"].split("/")[2] != url.split("/")[2]
    return response


@drives("registry-7")
def registry_data_goes_on(world: World) -> requests.Response:
    return world.named_in(put_in_registry(world)[1], "Location")


@drives("registry-8")
def registry_data_is_there(world: World) -> requests.Response:
    response = put_in_registry(world)[1]
    world.later()
    return world.named_in(response, "Location")


@drives("registry-10")
def registry_environment_goes_on(world: World) -> requests.Response:
    return world.named_in(put_in_registry(world, "environments")[1], "Location")


@drives("registry-11")
def registry_environment_is_there(world: World) -> requests.Response:
    response = put_in_registry(world, "environments")[1]
    world.later()
    return world.named_in(response, "Location")


@drives("registry-9")
def data_of_a_registry(world: World) -> requests.Response:
    url, _ = put_in_registry(world)
    world.later()
    return world.get(url)
