"""Two command jobs, one after the other; the second is not waited for."""

from __future__ import annotations

import os

import pendulum
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG
from azure.ai.ml import Input, command

from airflow_provider_azureml.provider.operators.job import AzureMachineLearningCreateJobOperator

with DAG(
    dag_id="old_command_job",
    schedule="0 17 * * *",
    start_date=pendulum.datetime(2021, 1, 1, tz="UTC"),
    catchup=False,
    tags=["AML"],
) as dag:
    src = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "specs", "files", "src")
    first_job = command(
        code=src,
        command="python train.py --flowers ${{inputs.flowers}} --rate ${{inputs.rate}} --mode ${{inputs.mode}}",
        environment="AzureML-lightgbm-3.2-ubuntu18.04-py37-cpu@latest",
        inputs={
            "flowers": Input(type="uri_file", path="https://example.blob.core.windows.net/public/flowers.csv"),
            "rate": 0.9,
            "mode": "gbdt",
        },
        compute="old-cpu",
        display_name="flowers",
        experiment_name="old-style",
        description="a command job",
    )
    first = AzureMachineLearningCreateJobOperator(
        task_id="first", job=first_job, waiting=True, conn_id="AML_TEST_CONNECTION"
    )
    second_job = command(
        code=src,
        command="python train.py",
        environment="AzureML-sklearn-0.24-ubuntu18.04-py37-cpu@latest",
        compute="old-cpu",
    )
    second = AzureMachineLearningCreateJobOperator(
        task_id="second", job=second_job, waiting=False, conn_id="AML_TEST_CONNECTION"
    )
    first >> second >> EmptyOperator(task_id="success")
