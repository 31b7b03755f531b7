"""Airflow as it runs in production: the services of dev/compose.yaml, without containers.

PostgreSQL, Celery with Valkey, and scheduler, DAG processor, API server, worker and two triggerers, each apart.
"""

from __future__ import annotations

import base64
import contextlib
import json
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
import trustme
import yaml
from airflow_rest import AirflowRest, until
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, load_pem_private_key
from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates
from cryptography.x509 import load_pem_x509_certificate
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
    with StandaloneAirflow(
        EXAMPLES,
        environment={
            **airflow_environment(emulator),
            **settings,
            # A triggerer that is gone is noticed within this time, in seconds.
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "DEBUG",
            "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "10",
            "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "2",
        },
        connections={"azureml": emulator.connection},
        components=SERVICES,
    ) as airflow:
        yield airflow


@dataclass
class Played:
    """The examples have run: ids of the runs, and each list of arguments that a process of Airflow's had meanwhile."""

    promote: str
    arguments: set[str]
    secrets: dict[str, str]


@pytest.fixture(scope="module")
def played(apart: StandaloneAirflow, emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Played:
    """The main examples, a job whose code azure-ai-ml uploads, and one for which a certificate signs in."""
    rest, outsider = apart.rest, Outsider(emulator)
    secrets = {
        "client secret": emulator.client_secret,
        "account key": emulator.storage_key,
        **connect_with_certificate(rest, emulator),
    }
    rest.wait_for_dags("promote", "example_command_job", "example_two_subscriptions")
    emulator.wait_for_call("GET", "/models", count=2, timeout=120)  # the watcher has taken what is there as known
    with watched_arguments(apart) as arguments:
        jobs = {dag: rest.trigger(dag) for dag in ("example_command_job", "example_two_subscriptions")}
        play(apart, outside_environment(emulator), tmp_path_factory.mktemp("files"), Timeline())
        outsider.register_model("fraud", "77", stage="production")
        run = rest.wait_for_run("promote")
        for dag, run_id in jobs.items():
            rest.wait_for_run(dag, run_id)
    outsider.close()
    return Played(run["dag_run_id"], arguments, secrets)


def connect_with_certificate(rest: AirflowRest, emulator: Emulator) -> dict[str, str]:
    """Store the connection `azureml_other` in Airflow's database, and return the secrets in it."""
    leaf = trustme.CA().issue_cert("app.example", key_type=trustme.KeyType.RSA)
    public, private = leaf.cert_chain_pems[0].bytes(), leaf.private_key_pem.bytes()
    packed = serialize_key_and_certificates(
        b"app",
        load_pem_private_key(private, None),
        load_pem_x509_certificate(public),
        None,
        BestAvailableEncryption(b"opensesame-of-a-certificate"),
    )
    data = base64.b64encode(packed).decode()
    who = emulator.create_principal(certificate=public.decode())
    connection = emulator.connection_for(principal={**who, "client_secret": ""})
    extra = {**connection["extra"], "certificate_data": data, "certificate_password": "opensesame-of-a-certificate"}
    body = {**connection, "password": None, "connection_id": "azureml_other", "extra": json.dumps(extra)}
    rest.request("POST", "connections", json=body)
    return {"certificate": data[400:440], "certificate's password": "opensesame-of-a-certificate"}


@contextlib.contextmanager
def watched_arguments(airflow: StandaloneAirflow) -> Iterator[set[str]]:
    """Collect the arguments of all processes of an Airflow meanwhile."""
    seen: set[str] = set()
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(0.2):
            for process in airflow.processes:
                with contextlib.suppress(psutil.Error):
                    seen.add(" ".join(process.cmdline()))

    with ThreadPoolExecutor(1) as pool:
        looking = pool.submit(look)
        try:
            yield seen
        finally:
            ended.set()
        looking.result()


def test_all_of_airflows_components_run_apart(apart: StandaloneAirflow, database: servers.PostgreSQL) -> None:
    assert {words[0] for words in SERVICES.values()} == {
        *("api-server", "scheduler", "dag-processor", "triggerer", "celery")
    }
    assert [name for name in SERVICES if apart.component(name).status is not None] == []
    alive = "SELECT count(*) FROM job WHERE job_type = 'TriggererJob' AND state = 'running'"
    until(lambda: database.query(alive) == [["2"]], 60, lambda: apart.log_ends("triggerer-1", "triggerer-2"))


def test_workers_upload_and_register_triggerers_resume_what_waits_and_watch(
    apart: StandaloneAirflow, played: Played, database: servers.PostgreSQL
) -> None:
    assert apart.rest.xcom("promote", played.promote, "roll_out") == ["fraud:77"]
    ((done,),) = database.query("SELECT count(*) FROM celery_taskmeta WHERE status = 'SUCCESS'")
    assert int(done) >= 10


def test_no_secret_is_in_logs_database_xcom_rendered_templates_or_the_list_of_processes_also_at_debug(
    apart: StandaloneAirflow, played: Played, database: servers.PostgreSQL
) -> None:
    logs = {
        path: path.read_text(errors="replace") for path in apart.home.rglob("*") if path.suffix in (".log", ".trigger")
    }
    logs |= {path: path.read_text(errors="replace") for path in apart.home.rglob("*.log.*")}
    tables = [name for (name,) in database.query("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
    rows = {table: str(database.query(f'SELECT row_to_json(t)::text FROM "{table}" t')) for table in tables}
    places = {**{str(path.relative_to(apart.home)): text for path, text in logs.items()}, **rows}
    places["processes"] = "\n".join(played.arguments)

    found = {
        f"{secret} in {place}: {around(text, marker)}"
        for place, text in places.items()
        for secret, marker in played.secrets.items()
        if marker in text
    }
    found |= {
        f"signature in {place}: {text[max(0, match.start() - 300) : match.end()]}"
        for place, text in places.items()
        if (match := SIGNATURE.search(text))
    }
    found |= {
        f"token in {place}: {around(text, match[0])[:400]}"
        for place, text in places.items()
        if (match := TOKEN.search(text))
    }
    assert not found, "\n".join(sorted(found))
    # What would have been found is there to be found: debug lines of those who hold secrets, and all places.
    everything = "\n".join(logs.values())
    assert [word for word in ("msal", "urllib3", "sig=***") if word not in everything] == []
    assert {"xcom", "rendered_task_instance_fields", "connection", "trigger", "asset_event", "log"} <= set(rows)
    assert all(len(rows[table]) > 2 for table in ("xcom", "rendered_task_instance_fields", "connection", "asset_event"))
    assert any("celery" in one for one in played.arguments)


TOKEN = re.compile(r"eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9\.[\w.-]{20,}")  # as the emulator's Entra writes them
SIGNATURE = re.compile(r"(?<![a-z])sig(=|%3D)(?!\*\*\*|\.\.\.|REDACTED)[A-Za-z0-9%+/]{20,}")


def around(text: str, marker: str) -> str:
    """The text before a marker."""
    at = text.index(marker)
    return text[max(0, at - 300) : at + len(marker)]


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
