"""What the emulator takes as the body of a PUT is what Microsoft's published models allow."""

from __future__ import annotations

from typing import Any

import published
import pytest

from airflow_provider_azureml.emulator.core.arm import ServiceError
from airflow_provider_azureml.emulator.core.published import accept, known

COMMAND = {"jobType": "Command", "command": "echo", "environmentId": "azureml:e:1"}


def command(**more: Any) -> dict[str, Any]:
    return {"properties": {**COMMAND, **more}}


def test_the_table_is_what_the_models_say() -> None:
    assert published.Tables().text() == published.PAGE.read_text(), "run dev/published.py"


@pytest.mark.parametrize(
    ("model", "body", "said"),
    [
        ("JobBase", {}, "Required property 'properties'"),
        ("JobBase", {"properties": {"jobType": "Command", "command": "echo"}}, "Required property 'environmentId'"),
        ("JobBase", {"properties": {"command": "echo"}}, "Required property 'jobType'"),
        ("JobBase", command(jobType="Shell"), 'Error converting value "Shell"'),
        ("JobBase", command(inputs=["a"]), "Path 'properties.inputs'"),
        ("JobBase", command(outputs={"o": {"jobOutputType": "uri_folder", "mode": "Push"}}), "OutputDeliveryMode"),
        ("Datastore", {"properties": {"datastoreType": "AzureBlob"}}, "Required property 'credentials'"),
        ("ComputeResource", {"properties": {"computeType": "Cluster"}}, 'Error converting value "Cluster"'),
        ("Schedule", {"properties": {"action": {"actionType": "CreateJob"}}}, "Required property"),
    ],
)
def test_a_body_that_the_models_do_not_allow_is_refused(model: str, body: dict[str, Any], said: str) -> None:
    with pytest.raises(ServiceError) as refused:
        accept(model, body)
    assert refused.value.reply.status == 400
    assert said in refused.value.reply.body["error"]["details"][0]["message"]


def test_words_of_enumerations_are_written_as_the_service_writes_them() -> None:
    sent = command(jobType="command", outputs={"o": {"jobOutputType": "URI_FOLDER", "mode": "readwritemount"}})
    taken = accept("JobBase", sent)["properties"]
    assert taken["jobType"] == "Command"
    assert taken["outputs"]["o"] == {"jobOutputType": "uri_folder", "mode": "ReadWriteMount"}


def test_numbers_in_maps_of_texts_become_texts() -> None:
    assert accept("JobBase", command(tags={"a": 1}))["properties"]["tags"] == {"a": "1"}


def test_what_only_the_service_writes_is_taken_from_nobody() -> None:
    taken = accept("JobBase", {**command(status="Completed"), "id": "/other", "systemData": {"createdBy": "me"}})
    assert taken == command()


def test_members_that_the_models_do_not_know_go_on_as_they_are() -> None:
    assert accept("JobBase", command(priority=[1]))["properties"]["priority"] == [1]


def test_kinds_below_that_the_models_do_not_know_go_on_as_they_are() -> None:
    ray = {"distributionType": "Ray", "port": 1}
    assert accept("JobBase", command(distribution=ray))["properties"]["distribution"] == ray


def test_an_answer_shows_the_members_of_its_kind_alone() -> None:
    details = {
        "taskType": "Regression",
        "positiveLabel": "x",
        "nothing": None,
        "limitSettings": {"maxNodes": 1, "x": 2},
    }
    shown = known("AutoMLVertical", details)
    assert shown.keys() == {"taskType", "limitSettings"}
    assert "x" not in shown["limitSettings"]
