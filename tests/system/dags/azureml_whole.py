"""What a job's outputs say of themselves, which deployment a batch endpoint takes, and a deployment that fails."""

import os

from airflow.sdk import DAG, task

from airflow_provider_azureml.datasets import Workspace, asset_versions
from airflow_provider_azureml.provider.operators.batch import AzureMachineLearningInvokeBatchEndpointOperator
from airflow_provider_azureml.provider.operators.endpoint import AzureMachineLearningDeployEndpointOperator
from airflow_provider_azureml.provider.operators.job import AzureMachineLearningCreateJobOperator
from airflow_provider_azureml.provider.operators.traffic import AzureMachineLearningSetDefaultDeploymentOperator

workspace = Workspace.from_id(os.environ["AZUREML_WORKSPACE_ID"])

with DAG("outputs_described", schedule=None):
    AzureMachineLearningCreateJobOperator(
        task_id="train",
        conn_id="azureml",
        workspace=workspace,
        job={
            "name": "described-{{ run_id | replace(':', '-') | replace('+', '-') | replace('.', '-') }}",
            "type": "command",
            "command": "train",
            "environment": "azureml://registries/azureml/environments/sklearn/versions/1",
            "outputs": {"model": {"type": "mlflow_model", "name": "described"}},
        },
        describe_outputs={"model": {"tags": {"of": "{{ run_id }}"}, "description": "made by {{ dag.dag_id }}"}},
        waiting=True,
        deferrable=True,
        poll_interval=1,
    )

with DAG("outputs_consumer", schedule=[workspace.model("described")]):

    @task
    def consume(*, triggering_asset_events):
        return [version.to_dict() for version in asset_versions(triggering_asset_events)]

    consume()

with DAG("batch_default", schedule=None, params={"deployment": "v2"}):
    AzureMachineLearningSetDefaultDeploymentOperator(
        task_id="choose",
        conn_id="azureml",
        endpoint_name="batched",
        deployment_name="{{ params.deployment }}",
        deferrable=True,
        poll_interval=1,
    ) >> AzureMachineLearningInvokeBatchEndpointOperator(
        task_id="score", conn_id="azureml", endpoint_name="batched", inputs={"text": "x"}, waiting=False
    )

with DAG("deployment_fails", schedule=None):
    AzureMachineLearningDeployEndpointOperator(
        task_id="deploy",
        conn_id="azureml",
        deployment={
            "name": "blue",
            "endpoint_name": "failing",
            "model": "azureml:failing:1",
            "instance_type": "Standard_DS3_v2",
            "instance_count": 1,
        },
        deferrable=True,
        poll_interval=1,
    )
