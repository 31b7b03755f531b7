"""Producers whose tries the tests interrupt; the path comes from the run's conf."""

import os
from datetime import timedelta

from airflow.sdk import DAG, task

from airflow_provider_azureml.datasets import Workspace, asset_versions
from airflow_provider_azureml.provider.operators.data import AzureMachineLearningCreateDataOperator
from airflow_provider_azureml.provider.operators.model import AzureMachineLearningRegisterModelOperator

workspace = Workspace.from_id(os.environ["AZUREML_WORKSPACE_ID"])
retrying = {"conn_id": "azureml", "workspace": workspace, "retries": 2, "retry_delay": timedelta(seconds=1)}

with DAG("data_producer", schedule=None, params={"path": ""}):
    AzureMachineLearningCreateDataOperator(
        task_id="make", data_asset={"name": "produced", "type": "uri_folder", "path": "{{ params.path }}"}, **retrying
    )

with DAG("model_producer", schedule=None, params={"path": ""}):
    AzureMachineLearningRegisterModelOperator(
        task_id="make", model={"name": "produced", "type": "custom_model", "path": "{{ params.path }}"}, **retrying
    )

with DAG("data_consumer", schedule=[workspace.data("produced")]):

    @task
    def consume(*, triggering_asset_events):
        return [version.to_dict() for version in asset_versions(triggering_asset_events)]

    consume()
