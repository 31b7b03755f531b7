"""Data from a local folder, an environment from a conda file, a component from YAML."""

from __future__ import annotations

import os

import pendulum
from airflow.sdk import DAG
from azure.ai.ml.constants import AssetTypes
from azure.ai.ml.entities import Data, Environment

from airflow_provider_azureml.provider.operators.component import AzureMachineLearningLoadAndRegisterComponentOperator
from airflow_provider_azureml.provider.operators.data import AzureMachineLearningCreateDataOperator
from airflow_provider_azureml.provider.operators.environment import AzureMachineLearningCreateEnvironmentOperator

with DAG(dag_id="old_assets", schedule=None, start_date=pendulum.datetime(2021, 1, 1, tz="UTC")) as dag:
    folder = os.path.dirname(os.path.abspath(__file__))
    files = os.path.join(folder, "..", "specs", "files")
    data = Data(
        path=os.path.join(files, "data"),
        type=AssetTypes.URI_FOLDER,
        description="flowers that were measured",
        name="old-flowers",
    )
    AzureMachineLearningCreateDataOperator(task_id="data", data_asset=data, conn_id="AML_TEST_CONNECTION")
    environment = Environment(
        name="old_environment",
        description="for training",
        tags={"scikit-learn": "0.24.2"},
        conda_file=os.path.join(files, "environment", "conda.yml"),
        image="mcr.microsoft.com/azureml/openmpi3.1.2-ubuntu18.04:latest",
        version="1.1",
    )
    AzureMachineLearningCreateEnvironmentOperator(
        task_id="environment", conn_id="AML_TEST_CONNECTION", environment=environment
    )
    AzureMachineLearningLoadAndRegisterComponentOperator(
        task_id="component", conn_id="AML_TEST_CONNECTION", source=os.path.join(folder, "train.yml")
    )
