"""What people see of assets, versions and failures in Airflow's UI."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from airflow_rest import AirflowRest
from scenario import make_files

from airflow_provider_azureml.emulator import Emulator

from ..system.conftest import Outsider

if TYPE_CHECKING:
    from playwright.sync_api import Page

NOUNS = {
    "data": ("publish", "upload", "/data/sales/1/details"),
    "model": ("publish", "register", "/model/fraud:1/details"),
    "job": ("example_command_job", "train", "/runs/"),
    "compute": ("example_compute", "cluster", "/compute/example-cluster/details"),
    "environment": ("example_environment", "environment", "/environments/example-train/version/1"),
    "component": ("example_component", "register", "/components/example_train/version/1"),
    "endpoint": ("example_endpoint", "create", "/endpoints/realtime/example-flowers/detail"),
    "deployment": ("example_endpoint", "green", "/endpoints/realtime/example-flowers/detail"),
    "schedule": ("example_schedule", "create", "/schedules/example-nightly/details"),
}


@pytest.fixture(scope="module")
def runs(airflow: Any, emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A run of each DAG that makes something: DAG id -> run id."""
    rest: AirflowRest = airflow.rest
    outsider = Outsider(emulator)
    outsider.put("computes/cpu", computeType="AmlCompute", properties={"vmSize": "Standard_DS3_v2"})
    outsider.register_model("flowers", "1")
    outsider.close()
    sales, model, _ = make_files(tmp_path_factory.mktemp("files"))
    dags = sorted({dag for dag, _, _ in NOUNS.values()})
    rest.wait_for_dags(*dags, "promote")
    conf = {"publish": {"sales": str(sales), "model": str(model)}}
    started = {dag: rest.trigger(dag, conf=conf.get(dag)) for dag in dags}
    return {dag: rest.wait_for_run(dag, run_id, timeout=400)["dag_run_id"] for dag, run_id in started.items()}


@pytest.mark.parametrize("noun", NOUNS)
def test_the_details_of_a_task_have_a_link_to_what_it_made_in_studio(
    page: Page, runs: dict[str, str], emulator: Emulator, noun: str
) -> None:
    dag, task, path = NOUNS[noun]
    page.goto(f"/dags/{dag}/runs/{quote(runs[dag])}/tasks/{task}/details")
    link = page.get_by_role("link", name="AzureML studio").or_(page.get_by_text("AzureML studio")).first
    address = str(link.get_attribute("href"))
    assert address.startswith(f"https://ml.azure.com{path}"), address
    assert f"wsid=/subscriptions/{emulator.subscription_id}/resourceGroups/ml/" in address
    assert link.get_attribute("target") == "_blank"


def test_the_page_of_an_asset_has_its_graph_and_the_event_of_each_version(
    page: Page, runs: dict[str, str], rest: AirflowRest, picture: Callable[[str, Any], None]
) -> None:
    assets = {asset["name"]: asset["id"] for asset in rest.assets().values()}
    (model,) = [name for name in assets if re.fullmatch(r"models/fraud@\S+", name)]
    page.goto(f"/assets/{assets[model]}")
    graph = page.locator(".react-flow")
    for node in ("publish", "wait", "deploy", model):
        graph.get_by_text(node, exact=True).first.wait_for()
    page.get_by_text("1 Asset Event", exact=True).wait_for()
    extra = page.locator(".monaco-editor").first
    extra.wait_for()
    for _ in ("event", "versions", "version"):
        extra.locator(".codicon-folding-collapsed").first.click()
    extra.get_by_text('"fraud"', exact=True).first.wait_for()
    picture("asset-graph", page)


def test_the_page_of_a_watched_asset_says_how_its_watcher_is(
    page: Page, runs: dict[str, str], rest: AirflowRest, outsider: Outsider, picture: Callable[[str, Any], None]
) -> None:
    assets = {asset["name"]: asset["id"] for asset in rest.assets().values()}
    (watched,) = [
        i for name, i in assets.items() if re.fullmatch(r"models/fraud@\S+ \(watched: stage=production\)", name)
    ]
    page.goto(f"/assets/{watched}/asset-state-store")
    page.get_by_text("azureml:health").wait_for()
    page.get_by_text(re.compile('"state":.*"ok"')).or_(page.get_by_text('"ok"')).first.wait_for()
    outsider.register_model("fraud", "90", stage="production")
    rest.wait_for_run("promote")
    page.goto(f"/assets/{watched}")
    page.get_by_text("promote").last.wait_for()
    picture("watched-asset", page)


def test_the_log_of_a_failed_job_says_why(
    page: Page,
    runs: dict[str, str],
    rest: AirflowRest,
    emulator: Emulator,
    outsider: Outsider,
    picture: Callable[[str, Any], None],
) -> None:
    job = outsider.submit_job("broken")
    emulator.job(job).fail("UserError", "The training data has no column 'amount'.")
    run_id = rest.trigger("wait", conf={"job_name": job})
    rest.wait_for_run("wait", run_id, state="failed")
    page.goto(f"/dags/wait/runs/{quote(run_id)}/tasks/job")
    page.get_by_text("The training data has no column 'amount'.").first.wait_for()
