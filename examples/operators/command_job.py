"""A command job whose output becomes a model version, and the asset event that says so."""

from airflow.sdk import DAG
from fraud import CONN_ID, workspace

from airflow_provider_azureml.provider.operators.job import AzureMachineLearningCreateJobOperator

with DAG("example_command_job", schedule=None):
    AzureMachineLearningCreateJobOperator(
        task_id="train",
        conn_id=CONN_ID,
        workspace=workspace,
        waiting=True,
        deferrable=True,
        poll_interval=5,
        job={
            "type": "command",
            "code": "files/src",
            "command": "python train.py --data ${{inputs.flowers}} --model ${{outputs.model}}",
            "environment": "azureml://registries/azureml/environments/sklearn-1.5/versions/1",
            "inputs": {"flowers": {"type": "uri_folder", "path": "files/flowers"}},
            "outputs": {"model": {"type": "custom_model", "name": "flowers"}},
        },
    )
