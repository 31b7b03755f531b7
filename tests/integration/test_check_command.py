"""`airflow azureml check`: each part that a connection leads to, and what is missing where it does not work."""

from __future__ import annotations

import json
import time
from argparse import Namespace
from typing import Any

import pytest

from airflow_provider_azureml.provider.cli import commands
from airflow_provider_azureml.provider.cli.permissions import PURPOSES, role_definition


@pytest.fixture
def check(azureml_emulator: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "")  # the command sets it, for its process

    def run(principal: dict[str, str] | None = None, *purposes: str, **options: Any) -> tuple[int, dict[str, Any]]:
        connection = azureml_emulator.connection_for(principal=principal)
        monkeypatch.setenv("AIRFLOW_CONN_AZUREML", json.dumps(connection))
        fields = {"registry": None, "event_queue": None, **options}
        status = 0
        try:
            commands.check(Namespace(conn_id="azureml", purposes=purposes, output="json", **fields))
        except SystemExit as ended:
            status = int(ended.code or 0)
        printed = capsys.readouterr().out
        assert connection["password"] not in printed
        assert "sig=" not in printed
        return status, {finding["subject"]: (finding["status"], finding["text"]) for finding in json.loads(printed)}

    return run


def test_all_that_works_is_listed_and_nothing_is_left_behind(check, azureml_emulator):
    status, found = check()
    assert status == 0
    assert {subject for subject, (state, _) in found.items() if state == "works"} >= {
        *("connection", "sign-in", "workspace", "models", "data", "jobs", "run history", "datastores"),
        "datastore workspaceblobstore",
    }
    assert found["datastore workspacefilestore"][0] == "unknown"
    kept = azureml_emulator.calls(method="PUT", path_contains="airflow/check/", host="blob")
    deleted = azureml_emulator.calls(method="DELETE", path_contains="airflow/check/", host="blob")
    assert len(kept) == len(deleted) > 0


def test_a_wrong_secret_ends_it_at_the_sign_in(check, azureml_emulator):
    status, found = check({"client_id": azureml_emulator.client_id, "client_secret": "wrong-one"})
    assert status == 1
    assert list(found) == ["connection", "sign-in"]
    assert "AADSTS7000215" in found["sign-in"][1]


def test_who_may_only_read_is_told_what_an_operator_needs(check, azureml_emulator):
    reader = azureml_emulator.create_principal(role="Reader")
    status, found = check(reader, "sensor", "watcher")
    assert found["role for sensor, watcher"][0] == "works"
    status, found = check(reader, "operator")
    assert status == 1
    state, text = found["role for operator"]
    assert state == "fails"
    assert "Microsoft.MachineLearningServices/workspaces/jobs/write" in text
    assert "airflow azureml role --for operator" in text


def test_who_may_not_ask_what_he_is_allowed_is_not_accused(check, azureml_emulator):
    """Whether Azure lets a data scientist list his own permissions is not recorded."""
    _, found = check(azureml_emulator.create_principal(role="AzureML Data Scientist"), "operator")
    state, text = found["role for operator"]
    assert state == "unknown"
    assert "could not be learned" in text


@pytest.mark.parametrize("purpose", PURPOSES)
def test_the_role_that_it_prints_is_enough_for_what_it_says(check, azureml_emulator, purpose):
    role = role_definition([purpose], f"/subscriptions/{azureml_emulator.subscription_id}")
    azureml_emulator.create_role(role["Name"], role["Actions"], role["NotActions"])
    _, found = check(azureml_emulator.create_principal(role=role["Name"]), purpose)
    assert found[f"role for {purpose}"] == ("works", "all that this takes is allowed")
    assert found["workspace"][0] == "works"


def test_nobody_is_told_so_without_a_role(check, azureml_emulator):
    status, found = check(azureml_emulator.create_principal(role=None))
    assert status == 1
    assert found["workspace"][0] == "fails"
    assert "AuthorizationFailed" in found["workspace"][1]


def test_a_registry_and_an_event_queue_can_be_read_as_well(check, azureml_emulator):
    registry = azureml_emulator.create_registry()
    _, found = check(registry=registry, event_queue="https://emulator.queue.core.windows.net/missing")
    assert found[f"registry {registry}"][0] == "works"
    assert found["event queue"][0] == "fails"


def test_a_registry_alone_says_what_is_not_checked_of_it(check, azureml_emulator, monkeypatch):
    connection = azureml_emulator.connection_for()
    extra = {"tenantId": connection["extra"]["tenantId"], "registry_name": azureml_emulator.create_registry()}
    monkeypatch.setattr(azureml_emulator.emulator, "connection_for", lambda **_: {**connection, "extra": extra})
    status, found = check(None, "operator")
    assert status == 0
    assert found["role for operator"][0] == "unknown"


@pytest.mark.parametrize(
    ("event_queue", "words"),
    [
        ("mlevents/azureml-events", "no address of a queue"),
        ("https://nowhere.queue.example.com/q", "Check network rules, proxy and DNS"),
    ],
)
def test_an_event_queue_that_leads_nowhere_is_told_at_once(check, event_queue, words):
    began = time.monotonic()
    status, found = check(event_queue=event_queue)
    assert status == 1
    assert words in found["event queue"][1]
    assert time.monotonic() - began < 20


def test_a_datastore_is_tried_with_what_an_upload_takes_where_its_secret_is_refused(check, azureml_emulator):
    azureml_emulator.misbehave("POST", "listSecrets", status=403, code="AuthorizationFailed")
    _, found = check()
    state, text = found["datastore workspaceblobstore"]
    assert state == "works"
    assert "own identity" in text
