"""One emulator and one Airflow for all system tests, and somebody outside Airflow who works in the same workspace."""

import re
import select
import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from airflow_rest import AirflowRest
from azure.storage.queue import QueueClient
from scenario import EXAMPLES, airflow_environment
from standalone import StandaloneAirflow

from airflow_provider_azureml.emulator import Emulator

HERE = Path(__file__).parent
DAGS = HERE / "dags"


@pytest.fixture(scope="session")
def emulator(own_authority_only: Callable[[], Any]) -> Iterator[Emulator]:
    emulator = Emulator(workspace_name="fraud-prod", resource_group="ml")
    with own_authority_only():
        emulator.start()
    emulator.create_registry("shared")
    yield emulator
    emulator.stop()


@pytest.fixture(scope="session")
def event_queue(emulator: Emulator) -> str:
    """A storage queue that gets the workspace's Event Grid events."""
    account = f"https://{emulator.storage_account}.queue.core.windows.net"
    with pytest.MonkeyPatch.context() as patch:
        for name, value in emulator.environment.items():
            patch.setenv(name, value)
        with QueueClient(account, "azureml-events", credential=emulator.storage_key) as queue:
            queue.create_queue()
    emulator.send_events_to("azureml-events")
    return f"{account}/azureml-events"


class Statistics:
    """What Airflow's StatsD client sends, at a socket of this process."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._heard: list[str] = []

    def values(self, name: str, kind: str) -> list[float]:
        """Return what was said of a name so far: a counter (`c`), a time in milliseconds (`ms`) or a gauge (`g`)."""
        while select.select([self._socket], [], [], 0)[0]:
            self._heard += self._socket.recv(65_536).decode().splitlines()
        lines = (re.fullmatch(r"airflow\.([^:]+):([-+.\d]+)\|(\w+)(?:[|@].*)?", line) for line in self._heard)
        return [float(line[2]) for line in lines if line and (line[1], line[3]) == (name, kind)]

    def has(self, name: str, kind: str) -> bool:
        """Whether something was said of a name."""
        return bool(self.values(name, kind))

    def clear(self) -> None:
        """Forget what was said."""
        self.values("", "")
        self._heard.clear()

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def __str__(self) -> str:
        return ", ".join(sorted({line.partition(":")[0] for line in self._heard if "azureml" in line}))


@pytest.fixture(scope="session")
def statistics() -> Iterator[Statistics]:
    statistics = Statistics()
    yield statistics
    statistics.close()


@pytest.fixture(scope="session")
def airflow(emulator: Emulator, event_queue: str, statistics: Statistics) -> Iterator[StandaloneAirflow]:
    with StandaloneAirflow(
        DAGS,
        EXAMPLES,
        environment={
            **airflow_environment(emulator),
            "AIRFLOW__SCHEDULER__TRIGGER_TIMEOUT_CHECK_INTERVAL": "1",
            "EVENT_QUEUE": event_queue,
            "AZUREML_EVENT_QUEUE": event_queue,
            "AIRFLOW__METRICS__STATSD_ON": "True",
            "AIRFLOW__METRICS__STATSD_HOST": "127.0.0.1",
            "AIRFLOW__METRICS__STATSD_PORT": str(statistics.port),
        },
        connections={"azureml": emulator.connection},
        preload=["azure.ai.ml", "azure.ai.ml.entities", "azure.storage.blob", "airflow_provider_azureml.provider.sdk"],
    ) as airflow:
        yield airflow


@pytest.fixture
def rest(airflow: StandaloneAirflow) -> AirflowRest:
    return airflow.rest


class Outsider:
    """Somebody with a token and ARM's REST API, who knows nothing of Airflow or of this provider."""

    def __init__(self, emulator: Emulator, workspace: str | None = None) -> None:
        own = airflow_environment(emulator)["AZUREML_WORKSPACE_ID"]
        self._workspace = own if workspace is None else f"{own.rpartition('/')[0]}/{workspace}"
        self._http = httpx.Client(
            base_url="https://management.azure.com",
            headers={"Authorization": f"Bearer {emulator.token()}"},
            params={"api-version": "2024-10-01"},
            proxy=emulator.environment["HTTPS_PROXY"],
            verify=ssl.create_default_context(cafile=emulator.environment["SSL_CERT_FILE"]),
            trust_env=False,
        )

    def submit_job(self, name: str, *, experiment: str = "Default") -> str:
        """Submit a command job under this name."""
        words = {"jobType": "Command", "command": "true", "environmentId": "azureml:any:1"}
        self.put(f"jobs/{name}", **words, experimentName=experiment)
        return name

    def find(self, path: str) -> dict[str, Any] | None:
        """Return anything below the workspace, or None if it is not there."""
        try:
            return self._request("GET", path)
        except httpx.HTTPStatusError as error:
            if error.response.status_code == httpx.codes.NOT_FOUND:
                return None
            raise

    def register_model(self, name: str, version: str, *, job: str | None = None, **tags: str) -> None:
        """Register a model version whose bytes nobody reads; `job` made it."""
        uri = "azureml://datastores/workspaceblobstore/paths/elsewhere"
        self.put(f"models/{name}/versions/{version}", modelType="custom_model", modelUri=uri, tags=tags, jobName=job)

    def share_model(self, registry: str, name: str, version: str) -> None:
        """Register a model version in a registry."""
        found = self._http.get(f"https://eastus.api.azureml.ms/registrymanagement/v1.0/registries/{registry}/discovery")
        place = found.raise_for_status().json()
        path = (
            f"{place['primaryRegionResourceProviderUri']}mferp/managementfrontend/subscriptions/{place['subscriptionId']}"
            f"/resourceGroups/{place['resourceGroup']}/providers/Microsoft.MachineLearningServices/registries/{registry}"
            f"/models/{name}/versions/{version}"
        )
        words = {"modelType": "custom_model", "modelUri": "https://account.blob.core.windows.net/c/path"}
        self._http.put(path, json={"properties": words}).raise_for_status()

    def versions(self, kind: str, name: str) -> list[str]:
        """Return the versions of an asset (`models`, `data`), newest first."""
        return [body["name"] for body in self._request("GET", f"{kind}/{name}/versions")["value"]]

    def version(self, kind: str, name: str, version: str) -> dict[str, Any]:
        """Return one version."""
        return self._request("GET", f"{kind}/{name}/versions/{version}")

    def jobs(self, run_id: str) -> list[str]:
        """Return the names of the jobs whose tag `run` is this one."""
        found = self._request("GET", "jobs")["value"]
        return [body["name"] for body in found if (body["properties"].get("tags") or {}).get("run") == run_id]

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def put(self, path: str, *, location: str | None = None, **properties: Any) -> dict[str, Any]:
        """Make or change something."""
        place = {"location": location} if location else {}
        return self._request("PUT", path, json={**place, "properties": properties})

    def delete(self, path: str) -> None:
        """Delete something that may be gone already."""
        answer = self._http.delete(f"{self._workspace}/{path}")
        if answer.status_code != httpx.codes.NOT_FOUND:
            answer.raise_for_status()

    def _request(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        answer = self._http.request(method, f"{self._workspace}/{path}", **options)
        answer.raise_for_status()
        body: dict[str, Any] = answer.json()
        return body


@pytest.fixture
def outsider(emulator: Emulator) -> Iterator[Outsider]:
    outsider = Outsider(emulator)
    yield outsider
    outsider.close()
