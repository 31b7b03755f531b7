"""One emulator and one Airflow for all system tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from airflow_rest import AirflowRest
from scenario import EXAMPLES, airflow_environment
from standalone import StandaloneAirflow

from airflow_provider_azureml.emulator import Emulator

DAGS = Path(__file__).parent / "dags"


@pytest.fixture(scope="session")
def emulator() -> Iterator[Emulator]:
    with Emulator(workspace_name="fraud-prod", resource_group="ml") as emulator:
        yield emulator


@pytest.fixture(scope="session")
def airflow(emulator: Emulator) -> Iterator[StandaloneAirflow]:
    with StandaloneAirflow(
        DAGS,
        EXAMPLES,
        environment=airflow_environment(emulator),
        connections={"azureml": emulator.connection},
    ) as airflow:
        yield airflow


@pytest.fixture
def rest(airflow: StandaloneAirflow) -> AirflowRest:
    return airflow.rest
