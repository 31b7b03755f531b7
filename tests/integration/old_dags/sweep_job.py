"""A command job, and a sweep made of the very same object."""

from __future__ import annotations

import os

import pendulum
from airflow.sdk import DAG
from azure.ai.ml import Input, command
from azure.ai.ml.sweep import Choice, Uniform

from airflow_provider_azureml.provider.operators.job import AzureMachineLearningCreateJobOperator

with DAG(dag_id="old_sweep_job", schedule=None, start_date=pendulum.datetime(2021, 1, 1, tz="UTC")) as dag:
    job = command(
        code=os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "specs", "files", "src"),
        command="python train.py --flowers ${{inputs.flowers}} --rate ${{inputs.rate}} --mode ${{inputs.mode}}",
        environment="AzureML-lightgbm-3.2-ubuntu18.04-py37-cpu@latest",
        inputs={
            "flowers": Input(type="uri_file", path="https://example.blob.core.windows.net/public/flowers.csv"),
            "rate": 0.9,
            "mode": "gbdt",
        },
        compute="old-cpu",
        experiment_name="old-style",
        display_name="training",
    )
    training = AzureMachineLearningCreateJobOperator(
        task_id="training", job=job, waiting=True, conn_id="AML_TEST_CONNECTION"
    )
    trial = job(rate=Uniform(min_value=0.01, max_value=0.9), mode=Choice(values=["gbdt", "dart"]))
    trial.experiment_name = "old-style"
    trial.display_name = "tuning"
    sweep = trial.sweep(compute="old-cpu", sampling_algorithm="random", primary_metric="loss", goal="Minimize")
    sweep.set_limits(max_total_trials=4, max_concurrent_trials=2, timeout=7200)
    tuning = AzureMachineLearningCreateJobOperator(
        task_id="tuning", job=sweep, waiting=True, conn_id="AML_TEST_CONNECTION"
    )
    training >> tuning
