"""One Airflow for all system tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from airflow_rest import AirflowRest
from standalone import StandaloneAirflow

DAGS = Path(__file__).parent / "dags"


@pytest.fixture(scope="session")
def airflow() -> Iterator[StandaloneAirflow]:
    with StandaloneAirflow(DAGS) as airflow:
        yield airflow


@pytest.fixture
def rest(airflow: StandaloneAirflow) -> AirflowRest:
    return airflow.rest
