"""Sensors with the settings that Airflow users combine with them; names come from the run's conf."""

import os

from airflow.sdk import DAG, task

from airflow_provider_azureml.datasets import Workspace, asset_versions
from airflow_provider_azureml.sensors.job import AzureMachineLearningJobSensor
from airflow_provider_azureml.sensors.model import AzureMachineLearningModelVersionSensor

workspace = Workspace.from_id(os.environ["AZUREML_WORKSPACE_ID"])

for name, options in {
    "job_deferred": {"deferrable": True},
    "job_poked": {"deferrable": False},
    "job_soft_fail": {"deferrable": True, "soft_fail": True},
    "job_timeout": {"deferrable": True, "timeout": 3, "retries": 3},
    "job_timeout_soft_fail": {"deferrable": True, "timeout": 3, "soft_fail": True},
}.items():
    with DAG(name, schedule=None, params={"job_name": ""}):
        AzureMachineLearningJobSensor(
            task_id="sense", conn_id="azureml", job_name="{{ params.job_name }}", poke_interval=1, **options
        )

with DAG("model_deferred", schedule=None):
    AzureMachineLearningModelVersionSensor(
        task_id="sense",
        conn_id="azureml",
        workspace=workspace,
        model_name="sensed",
        tags={"stage": "production"},
        deferrable=True,
        poke_interval=1,
    )

with DAG("model_consumer", schedule=[workspace.model("sensed")]):

    @task
    def consume(*, triggering_asset_events):
        return [version.to_dict() for version in asset_versions(triggering_asset_events)]

    consume()
