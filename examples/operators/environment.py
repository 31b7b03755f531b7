"""Make a version of an environment, and run a job in exactly that version."""

from airflow.sdk import DAG
from fraud import CONN_ID

from airflow_provider_azureml.provider.operators.environment import AzureMachineLearningCreateEnvironmentOperator
from airflow_provider_azureml.provider.operators.job import AzureMachineLearningCreateJobOperator

with DAG("example_environment", schedule=None):
    environment = AzureMachineLearningCreateEnvironmentOperator(
        task_id="environment",
        conn_id=CONN_ID,
        environment={
            "name": "example-train",
            "image": "mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu22.04",
            "conda_file": "files/conda.yml",
        },
    )
    job = AzureMachineLearningCreateJobOperator(
        task_id="job",
        conn_id=CONN_ID,
        waiting=True,
        poll_interval=5,
        job={
            "type": "command",
            "command": "python --version",
            "environment": "azureml:example-train:{{ ti.xcom_pull('environment')['version'] }}",
        },
    )
    environment >> job
