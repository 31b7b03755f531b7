"""Watchers in a running Airflow: models that somebody outside registers start DAGs."""

import contextlib
import json
import sqlite3

import pytest
from airflow_rest import AirflowRest, until
from standalone import StandaloneAirflow

from airflow_provider_azureml.datasets import Workspace
from airflow_provider_azureml.emulator import Emulator
from airflow_provider_azureml.sensors import watch

from .conftest import Outsider, Statistics


def wait_until_watching(
    emulator: Emulator, rest: AirflowRest, *dag_ids: str, path: str = "/workspaces/[^/]+/models$"
) -> None:
    """Wait until these DAGs' watchers have taken what is there as known, and for a poll after that."""
    rest.wait_for_dags(*dag_ids)

    def have_begun() -> bool:
        assets = [asset for asset in rest.get("assets", limit=200)["assets"] if " (watched" in asset["name"]]
        mine = [one for one in assets if {dag["dag_id"] for dag in one["scheduled_dags"]} & set(dag_ids)]
        kept = [rest.get(f"assets/{asset['id']}/state-store")["asset_state_store"] for asset in mine]
        return bool(mine) and all("azureml" in {row["key"] for row in rows} for rows in kept)

    until(have_begun, 120, lambda: f"not all watchers of {', '.join(dag_ids)} have begun")
    last = max((call["number"] for call in emulator.calls()), default=0)
    emulator.wait_for_call("GET", path, after=last, timeout=120)


@pytest.fixture
def workspace(emulator: Emulator) -> Workspace:
    return Workspace(emulator.subscription_id, emulator.resource_group, emulator.workspace_name)


def test_a_model_registered_outside_starts_the_dag_that_watches_it(
    airflow: StandaloneAirflow, rest: AirflowRest, emulator: Emulator, outsider: Outsider
) -> None:
    wait_until_watching(emulator, rest, "watch_any", "watch_promoted")

    outsider.register_model("watched", "1")

    run = rest.wait_for_run("watch_any")
    (version,) = rest.xcom("watch_any", run["dag_run_id"], "roll_out")
    assert (version["name"], version["version"]) == ("watched", "1")
    assert rest.runs("watch_promoted") == []

    outsider.register_model("watched", "1", stage="production")

    run = rest.wait_for_run("watch_promoted")
    (version,) = rest.xcom("watch_promoted", run["dag_run_id"], "roll_out")
    assert (version["version"], version["tags"]) == ("1", {"stage": "production"})
    assert len(rest.runs("watch_any")) == 1, "a promotion is no new version"


def test_an_event_of_event_grid_makes_it_fast(rest: AirflowRest, emulator: Emulator, outsider: Outsider) -> None:
    """The watcher polls once in a quarter of an hour."""
    wait_until_watching(emulator, rest, "watch_nudged")

    outsider.register_model("nudged", "1")

    run = rest.wait_for_run("watch_nudged", timeout=60)
    (version,) = rest.xcom("watch_nudged", run["dag_run_id"], "roll_out")
    assert version["version"] == "1"


def test_a_job_of_an_experiment_starts_the_dag_when_it_completes(
    rest: AirflowRest, emulator: Emulator, outsider: Outsider
) -> None:
    wait_until_watching(emulator, rest, "watch_night", path="/jobs$")

    outsider.submit_job("night_1", experiment="night")

    run = rest.wait_for_run("watch_night")
    (job,) = rest.xcom("watch_night", run["dag_run_id"], "roll_out")
    assert (job["kind"], job["name"], job["version"], job["stage"]) == ("experiment", "night", "night_1", "Completed")


def test_a_version_in_a_registry_starts_the_dag_that_watches_it(
    rest: AirflowRest, emulator: Emulator, outsider: Outsider
) -> None:
    wait_until_watching(emulator, rest, "watch_shared", path="/registries/shared/models$")

    outsider.share_model("shared", "common", "1")

    run = rest.wait_for_run("watch_shared")
    (version,) = rest.xcom("watch_shared", run["dag_run_id"], "roll_out")
    assert (version["name"], version["version"]) == ("common", "1")


def test_the_example_promotes_what_is_better_than_what_is_in_production(
    rest: AirflowRest, emulator: Emulator, outsider: Outsider
) -> None:
    wait_until_watching(emulator, rest, "gate")
    emulator.script_jobs([("Running", None)], name="^measured-")
    for version, (f1, better) in enumerate([(0.8, True), (0.7, False), (0.9, True)], start=1):
        outsider.submit_job(f"measured-{version}")
        emulator.job(f"measured-{version}").complete(metrics={"f1": f1})
        outsider.register_model("lapse", str(version), job=f"measured-{version}")
        until(lambda: len(rest.runs("gate")) >= version, 90, lambda: "no run")  # noqa: B023
        run_id = rest.runs("gate")[-1]["dag_run_id"]
        rest.wait_for_task("gate", run_id, "promote", state="success" if better else "skipped")
        tags = outsider.version("models", "lapse", str(version))["properties"]["tags"]
        assert ("stage" in tags) is better


def test_the_example_rolls_out_what_is_promoted(rest: AirflowRest, emulator: Emulator, outsider: Outsider) -> None:
    wait_until_watching(emulator, rest, "promote")
    outsider.register_model("fraud", "100")

    outsider.register_model("fraud", "100", stage="production")

    run = rest.wait_for_run("promote")
    assert rest.xcom("promote", run["dag_run_id"], "roll_out") == ["fraud:100"]


def test_watchers_and_a_producer_of_the_plain_asset_live_together_in_three_files(
    airflow: StandaloneAirflow, rest: AirflowRest, workspace: Workspace
) -> None:
    """Parsing the files again and again neither makes triggers anew nor takes an asset out of use."""
    rest.wait_for_dags("watch_any", "watch_promoted", "watch_any_too", "watched_producer")
    plain = workspace.model("watched")
    uris = [plain.uri, watch(plain, conn_id="c").uri, watch(plain, conn_id="c", tags={"stage": "production"}).uri]

    def triggers() -> dict[str, int]:
        with contextlib.closing(sqlite3.connect(airflow.home / "airflow.db")) as database:
            query = "SELECT a.uri, w.trigger_id FROM asset a JOIN asset_watcher w ON w.asset_id = a.id"
            return dict(database.execute(query).fetchall())

    before = triggers()
    assert set(uris[1:]) <= set(before)
    assert uris[0] not in before
    for _ in range(3):
        rest.parse("watch_any", "watch_any_too", "watched_producer", "promote")
    assert triggers() == before
    assert set(uris) <= rest.assets().keys(), "all of them are active"
    run_id = rest.trigger("watched_producer")
    rest.wait_for_run("watched_producer", run_id)


def test_a_paused_consumer_hears_of_it_when_it_goes_on(
    rest: AirflowRest, emulator: Emulator, outsider: Outsider
) -> None:
    """examples/two_consumers.py: the other one, which is not paused, heard of it at once."""
    wait_until_watching(emulator, rest, "serve_upsell", "audit_upsell")
    rest.pause("audit_upsell")
    rest.parse("audit_upsell")  # by itself within [dag_processor] min_file_process_interval

    outsider.register_model("upsell", "1")

    run = rest.wait_for_run("serve_upsell")
    assert rest.xcom("serve_upsell", run["dag_run_id"], "serve") == "upsell:1"
    assert rest.runs("audit_upsell") == []
    rest.pause("audit_upsell", paused=False)
    rest.parse("audit_upsell")
    run = rest.wait_for_run("audit_upsell")
    assert rest.xcom("audit_upsell", run["dag_run_id"], "audit") == ["upsell:1"]


def test_watchers_are_listed_and_asked_to_announce_again_at_the_command_line(
    airflow: StandaloneAirflow, rest: AirflowRest, emulator: Emulator, outsider: Outsider
) -> None:
    """That they do so is tested where no Airflow has to run."""
    wait_until_watching(emulator, rest, "watch_operated", "watch_night")
    outsider.register_model("operated", "1")
    rest.wait_for_run("watch_operated")

    told = airflow.command("azureml", "watchers", "--output", "json")
    watchers = {row["dags"]: row for row in json.loads(told[told.index("[{") :])}
    row = watchers["watch_operated"]
    assert row["asset"].startswith("models/operated@")
    assert (row["state"], row["why"], row["failing_since"]) == ("ok", None, None)
    assert row["last_event"]
    assert row["kept_at"]
    airflow.command(
        "azureml", "replay", row["asset"], "--since", "2099-01-01"
    )  # nothing, so that no other test hears it
    asked = json.loads(rest.get("variables/azureml_watch_requests")["value"])
    assert asked[row["asset"]].items() >= {"do": "replay", "since": "2099-01-01T00:00:00+00:00"}.items()
    with pytest.raises(RuntimeError, match=r"jobs have no order but time; give --since"):
        airflow.command("azureml", "replay", watchers["watch_night"]["asset"], "--from-version", "1")
    with pytest.raises(RuntimeError, match=r"No watched asset is called 'models/operated'; `airflow azureml watchers`"):
        airflow.command("azureml", "forget", "models/operated")


def test_what_watchers_do_is_in_airflows_statistics(
    rest: AirflowRest, emulator: Emulator, outsider: Outsider, statistics: Statistics
) -> None:
    """At the socket that Airflow's StatsD client sends to, from the triggerer."""
    wait_until_watching(emulator, rest, "watch_counted")
    statistics.clear()

    outsider.register_model("counted", "1")

    for name, kind in {
        "watch.polls": "c",
        "watch.poll_duration": "ms",
        "watch.events": "c",
        "watch.announced": "c",
        "watch.lag": "ms",
        "reads": "c",
        "reads.left": "g",
    }.items():
        until(lambda name=name, kind=kind: statistics.has(f"azureml.{name}", kind), 60, lambda: str(statistics))
    assert all(0 < value < 60_000 for value in statistics.values("azureml.watch.lag", "ms"))
