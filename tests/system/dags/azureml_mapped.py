"""Mapped producers, a producer whose DAG is wrong, and a job whose named output starts a DAG."""

import os
from datetime import timedelta

from airflow.sdk import DAG, task

from airflow_provider_azureml.datasets import Workspace, asset_versions
from airflow_provider_azureml.provider.operators.data import AzureMachineLearningCreateDataOperator
from airflow_provider_azureml.provider.operators.job import AzureMachineLearningCreateJobOperator

workspace = Workspace.from_id(os.environ["AZUREML_WORKSPACE_ID"])
connected = {"conn_id": "azureml", "workspace": workspace}

with DAG("mapped_producer", schedule=None, params={"path": ""}):
    AzureMachineLearningCreateDataOperator.partial(task_id="make", **connected).expand(
        data_asset=[{"name": f"mapped_{which}", "path": "{{ params.path }}"} for which in ("a", "b")]
    )

with DAG("wrong_producer", schedule=None):
    AzureMachineLearningCreateDataOperator(
        task_id="make",
        data_asset={"name": "wrong", "path": "./nowhere"},
        retries=3,
        retry_delay=timedelta(hours=1),
        **connected,
    )

with DAG("job_with_outputs", schedule=None):
    AzureMachineLearningCreateJobOperator(
        task_id="train",
        job={
            "type": "command",
            "command": "train",
            "environment": "azureml://registries/azureml/environments/sklearn/versions/1",
            "outputs": {
                "model": {
                    "type": "mlflow_model",
                    "name": "output_of_a_job",
                    "path": "azureml://datastores/workspaceblobstore/paths/models/fixed",
                }
            },
        },
        waiting=True,
        deferrable=True,
        poll_interval=1,
        **connected,
    )

for name, asset in (
    ("mapped_consumer", workspace.data("mapped_a")),
    ("output_consumer", workspace.model("output_of_a_job")),
):
    with DAG(name, schedule=[asset]):

        @task
        def consume(*, triggering_asset_events):
            return [version.to_dict() for version in asset_versions(triggering_asset_events)]

        consume()
