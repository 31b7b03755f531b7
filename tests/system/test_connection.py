"""The connection in Airflow itself: its form, its test, and connections that were made for the older provider."""

import json
from typing import Any

from airflow_rest import AirflowRest
from standalone import StandaloneAirflow

from airflow_provider_azureml.emulator import Emulator


def test_airflow_lists_the_provider(rest: AirflowRest) -> None:
    providers = {provider["package_name"]: provider for provider in rest.get("providers", limit=200)["providers"]}
    assert providers["airflow-provider-azureml"]["version"] == "0.1.0"


def test_the_connection_form_shows_the_fields_of_a_workspace(rest: AirflowRest) -> None:
    (form,) = [
        form for form in rest.get("/ui/connections/hook_meta") if form["connection_type"] == "azure_machine_learning"
    ]
    assert form["hook_name"] == "Azure Machine Learning"
    assert {"tenantId", "subscriptionId", "resource_group_name", "workspace_name"} <= form["extra_fields"].keys()
    assert form["standard_fields"]["login"]["title"] == "Client ID"
    assert form["standard_fields"]["password"]["title"] == "Client secret"
    assert form["standard_fields"]["host"]["hidden"]


def test_the_test_button_reads_the_workspace(rest: AirflowRest, emulator: Emulator) -> None:
    answer = rest.request("POST", "connections/test", json=form_entry(emulator))
    assert (answer["status"], answer["message"]) == (True, "Workspace fraud-prod in westeurope can be read.")


def test_the_test_button_tells_why_not(rest: AirflowRest, emulator: Emulator) -> None:
    answer = rest.request("POST", "connections/test", json=form_entry(emulator) | {"password": "wrong"})
    assert answer["status"] is False
    assert "AADSTS7000215" in answer["message"]


def test_a_connection_added_as_the_older_provider_documented_it_works(
    airflow: StandaloneAirflow, emulator: Emulator
) -> None:
    entry = form_entry(emulator)
    extra = json.loads(entry["extra"])
    old = {f"extra__azure_machine_learning__{key}": value for key, value in extra.items()}
    airflow.command(
        *("connections", "add", "old_style", "--conn-type", "azure_machine_learning"),
        *("--conn-login", entry["login"], "--conn-password", entry["password"], "--conn-extra", json.dumps(old)),
    )

    assert "Connection success!" in airflow.command("connections", "test", "old_style")


def test_the_test_button_follows_a_connection_to_another_one_in_airflows_database(
    rest: AirflowRest, emulator: Emulator
) -> None:
    entry = form_entry(emulator)
    extra = json.loads(entry["extra"])
    azure = {**entry, "connection_id": "azure_stored", "conn_type": "azure"}
    rest.request("POST", "connections", json={**azure, "extra": json.dumps({"tenantId": extra.pop("tenantId")})})
    referring = {
        **entry,
        "login": None,
        "password": None,
        "extra": json.dumps({**extra, "azure_conn_id": "azure_stored"}),
    }
    answer = rest.request("POST", "connections/test", json=referring)
    assert (answer["status"], answer["message"]) == (True, "Workspace fraud-prod in westeurope can be read.")


def test_the_check_command_finds_a_connection_that_is_in_airflows_database(
    airflow: StandaloneAirflow, rest: AirflowRest, emulator: Emulator
) -> None:
    rest.request("POST", "connections", json={**form_entry(emulator), "connection_id": "stored"})
    assert "ok   workspace: in westeurope" in airflow.command("azureml", "check", "stored")


def form_entry(emulator: Emulator) -> dict[str, Any]:
    """What a person types into the connection form."""
    connection = dict(emulator.connection)
    extra = connection.pop("extra")
    return {
        "connection_id": "form",
        **connection,
        "extra": extra if isinstance(extra, str) else json.dumps(extra),
    }
