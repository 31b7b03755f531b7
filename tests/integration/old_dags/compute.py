"""A cluster and an instance: made, worked on, deleted."""

from __future__ import annotations

import pendulum
from airflow.sdk import DAG
from azure.ai.ml import command
from azure.ai.ml.entities import AmlCompute, ComputeInstance

from airflow_provider_azureml.provider.operators.compute import (
    AzureMachineLearningCreateComputeResourceOperator,
    AzureMachineLearningDeleteComputeResourceOperator,
)
from airflow_provider_azureml.provider.operators.job import AzureMachineLearningCreateJobOperator

with DAG(dag_id="old_compute", schedule=None, start_date=pendulum.datetime(2021, 1, 1, tz="UTC")) as dag:
    connection_id = "AML_TEST_CONNECTION"
    computes = {
        "cluster": AmlCompute(name="old-cluster", size="Standard_D4s_v3", min_instances=0, max_instances=1),
        "instance": ComputeInstance(name="old-instance", size="Standard_D2s_v3"),
    }
    for name, compute in computes.items():
        create = AzureMachineLearningCreateComputeResourceOperator(
            task_id=f"create_{name}", conn_id=connection_id, compute=compute, waiting=True
        )
        job = command(
            command="echo 42",
            environment="AzureML-sklearn-0.24-ubuntu18.04-py37-cpu@latest",
            compute=compute.name,
        )
        work = AzureMachineLearningCreateJobOperator(
            task_id=f"work_on_{name}", conn_id=connection_id, job=job, waiting=True
        )
        delete = AzureMachineLearningDeleteComputeResourceOperator(
            task_id=f"delete_{name}", conn_id=connection_id, compute_name=compute.name
        )
        create >> work >> delete
