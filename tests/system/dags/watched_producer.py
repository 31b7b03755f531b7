"""A third file: an Airflow task that makes versions of the model that others watch."""

import os

from airflow.sdk import DAG

from airflow_provider_azureml.datasets import Workspace
from airflow_provider_azureml.provider.operators.model import AzureMachineLearningRegisterModelOperator

workspace = Workspace.from_id(os.environ["AZUREML_WORKSPACE_ID"])

with DAG("watched_producer", schedule=None):
    AzureMachineLearningRegisterModelOperator(
        task_id="make",
        conn_id="azureml",
        workspace=workspace,
        model={"name": "watched", "path": "azureml://datastores/workspaceblobstore/paths/elsewhere"},
    )
