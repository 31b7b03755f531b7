"""Who announces in a running Airflow: mapped tasks, and jobs whose outputs AzureML registers; and who tries once."""

from pathlib import Path

import pytest
from airflow_rest import AirflowRest

from airflow_provider_azureml.emulator import Emulator


def test_mapped_tasks_announce_though_nobody_declares_one_of_their_assets(rest: AirflowRest, tmp_path: Path) -> None:
    (tmp_path / "day.csv").write_text("customer,amount\n1,2\n")
    rest.wait_for_dags("mapped_producer", "mapped_consumer")
    rest.wait_for_run("mapped_producer", rest.trigger("mapped_producer", conf={"path": str(tmp_path)}))
    consumer = rest.wait_for_run("mapped_consumer")
    (version,) = rest.xcom("mapped_consumer", consumer["dag_run_id"], "consume")
    assert (version["name"], version["version"]) == ("mapped_a", "1")


def test_an_error_in_the_dag_ends_the_task_at_its_first_try(rest: AirflowRest) -> None:
    rest.wait_for_dags("wrong_producer")
    run_id = rest.trigger("wrong_producer")
    rest.wait_for_task("wrong_producer", run_id, "make", state="failed")
    assert rest.task("wrong_producer", run_id, "make")["try_number"] == 1


@pytest.mark.parametrize("told", ["run", "definition", "neither"])
def test_a_jobs_named_output_starts_the_dag_that_waits_for_it(rest: AirflowRest, emulator: Emulator, told: str) -> None:
    emulator.configure(answers={"registered outputs": told})
    rest.wait_for_dags("job_with_outputs", "output_consumer")
    run_id = rest.trigger("job_with_outputs")
    rest.wait_for_run("job_with_outputs", run_id)
    emulator.configure(answers={})
    (event,) = [event for event in rest.asset_events() if event["source_run_id"] == run_id]
    (version,) = event["extra"]["versions"]
    assert version["name"] == "output_of_a_job"
    rest.wait_for_run("output_consumer")
