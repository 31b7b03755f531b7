"""Airflow as it runs in production: the services of dev/compose.yaml, without containers.

PostgreSQL, Celery with Valkey, and scheduler, DAG processor, API server, worker and two triggerers, each apart.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from airflow_rest import until
from scenario import EXAMPLES, airflow_environment, outside_environment, play
from standalone import StandaloneAirflow
from timeline import Timeline

from airflow_provider_azureml.emulator import Emulator

from . import servers
from .conftest import Outsider

pytestmark = pytest.mark.slow

COMPOSE: dict[str, Any] = yaml.safe_load((Path(__file__).parents[2] / "dev" / "compose.yaml").read_text())
SERVICES: dict[str, list[str]] = {
    name: service["command"][1:]
    for name, service in COMPOSE["services"].items()
    if service.get("command", [""])[0] == "airflow" and name != "migrate"
}
OF_CONTAINERS = {"AIRFLOW__CORE__DAGS_FOLDER", "AIRFLOW__CORE__EXECUTION_API_SERVER_URL"}


@pytest.fixture(scope="module")
def database() -> Iterator[servers.PostgreSQL]:
    try:
        server = servers.PostgreSQL()
    except servers.MissingError as missing:
        pytest.skip(str(missing))
    with server:
        yield server


@pytest.fixture(scope="module")
def settings(database: servers.PostgreSQL) -> Iterator[dict[str, str]]:
    """The settings of dev/compose.yaml, with the hosts of this machine."""
    try:
        broker = servers.Valkey()
    except servers.MissingError as missing:
        pytest.skip(str(missing))
    with broker:
        hosts = {
            "airflow:airflow@postgres/": f"airflow:{database.password}@127.0.0.1:{database.port}/",
            "redis://valkey:6379/0": broker.url,
        }
        text = json.dumps(COMPOSE["x-airflow"]["environment"])
        for there, here in hosts.items():
            assert there in text
            text = text.replace(there, here)
        yield {name: value for name, value in json.loads(text).items() if name not in OF_CONTAINERS}


@pytest.fixture(scope="module")
def apart(emulator: Emulator, settings: dict[str, str]) -> Iterator[StandaloneAirflow]:
    emulator.script_jobs([("Starting", 1), ("Running", 4), "Completed"])
    with StandaloneAirflow(
        EXAMPLES,
        environment={
            **airflow_environment(emulator),
            **settings,
            # A triggerer that is gone is noticed within this time, in seconds.
            "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "10",
            "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "2",
        },
        connections={"azureml": emulator.connection},
        components=SERVICES,
    ) as airflow:
        yield airflow


def test_all_of_airflows_components_run_apart(apart: StandaloneAirflow, database: servers.PostgreSQL) -> None:
    assert {words[0] for words in SERVICES.values()} == {
        *("api-server", "scheduler", "dag-processor", "triggerer", "celery")
    }
    assert [name for name in SERVICES if apart.component(name).status is not None] == []
    alive = "SELECT count(*) FROM job WHERE job_type = 'TriggererJob' AND state = 'running'"
    until(lambda: database.query(alive) == [["2"]], 60, lambda: apart.log_ends("triggerer-1", "triggerer-2"))


def test_workers_upload_and_register_triggerers_resume_what_waits_and_watch(
    apart: StandaloneAirflow, emulator: Emulator, outsider: Outsider, database: servers.PostgreSQL, tmp_path: Path
) -> None:
    rest = apart.rest
    rest.wait_for_dags("promote")
    emulator.wait_for_call("GET", "/models", count=2, timeout=120)  # the watcher has taken what is there as known

    play(apart, outside_environment(emulator), tmp_path, Timeline())

    outsider.register_model("fraud", "77", stage="production")
    run = rest.wait_for_run("promote")
    assert rest.xcom("promote", run["dag_run_id"], "roll_out") == ["fraud:77"]
    ((done,),) = database.query("SELECT count(*) FROM celery_taskmeta WHERE status = 'SUCCESS'")
    assert int(done) >= 10


def test_when_a_triggerer_is_lost_the_other_one_goes_on_with_what_it_waited_for(
    apart: StandaloneAirflow, emulator: Emulator, outsider: Outsider, database: servers.PostgreSQL
) -> None:
    rest = apart.rest
    emulator.script_jobs(["Running"])
    apart.kill_component("triggerer-1")
    run_id = rest.trigger("wait", conf={"job_name": outsider.submit_job("topology")})
    rest.wait_for_task("wait", run_id, "job", state="deferred")
    held = "SELECT triggerer_id FROM trigger WHERE classpath LIKE '%JobTrigger'"
    ((second,),) = until(lambda: [row for row in database.query(held) if row != ["None"]], 60, lambda: "nobody has it")

    apart.start_component("triggerer-1")
    apart.kill_component("triggerer-2")

    until(lambda: database.query(held) not in ([[second]], [["None"]]), 60, lambda: apart.log_ends("triggerer-1"))
    emulator.job("topology").complete()
    rest.wait_for_task("wait", run_id, "job", state="success")
