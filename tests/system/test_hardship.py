"""Watchers while everything around them fails, in an Airflow of their own, on PostgreSQL where there is one."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from azure.storage.queue import QueueClient
from scenario import airflow_environment
from standalone import COMPONENTS, StandaloneAirflow

from airflow_provider_azureml.emulator import Emulator

from .conftest import HERE, Outsider
from .hardship import DAGS, SETTINGS, TRIGGERERS, endure
from .servers import MissingError, PostgreSQL

pytestmark = pytest.mark.slow


@pytest.fixture
def workspace(own_authority_only: Callable[[], Any]) -> Iterator[Emulator]:
    """A workspace that may be killed."""
    emulator = Emulator(workspace_name="hardship", resource_group="ml", job_seconds=1.0)
    with own_authority_only():
        emulator.start()
    yield emulator
    emulator.stop()


@pytest.fixture
def events(workspace: Emulator) -> Iterator[QueueClient]:
    """A queue that gets the workspace's events."""
    account = f"https://{workspace.storage_account}.queue.core.windows.net"
    with pytest.MonkeyPatch.context() as patch:
        for name, value in workspace.environment.items():
            patch.setenv(name, value)
        with QueueClient(account, "hardship", credential=workspace.storage_key) as queue:
            queue.create_queue()
            workspace.send_events_to("hardship")
            yield queue


def test_no_version_is_lost_while_everything_around_the_watchers_fails(
    workspace: Emulator, events: QueueClient, tmp_path: Path
) -> None:
    """
    KILLS and VERSIONS in the environment say how much; `make hardship` is 200 and 2,000.

    ONLY=killed leaves out what takes assets out of use.

    The database killed, a bad deployment during which both triggerers are killed, one triggerer and the scheduler
    killed. The longer forms add the DAG file away, a consumer paused, the workspace gone for seconds, and its lists
    behind. 4 % of polls are refused and as many cut off; the event queue holds what is no event; versions are promoted,
    archived, restored, deleted and made again.
    """
    kills, versions = int(os.environ.get("KILLS", "4")), int(os.environ.get("VERSIONS", "30"))
    seed = int(os.environ.get("SEED", "7"))
    dags = tmp_path / "dags"
    shutil.copytree(HERE / "hardship_dags", dags)
    outsider = Outsider(workspace)
    components = {name: words for name, words in COMPONENTS.items() if name != "triggerer"}
    components.update(dict.fromkeys(TRIGGERERS, COMPONENTS["triggerer"]))
    with ExitStack() as stack:
        postgres: PostgreSQL | None = None
        try:
            postgres = stack.enter_context(PostgreSQL())
        except MissingError as missing:
            print(f"ON SQLITE, WHOSE DATABASE IS NOT KILLED: {missing}")
        environment = {**airflow_environment(workspace), **SETTINGS, "EVENT_QUEUE": str(events.url)}
        environment.update(postgres.environment if postgres else {})
        airflow = stack.enter_context(
            StandaloneAirflow(
                dags,
                environment=environment,
                connections={"azureml": workspace.connection},
                components=components,
            )
        )
        # A file that is gone: only then does Airflow take references of others away, too. One that goes while it is
        # being read is an import error instead, so all are known first.
        airflow.rest.wait_for_dags("gone", *(f"hardship_{name}" for name in DAGS))
        (dags / "gone.py").unlink()
        try:
            outcome = endure(
                airflow,
                workspace,
                outsider,
                events,
                dags / "hardship.py",
                postgres,
                troubles=kills,
                versions=versions,
                seed=seed,
                only=os.environ.get("ONLY", ""),
            )
        except BaseException:
            print(airflow.log_ends())
            raise
        finally:
            if keep := os.environ.get("HARDSHIP_LOGS"):
                shutil.copytree(airflow.home, keep, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.db*"))
        outsider.close()
    print(outcome)
    assert outcome.lost == {}
    assert {name: heard.for_nothing for name, heard in outcome.heard.items() if heard.for_nothing} == {}
