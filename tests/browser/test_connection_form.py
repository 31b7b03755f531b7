"""Making a connection by hand, and what Airflow's own form gets wrong: when one of these fails, say so in the docs."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from airflow_rest import AirflowRest

from airflow_provider_azureml.emulator import Emulator
from airflow_provider_azureml.provider.connection import CONN_TYPE, FORM_FIELDS, REQUIRED_FIELDS

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page


@pytest.fixture
def form(page: Page) -> Locator:
    """The form "Add Connection", with our type chosen."""
    page.goto("/connections")
    page.get_by_role("button", name="Add Connection").click()
    form = page.get_by_role("dialog")
    kind = form.get_by_role("combobox")
    kind.fill("machine")
    page.get_by_role("option", name="Azure Machine Learning").click()
    return form


def field(form: Locator, key: str) -> Locator:
    return form.locator(f"[name={key if key in ('connection_id', 'login', 'password') else f'element_{key}'}]")


def extra_of(emulator: Emulator) -> dict[str, str]:
    return dict(emulator.connection["extra"])


def press_test(page: Page, conn_id: str) -> str:
    """Press the Test button of a saved connection, and return what Airflow shows then."""
    page.goto("/connections")
    row = page.get_by_role("row").filter(has=page.get_by_text(conn_id, exact=True))
    row.get_by_role("button", name="Test Connection").click()
    shown = page.locator("[data-scope=toast][data-part=root]").first
    shown.wait_for()
    return shown.inner_text()


def save(rest: AirflowRest, emulator: Emulator, conn_id: str, **changes: Any) -> None:
    body = {**emulator.connection, "connection_id": conn_id, "extra": json.dumps(extra_of(emulator)), **changes}
    rest.request("POST", "connections", json=body)


def test_a_connection_is_added_by_hand_with_the_required_fields_marked_and_the_rest_left_empty(
    page: Page, form: Locator, rest: AirflowRest, emulator: Emulator, picture: Callable[[str, Any], None]
) -> None:
    save_button = form.get_by_role("button", name="Save")
    field(form, "connection_id").fill("by_hand")
    field(form, "login").fill(str(emulator.connection["login"]))
    field(form, "password").fill(str(emulator.connection["password"]))
    form.get_by_role("button", name="Extra Fields", exact=True).click()  # which closes the standard fields
    labels = form.locator("label[data-part=label]")
    labels.filter(has_text="Subscription ID").wait_for()
    required = {one.inner_text().rstrip("* \n"): one.get_attribute("data-required") is not None for one in labels.all()}
    for key, (label, _) in FORM_FIELDS.items():
        assert required[label] == (key in REQUIRED_FIELDS), label
    assert form.get_by_text("null", exact=True).count() == 0
    for key, value in extra_of(emulator).items():
        assert save_button.is_disabled() or key not in REQUIRED_FIELDS
        field(form, key).fill(value)
    picture("connection-form", page)

    save_button.click()

    page.get_by_text("by_hand", exact=True).wait_for()
    made = rest.get("connections/by_hand")
    assert (made["conn_type"], made["login"]) == (CONN_TYPE, emulator.connection["login"])
    assert {key: value for key, value in json.loads(made["extra"]).items() if value} == extra_of(emulator)
    rest.request("PATCH", "connections/by_hand", params={"update_mask": "port"}, json={**made, "port": 0})
    assert "can be read" in press_test(page, "by_hand")


def test_the_test_button_says_what_is_wrong(page: Page, rest: AirflowRest, emulator: Emulator) -> None:
    save(
        rest, emulator, "wrong_workspace", port=0, extra=json.dumps({**extra_of(emulator), "workspace_name": "nobody"})
    )
    assert "there is no workspace" in press_test(page, "wrong_workspace")


def test_airflows_fault_73298_test_of_a_saved_connection_without_port_is_a_bad_request(
    page: Page, rest: AirflowRest, emulator: Emulator
) -> None:
    save(rest, emulator, "portless")
    assert "Bad Request" in press_test(page, "portless"), "mended in Airflow: take it out of README and sign-in.md"


def test_airflows_fault_edit_shows_only_the_extra_fields_that_a_connection_has(
    page: Page, rest: AirflowRest, emulator: Emulator
) -> None:
    save(rest, emulator, "elsewhere")
    page.goto("/connections")
    row = page.get_by_role("row").filter(has=page.get_by_text("elsewhere", exact=True))
    row.get_by_role("button", name="Edit Connection").click()
    form = page.get_by_role("dialog")
    field(form, "subscriptionId").wait_for(state="attached")
    there = {key for key in FORM_FIELDS if field(form, key).count()}
    assert there == set(extra_of(emulator)), "mended in Airflow: take it out of README and sign-in.md"
