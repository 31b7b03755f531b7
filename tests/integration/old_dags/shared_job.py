"""One job for several tasks, and a job read from a YAML file: both made when the file is parsed."""

from __future__ import annotations

from pathlib import Path

import pendulum
from airflow import DAG
from azure.ai.ml import command, load_job

from airflow_provider_azureml.provider.operators.job import AzureMachineLearningCreateJobOperator

with DAG(
    dag_id="old_shared_job",
    schedule=None,
    start_date=pendulum.datetime(2021, 1, 1, tz="UTC"),
    catchup=False,
    default_args={"conn_id": "AML_TEST_CONNECTION"},
) as dag:
    job = command(
        command="echo ${{inputs.number}}",
        environment="azureml://registries/azureml/environments/e/versions/1",
        inputs={"number": 1},
        compute="old-cpu",
    )
    for number in (1, 2):
        AzureMachineLearningCreateJobOperator(task_id=f"called_{number}", job=job(number=number), waiting=True)
        AzureMachineLearningCreateJobOperator(task_id=f"same_{number}", job=job, waiting=True)
    AzureMachineLearningCreateJobOperator(
        task_id="from_file",
        job=load_job(Path(__file__).parent / "echo.yml", params_override=[{"inputs.number": 3}]),
        waiting=True,
    )
